//! PNG, by the crate `png`, from the chunks that are read and no others.

use std::io::Cursor;

use png::{DecodeOptions, Decoder, InterlaceInfo, Reader, expand_interlaced_row};

use super::{ASK_ROWS, Palette, greys, look_up};
use crate::area::{Area, Picture};
use crate::bytes::clipped;
use crate::error::{Error, Result, check_wanted};
use crate::structure::Encoded;
use crate::structure::png::{ANCILLARY, Chunk, Chunks, SIGNATURE};

const HEADER_BYTES: usize = 13;
const GREY: u8 = 0;
const INDEXED: u8 = 3;

/// How a pixel is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// An index of these bits into the palette, or a grey level.
    Index(u8),
    DeepGrey,
    GreyAlpha(u8),
    Rgb(u8),
    RgbAlpha(u8),
}

impl Form {
    fn of(depth: u8, colour: u8) -> Option<Self> {
        match (depth, colour) {
            (1 | 2 | 4 | 8, GREY | INDEXED) => Some(Self::Index(depth)),
            (16, GREY) => Some(Self::DeepGrey),
            (8 | 16, 2) => Some(Self::Rgb(depth / 8)),
            (8 | 16, 4) => Some(Self::GreyAlpha(depth / 8)),
            (8 | 16, 6) => Some(Self::RgbAlpha(depth / 8)),
            _ => None,
        }
    }

    /// Return the bytes of a pixel that has whole bytes, and those of a channel of it.
    fn pixel_bytes(self) -> (usize, usize) {
        let (channels, bytes) = match self {
            Self::Index(_) => (1, 1),
            Self::DeepGrey => (1, 2),
            Self::GreyAlpha(bytes) => (2, bytes),
            Self::Rgb(bytes) => (3, bytes),
            Self::RgbAlpha(bytes) => (4, bytes),
        };
        (channels * usize::from(bytes), usize::from(bytes))
    }

    /// Return the bits of a pixel.
    fn pixel_bits(self) -> u8 {
        match self {
            Self::Index(bits) => bits,
            Self::DeepGrey => 16,
            Self::GreyAlpha(bytes) => 2 * 8 * bytes,
            Self::Rgb(bytes) => 3 * 8 * bytes,
            Self::RgbAlpha(bytes) => 4 * 8 * bytes,
        }
    }

    /// Append the pixels of a row in RGB.
    fn convert(self, row: &[u8], palette: &Palette, columns: std::ops::Range<u32>, rgb: &mut Vec<u8>) {
        if let Self::Index(bits) = self {
            look_up(row, bits, palette, rgb, columns);
            return;
        }
        let (pixel, channel) = self.pixel_bytes();
        let row = &row[columns.start as usize * pixel..columns.end as usize * pixel];
        match self {
            Self::Rgb(1) => rgb.extend_from_slice(row),
            Self::DeepGrey => rgb.extend(row.chunks_exact(2).flat_map(|level| {
                let level = u16::from_be_bytes([level[0], level[1]]) / 257;
                [u8::try_from(level).unwrap_or(u8::MAX); 3]
            })),
            Self::GreyAlpha(_) => rgb.extend(row.chunks_exact(pixel).flat_map(|levels| [levels[0]; 3])),
            _ => rgb.extend(
                row.chunks_exact(pixel)
                    .flat_map(|levels| [levels[0], levels[channel], levels[2 * channel]]),
            ),
        }
    }
}

/// What the chunks of a file say.
struct Parts {
    form: Form,
    interlaced: bool,
    palette: Palette,
    /// A file of the header and the data, in which a palette's indices are grey levels.
    plain: Vec<u8>,
}

/// Decode at least an `area` of the image.
pub(crate) fn decode(
    data: &[u8],
    encoded: &Encoded,
    area: Area,
    wanted: &dyn Fn() -> bool,
) -> Result<Picture> {
    let parts = parts(data)?;
    if encoded.width == 0 || encoded.height == 0 {
        return Err(Error::broken("not identified by this driver"));
    }
    let mut options = DecodeOptions::default();
    options.set_ignore_crc(true);
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(&parts.plain), options);
    decoder.set_limits(png::Limits {
        bytes: usize::try_from(encoded.memory_bytes()).unwrap_or(usize::MAX),
    });
    let mut reader = decoder.read_info().map_err(|error| damaged(&error))?;
    if reader.info().size() != (encoded.width, encoded.height) {
        return Err(Error::broken("its sizes differ"));
    }
    check_wanted(wanted)?;
    if parts.interlaced {
        return interlaced(&mut reader, &parts, encoded, wanted);
    }
    let mut rgb = Vec::with_capacity(area.bytes());
    for row in 0..encoded.height {
        if row % ASK_ROWS == 0 {
            check_wanted(wanted)?;
        }
        let stored = reader.next_row().map_err(|error| damaged(&error))?;
        let stored = stored.ok_or_else(|| Error::broken("image file is truncated"))?;
        if (area.top..area.bottom).contains(&row) {
            parts
                .form
                .convert(stored.data(), &parts.palette, area.left..area.right, &mut rgb);
        }
    }
    reader.finish().map_err(|error| damaged(&error))?;
    Ok(Picture { area, rgb })
}

