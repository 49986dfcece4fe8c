//! Refusals that the server itself makes, word for word those of the other services.

use std::fmt::Write as _;

use codecs::Refusal;

/// Returns the refusal of a request whose deadline has passed.
pub fn expired() -> Refusal {
    Refusal::new(
        504,
        "the deadline passed before the answer was there: allow more time",
    )
}

/// Returns the refusal of a request that another instance, or this one later, would answer.
pub fn unavailable(reason: &str, retry_after_s: f64) -> Refusal {
    Refusal::new(503, format!("{reason}: send again later")).retry_after(retry_after_s)
}

/// Returns `text` in quotes, as the other services' messages show names.
pub fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut shown = String::from(quote);
    for character in text.chars() {
        match character {
            '\'' | '"' if character != quote => shown.push(character),
            '\0'..='\x1f' | '\x7f'..='\u{a0}' if !"\t\n\r".contains(character) => {
                let _ = write!(shown, "\\x{:02x}", u32::from(character));
            }
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown.push(quote);
    shown
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_are_shown_as_by_the_other_services() {
        let shown = ["a", "it's", "a\"b'", "\0", "\n", "wörld", "\\"].map(quoted);
        let expected = [
            "'a'",
            "\"it's\"",
            "'a\"b\\''",
            "'\\x00'",
            "'\\n'",
            "'wörld'",
            "'\\\\'",
        ];
        assert_eq!(shown, expected);
    }
}
