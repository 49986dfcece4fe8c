//! Connections and requests on real sockets, around a network that does what its input says.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use codecs::Signature;
use tokio::net::TcpListener;

use crate::engine::{Ranked, Uncomputable};
use crate::http::app::App;
use crate::http::connection;
use crate::http::link::{ConnectionLimits, Link};
use crate::http::places::Places;
use crate::http::turned_away::Refusals;
use crate::loading::grey_levels;
use crate::memory::DecodingMemory;
use crate::pipeline::{Network, Pipeline, PixelLimits};
use crate::service::Service;
use crate::settings::Settings;
use crate::workers::Workers;

const SLOW: Duration = Duration::from_millis(60);
const GET: &[u8] = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";

/// Where a request panics.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Panics {
    Nowhere,
    /// The network does.
    InNetwork,
    /// What makes the pixels the network's input does: it has no room for them.
    InPixels,
}

/// A network that takes its time, and panics if it is told to.
struct Moody {
    panics: Panics,
}

impl Network for Moody {
    fn input_len(&self) -> usize {
        if self.panics == Panics::InPixels {
            7
        } else {
            3 * 8 * 8
        }
    }

    fn predict(&self, _: &[f32]) -> Result<Vec<f32>, Uncomputable> {
        assert!(self.panics == Panics::Nowhere, "a secret of ours");
        thread::sleep(SLOW);
        Ok(vec![1.0, 0.0])
    }

    fn finish(&self, _: &[f32]) -> Option<Ranked> {
        Some(Ranked {
            probabilities: vec![0.75, 0.25],
            label: 0,
        })
    }
}

/// A server on a thread of its own.
struct Server {
    address: SocketAddr,
    service: Arc<Service>,
}

#[derive(Clone, Copy)]
struct Given {
    settings: &'static [(&'static str, &'static str)],
    connections: usize,
    panics: Panics,
    timeout: Duration,
    /// The bytes of an answer that the system takes before the client reads; None for its usual.
    send_buffer: Option<usize>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            settings: &[],
            connections: 100,
            panics: Panics::Nowhere,
            timeout: Duration::from_secs(5),
            send_buffer: None,
        }
    }
}

fn serving(given: Given) -> Server {
    let settings = Settings::read(&|name| {
        let fixed = [("ONNX_NETWORK_URI", "file:///m/network.onnx"), ("THREADS", "1")];
        let mut all = given.settings.iter().chain(&fixed);
        all.find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    });
    let service = Arc::new(Service::new(settings.unwrap_or_else(|error| panic!("{error}"))));
    let signature = Signature {
        name: "m".to_owned(),
        version: Some("1".to_owned()),
        platform: "test".to_owned(),
        labels: vec!["x".to_owned(), "y".to_owned()],
        softmax: false,
        max_items: service.settings.max_items,
    };
    let transform = pixels::Transform {
        resize: 8,
        crop: 8,
        interpolation: pixels::Interpolation::Bilinear,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    let limits = PixelLimits {
        image: 1_000_000,
        request: 16_000_000,
    };
    let network = Box::new(Moody { panics: given.panics });
    // for one image at a time
    let taken_bytes = pixels::describe(&grey_levels(), limits.image).map_or(0, |image| image.memory_bytes);
    let (metrics, memory) = (service.metrics.model("m"), DecodingMemory::new(taken_bytes));
    let pipeline = Pipeline::new(signature, metrics, network, transform, limits, memory);
    let workers = Workers::new(1, "test", Duration::from_mins(1)).unwrap_or_else(|error| panic!("{error}"));
    service.open(Arc::new(pipeline), &workers);
    service.lifecycle.set_ready();
    let (tell, told) = std::sync::mpsc::channel();
    let served = Arc::clone(&service);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime
            .unwrap_or_else(|error| panic!("{error}"))
            .block_on(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await;
                let listener = listener.unwrap_or_else(|error| panic!("{error}"));
                let _ = tell.send(listener.local_addr());
                let limits = ConnectionLimits {
                    header_timeout: given.timeout,
                    body_timeout: given.timeout,
                    header_bytes: 4096,
                    headers: 100,
                };
                let app = Arc::new(App {
                    service: served,
                    places: Arc::new(Places::new(given.connections, 3)),
                    limits,
                    refusals: Refusals::new(),
                });
                while let Ok((stream, _)) = listener.accept().await {
                    if let Some(bytes) = given.send_buffer {
                        let _ = socket2::SockRef::from(&stream).set_send_buffer_size(bytes);
                    }
                    let link = Link::new(limits, Arc::clone(&app.places));
                    tokio::spawn(connection::serve(stream, link, Arc::clone(&app)));
                }
            });
    });
    let address = told.recv().ok().and_then(Result::ok);
    Server {
        address: address.unwrap_or_else(|| panic!("no address")),
        service,
    }
}

