//! What a file says about its image.

use pyo3::prelude::*;

use crate::guard::{computed, computed_at_once};
use crate::refusals::exception;
use crate::whole_numbers::within;

/// The structure of any file of this size is read within a millisecond, that of a photograph within microseconds.
const QUICK_BYTES: usize = 256 << 10;

/// What a file says about its image, from its structure alone.
#[pyclass(frozen, module = "native_pixels")]
pub struct Description(pub pixels::Description);

#[pymethods]
impl Description {
    /// The pixels of a stored row.
    #[getter]
    fn width(&self) -> u32 {
        self.0.width
    }

    /// The stored rows.
    #[getter]
    fn height(&self) -> u32 {
        self.0.height
    }

    /// The most memory that decoding the image takes, in bytes.
    #[getter]
    fn memory_bytes(&self) -> u64 {
        self.0.memory_bytes
    }
}

/// Return how many pixels the file says that its image has; 0 if `describe` refuses it.
#[pyfunction]
pub fn count_pixels(py: Python<'_>, data: &[u8], max_pixels: &Bound<'_, PyAny>) -> PyResult<u64> {
    let max_pixels = within(max_pixels, "max_pixels")?;
    read(py, data, || pixels::count_pixels(data, max_pixels))
}

/// Return what the file says about its image; nothing is decoded.
#[pyfunction]
pub fn describe(py: Python<'_>, data: &[u8], max_pixels: &Bound<'_, PyAny>) -> PyResult<Description> {
    let max_pixels = within(max_pixels, "max_pixels")?;
    let described = read(py, data, || pixels::describe(data, max_pixels))?;
    described.map(Description).map_err(exception)
}

/// Read a structure, with the interpreter's lock released if that may take long.
fn read<T: Send>(py: Python<'_>, data: &[u8], structure: impl FnOnce() -> T + Send) -> PyResult<T> {
    if data.len() <= QUICK_BYTES {
        computed_at_once(structure)
    } else {
        computed(py, structure)
    }
}
