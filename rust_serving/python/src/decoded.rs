//! Decoded pixels, which live until Python frees them.

use std::cell::RefCell;

use numpy::ndarray::Array3;
use numpy::{IntoPyArray, PyArray3};
use pyo3::prelude::*;

use crate::description::Description;
use crate::guard::computed;
use crate::refusals::exception;
use crate::transform::Transform;

/// The pixels of an upright image that a crop reads.
#[pyclass(frozen, weakref, module = "native_pixels")]
pub struct Decoded(pixels::Decoded);

#[pymethods]
impl Decoded {
    /// Return the network's input, as float32 [3, crop, crop].
    fn prepare<'py>(&self, py: Python<'py>, transform: &Transform) -> PyResult<Bound<'py, PyArray3<f32>>> {
        let (decoded, transform) = (&self.0, &transform.0);
        let crop = transform.crop as usize;
        let prepared = computed(py, || {
            let mut numbers = Array3::zeros((3, crop, crop));
            let out = numbers
                .as_slice_mut()
                .expect("an array that is made here has its numbers in order");
            pixels::prepare(decoded, transform, out).map(|()| numbers)
        })?;
        Ok(prepared.map_err(exception)?.into_pyarray(py))
    }

    /// Return the crop before it is normalised, as uint8 [crop, crop, 3].
    fn levels<'py>(&self, py: Python<'py>, transform: &Transform) -> PyResult<Bound<'py, PyArray3<u8>>> {
        let (decoded, transform) = (&self.0, &transform.0);
        let crop = transform.crop as usize;
        let levels = computed(py, || {
            pixels::crop_levels(decoded, transform).map(|levels| {
                Array3::from_shape_vec((crop, crop, 3), levels)
                    .expect("a crop has three levels for each pixel")
            })
        })?;
        Ok(levels.map_err(exception)?.into_pyarray(py))
    }
}

/// Decode the part of the image that the crop reads; `wanted` is asked before each step that takes long.
#[pyfunction]
pub fn decode(
    py: Python<'_>,
    data: &[u8],
    description: &Description,
    transform: &Transform,
    wanted: Option<&Bound<'_, PyAny>>,
) -> PyResult<Decoded> {
    let (description, transform, wanted) = (&description.0, &transform.0, wanted.map(Bound::as_unbound));
    let (decoded, raised) = computed(py, || {
        let raised = RefCell::new(None);
        let ask = || wanted.is_none_or(|wanted| is_wanted(wanted, &raised));
        let decoded = pixels::decode(data, description, transform, &ask);
        (decoded, raised.into_inner())
    })?;
    match raised {
        Some(error) => Err(error),
        None => decoded.map(Decoded).map_err(exception),
    }
}

/// Ask Python's function; what it raises is kept in `raised`, and the work is not wanted any more.
fn is_wanted(wanted: &Py<PyAny>, raised: &RefCell<Option<PyErr>>) -> bool {
    Python::attach(
        |py| match wanted.bind(py).call0().and_then(|answer| answer.is_truthy()) {
            Ok(answer) => answer,
            Err(error) => {
                raised.borrow_mut().get_or_insert(error);
                false
            }
        },
    )
}
