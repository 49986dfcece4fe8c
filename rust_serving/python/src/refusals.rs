//! Refusals of images as exceptions.

use pixels::{Error, ErrorKind};
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;

create_exception!(
    native_pixels,
    TooLarge,
    PyValueError,
    "The image has too many pixels."
);
create_exception!(
    native_pixels,
    Unreadable,
    PyValueError,
    "The file is no image, is broken, or takes too much work."
);
create_exception!(
    native_pixels,
    Abandoned,
    PyException,
    "Nobody waits for the image any more."
);

/// Return the exception of a refusal, with the refusal's message.
pub fn exception(refusal: Error) -> PyErr {
    match refusal.kind {
        ErrorKind::TooLarge => TooLarge::new_err(refusal.message),
        ErrorKind::Unreadable => Unreadable::new_err(refusal.message),
        ErrorKind::Abandoned => Abandoned::new_err(refusal.message),
    }
}
