//! `rust_serving healthcheck`: whether the service in this container is ready.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the service that listens on HOST and PORT whether it is ready.
pub fn is_ready(host: &str, port: u16) -> bool {
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let Ok(mut addresses) = (host, port).to_socket_addrs() else {
        return false;
    };
    addresses.any(|address| asked(&address).is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200 ")))
}

fn asked(address: &SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answered(answer: &'static [u8]) -> std::io::Result<bool> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let served = std::thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let _ = stream.read(&mut [0; 1024])?;
            stream.write_all(answer)
        });
        let ready = is_ready("0.0.0.0", port);
        assert!(served.join().is_ok());
        Ok(ready)
    }

    #[test]
    fn only_a_service_that_says_so_is_ready() -> std::io::Result<()> {
        assert!(answered(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?);
        assert!(!answered(
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
        )?);
        assert!(!answered(b"")?);
        Ok(())
    }
}
