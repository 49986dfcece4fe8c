//! Strict base64: the standard alphabet with padding, and nothing else.

use base64_simd::{STANDARD, STANDARD_NO_PAD};

/// Return what is wrong with a text that is not base64, in the Python services' words.
pub(crate) fn fault(text: &str) -> &'static str {
    if text.chars().all(|character| character <= '\u{ff}') {
        "Non-base64 digit found"
    } else {
        "string argument should contain only ASCII characters"
    }
}

/// Return the bytes that `text` encodes; None if it is not base64.
///
/// The bits of the last digit that belong to no byte are ignored, as most decoders do.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    if let Ok(content) = STANDARD.decode_to_vec(text) {
        return Some(content);
    }
    // The library refuses bits that belong to no byte; without them it is asked once more.
    let (whole, last) = text.split_last_chunk::<4>()?;
    let digits = match last {
        [_, _, b'=', b'='] => &last[..2],
        [_, _, _, b'='] => &last[..3],
        _ => return None,
    };
    let mut filled = [b'A'; 4];
    filled[..digits.len()].copy_from_slice(digits);
    let ending = STANDARD_NO_PAD.decode_to_vec(filled).ok()?;
    let mut content = STANDARD_NO_PAD.decode_to_vec(whole).ok()?;
    content.extend_from_slice(ending.get(..digits.len() - 1)?);
    Some(content)
}
