//! The structure of a BMP: its size and how its pixels are stored.

use super::{Encoded, Format};
use crate::bytes::{u16_le, u32_le};
use crate::error::{Error, Result};

const OLD_HEADER_BYTES: u32 = 12;
const RUN_LENGTHS: [u32; 2] = [1, 2];

struct Header {
    width: u32,
    height: u32,
    bits: u16,
    compression: u32,
}

/// Return what the file says about itself.
pub(crate) fn read(data: &[u8]) -> Result<Encoded> {
    let header = header(data).ok_or_else(|| Error::broken("it ends in its header"))?;
    let mut encoded = Encoded::new(Format::Bmp, header.width, header.height);
    encoded.pixel_bytes = if header.bits <= 8 { 1 } else { 4 };
    if RUN_LENGTHS.contains(&header.compression) {
        encoded.decoder_bytes = encoded.pixels().saturating_mul(3);
    }
    encoded.converts = header.bits != 24;
    Ok(encoded)
}

fn header(data: &[u8]) -> Option<Header> {
    if u32_le(data, 14)? == OLD_HEADER_BYTES {
        return Some(Header {
            width: u16_le(data, 18)?.into(),
            height: u16_le(data, 20)?.into(),
            bits: u16_le(data, 24)?,
            compression: 0,
        });
    }
    Some(Header {
        width: u32_le(data, 18)?,
        height: u32_le(data, 22)?.cast_signed().unsigned_abs(),
        bits: u16_le(data, 28)?,
        compression: u32_le(data, 30)?,
    })
}
