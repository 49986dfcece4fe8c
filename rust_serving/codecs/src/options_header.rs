//! A header's parameters, as forms have them: `form-data; name="image"; filename="a.png"`.

/// Return the value of the parameter `wanted`, unquoted; None if the header does not have it.
///
/// A parameter that is there twice has its last value. Names with a `*` are those of another syntax, which
/// forms do not have.
pub(crate) fn option(header: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    let mut value = None;
    for segment in segments(header).into_iter().skip(1) {
        let equals = segment
            .iter()
            .position(|byte| *byte == b'=')
            .unwrap_or(segment.len());
        let (name, rest) = segment.split_at(equals);
        if name == wanted {
            value = Some(unquoted(rest.strip_prefix(b"=").unwrap_or_default()));
        }
    }
    value
}

/// Split a header at its semicolons outside quotes; the names of parameters are in lower case.
fn segments(header: &[u8]) -> Vec<Vec<u8>> {
    let mut segments = Vec::new();
    let mut rest = Some(header);
    while let Some(text) = rest {
        let end = segment_end(text);
        let (segment, behind) = text.split_at(end);
        rest = behind.strip_prefix(b";");
        segments.push(tidied(segment));
    }
    segments
}

/// Return where the segment ends with which `text` begins: at a semicolon behind an even number of quotes, of
/// which those behind a backslash do not count.
fn segment_end(text: &[u8]) -> usize {
    let (mut quoted, mut before) = (false, 0);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'"' if before != b'\\' => quoted = !quoted,
            b';' if !quoted => return at,
            _ => {}
        }
        before = *byte;
    }
    text.len()
}

fn tidied(segment: &[u8]) -> Vec<u8> {
    let Some(equals) = segment.iter().position(|byte| *byte == b'=') else {
        return trimmed(segment).to_vec();
    };
    let (name, value) = segment.split_at(equals);
    let mut tidied = trimmed(name).to_ascii_lowercase();
    tidied.push(b'=');
    tidied.extend_from_slice(trimmed(value.get(1..).unwrap_or_default()));
    tidied
}

fn trimmed(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    let Some(inner) = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
    else {
        return value.to_vec();
    };
    replaced(&replaced(inner, *b"\\\\", b'\\'), *b"\\\"", b'"')
}

/// Replace each `pair` of bytes by one.
fn replaced(text: &[u8], pair: [u8; 2], by: u8) -> Vec<u8> {
    let mut made = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(pair.as_slice()) {
            made.push(by);
            rest = after;
        } else {
            made.push(first);
            rest = behind;
        }
    }
    made
}
