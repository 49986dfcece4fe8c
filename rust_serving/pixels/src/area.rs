//! Parts of an image, and the pixels in them.

use crate::decoders::ASK_ROWS;
use crate::error::{Result, check_wanted};
use crate::structure::orientation::Orientation;

/// A part of an image, in whole pixels; `right` and `bottom` lie outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) left: u32,
    pub(crate) top: u32,
    pub(crate) right: u32,
    pub(crate) bottom: u32,
}

impl Area {
    pub(crate) fn whole(width: u32, height: u32) -> Self {
        Self {
            left: 0,
            top: 0,
            right: width,
            bottom: height,
        }
    }

    pub(crate) fn width(self) -> u32 {
        self.right - self.left
    }

    pub(crate) fn height(self) -> u32 {
        self.bottom - self.top
    }

    /// Return how many bytes a row of it takes in RGB.
    pub(crate) fn row_bytes(self) -> usize {
        self.width() as usize * 3
    }

    /// Return how many bytes it takes in RGB.
    pub(crate) fn bytes(self) -> usize {
        self.row_bytes() * self.height() as usize
    }

    /// Return where this area of an upright image is stored, in `width` times `height` pixels.
    pub(crate) fn stored(self, orientation: Orientation, width: u32, height: u32) -> Self {
        let swapped = if orientation.swaps() { self.swapped() } else { self };
        swapped.flipped(orientation, width, height)
    }

    /// Return where this area of a stored image of `width` times `height` pixels lies in the upright one.
    pub(crate) fn upright(self, orientation: Orientation, width: u32, height: u32) -> Self {
        let flipped = self.flipped(orientation, width, height);
        if orientation.swaps() {
            flipped.swapped()
        } else {
            flipped
        }
    }

    fn swapped(self) -> Self {
        Self {
            left: self.top,
            top: self.left,
            right: self.bottom,
            bottom: self.right,
        }
    }

    fn flipped(self, orientation: Orientation, width: u32, height: u32) -> Self {
        let mut flipped = self;
        if orientation.flips_x() {
            (flipped.left, flipped.right) = (width - self.right, width - self.left);
        }
        if orientation.flips_y() {
            (flipped.top, flipped.bottom) = (height - self.bottom, height - self.top);
        }
        flipped
    }
}

/// The pixels of an area of an image, RGB in 8 bits each, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) area: Area,
    pub(crate) rgb: Vec<u8>,
}

impl Picture {
    /// Return the picture, part of a stored image of `width` times `height` pixels, in the upright image.
    pub(crate) fn turned(
        self,
        orientation: Orientation,
        (width, height): (u32, u32),
        wanted: &dyn Fn() -> bool,
    ) -> Result<Self> {
        if orientation.is_upright() {
            return Ok(self);
        }
        let area = self.area.upright(orientation, width, height);
        let (across, down) = (self.area.width() as usize, self.area.height() as usize);
        let mut rgb = Vec::with_capacity(self.rgb.len());
        for row in 0..area.height() as usize {
            if row % ASK_ROWS as usize == 0 {
                check_wanted(wanted)?;
            }
            for column in 0..area.width() as usize {
                let (x, y) = if orientation.swaps() {
                    (row, column)
                } else {
                    (column, row)
                };
                let x = if orientation.flips_x() { across - 1 - x } else { x };
                let y = if orientation.flips_y() { down - 1 - y } else { y };
                let at = (y * across + x) * 3;
                rgb.extend_from_slice(&self.rgb[at..at + 3]);
            }
        }
        Ok(Self { area, rgb })
    }
}