impl Server {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap_or_else(|error| panic!("{error}"));
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        stream
    }

    /// Sends, and returns all that comes until the connection is closed.
    fn told(&self, sent: &[u8]) -> String {
        let mut client = self.connect();
        let _ = client.write_all(sent);
        all(&mut client)
    }

    fn counts(&self, metric: &str) -> bool {
        self.service
            .metrics
            .render("")
            .0
            .lines()
            .any(|line| line == metric)
    }

    fn waits_for(&self, metric: &str) {
        let began = Instant::now();
        while !self.counts(metric) {
            assert!(began.elapsed() < Duration::from_secs(30), "no {metric}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn all(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(more: &str) -> Vec<u8> {
    let image = grey_levels();
    let mut sent = format!(
        "POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n{more}Content-Length: {}\r\n\r\n",
        image.len()
    )
    .into_bytes();
    sent.extend_from_slice(&image);
    sent
}

fn last(sent: &[u8]) -> Vec<u8> {
    let text = b"Host: x\r\n";
    let at = sent
        .windows(text.len())
        .position(|window| window == text)
        .unwrap_or(0);
    let (before, after) = sent.split_at(at);
    [before, b"Connection: close\r\n", after].concat()
}

#[test]
fn an_image_gets_its_answer_and_its_request_its_id() {
    let server = serving(Given::default());
    let answer = server.told(&last(&post("X-Request-Id: mine\r\n")));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nx-request-id: mine\r\n"));
    assert!(
        answer.ends_with(r#"{"prediction":"x","probabilities":{"x":0.75,"y":0.25}}"#),
        "{answer}"
    );
    assert!(server.told(&last(GET)).contains("\r\nx-request-id: "));
}

#[test]
fn a_panic_is_a_500_without_its_text_and_the_next_request_is_answered() {
    for panics in [Panics::InNetwork, Panics::InPixels] {
        let server = serving(Given {
            panics,
            ..Given::default()
        });
        for _ in 0..3 {
            // on one connection, too: the panic ends neither it nor the thread, nor keeps the image's memory
            let answer = server.told(&[post(""), last(&post(""))].concat());
            assert_eq!(answer.matches("HTTP/1.1 500 ").count(), 2, "{answer}");
            assert!(answer.contains("this is our fault"));
            assert!(!answer.contains("secret") && !answer.contains("panic"));
        }
        assert!(server.told(&last(GET)).starts_with("HTTP/1.1 200 "));
        server.waits_for("queue_depth 0");
        server.waits_for("queue_bytes 0");
    }
}

#[test]
fn a_head_that_does_not_end_is_told_so() {
    let timeout = Duration::from_millis(300);
    let server = serving(Given {
        timeout,
        ..Given::default()
    });
    let answer = server.told(&GET[..GET.len() - 2]);
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"error":"the headers took over 0.3 s: send a request in one go"}"#));
    assert_eq!(server.told(b""), "");
}

#[test]
fn a_head_that_begins_before_an_answer_and_does_not_end_is_told_so() {
    let timeout = Duration::from_millis(300);
    let server = serving(Given {
        timeout,
        ..Given::default()
    });
    for part in [1, GET.len() / 2, GET.len() - 2] {
        let began = Instant::now();
        let answer = server.told(&[post(""), GET.get(..part).unwrap_or(GET).to_vec()].concat());
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
        // the answer's time is not the head's
        assert!(began.elapsed() >= timeout, "{:?}", began.elapsed());
    }
}

#[test]
fn an_answer_that_is_read_ever_so_slowly_is_not_written_for_ever() {
    const PART: usize = 512;
    let timeout = Duration::from_millis(1500);
    let server = serving(Given {
        timeout,
        send_buffer: Some(2048),
        ..Given::default()
    });
    let asked = GET.replace(b"/ping", b"/api-description");
    let whole = server.told(&last(&asked)).len();
    let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let client = client.unwrap_or_else(|error| panic!("{error}"));
    let _ = client.set_recv_buffer_size(2048);
    let address = server.address.into();
    client.connect(&address).unwrap_or_else(|error| panic!("{error}"));
    let mut client = TcpStream::from(client);
    let _ = client.write_all(&last(&asked));
    // so that all would be read in a few times the timeout, and something within any part of it
    let pause = 4 * timeout / u32::try_from(whole / PART).unwrap_or(1);
    let (mut read, mut part) = (0, [0; PART]);
    while let Ok(count @ 1..) = client.read(&mut part) {
        read += count;
        thread::sleep(pause);
    }
    assert!(0 < read && read < whole, "{read} of {whole} bytes");
}

#[test]
fn a_refused_body_is_counted_no_longer_while_the_rest_of_it_is_thrown_away() {
    let server = serving(Given {
        settings: &[("MAX_BODY_BYTES", "1000")],
        timeout: Duration::from_secs(30),
        ..Given::default()
    });
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    let mut client = server.connect();
    let head =
        "POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n";
    let _ = client.write_all(format!("{head}{chunk}").as_bytes());
    server.waits_for("queue_bytes 600");
    let _ = client.write_all(chunk.as_bytes());
    let began = Instant::now();
    server.waits_for("queue_bytes 0");
    // its sender has not yet got the refusal: it gets it when all is sent
    assert!(began.elapsed() < Duration::from_secs(30));
    assert!(server.counts("in_flight 1"));
    let _ = client.write_all(b"0\r\n\r\n");
    let mut told = [0; 12];
    let _ = client.read_exact(&mut told);
    assert_eq!(&told, b"HTTP/1.1 413");
}

#[test]
fn a_body_that_does_not_come_is_told_so() {
    let timeout = Duration::from_millis(300);
    let server = serving(Given {
        timeout,
        ..Given::default()
    });
    let whole = post("");
    let answer = server.told(&whole[..whole.len() - 1]);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"));
    let soon = post("X-Request-Timeout-Ms: 50\r\n");
    assert!(server.told(&soon[..soon.len() - 1]).starts_with("HTTP/1.1 504 "));
}

#[test]
fn what_is_no_request_is_refused_in_json() {
    let server = serving(Given::default());
    let long = [
        GET.strip_suffix(b"\r\n").unwrap_or(GET),
        b"x: ",
        &[b'v'; 5000],
        b"\r\n\r\n",
    ]
    .concat();
    let many = [
        GET.strip_suffix(b"\r\n").unwrap_or(GET),
        &b"a:b\r\n".repeat(100),
        b"\r\n",
    ]
    .concat();
    for (sent, says) in [
        (
            b"\x16\x03\x01 hello\r\n\r\n".to_vec(),
            "Invalid HTTP request received: send HTTP/1.1",
        ),
        (
            long,
            "the headers are over 4096 bytes: send fewer or shorter ones",
        ),
        (many, "there are over 100 headers: send fewer"),
        (
            b"\r\n".repeat(5000),
            "the headers are over 4096 bytes: send fewer or shorter ones",
        ),
    ] {
        let answer = server.told(&sent);
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{says}: {answer}"
        );
        assert!(answer.contains("\r\nx-request-id: refused-"));
        assert!(answer.ends_with(&format!(r#"{{"error":"{says}"}}"#)), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 400").count(), 1);
    }
}

#[test]
fn chunks_that_are_none_are_refused() {
    let server = serving(Given::default());
    let head =
        "POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = server.told(format!("{head}no chunk\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let answer = server.told(format!("{head}1;{}", "v".repeat(100_000)).as_bytes());
    assert!(
        answer.contains("bytes came beside the body: send longer chunks, and no trailers"),
        "{answer}"
    );
}

#[test]
fn requests_in_a_row_are_answered_in_order() {
    let server = serving(Given::default());
    let sent = [
        post("X-Request-Id: 0\r\n"),
        GET.replace(b"Host", b"X-Request-Id: 1\r\nHost"),
        post("X-Request-Id: 2\r\n"),
        last(&post("X-Request-Id: 3\r\n")),
    ];
    let answer = server.told(&sent.concat());
    let ids: Vec<&str> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("x-request-id: "))
        .collect();
    assert_eq!(ids, ["0", "1", "2", "3"]);
}

trait Replace {
    fn replace(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl Replace for [u8] {
    fn replace(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let at = self
            .windows(from.len())
            .position(|window| window == from)
            .unwrap_or(0);
        [&self[..at], to, &self[at + from.len()..]].concat()
    }
}

#[test]
fn a_client_that_ends_its_half_is_answered_and_the_connection_closed() {
    let server = serving(Given::default());
    let whole = post("");
    let old = String::from_utf8_lossy(GET).replace("1.1", "1.0");
    for (sent, answers) in [
        (whole.clone(), 1),
        ([whole.clone(), whole.clone(), GET.to_vec()].concat(), 3),
        ([whole.clone(), whole[..whole.len() - 1].to_vec()].concat(), 1),
        (whole[..whole.len() - 1].to_vec(), 0),
        (old.into_bytes(), 1),
        (Vec::new(), 0),
    ] {
        let mut client = server.connect();
        let _ = client.write_all(&sent);
        let _ = client.shutdown(Shutdown::Write);
        let answer = all(&mut client);
        assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), answers, "{answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), answers, "{answer}");
    }
}

#[test]
fn a_body_whose_end_is_in_doubt_is_refused() {
    let server = serving(Given::default());
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "content-length:5\r\nCONTENT-LENGTH: 5",
    ] {
        let doubtful = format!(
            "POST /predict/ HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        for before in [Vec::new(), post("")] {
            let mut client = server.connect();
            client
                .write_all(&[before, doubtful.clone().into_bytes()].concat())
                .unwrap();
            let answers = all(&mut client);
            assert!(
                answers.ends_with("{\"error\":\"Invalid HTTP request received: send HTTP/1.1\"}"),
                "{framing}: {answers}"
            );
        }
    }
}

#[test]
fn the_requests_of_clients_that_leave_are_dropped() {
    let server = serving(Given::default());
    let more = [post(""), post("")].concat();
    for sent in [post(""), more] {
        let clients: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
        for mut client in clients {
            let _ = client.write_all(&sent);
        }
        server.waits_for("in_flight 0");
        server.waits_for("queue_depth 0");
    }
    // a connection that is not accepted yet is not in flight either
    let late = Instant::now() + Duration::from_mins(1);
    let mut dropped = 0.0;
    while dropped < 30.0 && Instant::now() < late {
        thread::sleep(Duration::from_millis(10));
        let text = server.service.metrics.render("").0;
        let row = text
            .lines()
            .find_map(|line| line.strip_prefix("dropped_total{reason=\"disconnected\"} "));
        dropped = row.and_then(|count| count.parse::<f64>().ok()).unwrap_or(0.0);
    }
    assert!(dropped >= 30.0, "{dropped}");
}

#[test]
fn a_connection_too_many_is_told_so_and_the_longest_idle_gives_way() {
    let server = serving(Given {
        connections: 2,
        ..Given::default()
    });
    let whole = post("");
    let busy: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut client = server.connect();
            let _ = client.write_all(&whole[..whole.len() - 1]);
            client
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    let answer = server.told(GET);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nretry-after: 1\r\n"));
    assert!(answer.ends_with(r#"{"error":"all 2 connections are taken: send again later"}"#));
    drop(busy);
    thread::sleep(Duration::from_millis(100));
    let mut idle: Vec<TcpStream> = (0..2).map(|_| server.connect()).collect();
    thread::sleep(Duration::from_millis(100));
    assert!(server.told(&last(GET)).starts_with("HTTP/1.1 200 "));
    assert_eq!(idle.first_mut().map(all), Some(String::new()));
}

#[test]
fn a_full_queue_is_told_when_to_come_again() {
    let server = serving(Given {
        settings: &[("QUEUE_LIMIT", "1")],
        ..Given::default()
    });
    let mut first = server.connect();
    let _ = first.write_all(&post(""));
    server.waits_for("queue_depth 1");
    let answer = server.told(&last(&post("")));
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("\r\nretry-after: 1\r\n"));
}

#[test]
fn a_deadline_that_passes_is_told_and_counted_once() {
    let server = serving(Given::default());
    let answer = server.told(&last(&post("X-Request-Timeout-Ms: 20\r\n")));
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(server.counts("dropped_total{reason=\"expired\"} 1"));
}

#[test]
fn a_service_that_stops_refuses_and_asks_to_close() {
    let server = serving(Given::default());
    server.service.lifecycle.drain();
    let answer = server.told(&post(""));
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n") && answer.contains("\r\nretry-after: 2\r\n"));
    assert!(server.told(GET).starts_with("HTTP/1.1 200 "));
}

#[test]
fn an_accepted_request_that_a_stop_gives_up_is_told_so() {
    let server = serving(Given::default());
    let mut client = server.connect();
    let _ = client.write_all(&post(""));
    server.waits_for("queue_depth 1");
    server.service.lifecycle.drain();
    server.service.lifecycle.give_up();
    assert!(all(&mut client).starts_with("HTTP/1.1 503 "));
}
