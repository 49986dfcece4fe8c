//! Whole numbers in text from outside, such as headers and queries.

const MOST_DIGITS: usize = 18;

/// Return the number that ASCII digits alone write; None for any other text.
///
/// If it has over 18 digits, leading zeros included, the number is `beyond`.
#[must_use]
pub fn whole_number(text: &[u8], beyond: Option<u64>) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if text.len() > MOST_DIGITS {
        return beyond;
    }
    Some(
        text.iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0')),
    )
}
