//! The structure of a WebP: the size of its canvas, and the chunk that its orientation is in.

use super::orientation::Orientation;
use super::{Encoded, Format};
use crate::bytes::{array, clipped, u16_le, u32_le};
use crate::error::{Error, Result};

/// A chunk of an animation takes the decoder some time, even if only its first frame is decoded.
const MOST_CHUNKS: usize = 4096;
/// The decoder holds two canvases and a frame, and gives out a copy.
const DECODER_PIXEL_BYTES: u64 = 17;
const HEADER_BYTES: usize = 12;

/// Return what the file says about itself.
pub(crate) fn read(data: &[u8]) -> Result<Encoded> {
    let (width, height) = size(data).ok_or_else(|| Error::broken("it ends in its header"))?;
    let mut encoded = Encoded::new(Format::WebP, width, height);
    let (exif, xmp) = about(data)?;
    encoded.orientation = Orientation::read(exif, xmp);
    encoded.decoder_bytes = encoded.pixels().saturating_mul(DECODER_PIXEL_BYTES);
    // the file without its promises, and what the decoder reads of it
    encoded.copied_bytes = 2 * data.len() as u64;
    Ok(encoded)
}

fn size(data: &[u8]) -> Option<(u32, u32)> {
    match clipped(data, 12, 16) {
        b"VP8 " => Some((
            (u16_le(data, 26)? & 0x3FFF).into(),
            (u16_le(data, 28)? & 0x3FFF).into(),
        )),
        b"VP8L" => {
            let bits = u32_le(data, 21)?;
            Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
        }
        _ => {
            let side = |at| {
                let [low, middle, high] = array(data, at)?;
                Some(u32::from_le_bytes([low, middle, high, 0]) + 1)
            };
            Some((side(24)?, side(27)?))
        }
    }
}

/// Return the bytes of EXIF and of XMP.
fn about(data: &[u8]) -> Result<(&[u8], &[u8])> {
    let (mut exif, mut xmp): (&[u8], &[u8]) = (&[], &[]);
    let mut at = HEADER_BYTES;
    for _ in 0..MOST_CHUNKS {
        let (Some(name), Some(length)) = (array::<4>(data, at), u32_le(data, at.saturating_add(4))) else {
            return Ok((exif, xmp));
        };
        let length = length as usize;
        let (body, end) = (at + 8, at.saturating_add(8).saturating_add(length));
        match &name {
            b"EXIF" => exif = clipped(data, body, end),
            b"XMP " => xmp = clipped(data, body, end),
            _ => (),
        }
        at = end.saturating_add(length % 2);
    }
    Err(Error::too_much_work(format_args!(
        "the image has more than {MOST_CHUNKS} chunks"
    )))
}
