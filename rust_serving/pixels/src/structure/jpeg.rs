//! The structure of a JPEG: its segments, its frame and its scans.

use std::iter::once;
use std::ops::Range;

use super::orientation::Orientation;
use super::{Encoded, Format};
use crate::bytes::{array, clipped, u16_be};
use crate::error::{Error, Result};

pub(crate) const SIGNATURE: &[u8] = b"\xff\xd8\xff";
/// A body of 16 MiB in the largest segments has 256; each takes some microseconds to read.
const MOST_SEGMENTS: usize = 4096;
/// Encoders make some ten scans, and each goes over a part of the components. A pass over 50 megapixels takes
/// up to 20 ms.
const MOST_PASSES: u64 = 100;
const SMALL_PIXELS: u64 = 1_000_000;
/// What preparing a scan costs, whatever its size, in samples.
const SCAN_SAMPLES: u64 = 50_000;
/// A scan that refines looks at every coefficient of each block; arithmetic coding is slower than Huffman's.
const REFINING_TIMES: u64 = 3;
const ARITHMETIC_TIMES: u64 = 2;
const BLOCK: u64 = 8;
const MOST_COMPONENTS: u8 = 4;
const COEFFICIENT_BYTES: u64 = 2;
const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const SOS: u8 = 0xDA;
pub(crate) const EOI: u8 = 0xD9;
const APP1: u8 = 0xE1;

pub(crate) fn is_frame(marker: u8) -> bool {
    (0xC0..=0xCF).contains(&marker) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

fn is_progressive(marker: u8) -> bool {
    matches!(marker, 0xC2 | 0xC6 | 0xCA | 0xCE)
}

fn is_arithmetic(marker: u8) -> bool {
    (0xC9..=0xCF).contains(&marker) && marker != 0xCC
}

/// Tell whether a marker has no length, or is a reserved one.
pub(crate) fn is_alone(marker: u8) -> bool {
    marker < 0xC0 || marker == 0xD8
}

/// Tell whether a segment says something about the image; JFIF's and Adobe's segments, 0xE0 and 0xEE, say how
/// its colours are stored.
fn is_about(marker: u8) -> bool {
    matches!(marker, 0xE1..=0xED | 0xEF | 0xFE)
}

struct Component {
    id: u8,
    across: u64,
    down: u64,
}

/// A frame's header.
struct Frame {
    marker: u8,
    width: u16,
    height: u16,
    components: Vec<Component>,
}

impl Frame {
    /// Return how many samples the components with these ids have, each filled up to whole blocks.
    fn samples(&self, counts: impl Fn(u8) -> bool) -> u64 {
        let counted = self.components.iter().filter(|part| counts(part.id));
        let blocks = counted
            .map(|part| self.blocks(part))
            .map(|(across, down)| across * down);
        blocks.sum::<u64>() * BLOCK * BLOCK
    }

    /// Return how many samples a decoder of several scans stores: of each component whole units, as if it were
    /// interleaved with the others.
    fn stored_samples(&self) -> u64 {
        let blocks = |part: &Component| {
            let (across, down) = self.blocks(part);
            across.next_multiple_of(part.across.max(1)) * down.next_multiple_of(part.down.max(1))
        };
        self.components.iter().map(blocks).sum::<u64>() * BLOCK * BLOCK
    }

    /// Return a component's blocks, across and down.
    fn blocks(&self, part: &Component) -> (u64, u64) {
        let widest = self.components.iter().map(|part| part.across).fold(1, u64::max);
        let tallest = self.components.iter().map(|part| part.down).fold(1, u64::max);
        (
            (u64::from(self.width) * part.across).div_ceil(widest * BLOCK),
            (u64::from(self.height) * part.down).div_ceil(tallest * BLOCK),
        )
    }
}

/// What a file holds.
#[derive(Default)]
struct Contents {
    frame: Option<Frame>,
    scans: u64,
    samples: u64,
    exif: Vec<u8>,
    xmp: Vec<u8>,
    /// The segments before the first scan that the pixels depend on.
    kept: Vec<Range<usize>>,
    left_out: bool,
    first_scan: usize,
}

impl Contents {
    /// Tell whether the image needs more than its first scan.
    fn is_several(&self, frame: &Frame) -> bool {
        self.scans > 1 || is_progressive(frame.marker)
    }
}

/// Return what the file says about itself.
pub(crate) fn read(data: &[u8]) -> Result<Encoded> {
    let mut found = contents(data)?;
    let frame = found.frame.take().filter(|_| found.scans > 0);
    let frame = frame.ok_or_else(|| Error::broken("it has no image"))?;
    let pixels = u64::from(frame.width) * u64::from(frame.height);
    let times = if is_arithmetic(frame.marker) {
        ARITHMETIC_TIMES
    } else {
        1
    };
    if found.samples * times > MOST_PASSES * pixels.max(SMALL_PIXELS) {
        let scans = found.scans;
        let what = format_args!("the image has {scans} scans, which pass over its pixels too often");
        return Err(Error::too_much_work(what));
    }
    let mut encoded = Encoded::new(Format::Jpeg, frame.width.into(), frame.height.into());
    if found.is_several(&frame) {
        // a file of several scans is decoded by way of all its coefficients
        encoded.decoder_bytes = COEFFICIENT_BYTES * frame.stored_samples();
    }
    if found.left_out {
        found.kept.push(found.first_scan..data.len());
        encoded.copied_bytes = data.len() as u64;
        encoded.kept = Some(found.kept);
    }
    encoded.orientation = Orientation::read(&found.exif, &found.xmp);
    encoded.pixel_bytes = if frame.components.len() == 1 { 1 } else { 4 };
    encoded.converts = frame.components.len() != 3;
    Ok(encoded)
}

fn contents(data: &[u8]) -> Result<Contents> {
    let mut found = Contents {
        kept: once(0..2).collect(),
        ..Contents::default()
    };
    let mut follows = 2;
    for segment in Segments::new(data) {
        let Segment {
            marker,
            start,
            body,
            end,
        } = segment?;
        if marker == EOI {
            if found.scans > 0 {
                break;
            }
            continue; // the end of what a damaged length lies within
        }
        if start != follows && found.scans == 0 {
            found.left_out = true; // fill bytes
        }
        follows = end;
        if marker == SOS {
            let Some(frame) = found.frame.take() else { break };
            if found.scans == 0 {
                found.first_scan = start;
            }
            found.scans += 1;
            let number = *data.get(body).ok_or_else(ends_too_soon)?;
            let only = !found.is_several(&frame) && usize::from(number) >= frame.components.len();
            if !only {
                found.samples += scan_samples(&frame, clipped(data, body, end)).ok_or_else(ends_too_soon)?;
            }
            found.frame = Some(frame);
            if only {
                break; // whatever follows is not decoded
            }
        } else if found.scans == 0 {
            if is_about(marker) {
                found.left_out = true;
            } else {
                found.kept.push(start..end);
            }
            if is_frame(marker) {
                found.frame = frame(marker, clipped(data, body, end))?;
            } else if marker == APP1 {
                note_about(&mut found, clipped(data, body, end));
            }
        }
    }
    Ok(found)
}

fn ends_too_soon() -> Error {
    Error::broken("its segments end too soon")
}

fn frame(marker: u8, body: &[u8]) -> Result<Option<Frame>> {
    let height = u16_be(body, 1).ok_or_else(ends_too_soon)?;
    let width = u16_be(body, 3).ok_or_else(ends_too_soon)?;
    let number = *body.get(5).ok_or_else(ends_too_soon)?;
    if number > MOST_COMPONENTS {
        return Err(Error::broken(format_args!("it has {number} components")));
    }
    let mut components = Vec::new();
    for place in 0..usize::from(number) {
        let [id, sampling] = array(body, 6 + 3 * place).ok_or_else(ends_too_soon)?;
        components.push(Component {
            id,
            across: (sampling >> 4).into(),
            down: (sampling & 15).into(),
        });
    }
    Ok((!components.is_empty()).then_some(Frame {
        marker,
        width,
        height,
        components,
    }))
}

fn note_about(found: &mut Contents, body: &[u8]) {
    if let Some(exif) = body.strip_prefix(EXIF) {
        found
            .exif
            .extend_from_slice(if found.exif.is_empty() { body } else { exif });
    } else if let Some(xmp) = body.strip_prefix(XMP) {
        found.xmp = xmp.to_vec();
    }
}

/// Return what decoding a scan costs, in samples that are passed over once; `None` if its header is short.
fn scan_samples(frame: &Frame, body: &[u8]) -> Option<u64> {
    let number = usize::from(*body.first()?);
    let [first, _, approximation] = array(body, 1 + 2 * number)?;
    let refines = is_progressive(frame.marker) && first > 0 && approximation >> 4 > 0;
    let ids = &body[1..=2 * number];
    let samples = frame.samples(|id| ids.iter().step_by(2).any(|&named| named == id));
    Some(SCAN_SAMPLES + samples * if refines { REFINING_TIMES } else { 1 })
}

/// A segment's marker, and where the segment, its body and what follows it begin.
pub(crate) struct Segment {
    pub(crate) marker: u8,
    pub(crate) start: usize,
    pub(crate) body: usize,
    pub(crate) end: usize,
}

/// The segments of a file, without those of markers that stand alone.
pub(crate) struct Segments<'data> {
    data: &'data [u8],
    at: Option<usize>,
    left: usize,
}

