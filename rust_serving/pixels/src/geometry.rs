//! Which part of an image a crop reads.

use crate::area::Area;

/// How pixels between pixels are reckoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// From the two nearest pixels each way, more if the image gets smaller.
    Bilinear,
    /// From the four nearest pixels each way, more if the image gets smaller.
    Bicubic,
}

/// The transform from an image to a network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    /// The pixels that the shortest side is resized to.
    pub resize: u32,
    /// The pixels of the centre crop's sides, at least 1 and at most `resize`.
    pub crop: u32,
    /// How the image is resized.
    pub interpolation: Interpolation,
    /// The mean of each channel, subtracted from levels between 0 and 1.
    pub mean: [f32; 3],
    /// The standard deviation of each channel, which is divided by.
    pub std: [f32; 3],
}

/// A part of an image whose borders may lie within pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SourceBox {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
    /// Whether the reference resizes along the height first, as it does with an image that is tall.
    pub(crate) height_first: bool,
}

impl SourceBox {
    /// Return the part of an upright image that becomes the crop.
    #[expect(
        clippy::cast_precision_loss,
        reason = "sides have at most 20 bits, and their products 52"
    )]
    pub(crate) fn of_crop(width: u32, height: u32, transform: &Transform) -> Self {
        let short = u64::from(width.min(height)).max(1);
        let resized = |side: u32| u64::from(transform.resize) * u64::from(side) / short;
        let crop = f64::from(transform.crop);
        let range = |side: u32| {
            let new_side = resized(side);
            let scale = f64::from(side) / new_side as f64;
            let margin = margin(new_side, transform.crop.into());
            (margin * scale, f64::from(side).min((margin + crop) * scale))
        };
        let ((left, right), (top, bottom)) = (range(width), range(height));
        let spare = |side: u32| u64::from(side.saturating_sub(transform.crop));
        Self {
            left,
            top,
            right,
            bottom,
            height_first: spare(height) > 2 * spare(width),
        }
    }

    /// Return the whole pixels that resizing this part of an image reads.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers are cut off at 0 and at the image's sides"
    )]
    pub(crate) fn area(self, width: u32, height: u32, transform: &Transform) -> Area {
        let reach = match transform.interpolation {
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
        };
        let range = |begin: f64, end: f64, side: u32| {
            let scale = (end - begin) / f64::from(transform.crop);
            let support = reach * scale.max(1.0) + 1.0;
            let first = (begin - support).floor().max(0.0) as u32;
            let last = (end + support).ceil().min(f64::from(side)) as u32;
            (first.min(side.saturating_sub(1)), last)
        };
        let (left, right) = range(self.left, self.right, width);
        let (top, bottom) = range(self.top, self.bottom, height);
        Area {
            left,
            top,
            right,
            bottom,
        }
    }

    /// Return the box in an area that is part of the image.
    pub(crate) fn within(self, area: Area) -> Self {
        let (left, top) = (f64::from(area.left), f64::from(area.top));
        Self {
            left: self.left - left,
            top: self.top - top,
            right: self.right - left,
            bottom: self.bottom - top,
            height_first: self.height_first,
        }
    }
}

/// Return half of what is left of a side, rounded to even numbers.
#[expect(clippy::cast_precision_loss, reason = "sides have far fewer than 52 bits")]
fn margin(side: u64, crop: u64) -> f64 {
    (side.saturating_sub(crop) as f64 / 2.0).round_ties_even()
}
