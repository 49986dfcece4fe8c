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

impl Interpolation {
    /// Return how far the filter reaches, in pixels of the smaller image.
    pub(crate) fn reach(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// Return the filter's weight so far from its centre, in the reference's order of operations.
    pub(crate) fn weight(self, distance: f64) -> f64 {
        const SHARPNESS: f64 = -0.5;
        let x = distance.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((SHARPNESS + 2.0) * x - (SHARPNESS + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * SHARPNESS,
            _ => 0.0,
        }
    }
}

/// One side of an image: its pixels, those of the resized image, and those before the crop in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) side: u32,
    pub(crate) new_side: u64,
    pub(crate) margin: u32,
}

impl Axis {
    fn new(side: u32, short: u32, transform: &Transform) -> Self {
        let new_side = u64::from(transform.resize) * u64::from(side) / u64::from(short.max(1));
        Self {
            side,
            new_side,
            margin: margin(new_side, transform.crop.into()),
        }
    }

    /// Return how many pixels become one.
    #[expect(clippy::cast_precision_loss, reason = "sides have far fewer than 52 bits")]
    pub(crate) fn scale(self) -> f64 {
        f64::from(self.side) / self.new_side as f64
    }

    /// Return the first pixel that resizing to the crop may read, and the first beyond.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers are cut off at 0 and at the image's sides"
    )]
    fn read(self, transform: &Transform) -> (u32, u32) {
        let scale = self.scale();
        let support = transform.interpolation.reach() * scale.max(1.0) + 1.0;
        let begin = f64::from(self.margin) * scale;
        let end = f64::from(self.margin + transform.crop) * scale;
        let first = (begin - support).floor().max(0.0) as u32;
        let last = (end + support).ceil().min(f64::from(self.side)) as u32;
        (first.min(self.side.saturating_sub(1)), last)
    }

    /// Return how many pixels a side loses.
    fn loss(self) -> i128 {
        i128::from(self.side) - i128::from(self.new_side)
    }
}

/// How an upright image becomes the crop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) across: Axis,
    pub(crate) down: Axis,
    /// Whether the reference resizes along the height first, as it does with an image that loses far more of it.
    pub(crate) height_first: bool,
}

impl Source {
    /// Return how an upright image of these sides becomes the crop.
    pub(crate) fn of_crop(width: u32, height: u32, transform: &Transform) -> Self {
        let short = width.min(height);
        let (across, down) = (
            Axis::new(width, short, transform),
            Axis::new(height, short, transform),
        );
        Self {
            across,
            down,
            height_first: down.loss() > 0 && down.loss() > 2 * across.loss(),
        }
    }

    /// Return the whole pixels that the crop reads.
    pub(crate) fn area(self, transform: &Transform) -> Area {
        let (left, right) = self.across.read(transform);
        let (top, bottom) = self.down.read(transform);
        Area {
            left,
            top,
            right,
            bottom,
        }
    }
}

/// Return half of what is left of a side, rounded to even numbers.
fn margin(side: u64, crop: u64) -> u32 {
    let spare = side.saturating_sub(crop);
    let half = spare / 2;
    // an odd number has two halves as near
    let rounded = if spare % 2 == 1 { half + half % 2 } else { half };
    u32::try_from(rounded).unwrap_or(u32::MAX)
}