impl<'data> Segments<'data> {
    pub(crate) fn new(data: &'data [u8]) -> Self {
        Self {
            data,
            at: Some(2),
            left: MOST_SEGMENTS,
        }
    }
}

impl Iterator for Segments<'_> {
    type Item = Result<Segment>;

    fn next(&mut self) -> Option<Result<Segment>> {
        let mut at = self.at.take()?;
        while self.left > 0 {
            self.left -= 1;
            let start = next_marker(self.data, at)?;
            let marker = *self.data.get(start + 1)?;
            at = start + 2;
            if is_alone(marker) {
                continue;
            }
            if marker == EOI {
                self.at = Some(at);
                return Some(Ok(Segment {
                    marker,
                    start,
                    body: at,
                    end: at,
                }));
            }
            let Some(length) = u16_be(self.data, at) else {
                return Some(Err(ends_too_soon()));
            };
            let end = at + usize::from(length.max(2));
            self.at = Some(end);
            return Some(Ok(Segment {
                marker,
                start,
                body: at + 2,
                end,
            }));
        }
        let what = format_args!("the image has more than {MOST_SEGMENTS} segments");
        Some(Err(Error::too_much_work(what)))
    }
}

/// Return where the next marker begins; bytes that are stuffed in, fill bytes and restarts are passed over.
pub(crate) fn next_marker(data: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = data.get(at..)?;
        at += rest.iter().position(|&byte| byte == 0xFF)?;
        match *data.get(at + 1)? {
            0x00 | 0xD0..=0xD7 => at += 2,
            0xFF => at += 1,
            _ => return Some(at),
        }
    }
}
