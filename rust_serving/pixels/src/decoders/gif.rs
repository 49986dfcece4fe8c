//! GIF, by the crate `gif`: the first image on its screen.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::{ASK_ROWS, Palette, greys};
use crate::area::{Area, Picture};
use crate::bytes::clipped;
use crate::error::{Error, Result, check_wanted};
use crate::structure::Encoded;

const CONTROL: &[u8] = b"!\xf9";
const SCREEN_BYTES: usize = 13;

/// Decode the image, at least an `area` of it.
pub(crate) fn decode(
    data: &[u8],
    encoded: &Encoded,
    area: Area,
    wanted: &dyn Fn() -> bool,
) -> Result<Picture> {
    let damaged = |_| Error::broken("image file is truncated");
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.allow_unknown_blocks(true);
    let limit =
        NonZeroU64::new(encoded.pixels()).ok_or_else(|| Error::broken("not identified by this driver"))?;
    options.set_memory_limit(MemoryLimit::Bytes(limit));
    check_wanted(wanted)?;
    let mut decoder = options.read_info(data).map_err(damaged)?;
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let frame = decoder.read_next_frame().map_err(damaged)?;
    let frame = frame.ok_or_else(|| Error::broken("image not found in GIF frame"))?;
    let palette = palette(frame.palette.as_deref().or(global.as_deref()));
    let ground = palette[usize::from(background(data))];
    let (left, top) = (u32::from(frame.left), u32::from(frame.top));
    let (right, bottom) = (left + u32::from(frame.width), top + u32::from(frame.height));
    let mut rgb = Vec::with_capacity(area.bytes());
    for row in area.top..area.bottom {
        if row % ASK_ROWS == 0 {
            check_wanted(wanted)?;
        }
        let inside = (top..bottom).contains(&row);
        let begin = if inside {
            (row - top) as usize * usize::from(frame.width)
        } else {
            0
        };
        for column in area.left..area.right {
            let index = (inside && (left..right).contains(&column))
                .then(|| frame.buffer.get(begin + (column - left) as usize))
                .flatten();
            rgb.extend(index.map_or(ground, |&index| palette[usize::from(index)]));
        }
    }
    Ok(Picture { area, rgb })
}

/// Return the colours of a palette, or grey levels if there is none; one that only has grey levels in their
/// order goes on with them.
fn palette(stored: Option<&[u8]>) -> Palette {
    let mut palette = greys();
    let Some(stored) = stored else { return palette };
    let is_grey = |(level, colour): (usize, &[u8])| colour.iter().all(|&part| usize::from(part) == level);
    if !stored.chunks_exact(3).enumerate().all(is_grey) {
        palette = [[0; 3]; 256];
        for (colour, stored) in palette.iter_mut().zip(stored.chunks_exact(3)) {
            colour.copy_from_slice(stored);
        }
    }
    palette
}

/// Return the index of what the image does not cover: the transparent one, if a control names it.
fn background(data: &[u8]) -> u8 {
    let flags = data.get(10).copied().unwrap_or(0);
    let mut at = SCREEN_BYTES
        + if flags & 0x80 == 0 {
            0
        } else {
            3 << ((flags & 7) + 1)
        };
    let mut index = 0;
    // before the image there are only controls
    while clipped(data, at, at + 2) == CONTROL {
        if data.get(at + 3).is_some_and(|flags| flags & 1 == 1) {
            index = data.get(at + 6).copied().unwrap_or(0);
        }
        at += 2;
        while let Some(&size) = data.get(at) {
            at += 1 + usize::from(size);
            if size == 0 {
                break;
            }
        }
    }
    index
}
