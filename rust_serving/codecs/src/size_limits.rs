//! Limits on how much a body grows when it is parsed, checked before parsing; they follow from the model.

use memchr::{memchr, memchr2};

use crate::refusal::{Refusal, wrong};
use crate::signature::Signature;

/// Shorter JSON grows little, and its parsing takes less time than that of an image.
const LONG_BYTES: usize = 512 * 1024;
/// More parts than any request has beside the values of its items.
const SPARE: usize = 65_536;
/// A list that is too long for the model gets an error of its own up to this length; if it is even longer,
/// the whole body is refused.
const SPARE_LENGTH: usize = 256;
const SPARE_FIELDS: usize = 16;

/// The most containers (lists and objects), strings and elements, and the longest list and object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SizeLimits {
    pub(crate) containers: usize,
    pub(crate) strings: usize,
    pub(crate) elements: usize,
    pub(crate) longest_list: usize,
    pub(crate) longest_map: usize,
}

/// Return the limits of the bodies of a model's requests.
pub(crate) fn limits_of(signature: &Signature) -> SizeLimits {
    let items = signature.max_items;
    let containers = SPARE.saturating_add(items);
    SizeLimits {
        containers,
        strings: containers.saturating_add(items),
        elements: containers.saturating_add(items),
        longest_list: items.max(SPARE_LENGTH),
        longest_map: SPARE_FIELDS + 1,
    }
}

/// Check that the JSON `text` has no more parts than any request to this model; refuses with 400.
pub(crate) fn check_json(signature: &Signature, text: &[u8]) -> Result<(), Refusal> {
    if text.len() <= LONG_BYTES {
        return Ok(());
    }
    let limits = limits_of(signature);
    let parts = count(text, limits.strings);
    let what = if parts.strings > limits.strings {
        format!("{} strings", limits.strings)
    } else if parts.containers > limits.containers {
        format!("{} lists and objects", limits.containers)
    } else if parts.commas > limits.elements {
        format!("{} elements", limits.elements)
    } else {
        return Ok(());
    };
    let most = signature.max_items;
    Err(wrong(format!(
        "the JSON has more than {what}: send 1 to {most} items and nothing else"
    )))
}

#[derive(Default)]
struct Parts {
    strings: usize,
    containers: usize,
    commas: usize,
}

/// Count the parts outside strings; the counts end when there are more than `most` strings.
fn count(mut text: &[u8], most: usize) -> Parts {
    let mut parts = Parts::default();
    while parts.strings <= most {
        let opening = memchr(b'"', text);
        let (outside, rest) = text
            .split_at_checked(opening.unwrap_or(text.len()))
            .unwrap_or((text, &[]));
        for byte in outside {
            parts.containers += usize::from(matches!(byte, b'[' | b'{'));
            parts.commas += usize::from(*byte == b',');
        }
        if opening.is_none() {
            break;
        }
        parts.strings += 1;
        text = after_string(rest.get(1..).unwrap_or_default());
    }
    parts
}

/// Return what follows the string whose first character begins `text`; nothing if it has no end.
pub(crate) fn after_string(mut text: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', text) {
        let ends = text.get(at) == Some(&b'"');
        text = text.get(at + if ends { 1 } else { 2 }..).unwrap_or_default();
        if ends {
            return text;
        }
    }
    &[]
}
