//! Whole numbers of Python's, which know no bounds.

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;

/// Return a number of Rust's.
///
/// # Errors
/// `ValueError` if the type `T` has no such number, and `TypeError` for what is no whole number.
pub fn within<'py, T>(given: &Bound<'py, PyAny>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    given.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(given.py()) {
            PyValueError::new_err(format!("{name} is {given}, which is beyond all limits"))
        } else {
            error
        }
    })
}
