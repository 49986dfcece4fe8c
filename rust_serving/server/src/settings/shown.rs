//! Values in messages: quoted and short.

use std::fmt::Write;

/// How many characters of a wrong value a message has.
const LONGEST_SHOWN: usize = 80;

/// Returns text in quotes and on one line, as the other services quote it.
pub(super) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut written = String::from(quote);
    for character in text.chars() {
        match character {
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            '\\' => written.push_str("\\\\"),
            _ if character == quote => {
                written.push('\\');
                written.push(character);
            }
            _ if is_printable(character) => written.push(character),
            _ => push_code(&mut written, character.into()),
        }
    }
    written.push(quote);
    written
}

fn push_code(written: &mut String, code: u32) {
    // writing into a string does not fail
    let _ = match code {
        ..=0xFF => write!(written, "\\x{code:02x}"),
        0x100..=0xFFFF => write!(written, "\\u{code:04x}"),
        _ => write!(written, "\\U{code:08x}"),
    };
}

fn is_printable(character: char) -> bool {
    let mut escaped = character.escape_debug();
    let unchanged = escaped.next() == Some(character) || matches!(character, '"' | '\'');
    // accents that combine with what is before are escaped only because they would stand alone
    let combines = !unchanged && character.is_alphanumeric();
    (unchanged || combines) && (character == ' ' || !character.is_whitespace())
}

/// Returns a setting's value for a message, so short that the message stays one line.
pub(super) fn shortened(text: &str) -> String {
    let shown = quoted(text);
    match shown.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    }
}
