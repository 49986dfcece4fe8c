//! What a request is refused with.

use std::fmt;

/// A request is refused: `status` and `message` go to the client.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, and what would be right.
    pub message: String,
    /// The header `Retry-After`, in whole seconds.
    pub retry_after_s: Option<f64>,
    /// Whether the client may still be sending, so that its next bytes do not begin a request.
    pub closes: bool,
}

impl Refusal {
    /// Return a refusal after which the client need not wait.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after_s: None,
            closes: false,
        }
    }

    /// Return this refusal with a `Retry-After` of `seconds`, rounded up to whole seconds and at least 1.
    #[must_use]
    pub fn retry_after(mut self, seconds: f64) -> Self {
        // a wait of 2.0001 s is 2 s
        self.retry_after_s = Some(((seconds * 1000.0).round() / 1000.0).ceil().max(1.0));
        self
    }

    /// Return the refusal of a request that failed by a fault of the service.
    #[must_use]
    pub fn fault() -> Self {
        Self::new(
            500,
            "this is our fault: report it with the X-Request-Id of this answer",
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Return the refusal of a request that is wrong.
pub(crate) fn wrong(message: impl Into<String>) -> Refusal {
    Refusal::new(400, message)
}

/// Return the JSON of an error: `{"error": message}`.
#[must_use]
pub fn error_body(message: &str) -> Vec<u8> {
    let mut body = br#"{"error":"#.to_vec();
    body.extend_from_slice(serde_json::Value::from(message).to_string().as_bytes());
    body.push(b'}');
    body
}
