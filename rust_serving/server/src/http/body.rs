//! Reads one request's body within limits, or throws it away.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use codecs::{Refusal, whole_number};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, EXPECT, HeaderValue};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

use crate::admission::Held;
use crate::http::link::Link;

/// How much of a refused body is read and thrown away, so that its sender gets to read the refusal.
const DISCARD_LIMIT_BYTES: u64 = 64 * 1024 * 1024;
/// No more room than this is made for a body on its sender's word alone.
const TRUSTED_BYTES: usize = 1024 * 1024;

/// Why there is no body.
pub enum NoBody {
    /// The request is refused.
    Refused(Refusal),
    /// The client closed the connection before its body was complete.
    Disconnected,
}

impl From<Refusal> for NoBody {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// One request's body as it arrives.
pub struct BodyReader {
    body: Incoming,
    link: Arc<Link>,
    held: Held,
    progress: Progress,
}

/// How far a body has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Its sender waits to be asked for it.
    Unasked,
    /// It arrives.
    Arriving,
    /// All of it was read.
    Finished,
    /// What arrives is no body.
    Broken,
}

impl BodyReader {
    /// Returns the reader of a request's body; nothing is read yet.
    pub fn new(body: Incoming, headers: &HeaderMap, held: Held, link: Arc<Link>) -> Self {
        let expects = headers.get(EXPECT).map(HeaderValue::as_bytes);
        let progress = if body.is_end_stream() {
            Progress::Finished
        } else if expects.is_some_and(|expects| expects.eq_ignore_ascii_case(b"100-continue")) {
            Progress::Unasked
        } else {
            Progress::Arriving
        };
        Self {
            body,
            link,
            held,
            progress,
        }
    }

    async fn next(&mut self) -> Result<Bytes, NoBody> {
        if self.progress == Progress::Unasked {
            self.progress = Progress::Arriving;
        }
        loop {
            let frame = match self.body.frame().await {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Err(self.broken(&error)),
                None => {
                    self.end();
                    return Ok(Bytes::new());
                }
            };
            if let Ok(chunk) = frame.into_data() {
                if self.body.is_end_stream() {
                    self.end();
                }
                return Ok(chunk);
            }
            // what follows a body in chunks (trailers) is thrown away
        }
    }

    fn end(&mut self) {
        self.progress = Progress::Finished;
        self.link.body_is_whole();
    }

    fn broken(&mut self, error: &hyper::Error) -> NoBody {
        self.progress = Progress::Broken;
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        match cause.map(io::Error::kind) {
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) if !self.link.is_gone() => {
                let limit = self.link.limits().header_bytes;
                let beside = cause.is_some_and(|cause| cause.to_string().contains("limit"));
                NoBody::Refused(Refusal::new(
                    400,
                    if beside {
                        format!(
                            "over {limit} bytes came beside the body: send longer chunks, and no trailers"
                        )
                    } else {
                        "Invalid HTTP request received: send HTTP/1.1".to_owned()
                    },
                ))
            }
            _ => NoBody::Disconnected,
        }
    }

    /// Returns the body.
    ///
    /// # Errors
    /// 413 if it is longer than `max_bytes`, 408 if it takes longer than `allowed`, 429 if there is no room for it;
    /// or if the client is gone.
    pub async fn read(&mut self, max_bytes: u64, allowed: Duration) -> Result<Bytes, NoBody> {
        let late = Instant::now() + allowed;
        let declared = self.body.size_hint().exact().unwrap_or(0);
        let read = timeout_at(late, self.gather(max_bytes, declared)).await;
        read.unwrap_or_else(|_| {
            let allowed_s = allowed.as_secs_f64();
            let message = format!("the body took more than {} s: send it faster", general(allowed_s));
            Err(Refusal::new(408, message).into())
        })
    }

    async fn gather(&mut self, max_bytes: u64, declared: u64) -> Result<Bytes, NoBody> {
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        while self.progress != Progress::Finished {
            let chunk = self.next().await?;
            if self.held.bytes() + chunk.len() as u64 > max_bytes {
                return Err(too_long(max_bytes).into());
            }
            self.held.add(chunk.len() as u64)?;
            if first.is_empty() && whole.is_empty() {
                first = chunk;
                continue;
            }
            if whole.is_empty() {
                let declared = usize::try_from(declared).unwrap_or(TRUSTED_BYTES);
                whole.reserve(declared.min(TRUSTED_BYTES).max(first.len() + chunk.len()));
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(if whole.is_empty() { first } else { whole.freeze() })
    }

    /// Reads the rest of the body within limits and throws it away; returns whether all of it was read.
    ///
    /// What was read of it before is counted no longer.
    pub async fn discard(&mut self, allowed: Duration) -> bool {
        self.held.let_go();
        if matches!(self.progress, Progress::Unasked | Progress::Broken) {
            return false;
        }
        let late = Instant::now() + allowed;
        let _ = timeout_at(late, async {
            let mut length = 0;
            while self.progress == Progress::Arriving && length <= DISCARD_LIMIT_BYTES {
                match self.next().await {
                    Ok(chunk) => length += chunk.len() as u64,
                    Err(_) => break,
                }
            }
        })
        .await;
        self.progress == Progress::Finished
    }
}

/// Returns the bytes that the sender declares, 0 if it declares none.
///
/// # Errors
/// 400 if that is no number, 413 if it is more than `max_bytes`.
pub fn declared(headers: &HeaderMap, max_bytes: u64) -> Result<u64, Refusal> {
    let Some(sent) = headers.get_all(CONTENT_LENGTH).iter().next_back() else {
        return Ok(0);
    };
    let Some(length) = whole_number(sent.as_bytes(), None) else {
        let message = "Content-Length is wrong: send the length of the body in bytes";
        return Err(Refusal::new(400, message));
    };
    if length > max_bytes {
        return Err(too_long(max_bytes));
    }
    Ok(length)
}

fn too_long(max_bytes: u64) -> Refusal {
    Refusal::new(
        413,
        format!("the body is too long: send at most {max_bytes} bytes"),
    )
}

/// Returns a number in at most six digits, as the other services write it.
pub fn general(number: f64) -> String {
    let above = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5]
        .iter()
        .filter(|bound| number >= **bound);
    let digits = 6 - above.count();
    let text = format!("{number:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::general;

    #[test]
    fn seconds_are_written_shortly() {
        let shown = [10.0, 0.3, 0.05, 1.5, 123.456_789, 3600.0].map(general);
        assert_eq!(shown, ["10", "0.3", "0.05", "1.5", "123.457", "3600"]);
    }
}
