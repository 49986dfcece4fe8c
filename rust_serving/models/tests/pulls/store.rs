//! A small store that fails as it is told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use models::PullSettings;

/// What is sent for a request.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The status line's number.
    pub status: u16,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// What is sent as the body.
    pub body: Vec<u8>,
    /// The length that is declared, if it is not the body's; `Some("")` declares none.
    pub length: Option<String>,
    /// How long each byte of the body waits.
    pub pause: Duration,
    /// Nothing is sent, and the connection stays open.
    pub silent: bool,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A server: each path has replies, of which the last is repeated.
pub struct Store {
    pub url: String,
    replies: Arc<Mutex<HashMap<String, Vec<Reply>>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Store {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let replies = Arc::<Mutex<HashMap<String, Vec<Reply>>>>::default();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let (known, log) = (Arc::clone(&replies), Arc::clone(&seen));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (known, log) = (Arc::clone(&known), Arc::clone(&log));
                thread::spawn(move || serve(stream, &known, &log));
            }
        });
        Self { url, replies, seen }
    }

    /// Sets the replies of a path, which has no query.
    pub fn on(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        let mut replies: Vec<_> = replies.into_iter().collect();
        replies.reverse();
        self.replies.lock().unwrap().insert(path.to_owned(), replies);
    }

    /// The request lines and headers so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// How often objects were downloaded from a bucket.
    pub fn downloads(&self) -> usize {
        self.seen()
            .iter()
            .filter(|request| request.contains("alt=media"))
            .count()
    }
}

fn serve(stream: TcpStream, known: &Mutex<HashMap<String, Vec<Reply>>>, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let path = head
        .split(' ')
        .nth(1)
        .unwrap()
        .split('?')
        .next()
        .unwrap()
        .to_owned();
    log.lock().unwrap().push(head);
    let reply = {
        let mut known = known.lock().unwrap();
        match known.get_mut(&path) {
            Some(replies) if replies.len() > 1 => replies.pop().unwrap(),
            Some(replies) => replies.first().cloned().unwrap(),
            None => Reply::new(404, ""),
        }
    };
    // a client may have given up
    let _ = send(reader.into_inner(), &reply);
}

fn send(mut stream: TcpStream, reply: &Reply) -> std::io::Result<()> {
    if reply.silent {
        thread::sleep(Duration::from_mins(1));
        return Ok(());
    }
    let (status, body) = (reply.status, &reply.body);
    let length = reply.length.clone().unwrap_or_else(|| body.len().to_string());
    write!(stream, "HTTP/1.1 {status} X\r\nConnection: close\r\n")?;
    if !length.is_empty() {
        write!(stream, "Content-Length: {length}\r\n")?;
    }
    for (name, value) in &reply.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    if reply.pause.is_zero() {
        return stream.write_all(&reply.body);
    }
    for byte in &reply.body {
        thread::sleep(reply.pause);
        stream.write_all(&[*byte])?;
    }
    Ok(())
}

/// Settings with a cache, a stand-in for the bucket `models`, and a time.
pub fn settings(cache: &Path, store: &Store, timeout_s: f64) -> PullSettings {
    PullSettings {
        cache: cache.to_owned(),
        local_store: Some(("models".to_owned(), store.url.clone())),
        timeout_s,
        max_model_bytes: PullSettings::MOST_MODEL_BYTES,
    }
}

/// The names in a folder; none if it does not exist.
pub fn left_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}
