use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Instant;

use super::*;

/// A gateway that answers each push with the next status, the last for ever; it returns what it was sent.
fn gateway(statuses: Vec<u16>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (sends, sent) = mpsc::channel();
    thread::spawn(move || {
        let mut statuses = statuses.into_iter().peekable();
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            while let Some(request) = read(&mut connection) {
                let status = statuses.next().unwrap();
                if statuses.peek().is_none() {
                    statuses = vec![status].into_iter().peekable();
                }
                write!(connection, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").unwrap();
                if sends.send(request).is_err() {
                    return;
                }
            }
        }
    });
    (address, sent)
}

/// Reads a request with its body; None at the end of the connection.
fn read(connection: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).ok()?;
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)?
        .split("\r\n")
        .next()?
        .parse()
        .ok()?;
    let mut body = vec![0; length];
    connection.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

fn pushing(address: &str, interval: Duration) -> (Metrics, Pusher) {
    let metrics = Metrics::new();
    let pusher = Pusher::to(
        Gateway::new(address, SERVICE, TIMEOUT).unwrap(),
        metrics.clone(),
        interval,
    )
    .unwrap();
    (metrics, pusher)
}

const SOON: Duration = Duration::from_mins(1);

#[test]
fn metrics_are_pushed_at_every_interval_and_at_the_end() {
    let (address, sent) = gateway(vec![200]);
    let (metrics, pusher) = pushing(&format!("http://{address}/"), Duration::from_millis(20));
    let first = sent.recv_timeout(SOON).unwrap();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert!(
        first.starts_with(&format!("PUT /metrics/job/rust/instance/{host} HTTP/1.1\r\n")),
        "{first}"
    );
    assert!(first.contains("\nrequests_total 0\n"), "{first}");
    metrics.observe_request("/predict/", 200, 0.01, "weather");
    pusher.close();
    let last = sent.try_iter().last().unwrap();
    assert!(last.contains("\nrequests_total 1\n"), "{last}");
}

#[test]
fn a_service_that_ends_before_the_first_interval_has_pushed() {
    let (address, sent) = gateway(vec![202]);
    let (metrics, pusher) = pushing(&format!("http://{address}"), Duration::from_hours(1));
    metrics.observe_request("/predict/", 200, 0.01, "");
    pusher.close();
    let sent = sent.recv_timeout(SOON).unwrap();
    assert!(sent.contains("\nrequests_total 1\n"));
}

#[test]
fn a_name_and_password_are_sent_and_never_shown() {
    let (address, sent) = gateway(vec![200]);
    let made = Gateway::new(&format!("http://some%20one:s3cret@{address}"), SERVICE, TIMEOUT).unwrap();
    assert_eq!(made.address(), format!("http://{address}"));
    made.put("x".to_owned(), "text/plain").unwrap();
    let request = sent.recv_timeout(SOON).unwrap().to_lowercase();
    assert!(
        request.contains("authorization: basic c29tzsbvbmu6cznjcmv0\r\n"),
        "{request}"
    );
    assert!(request.contains(&format!("host: {address}\r\n")), "{request}");
}

#[test]
fn an_outage_begins_and_ends() {
    let (address, sent) = gateway(vec![500, 500, 200, 302]);
    let gateway = Gateway::new(&format!("http://{address}"), SERVICE, TIMEOUT).unwrap();
    let mut pushing = Pushing {
        gateway,
        metrics: Metrics::new(),
        out: false,
    };
    let outages = [(); 5].map(|()| {
        pushing.push();
        pushing.out
    });
    assert_eq!(outages, [true, true, false, true, true]);
    drop(sent);
    let told = pushing.gateway.put(String::new(), "text/plain");
    assert!(told.is_err());
}

#[test]
fn a_gateway_that_is_down_or_silent_harms_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    let made = Gateway::new(&silent, SERVICE, Duration::from_millis(100)).unwrap();
    assert!(made.put(String::new(), "text/plain").is_err());
    drop(listener);
    let began = Instant::now();
    let (_, pusher) = pushing(&silent, Duration::from_millis(5));
    pusher.close();
    assert!(began.elapsed() < 10 * TIMEOUT);
}
