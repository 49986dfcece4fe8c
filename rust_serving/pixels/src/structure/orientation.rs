//! The orientation that EXIF or XMP give an image; whatever cannot be read of them is left aside.

use crate::bytes::{array, find};

const TAG: u16 = 0x0112;
const PREFIX: &[u8] = b"Exif\0\0";
const XMP_TAG: &[u8] = b"tiff:Orientation";
const ENTRY_BYTES: usize = 12;
const INLINE_BYTES: u64 = 4;

/// How an image lies, as EXIF numbers it: 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orientation(u8);

impl Orientation {
    pub(crate) const UPRIGHT: Self = Self(1);

    /// Return the orientation that EXIF gives, or XMP if EXIF gives none; upright if neither does.
    pub(crate) fn read(exif: &[u8], xmp: &[u8]) -> Self {
        let number = match Exif::new(exif).and_then(|exif| exif.number()) {
            Some(number) => number,
            None => from_xmp(xmp).unwrap_or(1.0),
        };
        (1..=8)
            .find(|&whole| f64::from(whole).total_cmp(&number).is_eq())
            .map_or(Self::UPRIGHT, Self)
    }

    pub(crate) fn is_upright(self) -> bool {
        self.0 == 1
    }

    /// Tell whether rows are columns of the upright image.
    pub(crate) fn swaps(self) -> bool {
        self.0 >= 5
    }

    /// Tell whether the stored image has its columns in the other order.
    pub(crate) fn flips_x(self) -> bool {
        matches!(self.0, 2 | 3 | 7 | 8)
    }

    /// Tell whether the stored image has its rows in the other order.
    pub(crate) fn flips_y(self) -> bool {
        matches!(self.0, 3 | 4 | 6 | 7)
    }
}

fn from_xmp(xmp: &[u8]) -> Option<f64> {
    let mut from = 0;
    loop {
        let after = find(xmp, XMP_TAG, from)? + XMP_TAG.len();
        let rest = &xmp[after..];
        let digit = rest
            .strip_prefix(b"=\"")
            .or_else(|| rest.strip_prefix(b">"))
            .and_then(<[u8]>::first);
        if let Some(digit) = digit.filter(|digit| digit.is_ascii_digit()) {
            return Some(f64::from(digit - b'0'));
        }
        from = after;
    }
}

/// A TIFF directory, as EXIF stores it.
struct Exif<'data> {
    data: &'data [u8],
    start: usize,
    big_endian: bool,
}

impl<'data> Exif<'data> {
    fn new(data: &'data [u8]) -> Option<Self> {
        let mut start = 0;
        for _ in 0..2 {
            if data[start..].starts_with(PREFIX) {
                start += PREFIX.len();
            }
        }
        let big_endian = match &array::<4>(data, start)? {
            b"II*\0" | b"II\0*" => false,
            b"MM\0*" | b"MM*\0" => true,
            _ => return None,
        };
        Some(Self {
            data,
            start,
            big_endian,
        })
    }

    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut bytes = array::<N>(self.data, at)?;
        if self.big_endian {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.bytes(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.bytes(at).map(u32::from_le_bytes)
    }

    /// Return the tag's first value; `None` if it cannot be read, 0 if it is not a number.
    fn number(&self) -> Option<f64> {
        let directory = self.start + self.u32(self.start + 4)? as usize;
        for number in 0..usize::from(self.u16(directory)?) {
            let at = directory + 2 + number * ENTRY_BYTES;
            let (tag, kind, count) = (self.u16(at)?, self.u16(at + 2)?, self.u32(at + 4)?);
            if tag != TAG || count == 0 {
                continue;
            }
            match kind {
                // text and bytes of any meaning, which turn no image
                1 | 2 | 7 => return Some(0.0),
                3..=6 | 8..=13 | 16 => (),
                _ => continue,
            }
            let length = u64::from(count) * value_bytes(kind);
            let mut place = at + 8;
            if length > INLINE_BYTES {
                place = self.start + self.u32(place)? as usize;
                if place as u64 + length > self.data.len() as u64 {
                    continue;
                }
            }
            return self.value(kind, place);
        }
        None
    }

    #[expect(clippy::cast_precision_loss, reason = "only whole numbers up to 8 count")]
    fn value(&self, kind: u16, at: usize) -> Option<f64> {
        let signed = |at| self.bytes(at).map(i32::from_le_bytes).map(f64::from);
        let unsigned = |at| self.u32(at).map(f64::from);
        let ratio = |above: f64, below: f64| (below != 0.0).then(|| above / below);
        match kind {
            3 => self.u16(at).map(f64::from),
            5 => ratio(unsigned(at)?, unsigned(at + 4)?),
            6 => self.bytes(at).map(i8::from_le_bytes).map(f64::from),
            8 => self.bytes(at).map(i16::from_le_bytes).map(f64::from),
            9 => signed(at),
            10 => ratio(signed(at)?, signed(at + 4)?),
            11 => self.bytes(at).map(f32::from_le_bytes).map(f64::from),
            12 => self.bytes(at).map(f64::from_le_bytes),
            16 => self.bytes(at).map(u64::from_le_bytes).map(|value| value as f64),
            _ => unsigned(at),
        }
    }
}

fn value_bytes(kind: u16) -> u64 {
    match kind {
        6 => 1,
        3 | 8 => 2,
        5 | 10 | 12 | 16 => 8,
        _ => 4,
    }
}
