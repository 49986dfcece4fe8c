//! The encodings of `/predict/` and `/{model}/predict`: the choice by a request's headers, and the parsers.

use bytes::Bytes;
use http::HeaderMap;

use crate::answers::Format;
use crate::call::{Call, Encoding, Parse};
use crate::refusal::{Refusal, wrong};
use crate::signature::{INPUT, SEVERAL, Signature};
use crate::size_limits::{check_json, limits_of};
use crate::text::{header, is_compressed, media_type, shown};
use crate::value::Value;
use crate::{base64, forms, json, msgpack, query};

pub(crate) const JSON: &str = "application/json";
pub(crate) const MSGPACK: &str = "application/msgpack";
const FORM: &str = "multipart/form-data";
const RAW: [&str; 4] = [
    "application/octet-stream",
    "image/jpeg",
    "image/png",
    "image/webp",
];
/// Of a message, the form of an object with one item.
const HINT: &str = r#"{"image": "<base64>"}"#;
const PACKED_HINT: &str = r#"{"image": <bytes>}"#;

/// Choose how the body of a request to `/predict/` is parsed.
///
/// # Errors
///
/// Returns a refusal with status 400 for a wrong query or boundary, 415 for a type that is not served.
pub fn choose_predict(
    headers: &HeaderMap,
    query: Option<&str>,
    _signature: &Signature,
) -> Result<Parse, Refusal> {
    if is_compressed(headers) {
        return Err(Refusal::new(
            415,
            "compressed bodies are not served: send no Content-Encoding",
        ));
    }
    let top_k = query::top_k(query.unwrap_or_default())?;
    let sent = header(headers, "content-type").unwrap_or_default();
    let encoding = match media_type(sent).as_str() {
        JSON => Encoding::Json { top_k },
        MSGPACK => Encoding::Msgpack { top_k },
        FORM => Encoding::Form {
            top_k,
            boundary: forms::boundary_of(sent)?,
        },
        kind if RAW.contains(&kind) => Encoding::Raw { top_k },
        kind => return Err(not_served(kind)),
    };
    Ok(Parse { encoding })
}

fn not_served(kind: &str) -> Refusal {
    let what = if kind.is_empty() {
        "the content type is missing".to_owned()
    } else {
        format!("content type {} is not served", shown(kind))
    };
    let raw = RAW.join(", ");
    Refusal::new(
        415,
        format!("{what}: send one of {JSON}, {MSGPACK}, {raw}, {FORM}"),
    )
}

/// Parse one item, or a list of items; refuses with 400.
pub(crate) fn parse_json(body: &Bytes, top_k: Option<u64>, signature: &Signature) -> Result<Call, Refusal> {
    check_not_empty(body)?;
    // nearly every request is a single string: then nothing but the base64 is read
    if let Some(content) = json::only_string(body, INPUT).and_then(base64::decode)
        && !content.is_empty()
    {
        return Ok(Call::predict(
            vec![Ok(content.into())],
            Format::Json,
            top_k,
            false,
        ));
    }
    check_json(signature, body)?;
    let sent =
        json::parse(body).map_err(|error| wrong(format!("the body is not JSON ({error}): send {HINT}")))?;
    call(signature, Format::Json, top_k, &sent, from_json)
}

/// Parse one item, or a list of items; refuses with 400.
pub(crate) fn parse_msgpack(
    body: &Bytes,
    top_k: Option<u64>,
    signature: &Signature,
) -> Result<Call, Refusal> {
    check_not_empty(body)?;
    let sent = msgpack::parse(body, &limits_of(signature)).map_err(|fault| match fault {
        msgpack::Fault::LongList(count) => {
            let most = signature.max_items;
            wrong(format!(
                "the msgpack has a list of {count} items: send 1 to {most}"
            ))
        }
        msgpack::Fault::Other(why) => wrong(format!("the body is not msgpack ({why}): send {PACKED_HINT}")),
    })?;
    call(signature, Format::Msgpack, top_k, &sent, |value| {
        from_msgpack(body, value)
    })
}

