//! The runs that some BMPs are coded in.

use crate::error::{Result, check_wanted};

const END_OF_LINE: u8 = 0;
const END_OF_IMAGE: u8 = 1;
const MOVE: u8 = 2;
/// How many bytes are read before the question whether the image is still wanted.
const ASK_BYTES: usize = 65_536;

/// How an image is coded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coding {
    pub(crate) width: usize,
    /// The most pixels that there may be.
    pub(crate) length: usize,
    /// Whether a pixel has four bits, rather than eight.
    pub(crate) four_bits: bool,
    /// Whether the codes begin at an odd place of their file.
    pub(crate) is_odd: bool,
}

/// Return the pixels of `codes`, a byte each; codes beyond the end of a row are cut off.
pub(crate) fn expand(codes: &[u8], coding: Coding, wanted: &dyn Fn() -> bool) -> Result<Vec<u8>> {
    let Coding {
        width,
        length,
        four_bits,
        is_odd,
    } = coding;
    let mut pixels: Vec<u8> = Vec::new();
    let (mut at, mut asks_at) = (0, ASK_BYTES);
    let mut room = width.cast_signed();
    while pixels.len() < length {
        let Some(&[count, value]) = codes.get(at..at + 2) else {
            break;
        };
        if at > asks_at {
            asks_at = at + ASK_BYTES;
            check_wanted(wanted)?;
        }
        at += 2;
        if count > 0 {
            let count = isize::from(count).min(room.max(0));
            room -= count;
            let run = (0..count).map(|place| {
                if four_bits {
                    half(value, place % 2 == 0)
                } else {
                    value
                }
            });
            pixels.extend(run);
            continue;
        }
        match value {
            END_OF_LINE => {
                pixels.resize(pixels.len().next_multiple_of(width), 0);
                room = width.cast_signed();
            }
            END_OF_IMAGE => break,
            MOVE => {
                let Some(&[right, up]) = codes.get(at..at + 2) else {
                    break;
                };
                at += 2;
                let moved = usize::from(right) + usize::from(up) * width;
                pixels.resize(pixels.len() + moved.min(length.saturating_sub(pixels.len())), 0);
                room = (width - pixels.len() % width).cast_signed();
            }
            _ => {
                let count = usize::from(value).min(length - pixels.len());
                let read = if four_bits { count.div_ceil(2) } else { count };
                let literal = crate::bytes::clipped(codes, at, at + read);
                if four_bits {
                    let pairs = literal
                        .iter()
                        .flat_map(|&pair| [half(pair, true), half(pair, false)]);
                    pixels.extend(pairs.take(count));
                } else {
                    pixels.extend_from_slice(literal);
                }
                if literal.len() < read {
                    break;
                }
                room -= isize::from(value);
                at += read;
                at += (at + usize::from(is_odd)) % 2;
            }
        }
    }
    Ok(pixels)
}

fn half(pair: u8, first: bool) -> u8 {
    if first { pair >> 4 } else { pair & 15 }
}
