//! From an encoded image to the network's input: decode what the crop reads, resize it, normalise it.
//!
//! [`describe`] reads a file's structure and refuses what is too large or takes too much work; [`decode`] decodes
//! it, and [`prepare`] makes the network's input. Decoded pixels are those of the reference transform, and so are
//! those of a crop, to the bit: it is resized with the reference's own whole numbers.

mod area;
mod bytes;
mod crop;
mod decoders;
mod error;
mod geometry;
mod resample;
mod structure;
mod turbo;

use crate::area::{Area, Picture};
use crate::error::{Result, check_wanted};
use crate::geometry::Source;
use crate::structure::{Encoded, Format};

pub use crate::error::{Error, ErrorKind};
pub use crate::geometry::{Interpolation, Transform};

/// Each row takes memory and time of its own.
const MOST_SIDE: u32 = 1_000_000;

/// What a file says about its image, from its structure alone.
#[derive(Clone, Debug)]
pub struct Description {
    /// The pixels of a stored row.
    pub width: u32,
    /// The stored rows.
    pub height: u32,
    /// The most memory that decoding the image takes, in bytes.
    pub memory_bytes: u64,
    encoded: Encoded,
}

/// The pixels of an upright image that a crop reads.
#[derive(Clone, Debug)]
pub struct Decoded {
    picture: Picture,
    source: Source,
}

impl Decoded {
    /// Return the width of the decoded part of the image, in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.picture.area.width()
    }

    /// Return the height of the decoded part of the image, in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.picture.area.height()
    }

    /// Return where the decoded part begins in the upright image: its left and its upper border.
    #[must_use]
    pub fn origin(&self) -> (u32, u32) {
        (self.picture.area.left, self.picture.area.top)
    }

    /// Return the pixels of the decoded part, row by row, RGB in 8 bits each.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.picture.rgb
    }
}

/// Return what the file says about its image; nothing is decoded.
///
/// # Errors
/// [`ErrorKind::TooLarge`] over `max_pixels`, [`ErrorKind::Unreadable`] for what is no image, or takes too much
/// work to decode.
pub fn describe(data: &[u8], max_pixels: u64) -> std::result::Result<Description, Error> {
    let encoded = read(data)?;
    let (width, height) = (encoded.width, encoded.height);
    let refuse = |limit: &str| {
        Error::too_large(format!(
            "the image has {width}x{height} pixels: send one of at most {limit}"
        ))
    };
    if width.max(height) > MOST_SIDE {
        return Err(refuse(&format!("{MOST_SIDE} pixels a side")));
    }
    if encoded.pixels() > max_pixels {
        return Err(refuse(&format!("{max_pixels} pixels in all")));
    }
    Ok(Description {
        width,
        height,
        memory_bytes: encoded.memory_bytes(),
        encoded,
    })
}

/// Return how many pixels the file says that its image has; 0 if [`describe`] refuses it.
#[must_use]
pub fn count_pixels(data: &[u8], max_pixels: u64) -> u64 {
    describe(data, max_pixels).map_or(0, |description| description.encoded.pixels())
}

/// Decode the part of the image that the crop reads, upright and in RGB.
///
/// `data` is what was described. `wanted` is asked before each step that takes long.
///
/// # Errors
/// [`ErrorKind::Unreadable`] for a broken image, [`ErrorKind::Abandoned`] if it is not `wanted` any more.
pub fn decode(
    data: &[u8],
    description: &Description,
    transform: &Transform,
    wanted: &dyn Fn() -> bool,
) -> std::result::Result<Decoded, Error> {
    let (width, height) = upright_sides(&description.encoded);
    if width == 0 || height == 0 {
        return Err(Error::broken("not identified by this driver"));
    }
    let source = Source::of_crop(width, height, transform);
    let area = source.area(transform);
    let picture = decode_area(data, &description.encoded, area, wanted)?;
    Ok(Decoded { picture, source })
}

/// Decode the whole image, upright and in RGB; for tests of parts against it.
///
/// # Errors
/// As [`decode`].
pub fn decode_whole(
    data: &[u8],
    description: &Description,
    transform: &Transform,
    wanted: &dyn Fn() -> bool,
) -> std::result::Result<Decoded, Error> {
    let (width, height) = upright_sides(&description.encoded);
    let source = Source::of_crop(width.max(1), height.max(1), transform);
    let picture = decode_area(data, &description.encoded, Area::whole(width, height), wanted)?;
    Ok(Decoded { picture, source })
}

/// Write the network's input: three planes of `crop` rows of `crop` numbers, normalised.
///
/// `out` has room for `3 * crop * crop` numbers; more of it stays as it is.
///
/// # Errors
/// As [`crop_levels`].
pub fn prepare(decoded: &Decoded, transform: &Transform, out: &mut [f32]) -> std::result::Result<(), Error> {
    crop::normalise(&crop_levels(decoded, transform)?, transform, out);
    Ok(())
}

/// Return the crop before it is normalised: `crop` rows of `crop` pixels, RGB in 8 bits each.
///
/// # Errors
/// [`ErrorKind::Unreadable`] if the decoded pixels are not those of the image that was described.
pub fn crop_levels(decoded: &Decoded, transform: &Transform) -> std::result::Result<Vec<u8>, Error> {
    let (source, interpolation) = (&decoded.source, transform.interpolation);
    resample::resampled(&decoded.picture, source, transform.crop, interpolation)
        .ok_or_else(|| Error::broken("its sides differ"))
}

fn read(data: &[u8]) -> Result<Encoded> {
    if data.starts_with(structure::jpeg::SIGNATURE) {
        structure::jpeg::read(data)
    } else if data.starts_with(structure::png::SIGNATURE) {
        structure::png::read(data)
    } else if data.starts_with(b"RIFF") {
        structure::webp::read(data)
    } else if data.starts_with(b"GIF87a") || data.starts_with(b"GIF89a") {
        structure::gif::read(data)
    } else if data.starts_with(b"BM") {
        structure::bmp::read(data)
    } else {
        Err(Error::no_image())
    }
}

fn upright_sides(encoded: &Encoded) -> (u32, u32) {
    if encoded.orientation.swaps() {
        (encoded.height, encoded.width)
    } else {
        (encoded.width, encoded.height)
    }
}

/// Decode at least an `area` of the upright image.
fn decode_area(data: &[u8], encoded: &Encoded, area: Area, wanted: &dyn Fn() -> bool) -> Result<Picture> {
    check_wanted(wanted)?;
    let (width, height) = (encoded.width, encoded.height);
    let area = area.stored(encoded.orientation, width, height);
    let file = encoded.pixels_only(data);
    let picture = match encoded.format {
        Format::Jpeg => decoders::jpeg::decode(&file, encoded, area, wanted),
        Format::Png => decoders::png::decode(&file, encoded, area, wanted),
        Format::WebP => decoders::webp::decode(&file, encoded, wanted),
        Format::Gif => decoders::gif::decode(&file, encoded, area, wanted),
        Format::Bmp => decoders::bmp::decode(&file, encoded, area, wanted),
    }?;
    picture.turned(encoded.orientation, (width, height), wanted)
}