/// Take the body as the only input of one item; refuses with 400.
pub(crate) fn parse_raw(body: &Bytes, top_k: Option<u64>) -> Result<Call, Refusal> {
    check_not_empty(body)?;
    Ok(Call::predict(vec![Ok(body.clone())], Format::Json, top_k, false))
}

/// Take each file of a form as the only input of an item; refuses with 400.
pub(crate) fn parse_form(
    body: &Bytes,
    boundary: &[u8],
    top_k: Option<u64>,
    signature: &Signature,
) -> Result<Call, Refusal> {
    check_not_empty(body)?;
    let files = forms::files_of(boundary, body, signature.max_items)?;
    let mut items: Vec<_> = files.into_iter().map(|file| checked(body.slice(file))).collect();
    let several = items.len() != 1;
    if !several {
        items = vec![Ok(items.remove(0)?)];
    }
    Ok(Call::predict(items, Format::Json, top_k, several))
}

fn check_not_empty(body: &Bytes) -> Result<(), Refusal> {
    if body.is_empty() {
        return Err(wrong(format!("the body is empty: send {HINT}")));
    }
    Ok(())
}

/// Return the call of a parsed JSON or msgpack body, its values converted with `read`; refuses with 400.
fn call(
    signature: &Signature,
    format: Format,
    top_k: Option<u64>,
    sent: &Value,
    read: impl Fn(&Value) -> Result<Bytes, Refusal>,
) -> Result<Call, Refusal> {
    let Some(several) = sent.only_field(SEVERAL) else {
        let value = sent.only_field(INPUT).ok_or_else(|| {
            let (name, hint) = match format {
                Format::Json => ("JSON", HINT),
                Format::Msgpack => ("msgpack", PACKED_HINT),
            };
            wrong(format!(
                "the {name} has the wrong fields: send {hint} and nothing else"
            ))
        })?;
        return Ok(Call::predict(vec![Ok(read(value)?)], format, top_k, false));
    };
    let most = signature.max_items;
    let values = several
        .list()
        .ok_or_else(|| wrong(format!("{SEVERAL} is not a list: send 1 to {most} in one")))?;
    if !(1..=most).contains(&values.len()) {
        return Err(wrong(format!(
            "{SEVERAL} has {} items: send 1 to {most}",
            values.len()
        )));
    }
    Ok(Call::predict(
        values.iter().map(read).collect(),
        format,
        top_k,
        true,
    ))
}

/// Convert a value sent in JSON: base64; refuses with 400.
fn from_json(sent: &Value) -> Result<Bytes, Refusal> {
    let text = sent
        .text()
        .ok_or_else(|| wrong(format!("the {INPUT} is not a string: send base64")))?;
    let content = base64::decode(text.as_bytes()).ok_or_else(|| {
        wrong(format!(
            "the {INPUT} is not base64 ({}): encode its bytes with padding",
            base64::fault(text)
        ))
    })?;
    if content.is_empty() {
        return Err(wrong(format!(
            "the {INPUT} is empty: send the base64 of its bytes"
        )));
    }
    Ok(content.into())
}

/// Convert a value sent in msgpack: bytes; refuses with 400.
fn from_msgpack(body: &Bytes, sent: &Value) -> Result<Bytes, Refusal> {
    match sent {
        // the value is a part of the body
        Value::Bytes(content) => checked(body.slice_ref(content)),
        _ => Err(wrong(format!(
            "the {INPUT} is not binary: send its bytes as msgpack's bin"
        ))),
    }
}

/// Return an image whose bytes were sent unencoded; refuses with 400.
fn checked(content: Bytes) -> Result<Bytes, Refusal> {
    if content.is_empty() {
        return Err(wrong(format!("the {INPUT} is empty: send its bytes")));
    }
    Ok(content)
}
