//! BMP, read as the reference reads it.

use super::run_lengths::{Coding, expand};
use super::{ASK_ROWS, Palette, greys, look_up};
use crate::area::{Area, Picture};
use crate::bytes::{clipped, u16_le, u32_le};
use crate::error::{Error, Result, check_wanted};
use crate::structure::Encoded;

const FILE_HEADER_BYTES: usize = 14;
const OLD_HEADER_BYTES: u32 = 12;
const HEADERS: [u32; 7] = [OLD_HEADER_BYTES, 40, 52, 56, 64, 108, 124];
/// From this length on, a header has a mask for alpha.
const ALPHA_HEADER_BYTES: u32 = 56;
const MASKS_AT: usize = 54;
const RAW: u32 = 0;
const RUNS_OF_BYTES: u32 = 1;
const RUNS_OF_HALVES: u32 = 2;
const BIT_FIELDS: u32 = 3;
const MOST_COLOURS: u32 = 65536;

/// How a pixel is stored.
enum Form {
    /// An index of these bits into the palette.
    Index(u8, Box<Palette>),
    /// Two bytes, of which green has these bits, and red and blue five.
    Short { green_bits: u16 },
    /// So many bytes, and where red, green and blue are among them.
    Bytes(usize, [usize; 3]),
}

struct Header {
    bits: u16,
    compression: u32,
    colours: u32,
    /// Where what follows the header begins.
    end: usize,
    palette_bytes: usize,
    from_top: bool,
    pixels_at: usize,
}

/// Decode at least an `area` of the image.
pub(crate) fn decode(
    data: &[u8],
    encoded: &Encoded,
    area: Area,
    wanted: &dyn Fn() -> bool,
) -> Result<Picture> {
    let mut header = header(data).ok_or_else(|| Error::broken("Truncated File Read"))??;
    if encoded.width == 0 || encoded.height == 0 {
        return Err(Error::broken("not identified by this driver"));
    }
    let mut form = form(data, &mut header)?;
    let (width, height) = (encoded.width as usize, encoded.height as usize);
    check_wanted(wanted)?;
    let expanded;
    let (rows, stride) = match header.compression {
        RUNS_OF_BYTES | RUNS_OF_HALVES => {
            let four_bits = header.compression == RUNS_OF_HALVES;
            let is_odd = header.pixels_at % 2 == 1;
            let coding = Coding {
                width,
                length: width * height,
                four_bits,
                is_odd,
            };
            expanded = expand(clipped(data, header.pixels_at, data.len()), coding, wanted)?;
            if expanded.len() < width * height {
                return Err(Error::broken("not enough image data"));
            }
            let Form::Index(bits, _) = &mut form else {
                return Err(Error::broken("unknown raw mode for given image mode"));
            };
            *bits = 8;
            (expanded.as_slice(), width)
        }
        _ => {
            let stride = (width * usize::from(header.bits)).div_ceil(32) * 4;
            (clipped(data, header.pixels_at, data.len()), stride)
        }
    };
    let row_bytes = form.row_bytes(width);
    if row_bytes > stride {
        return Err(Error::broken("bad configuration when reading image file"));
    }
    if rows.len() < (height - 1) * stride + row_bytes {
        return Err(Error::broken("image file is truncated"));
    }
    let mut rgb = Vec::with_capacity(area.bytes());
    for row in area.top..area.bottom {
        if row % ASK_ROWS == 0 {
            check_wanted(wanted)?;
        }
        let stored = if header.from_top {
            row
        } else {
            encoded.height - 1 - row
        };
        let begin = stored as usize * stride;
        form.convert(&rows[begin..begin + row_bytes], area.left..area.right, &mut rgb);
    }
    Ok(Picture { area, rgb })
}

impl Form {
    fn row_bytes(&self, width: usize) -> usize {
        match self {
            Self::Index(bits, _) => (width * usize::from(*bits)).div_ceil(8),
            Self::Short { .. } => width * 2,
            Self::Bytes(bytes, _) => width * bytes,
        }
    }

    /// Append the pixels of a row in RGB.
    fn convert(&self, row: &[u8], columns: std::ops::Range<u32>, rgb: &mut Vec<u8>) {
        let range = |bytes: usize| columns.start as usize * bytes..columns.end as usize * bytes;
        match self {
            Self::Index(bits, palette) => look_up(row, *bits, palette, rgb, columns),
            Self::Bytes(bytes, [red, green, blue]) => {
                let pixels = row[range(*bytes)].chunks_exact(*bytes);
                rgb.extend(pixels.flat_map(|pixel| [pixel[*red], pixel[*green], pixel[*blue]]));
            }
            Self::Short { green_bits } => rgb.extend(row[range(2)].chunks_exact(2).flat_map(|pixel| {
                let pixel = u16::from_le_bytes([pixel[0], pixel[1]]);
                let level = |shift: u16, bits: u16| {
                    let most = (1u16 << bits) - 1;
                    u8::try_from((pixel >> shift & most) * 255 / most).unwrap_or(u8::MAX)
                };
                [level(5 + green_bits, 5), level(5, *green_bits), level(0, 5)]
            })),
        }
    }
}

