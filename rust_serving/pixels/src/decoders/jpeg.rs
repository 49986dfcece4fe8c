//! JPEG, by libjpeg-turbo.

use crate::area::{Area, Picture};
use crate::bytes::{clipped, u16_be};
use crate::error::{Error, Result, check_wanted};
use crate::structure::Encoded;
use crate::structure::jpeg::{EOI, Segment, Segments, is_alone, is_frame, next_marker};
use crate::turbo::{Colours, Decoded, Decoder};

/// Pixels this near to the border of a decoded area may differ from those of the whole image, since colours
/// are interpolated from both sides and the border has one.
const MARGIN: u32 = 16;
/// Areas begin at multiples of this: every sampling's unit divides it, but for those that have no areas.
const UNIT: u32 = 32;
const SOS: u8 = 0xDA;
const TABLES: u8 = 0xDB;

/// Decode at least an `area` of the image.
pub(crate) fn decode(
    data: &[u8],
    encoded: &Encoded,
    area: Area,
    wanted: &dyn Fn() -> bool,
) -> Result<Picture> {
    check_header(data)?;
    let damaged = |_: String| Error::broken("broken data stream when reading image file");
    let mut decoder = Decoder::new(data).map_err(damaged)?;
    let whole = Area::whole(encoded.width, encoded.height);
    if decoder.area() != whole {
        return Err(Error::broken("its sizes differ"));
    }
    let wider = widened(area, encoded);
    if wider != whole {
        decoder.set_area(wider);
    }
    check_wanted(wanted)?;
    let (went, pixels) = decoder.decode().map_err(damaged)?;
    if went == Decoded::Warned && !is_whole(data) {
        return Err(Error::broken("image file is truncated"));
    }
    let rgb = match decoder.colours() {
        Colours::Rgb => pixels,
        Colours::Cmyk => from_cmyk(pixels),
    };
    Ok(Picture {
        area: decoder.area(),
        rgb,
    })
}

/// Return an area around this one in which all its pixels are those of the whole image.
fn widened(area: Area, encoded: &Encoded) -> Area {
    Area {
        left: area.left.saturating_sub(MARGIN) / UNIT * UNIT,
        top: area.top.saturating_sub(MARGIN),
        right: (area.right + MARGIN).min(encoded.width),
        bottom: (area.bottom + MARGIN).min(encoded.height),
    }
}

/// Refuse what is no image in 8 bits of 1, 3 or 4 components, whatever the library could make of it.
fn check_header(data: &[u8]) -> Result<()> {
    for segment in Segments::new(data) {
        let Segment {
            marker, body, end, ..
        } = segment?;
        let body = clipped(data, body, end);
        if marker == SOS {
            break;
        }
        if is_frame(marker) {
            match body.first() {
                Some(8) => (),
                bits => {
                    let bits = bits.copied().unwrap_or(0);
                    return Err(Error::broken(format_args!("cannot handle {bits}-bit layers")));
                }
            }
            if let Some(number @ (0 | 2)) = body.get(5) {
                return Err(Error::broken(format_args!("cannot handle {number}-layer images")));
            }
        } else if marker == TABLES {
            check_tables(body)?;
        }
    }
    Ok(())
}

fn check_tables(mut body: &[u8]) -> Result<()> {
    while let Some(kind) = body.first() {
        let length = if kind >> 4 == 0 { 65 } else { 129 };
        body = body
            .get(length..)
            .ok_or_else(|| Error::broken("bad quantization table marker"))?;
    }
    Ok(())
}

/// Tell whether a file goes on to the marker of its end.
fn is_whole(data: &[u8]) -> bool {
    let mut at = 2;
    while let Some(start) = next_marker(data, at) {
        at = start + 2;
        match data.get(start + 1) {
            Some(&EOI) => return true,
            // what a damaged restart has become; the library passes over it
            Some(marker) if is_alone(*marker) => (),
            _ => match u16_be(data, at) {
                Some(length) => at += usize::from(length.max(2)),
                None => return false,
            },
        }
    }
    false
}

/// Return RGB pixels from those of CMYK that is stored as Adobe does, inverted.
fn from_cmyk(mut pixels: Vec<u8>) -> Vec<u8> {
    let count = pixels.len() / 4;
    for at in 0..count {
        let [cyan, magenta, yellow, key] = [0, 1, 2, 3].map(|channel| pixels[4 * at + channel]);
        for (channel, ink) in [cyan, magenta, yellow].into_iter().enumerate() {
            pixels[3 * at + channel] = key - product(255 - ink, key);
        }
    }
    pixels.truncate(3 * count);
    pixels
}

/// Return the product of two levels, of which 255 stands for one.
fn product(first: u8, second: u8) -> u8 {
    let product = u32::from(first) * u32::from(second) + 128;
    u8::try_from(((product >> 8) + product) >> 8).unwrap_or(u8::MAX)
}