fn interlaced(
    reader: &mut Reader<Cursor<&Vec<u8>>>,
    parts: &Parts,
    encoded: &Encoded,
    wanted: &dyn Fn() -> bool,
) -> Result<Picture> {
    let area = Area::whole(encoded.width, encoded.height);
    let too_large = || Error::broken("it is too large");
    let length = reader.output_buffer_size().ok_or_else(too_large)?;
    let row_bytes = reader.output_line_size(encoded.width).ok_or_else(too_large)?;
    let mut pixels = vec![0; length];
    let mut rows = 0;
    while let Some(row) = reader.next_interlaced_row().map_err(|error| damaged(&error))? {
        if rows % ASK_ROWS == 0 {
            check_wanted(wanted)?;
        }
        rows += 1;
        if let InterlaceInfo::Adam7(place) = row.interlace() {
            expand_interlaced_row(&mut pixels, row_bytes, row.data(), place, parts.form.pixel_bits());
        }
    }
    if parts.form == Form::Rgb(1) {
        return Ok(Picture { area, rgb: pixels });
    }
    let mut rgb = Vec::with_capacity(area.bytes());
    for (row, stored) in (0..encoded.height).zip(pixels.chunks_exact(row_bytes)) {
        if row % ASK_ROWS == 0 {
            check_wanted(wanted)?;
        }
        parts
            .form
            .convert(stored, &parts.palette, 0..encoded.width, &mut rgb);
    }
    Ok(Picture { area, rgb })
}

fn damaged(error: &png::DecodingError) -> Error {
    match error {
        png::DecodingError::IoError(_) => Error::broken("image file is truncated"),
        _ => Error::broken("broken data stream when reading image file"),
    }
}

/// Read the chunks up to the last of the data.
fn parts(data: &[u8]) -> Result<Parts> {
    let mut header: Option<[u8; HEADER_BYTES]> = None;
    let mut palette: Option<&[u8]> = None;
    let mut plain = Vec::with_capacity(data.len() + 64);
    plain.extend_from_slice(SIGNATURE);
    let mut in_data = false;
    for chunk in Chunks::new(data) {
        let Chunk { name, body, end } = chunk?;
        if name[0] & ANCILLARY != 0 {
            continue;
        }
        if in_data && &name != b"IDAT" {
            break;
        }
        if !name
            .iter()
            .all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            let name = name.escape_ascii();
            return Err(Error::broken(format_args!("broken PNG file (chunk b'{name}')")));
        }
        match &name {
            b"IEND" => break,
            b"IDAT" => {
                let Some(header) = &header else {
                    return Err(Error::broken("it has no header"));
                };
                if !in_data {
                    append(&mut plain, *b"IHDR", &plainly(header));
                }
                in_data = true;
                append(&mut plain, name, clipped(data, body, end - 4));
            }
            _ => {
                check_sum(data, name, body, end)?;
                let body = clipped(data, body, end - 4);
                if &name == b"PLTE" {
                    palette = Some(body);
                } else if &name == b"IHDR" {
                    header = Some(
                        body.first_chunk()
                            .copied()
                            .ok_or_else(|| Error::broken("Truncated IHDR chunk"))?,
                    );
                }
            }
        }
    }
    let Some([.., depth, colour, _, filter, interlace]) = header.filter(|_| in_data) else {
        return Err(Error::broken("cannot load this image"));
    };
    if filter != 0 {
        return Err(Error::broken("unknown filter category"));
    }
    let form = Form::of(depth, colour).ok_or_else(|| Error::broken("not identified by this driver"))?;
    append(&mut plain, *b"IEND", b"");
    let palette = if colour == INDEXED {
        colours(palette.unwrap_or_default())
    } else {
        levels(depth)
    };
    Ok(Parts {
        form,
        interlaced: interlace != 0,
        palette,
        plain,
    })
}

fn check_sum(data: &[u8], name: [u8; 4], body: usize, end: usize) -> Result<()> {
    let Some(stored) = crate::bytes::u32_be(data, end - 4) else {
        return Err(Error::broken("image file is truncated"));
    };
    let mut sum = crc32fast::Hasher::new();
    sum.update(&name);
    sum.update(clipped(data, body, end - 4));
    if sum.finalize() == stored {
        return Ok(());
    }
    let name = name.escape_ascii();
    Err(Error::broken(format_args!(
        "broken PNG file (bad header checksum in b'{name}')"
    )))
}

/// Return the header with grey levels for indices, and whatever else is not read as it should be.
fn plainly(header: &[u8; HEADER_BYTES]) -> [u8; HEADER_BYTES] {
    let mut plain = *header;
    if plain[9] == INDEXED {
        plain[9] = GREY;
    }
    plain[10] = 0;
    plain[12] = u8::from(plain[12] != 0);
    plain
}

/// Append a chunk; its checksum is not read.
fn append(file: &mut Vec<u8>, name: [u8; 4], body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(&name);
    file.extend_from_slice(body);
    file.extend_from_slice(&[0; 4]);
}

fn colours(stored: &[u8]) -> Palette {
    let mut palette = [[0; 3]; 256];
    for (colour, stored) in palette.iter_mut().zip(stored.chunks_exact(3)) {
        colour.copy_from_slice(stored);
    }
    palette
}

/// Return the grey levels that indices of fewer than 8 bits stand for.
fn levels(depth: u8) -> Palette {
    let mut palette = greys();
    if depth < 8 {
        let most = (1u32 << depth) - 1;
        for (level, colour) in (0..=most).zip(&mut palette) {
            *colour = [u8::try_from(level * 255 / most).unwrap_or(u8::MAX); 3];
        }
    }
    palette
}
