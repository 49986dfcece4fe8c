//! Answers as the server writes them: their headers, and the form of a refusal.

use bytes::Bytes;
use codecs::Refusal;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;

/// The name of the header with a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 128;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A whole answer.
pub type Whole = Response<Full<Bytes>>;

/// Returns an answer in JSON.
pub fn json(status: u16, content: impl Into<Bytes>) -> Whole {
    whole(status, JSON, content)
}

/// Returns an answer with this content.
pub fn whole(status: u16, kind: HeaderValue, content: impl Into<Bytes>) -> Whole {
    let mut answer = Response::new(Full::new(content.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// Returns the answer to a request that is refused.
pub fn refused(refusal: &Refusal) -> Whole {
    let mut answer = json(refusal.status, codecs::error_body(&refusal.message));
    if let Some(seconds) = refusal.retry_after_s {
        let seconds = HeaderValue::from_str(&format!("{seconds:.0}"));
        answer
            .headers_mut()
            .extend(seconds.ok().map(|seconds| (RETRY_AFTER, seconds)));
    }
    if refusal.closes {
        close(&mut answer);
    }
    answer
}

/// Lets the connection be closed after this answer.
pub fn close(answer: &mut Whole) {
    answer
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
}

/// Returns the id that the client gave its request, its first 128 bytes; None if it gave none.
pub fn given_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let sent = headers.get_all(REQUEST_ID).iter().next_back()?;
    let bytes = sent.as_bytes();
    if bytes.is_empty() {
        return None;
    }
    if bytes.len() <= LONGEST_ID {
        return Some(sent.clone());
    }
    HeaderValue::from_bytes(bytes.get(..LONGEST_ID)?).ok()
}

/// Returns an id as it is written in the log.
pub fn id_text(id: &HeaderValue) -> String {
    id.as_bytes().iter().copied().map(char::from).collect()
}
