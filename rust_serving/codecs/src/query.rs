//! The query of `/predict/`: `top_k`, or nothing.

use percent_encoding::percent_decode;

use crate::numbers::whole_number;
use crate::refusal::{Refusal, wrong};
use crate::text::{latin1, shown};

/// A `top_k` of more digits than are read means this many.
const MOST_CLASSES: u64 = 1_000_000_000;

/// Return the query's `top_k`, None if the query does not set it; refuses with 400.
pub(crate) fn top_k(query: &str) -> Result<Option<u64>, Refusal> {
    // a client that joins its fields with an empty list of fields leaves these
    let field = query.trim_matches('&');
    if field.contains('&') {
        return Err(wrong(
            "the query has more than one parameter: send top_k once, or none",
        ));
    }
    if field.is_empty() {
        return Ok(None);
    }
    let (name, value) = field.split_once('=').unwrap_or((field, ""));
    let name = decoded(name);
    if name != "top_k" {
        return Err(wrong(format!(
            "there is no query parameter {}: send top_k, or none",
            shown(&name)
        )));
    }
    let value = decoded(value);
    let number = if value.starts_with('0') {
        None
    } else {
        whole_number(value.as_bytes(), Some(MOST_CLASSES))
    };
    number
        .map(Some)
        .ok_or_else(|| wrong("top_k is wrong: send a whole number from 1"))
}

/// Return a part of the query with its escapes read, as UTF-8; bytes outside ASCII are latin-1.
fn decoded(part: &str) -> String {
    let part = latin1(part.as_bytes()).replace('+', " ");
    // an escape belongs only to the ASCII around it
    part.as_bytes()
        .chunk_by(|one, next| one.is_ascii() == next.is_ascii())
        .map(|run| percent_decode(run).decode_utf8_lossy())
        .collect()
}
