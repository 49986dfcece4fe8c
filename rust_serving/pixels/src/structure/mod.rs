//! What an encoded image asks of its decoder, read from the file's own structure before it is decoded.

pub(crate) mod bmp;
pub(crate) mod gif;
pub(crate) mod jpeg;
pub(crate) mod orientation;
pub(crate) mod png;
pub(crate) mod webp;

use std::borrow::Cow;
use std::ops::Range;

use self::orientation::Orientation;

/// Every row of a decoded image takes this many bytes beside its pixels.
const ROW_BYTES: u64 = 12;
const RGB_BYTES: u64 = 4;
/// What a decoder takes for an image of any size: its tables and windows.
const SMALL_BYTES: u64 = 256 * 1024;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
}

/// An image before it is decoded.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) format: Format,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The parts of the file that its pixels depend on; `None` if that is the whole file.
    pub(crate) kept: Option<Vec<Range<usize>>>,
    pub(crate) orientation: Orientation,
    /// The bytes of a decoded pixel.
    pub(crate) pixel_bytes: u64,
    /// What the decoder needs beside all pixels.
    pub(crate) decoder_bytes: u64,
    /// The bytes of copies of the file, and of what is copied on the way from it to the pixels.
    pub(crate) copied_bytes: u64,
    /// Whether the pixels are decoded in another form than RGB.
    pub(crate) converts: bool,
}

impl Encoded {
    pub(crate) fn new(format: Format, width: u32, height: u32) -> Self {
        Self {
            format,
            width,
            height,
            kept: None,
            orientation: Orientation::UPRIGHT,
            pixel_bytes: RGB_BYTES,
            decoder_bytes: 0,
            copied_bytes: 0,
            converts: true,
        }
    }

    /// Return the number of pixels.
    pub(crate) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Return the most memory that the image takes while it is decoded, turned upright and converted to RGB.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let decoded = self.image_bytes(self.pixel_bytes);
        let converted = if self.converts {
            self.image_bytes(RGB_BYTES)
        } else {
            0
        };
        let made = decoded.saturating_add(self.decoder_bytes.max(converted));
        let turned = if self.orientation.is_upright() {
            0
        } else {
            // what is turned is RGB already, and so is its copy
            self.image_bytes(RGB_BYTES).saturating_mul(2)
        };
        made.max(turned).saturating_add(self.copied_bytes + SMALL_BYTES)
    }

    fn image_bytes(&self, pixel_bytes: u64) -> u64 {
        // a row may turn into a column
        let rows = u64::from(self.width.max(self.height)) * ROW_BYTES;
        self.pixels().saturating_mul(pixel_bytes).saturating_add(rows)
    }

    /// Return the file without what does not change its pixels.
    pub(crate) fn pixels_only<'data>(&self, data: &'data [u8]) -> Cow<'data, [u8]> {
        let Some(kept) = &self.kept else {
            return Cow::Borrowed(data);
        };
        let mut joined = Vec::with_capacity(kept.iter().map(ExactSizeIterator::len).sum());
        for part in kept {
            joined.extend_from_slice(crate::bytes::clipped(data, part.start, part.end));
        }
        Cow::Owned(joined)
    }
}
