//! The structure of a GIF up to its first image, which alone is decoded.

use std::iter::once;
use std::ops::Range;

use super::{Encoded, Format};
use crate::bytes::u16_le;
use crate::error::{Error, Result};

/// A comment or profile is cut into blocks of up to 255 bytes; each takes less than a microsecond to read.
const MOST_BLOCKS: usize = 100_000;
const HEADER_BYTES: usize = 13;
const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2C;
const TRAILER: u8 = 0x3B;
const CONTROL: u8 = 0xF9;
const CONTROL_BYTES: u8 = 4;

/// Return what the file says about itself.
pub(crate) fn read(data: &[u8]) -> Result<Encoded> {
    let ends = || Error::broken("it ends before its first image");
    let (Some(width), Some(height), Some(&flags)) = (u16_le(data, 6), u16_le(data, 8), data.get(10)) else {
        return Err(ends());
    };
    let palette = if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    };
    let begin = HEADER_BYTES + palette;
    let (image, controls) = first_image(data, begin)?.ok_or_else(ends)?;
    let number = |at: usize| u16_le(data, image + at).map(u32::from).ok_or_else(ends);
    // an image may reach beyond its screen
    let right = number(1)? + number(5)?;
    let bottom = number(3)? + number(7)?;
    let mut encoded = Encoded::new(Format::Gif, right.max(width.into()), bottom.max(height.into()));
    let kept = once(0..begin).chain(controls).chain(once(image..data.len()));
    encoded.kept = Some(kept.collect());
    encoded.copied_bytes = data.len() as u64;
    encoded.pixel_bytes = 1;
    Ok(encoded)
}

/// Return where the first image begins, and the extensions before it that tell how to draw it; `None` if
/// there is no image.
fn first_image(data: &[u8], mut at: usize) -> Result<Option<(usize, Vec<Range<usize>>)>> {
    let mut controls = Vec::new();
    let mut left = MOST_BLOCKS;
    loop {
        let start = at;
        match data.get(at) {
            None | Some(&TRAILER) => return Ok(None),
            Some(&IMAGE) => return Ok(Some((at, controls))),
            Some(&EXTENSION) => {
                left -= 1;
                at += 2;
                while left > 0 {
                    let Some(&size) = data.get(at) else {
                        return Ok(None);
                    };
                    if size == 0 {
                        break;
                    }
                    at += 1 + usize::from(size);
                    left -= 1;
                }
                let (Some(&kind), Some(&size)) = (data.get(start + 1), data.get(start + 2)) else {
                    return Ok(None);
                };
                if kind == CONTROL && size >= CONTROL_BYTES {
                    controls.push(start..at + 1);
                }
            }
            Some(_) => left -= 1,
        }
        at += 1;
        if left == 0 {
            let what = format_args!("the image comes after more than {MOST_BLOCKS} blocks");
            return Err(Error::too_much_work(what));
        }
    }
}
