//! Why an image is refused.

use std::fmt;

/// What kind of refusal an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The image has too many pixels: HTTP status 413.
    TooLarge,
    /// The file is no image, is broken, or takes too much work: HTTP status 422.
    Unreadable,
    /// Nobody waits for the image any more; there is nobody to answer.
    Abandoned,
}

/// The refusal of an image, with a message for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of refusal it is.
    pub kind: ErrorKind,
    /// What is wrong and what to do, in one line.
    pub message: String,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Return the refusal of a file whose pixels cannot be read.
    pub(crate) fn broken(reason: impl fmt::Display) -> Self {
        let message = format!("the image is truncated or corrupt ({reason}): send a whole image file");
        Self {
            kind: ErrorKind::Unreadable,
            message,
        }
    }

    /// Return the refusal of a file that takes far longer to decode than its size justifies.
    pub(crate) fn too_much_work(what: impl fmt::Display) -> Self {
        let message = format!("{what}: save the image again, in the usual way of its format");
        Self {
            kind: ErrorKind::Unreadable,
            message,
        }
    }

    /// Return the refusal of bytes that are in no known format.
    pub(crate) fn no_image() -> Self {
        let message = "this is not an image: send a whole JPEG, PNG, WebP, GIF or BMP".to_owned();
        Self {
            kind: ErrorKind::Unreadable,
            message,
        }
    }

    pub(crate) fn too_large(message: String) -> Self {
        Self {
            kind: ErrorKind::TooLarge,
            message,
        }
    }

    pub(crate) fn abandoned() -> Self {
        Self {
            kind: ErrorKind::Abandoned,
            message: "nobody waits for the image any more".to_owned(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Return an error of kind [`ErrorKind::Abandoned`] if the work is not `wanted` any more.
pub(crate) fn check_wanted(wanted: &dyn Fn() -> bool) -> Result<()> {
    if wanted() { Ok(()) } else { Err(Error::abandoned()) }
}
