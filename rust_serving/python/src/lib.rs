//! The crate `pixels` for Python: from an encoded image to the network's input, with the interpreter's lock released.
//!
//! `native_pixels.pyi` has what Python sees of it.

mod decoded;
mod description;
mod guard;
mod refusals;
mod transform;
mod whole_numbers;

use pyo3::pymodule;

/// From an encoded image to the network's input.
#[pymodule]
mod native_pixels {
    #[pymodule_export]
    use crate::decoded::{Decoded, decode};
    #[pymodule_export]
    use crate::description::{Description, count_pixels, describe};
    #[cfg(debug_assertions)]
    #[pymodule_export]
    use crate::guard::_panic;
    #[pymodule_export]
    use crate::refusals::{Abandoned, TooLarge, Unreadable};
    #[pymodule_export]
    use crate::transform::Transform;

    use pyo3::prelude::*;

    #[pymodule_init]
    #[expect(clippy::unnecessary_wraps, reason = "the macro asks for a result")]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::guard::keep_panics_for_their_callers();
        Ok(())
    }
}
