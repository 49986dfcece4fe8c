//! The listening socket, and how many files a process may have open for its connections.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockFilter, SockRef, Socket, Type};

use crate::start_error::StartError;

const BACKLOG: i32 = 2048;
/// How many connections at a time get the answer that there are too many.
const TURNED_AWAY: usize = 128;
/// The number of open files beside clients' connections: models, libraries, connections turned away.
const OTHER_FILES: u64 = 512;

/// Returns a TCP socket that listens.
///
/// # Errors
/// If the address is not available.
pub fn listen(host: &str, port: u16) -> Result<TcpListener, StartError> {
    bound(host, port).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default();
        let remedy = match error.kind() {
            ErrorKind::AddrInUse => "stop what listens there or set another PORT",
            ErrorKind::PermissionDenied => "set a PORT from 1024 on",
            _ => "set HOST to an address of this machine, such as 127.0.0.1, or to 0.0.0.0 for all of them",
        };
        StartError(format!(
            "cannot listen on HOST={host} PORT={port} ({reason}): {remedy}"
        ))
    })
}

fn bound(host: &str, port: u16) -> io::Result<TcpListener> {
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let wanted = |address: &&SocketAddr| address.is_ipv6() == host.contains(':');
    let address = addresses.iter().find(wanted).ok_or(ErrorKind::NotFound)?;
    let socket = Socket::new(Domain::for_address(*address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&(*address).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// How many connections a process may hold, and how many more to turn them away with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// How many are served.
    pub served: usize,
    /// How many more are told that there are too many.
    pub turned_away: usize,
}

/// Raises the limit of open files, as far as allowed, for `count` connections and those turned away.
///
/// If the limit stays too low, half of the files are for connections and a quarter for those turned away: the kernel
/// resets a connection that is accepted when no file is left.
pub fn allow_connections(count: usize) -> ConnectionCounts {
    let limits = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(count)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_FILES);
    let wanted = limits.maximum.map_or(wanted, |hard| wanted.min(hard));
    let Some(mut soft) = limits.current else {
        return ConnectionCounts {
            served: count,
            turned_away: TURNED_AWAY,
        };
    };
    if soft < wanted {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limits.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            soft = wanted;
        }
    }
    let counts = counts_within(count, soft);
    if counts.served < count {
        let served = counts.served;
        log::warn!(
            "MAX_CONNECTIONS={count} is more than {soft} open files allow: {served} are held; raise the limit (ulimit -n)"
        );
    }
    counts
}

fn counts_within(count: usize, files: u64) -> ConnectionCounts {
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    let other = usize::try_from(OTHER_FILES).unwrap_or(usize::MAX);
    if files >= count.saturating_add(other) {
        return ConnectionCounts {
            served: count,
            turned_away: TURNED_AWAY,
        };
    }
    ConnectionCounts {
        served: count.min(files.saturating_sub(other).max(files / 2)),
        turned_away: TURNED_AWAY.min(files / 4),
    }
}

/// Lets no new connection begin; connections that the kernel has completed can still be accepted.
///
/// Closing a listener resets every connection in its queue, together with its request; so the queue must stop growing
/// first. A client that connects meanwhile retries after a second and is refused then. Without filters in the kernel
/// the queue is likely, but not certain, to be empty.
pub fn stop_admitting(listener: &impl AsFd) {
    // a classic BPF program over a segment's TCP header: it drops a segment with SYN set and passes all others
    let program = [
        SockFilter::new(0x30, 0, 0, 13),
        SockFilter::new(0x45, 0, 1, 0x02),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, 0xffff_ffff),
    ];
    let _ = SockRef::from(listener).attach_filter(&program);
}

/// Tells whether a connection waits to be accepted.
pub fn queued(listener: &impl AsFd) -> bool {
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut asked = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut asked, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_listener_has_a_queue_until_its_connections_are_accepted() -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        assert!(!queued(&listener));
        let _client = TcpStream::connect(listener.local_addr()?)?;
        assert!(queued(&listener));
        let _accepted = listener.accept()?;
        assert!(!queued(&listener));
        Ok(())
    }

    #[test]
    fn no_connection_begins_once_none_is_admitted() -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        stop_admitting(&listener);
        let address = listener.local_addr()?;
        let tried = TcpStream::connect_timeout(&address, std::time::Duration::from_millis(300));
        assert!(tried.is_err());
        Ok(())
    }

    #[test]
    fn a_busy_address_is_told_with_the_setting_to_change() -> io::Result<()> {
        let taken = TcpListener::bind(("127.0.0.1", 0))?;
        let port = taken.local_addr()?.port();
        let refused = listen("127.0.0.1", port);
        assert!(refused.is_err_and(|error| {
            error
                .0
                .ends_with("(Address already in use): stop what listens there or set another PORT")
        }));
        let elsewhere = listen("8.8.8.8", port);
        assert!(elsewhere.is_err_and(|error| error.0.contains("set HOST to an address of this machine")));
        Ok(())
    }

    #[test]
    fn few_files_are_shared_by_connections_and_refusals() {
        assert_eq!(
            counts_within(100, 1000),
            ConnectionCounts {
                served: 100,
                turned_away: 128
            }
        );
        assert_eq!(
            counts_within(1000, 256),
            ConnectionCounts {
                served: 128,
                turned_away: 64
            }
        );
    }
}
