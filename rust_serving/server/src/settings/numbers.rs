//! Numbers as the other services read them from text, and their bounds.

use std::fmt::Display;

/// Longer whole numbers are refused unread.
const MOST_DIGITS: usize = 4300;

/// Bounds of a setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<T> {
    least: T,
    /// Whether `least` itself is outside.
    above: bool,
    most: Option<T>,
}

impl<T> Bounds<T> {
    /// At least `least`.
    pub(super) fn from(least: T) -> Self {
        Self {
            least,
            above: false,
            most: None,
        }
    }

    /// At least `least` and at most `most`.
    pub(super) fn within(least: T, most: T) -> Self {
        Self {
            least,
            above: false,
            most: Some(most),
        }
    }

    /// More than `least` and at most `most`.
    pub(super) fn above(least: T, most: T) -> Self {
        Self {
            least,
            above: true,
            most: Some(most),
        }
    }
}

impl<T: PartialOrd + Display> Bounds<T> {
    /// Returns `value` if it is within the bounds, and else what is wrong with it; NaN is not within any.
    pub(super) fn check(&self, value: T) -> Result<T, String> {
        self.fault(&value).map_or(Ok(value), Err)
    }

    fn fault(&self, value: &T) -> Option<String> {
        match &self.most {
            Some(most) if value.partial_cmp(most).is_none_or(std::cmp::Ordering::is_gt) => {
                return Some(format!("input should be less than or equal to {most}"));
            }
            _ => {}
        }
        if self.above && value <= &self.least {
            return Some(format!("input should be greater than {}", self.least));
        }
        (value < &self.least).then(|| format!("input should be greater than or equal to {}", self.least))
    }
}

/// Reads a whole number: digits, with single underscores between them, a sign before and zeros after a point.
///
/// A number beyond what i128 holds is the number nearest to it that i128 does hold. The error says what is wrong.
pub(super) fn whole(text: &str) -> Result<i128, &'static str> {
    const NOT_WHOLE: &str = "input should be a valid integer, unable to parse string as an integer";
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = match digits.split_once('.') {
        Some((before, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => before,
        Some(_) => return Err(NOT_WHOLE),
        None => digits,
    };
    if digits.is_empty() || digits.split('_').any(|part| part.is_empty() || !all_digits(part)) {
        return Err(NOT_WHOLE);
    }
    if digits.len() > MOST_DIGITS {
        return Err("unable to parse input string as an integer, exceeded maximum size");
    }
    let value = digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0_i128, |sum, digit| {
            sum.saturating_mul(10).saturating_add(i128::from(digit - b'0'))
        });
    Ok(if negative { -value } else { value })
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a number that may have a fraction and an exponent. The error says what is wrong.
pub(super) fn real(text: &str) -> Result<f64, &'static str> {
    const NOT_A_NUMBER: &str = "input should be a valid number, unable to parse string as a number";
    let text = text.trim();
    if text.starts_with('_') || text.ends_with('_') || text.contains("__") {
        return Err(NOT_A_NUMBER);
    }
    text.replace('_', "").parse().map_err(|_| NOT_A_NUMBER)
}
