//! The structure of a PNG: its header, and the chunks that its pixels depend on.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::orientation::Orientation;
use super::{Encoded, Format};
use crate::bytes::{array, clipped, u32_be};
use crate::error::{Error, Result};

pub(crate) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// A body of 16 MiB has 2 048 in the usual 8 KiB of data each; each takes some microseconds to read.
const MOST_CHUNKS: usize = 32_768;
/// Of a chunk whose name begins with a small letter, no pixel depends.
pub(crate) const ANCILLARY: u8 = 0x20;
/// A chunk's length, name and checksum.
const AROUND_BYTES: usize = 12;
/// The texts that may give an orientation; EXIF's in hexadecimal digits after three lines.
const RAW_EXIF: &[u8] = b"Raw profile type exif";
const XMP: &[u8] = b"XML:com.adobe.xmp";
const MOST_TEXT_BYTES: u64 = 1024 * 1024;
const GREY: u8 = 0;
const COLOUR: u8 = 2;
const PALETTE: u8 = 3;
/// Levels of 16 bits pass through arrays on their way to bytes.
const DEEP_GREY_ARRAYS: u64 = 6;
/// A decoder holds some rows as they are stored, and grows its room for them.
const STORED_ROWS: u64 = 10;
/// Four channels of 16 bits.
const LARGEST_STORED_PIXEL: u64 = 8;

#[derive(Default)]
struct About<'data> {
    exif: &'data [u8],
    raw_exif: Vec<u8>,
    xmp: Vec<u8>,
}

/// A chunk's name, and where its body and what follows it begin.
pub(crate) struct Chunk {
    pub(crate) name: [u8; 4],
    pub(crate) body: usize,
    pub(crate) end: usize,
}

/// Return what the file says about itself.
pub(crate) fn read(data: &[u8]) -> Result<Encoded> {
    let ends = || Error::broken("it ends in its header");
    let width = u32_be(data, 16).ok_or_else(ends)?;
    let height = u32_be(data, 20).ok_or_else(ends)?;
    let [depth, colour] = array(data, 24).ok_or_else(ends)?;
    if clipped(data, 12, 16) != b"IHDR" {
        return Err(Error::broken("it has no header"));
    }
    let mut about = About::default();
    let mut headers = 0;
    for chunk in Chunks::new(data) {
        let Chunk { name, body, end } = chunk?;
        headers += u32::from(&name == b"IHDR");
        if headers > 1 {
            // a decoder takes the last, and its sizes were never judged
            return Err(Error::broken("it has two headers"));
        }
        if name[0] & ANCILLARY == 0 {
            continue;
        }
        let body = clipped(data, body, end - 4);
        match &name {
            b"eXIf" => about.exif = body,
            b"tEXt" | b"zTXt" | b"iTXt" => note_text(&mut about, &name, body),
            _ => (),
        }
    }
    let raw_exif = if about.exif.is_empty() {
        from_hexadecimal(&about.raw_exif)
    } else {
        Vec::new()
    };
    let exif = if about.exif.is_empty() {
        &raw_exif
    } else {
        about.exif
    };
    let deep_grey = colour == GREY && depth == 16;
    let mut encoded = Encoded::new(Format::Png, width, height);
    // the decoder gets a file of its own, and copies rows of it
    encoded.copied_bytes = data.len() as u64;
    encoded.orientation = Orientation::read(exif, &about.xmp);
    encoded.pixel_bytes = match colour {
        _ if deep_grey => 2,
        GREY | PALETTE => 1,
        _ => 4,
    };
    let channels = [1, 1, 3, 1, 2, 1, 4]
        .get(usize::from(colour))
        .copied()
        .unwrap_or(4);
    let row_bytes = (u64::from(width) * channels * u64::from(depth)).div_ceil(8);
    encoded.copied_bytes += STORED_ROWS * row_bytes;
    encoded.decoder_bytes = if deep_grey {
        encoded.pixels().saturating_mul(DEEP_GREY_ARRAYS)
    } else if array(data, 28) == Some([1]) {
        // an interlaced image is stored whole, as it is in the file
        encoded.pixels().saturating_mul(LARGEST_STORED_PIXEL)
    } else {
        0
    };
    encoded.converts = colour != COLOUR;
    Ok(encoded)
}

/// The chunks of a file up to its end; the last may reach beyond the file.
pub(crate) struct Chunks<'data> {
    data: &'data [u8],
    at: Option<usize>,
    left: usize,
}

impl<'data> Chunks<'data> {
    pub(crate) fn new(data: &'data [u8]) -> Self {
        Self {
            data,
            at: Some(SIGNATURE.len()),
            left: MOST_CHUNKS,
        }
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Result<Chunk>> {
        let start = self.at.take()?;
        if self.left == 0 {
            let what = format_args!("the image has more than {MOST_CHUNKS} chunks");
            return Some(Err(Error::too_much_work(what)));
        }
        self.left -= 1;
        let length = u32_be(self.data, start)? as usize;
        let name = array(self.data, start + 4)?;
        let end = start + AROUND_BYTES + length;
        if &name != b"IEND" {
            self.at = Some(end);
        }
        Some(Ok(Chunk {
            name,
            body: start + 8,
            end,
        }))
    }
}

/// Note a text if it may give an orientation and can be read.
fn note_text(about: &mut About<'_>, name: &[u8], body: &[u8]) {
    let (keyword, mut text) = partition(body);
    let place = match keyword {
        RAW_EXIF => &mut about.raw_exif,
        XMP => &mut about.xmp,
        _ => return,
    };
    let mut packed = name == b"zTXt";
    if name == b"iTXt" {
        packed = text.first() != Some(&0);
        text = partition(partition(clipped(text, 2, text.len())).1).1;
    } else if packed {
        text = clipped(text, 1, text.len());
    }
    if !packed {
        *place = text.to_vec();
    } else if let Some(text) = unpacked(text) {
        *place = text;
    }
}

fn partition(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|&byte| byte == 0) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

/// Return what can be unpacked, at most `MOST_TEXT_BYTES`; `None` if the data is broken.
fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    match ZlibDecoder::new(packed)
        .take(MOST_TEXT_BYTES)
        .read_to_end(&mut text)
    {
        Ok(_) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Some(text),
        Err(_) => None,
    }
}

/// Return the bytes that follow three lines as hexadecimal digits; nothing if there are other characters.
fn from_hexadecimal(text: &[u8]) -> Vec<u8> {
    let digits = text.splitn(4, |&byte| byte == b'\n').nth(3).unwrap_or_default();
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    // lines are joined before the digits are read, so that a pair may lie on two
    let mut digits = digits.iter().filter(|&&byte| byte != b'\n');
    while let Some(&first) = digits.next() {
        if first.is_ascii_whitespace() || first == 0x0B {
            continue;
        }
        let value = |digit: u8| char::from(digit).to_digit(16);
        let pair = value(first).zip(digits.next().and_then(|&second| value(second)));
        let Some(byte) = pair.and_then(|(high, low)| u8::try_from(high << 4 | low).ok()) else {
            return Vec::new();
        };
        bytes.push(byte);
    }
    bytes
}
