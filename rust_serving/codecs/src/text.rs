//! Text as the Python services read and show it, so that messages are theirs word for word.

use http::HeaderMap;

/// The most characters of a client's text that a message repeats.
pub(crate) const LONGEST_SHOWN: usize = 80;

/// Return bytes as text in latin-1, which every byte is.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Return a header's last value: of several, the last holds.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers
        .get_all(name)
        .iter()
        .next_back()
        .map(http::HeaderValue::as_bytes)
}

/// Return the content type in lower case, without its parameters; "" if there is none.
pub(crate) fn media_type(sent: &[u8]) -> String {
    let kind = sent.split(|byte| *byte == b';').next().unwrap_or_default();
    latin1(kind).trim_matches(is_space).to_lowercase()
}

/// Tell whether a body is compressed, which no route serves.
pub(crate) fn is_compressed(headers: &HeaderMap) -> bool {
    header(headers, "content-encoding").is_some_and(|encoding| {
        let encoding = encoding.trim_ascii();
        !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity")
    })
}

fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

/// Return the text in quotes, what is not printable escaped, as Python's `repr` does; at most 80 characters.
pub(crate) fn shown(text: &str) -> String {
    let end = text
        .char_indices()
        .nth(LONGEST_SHOWN)
        .map_or(text.len(), |(at, _)| at);
    let text = text.get(..end).unwrap_or(text);
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for character in text.chars() {
        match character {
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            _ if character == quote || character == '\\' => quoted.extend(['\\', character]),
            _ if is_printable(character) => quoted.push(character),
            _ => quoted.push_str(&escape(character)),
        }
    }
    quoted.push(quote);
    quoted
}

fn escape(character: char) -> String {
    match u32::from(character) {
        code @ ..0x100 => format!("\\x{code:02x}"),
        code @ ..0x1_0000 => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// Tell whether Python prints a character as it is: the standard library escapes the same categories.
fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    // behind another character, combining marks are not escaped
    let pair = ['a', character].iter().collect::<String>();
    pair.escape_debug().nth(1) == Some(character)
}

/// Return the names in brackets and quotes, as Python shows a list.
pub(crate) fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", names.join(", "))
}
