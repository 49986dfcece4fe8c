//! The transform, checked.

use pixels::Interpolation;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::whole_numbers::within;

/// The longest side that a manifest may ask for.
const MOST_SIDE: u32 = 4096;

/// The transform from an image to the network's input.
#[pyclass(frozen, module = "native_pixels")]
pub struct Transform(pub pixels::Transform);

#[pymethods]
impl Transform {
    #[new]
    fn new(
        resize: &Bound<'_, PyAny>,
        crop: &Bound<'_, PyAny>,
        interpolation: &str,
        mean: [f32; 3],
        std: [f32; 3],
    ) -> PyResult<Self> {
        let wrong = |reason: String| Err(PyValueError::new_err(reason));
        let (resize, crop) = (within(resize, "resize")?, within(crop, "crop")?);
        for (name, side) in [("resize", resize), ("crop", crop)] {
            if !(1..=MOST_SIDE).contains(&side) {
                return wrong(format!("{name} is {side}, and must be from 1 to {MOST_SIDE}"));
            }
        }
        if crop > resize {
            return wrong(format!("crop {crop} is larger than resize {resize}"));
        }
        let interpolation = match interpolation {
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            other => {
                return wrong(format!(
                    "interpolation is {other:?}, and must be bilinear or bicubic"
                ));
            }
        };
        if !mean.iter().all(|mean| mean.is_finite()) {
            return wrong(format!("mean is {mean:?}, and must be finite"));
        }
        if !std.iter().all(|std| std.is_normal() && *std > 0.0) {
            return wrong(format!("std is {std:?}, and must be positive and finite"));
        }
        Ok(Self(pixels::Transform {
            resize,
            crop,
            interpolation,
            mean,
            std,
        }))
    }
}
