//! What a connection is told that is refused before it has a request: bytes that are not HTTP, or too many connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::service::some_digits;

/// How long a refused client may take to read its answer and to stop sending.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Writes refusals, each with an id of its own.
pub struct Refusals {
    prefix: String,
    numbers: AtomicU64,
}

impl Refusals {
    /// Returns what writes refusals.
    pub fn new() -> Self {
        Self {
            prefix: some_digits(),
            numbers: AtomicU64::new(1),
        }
    }

    /// Returns a whole answer that refuses, and says that the connection is closed.
    pub fn answer(&self, status: u16, message: &str) -> Vec<u8> {
        let content = codecs::error_body(message);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let request_id = format!("refused-{}-{number:x}", self.prefix);
        log::debug!(request_id = request_id.as_str(), status = status; "refused");
        let reason = StatusCode::from_u16(status).ok();
        let reason = reason
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default();
        let retry = if status == 503 { "retry-after: 1\r\n" } else { "" };
        let length = content.len();
        let mut answer = format!(
            "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n{retry}content-length: {length}\r\n\
             x-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        .into_bytes();
        answer.extend_from_slice(&content);
        answer
    }
}

/// Writes the last bytes of a connection, and waits until the client has read them: an earlier close would reset it.
pub async fn say_and_close(stream: &TcpStream, last: &[u8]) {
    let _ = timeout(LAST_WORDS, async {
        let mut left = last;
        while !left.is_empty() {
            if stream.writable().await.is_err() {
                return;
            }
            match stream.try_write(left) {
                Ok(count) => left = left.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
        let _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
        throw_away(stream).await;
    })
    .await;
}

/// Reads until the client ends.
async fn throw_away(stream: &TcpStream) {
    let mut bytes = vec![0; 16 * 1024];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
