//! What may go wrong with an object: outcomes that `store` turns into one line each.

use std::borrow::Cow;
use std::io;

use crate::addresses::shown;
use crate::start_error::StartError;

/// The longest cause that a message shows, in characters.
const LONGEST_CAUSE: usize = 200;
/// What to do if access is refused, unless a better remedy is known.
const GRANT: &str = "grant this service's account read access";

/// Why an object has not arrived.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The object does not exist.
    Missing,
    /// The object may not be read, or not in this way.
    Refused {
        cause: String,
        remedy: Cow<'static, str>,
    },
    /// A fault that may be over in a moment.
    Transient(String),
    /// The bytes that arrived differ from the object's.
    Corrupt(String),
    /// The time is over before the work is done.
    TimeOver,
    /// The cache cannot keep the file.
    Disk(io::Error),
    /// The message is complete already.
    Start(StartError),
}

impl Fault {
    /// Returns the refusal whose remedy is access.
    pub(crate) fn refused(cause: impl Into<String>) -> Self {
        Self::Refused {
            cause: cause.into(),
            remedy: GRANT.into(),
        }
    }

    /// Returns the refusal with a remedy of its own.
    pub(crate) fn refused_with(cause: impl Into<String>, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused {
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }

    /// Returns the fault with a message that is complete.
    pub(crate) fn start(message: impl Into<String>) -> Self {
        Self::Start(StartError(message.into()))
    }
}

/// Returns a cause on one line, without secrets and not too long.
pub(crate) fn one_line(cause: &str) -> String {
    let line = cause.split_whitespace().collect::<Vec<_>>().join(" ");
    shown(&line).chars().take(LONGEST_CAUSE).collect()
}

/// Returns what the system says of a fault, without its number.
pub(crate) fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(at)) => text[..at].to_owned(),
        _ => text,
    }
}