/// Return the header; `None` if the file ends in it.
fn header(data: &[u8]) -> Option<Result<Header>> {
    let pixels_at = u32_le(data, 10)? as usize;
    let length = u32_le(data, FILE_HEADER_BYTES)?;
    if !HEADERS.contains(&length) {
        return Some(Err(Error::broken(format_args!(
            "Unsupported BMP header type ({length})"
        ))));
    }
    let end = FILE_HEADER_BYTES + length as usize;
    if data.len() < end {
        return None;
    }
    if length == OLD_HEADER_BYTES {
        return Some(Ok(Header {
            bits: u16_le(data, 24)?,
            compression: RAW,
            colours: 0,
            end,
            palette_bytes: 3,
            from_top: false,
            pixels_at,
        }));
    }
    Some(Ok(Header {
        bits: u16_le(data, 28)?,
        compression: u32_le(data, 30)?,
        colours: u32_le(data, 46)?,
        end,
        palette_bytes: 4,
        from_top: *data.get(25)? == 0xFF,
        pixels_at,
    }))
}

/// Return how pixels are stored; where they begin is set in the header.
fn form(data: &[u8], header: &mut Header) -> Result<Form> {
    let mut form = match header.bits {
        1 | 4 | 8 => None,
        16 => Some(Form::Short { green_bits: 5 }),
        24 => Some(Form::Bytes(3, [2, 1, 0])),
        32 => Some(Form::Bytes(4, [2, 1, 0])),
        bits => {
            return Err(Error::broken(format_args!(
                "Unsupported BMP pixel depth ({bits})"
            )));
        }
    };
    let header_length = header.end - FILE_HEADER_BYTES;
    let mut follows = header.end;
    match header.compression {
        RAW | RUNS_OF_BYTES | RUNS_OF_HALVES => (),
        BIT_FIELDS => {
            form = Some(bit_fields(data, header)?);
            follows = follows.max(MASKS_AT + 12);
        }
        other => {
            return Err(Error::broken(format_args!(
                "Unsupported BMP compression ({other})"
            )));
        }
    }
    let colours = if header.colours == 0 {
        1 << header.bits.min(31)
    } else {
        header.colours
    };
    let form = if let Some(form) = form {
        form
    } else {
        if colours > MOST_COLOURS {
            return Err(Error::broken(format_args!(
                "Unsupported BMP Palette size ({colours})"
            )));
        }
        let length = colours as usize * header.palette_bytes;
        let stored = clipped(data, follows, follows + length);
        if header.pixels_at == FILE_HEADER_BYTES + header_length {
            header.pixels_at += length;
        }
        follows += stored.len();
        indexed(stored, colours, header)?
    };
    if header.pixels_at == 0 {
        header.pixels_at = follows;
    }
    Ok(form)
}

/// Return the form of indices into a palette; grey levels in their order need no palette, and then have the
/// bits that the reference gives them.
fn indexed(stored: &[u8], colours: u32, header: &Header) -> Result<Form> {
    let bits = u8::try_from(header.bits).unwrap_or(8);
    let padding = header.palette_bytes;
    let level = |index: u32| if colours == 2 { index * 255 } else { index & 255 };
    let is_grey = |index: u32| {
        let at = index as usize * padding;
        let colour = clipped(stored, at, at + 3);
        colour.len() == 3 && colour.iter().all(|&part| u32::from(part) == level(index))
    };
    let mut palette = [[0; 3]; 256];
    if (0..colours).all(is_grey) {
        if colours > 2 {
            return Ok(Form::Index(8, Box::new(greys())));
        }
        if header.compression != RAW {
            return Err(Error::broken("unknown raw mode for given image mode"));
        }
        palette[1] = [255; 3];
        return Ok(Form::Index(1, Box::new(palette)));
    }
    if stored.len() / padding > palette.len() {
        return Err(Error::broken("invalid palette size"));
    }
    for (colour, stored) in palette.iter_mut().zip(stored.chunks_exact(padding)) {
        *colour = [stored[2], stored[1], stored[0]];
    }
    Ok(Form::Index(bits, Box::new(palette)))
}

fn bit_fields(data: &[u8], header: &Header) -> Result<Form> {
    let mask = |number: usize| {
        u32_le(data, MASKS_AT + 4 * number).ok_or_else(|| Error::broken("Truncated File Read"))
    };
    let masks = [mask(0)?, mask(1)?, mask(2)?];
    let has_alpha = header.end >= FILE_HEADER_BYTES + ALPHA_HEADER_BYTES as usize;
    let alpha = if has_alpha { mask(3)? } else { 0 };
    let places = match (header.bits, masks, alpha) {
        (16, [0xF800, 0x7E0, 0x1F], _) => return Ok(Form::Short { green_bits: 6 }),
        (16, [0x7C00, 0x3E0, 0x1F], _) => return Ok(Form::Short { green_bits: 5 }),
        (24, [0xFF_0000, 0xFF00, 0xFF], _) => return Ok(Form::Bytes(3, [2, 1, 0])),
        (32, [0xFF_0000, 0xFF00, 0xFF], 0 | 0xFF00_0000) | (32, [0, 0, 0], 0) => [2, 1, 0],
        (32, [0xFF00_0000, 0xFF_0000, 0xFF00], 0 | 0xFF) => [3, 2, 1],
        (32, [0xFF00_0000, 0xFF00, 0xFF], 0 | 0xFF_0000) => [3, 1, 0],
        (32, [0xFF, 0xFF00, 0xFF_0000], 0xFF00_0000) => [0, 1, 2],
        _ => return Err(Error::broken("Unsupported BMP bitfields layout")),
    };
    Ok(Form::Bytes(4, places))
}
