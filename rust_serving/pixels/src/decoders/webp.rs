//! WebP, by the crate `image-webp`: a still image, or the first of an animation.

use std::borrow::Cow;
use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use crate::area::{Area, Picture};
use crate::bytes::{clipped, u32_le};
use crate::error::{Error, Result, check_wanted};
use crate::structure::Encoded;

/// Where an extended file says what is in it.
const FLAGS_AT: usize = 20;
const EXIF_AND_XMP: u8 = 0b1100;

/// Decode the whole image.
pub(crate) fn decode(data: &[u8], encoded: &Encoded, wanted: &dyn Fn() -> bool) -> Result<Picture> {
    if clipped(data, 8, 12) != b"WEBP" || !matches!(clipped(data, 12, 16), b"VP8 " | b"VP8L" | b"VP8X") {
        return Err(Error::broken("not a WEBP file"));
    }
    if !is_whole(data) {
        return Err(Error::broken("could not create decoder object"));
    }
    check_wanted(wanted)?;
    let file = without_promises(data);
    let mut decoder = WebPDecoder::new(Cursor::new(file.as_ref())).map_err(|error| damaged(&error))?;
    let area = Area::whole(encoded.width, encoded.height);
    if decoder.dimensions() != (encoded.width, encoded.height) {
        return Err(Error::broken("its sizes differ"));
    }
    let length = decoder
        .output_buffer_size()
        .ok_or_else(|| Error::broken("it is too large"))?;
    let mut pixels = vec![0; length];
    if decoder.is_animated() {
        decoder
            .set_background_color([0; 4])
            .map_err(|error| damaged(&error))?;
    }
    decoder.read_image(&mut pixels).map_err(|error| damaged(&error))?;
    if decoder.has_alpha() {
        let count = pixels.len() / 4;
        for at in 0..count {
            pixels.copy_within(4 * at..4 * at + 3, 3 * at);
        }
        pixels.truncate(3 * count);
    }
    Ok(Picture { area, rgb: pixels })
}

/// Tell whether the file, and its first chunk, are as long as they say: the decoder makes up what is missing.
fn is_whole(data: &[u8]) -> bool {
    let reaches = |at: usize| {
        u32_le(data, at).is_some_and(|length| (length as usize).saturating_add(at + 4) <= data.len())
    };
    reaches(4) && reaches(16)
}

/// Return the file without its promises of EXIF and XMP: the decoder refuses a file that does not keep them,
/// and the pixels do not depend on them.
fn without_promises(data: &[u8]) -> Cow<'_, [u8]> {
    if clipped(data, 12, 16) != b"VP8X" || data.get(FLAGS_AT).is_none_or(|flags| flags & EXIF_AND_XMP == 0) {
        return Cow::Borrowed(data);
    }
    let mut file = data.to_vec();
    if let Some(flags) = file.get_mut(FLAGS_AT) {
        *flags &= !EXIF_AND_XMP;
    }
    Cow::Owned(file)
}

fn damaged(_: &DecodingError) -> Error {
    Error::broken("failed to decode next frame in WebP file")
}
