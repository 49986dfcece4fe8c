//! The data of an inference request's input: strings in JSON, nested or flat, or binary elements.

use bytes::Bytes;

use crate::base64;
use crate::refusal::{Refusal, wrong};
use crate::signature::INPUT;
use crate::value::Value;

/// The size of the length that precedes each binary element.
const LENGTH_BYTES: usize = 4;

/// The input as its JSON describes it.
pub(crate) struct Tensor<'a> {
    /// `[n]` or `[n, 1]`.
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Data<'a>,
    /// What the strings in JSON hold.
    pub(crate) content_type: Option<&'a str>,
}

/// Where the input's elements are.
pub(crate) enum Data<'a> {
    /// In the JSON; None if it lacks them.
    Json(Option<&'a Value<'a>>),
    /// Behind the JSON, in so many bytes.
    Binary(u64),
}

impl Tensor<'_> {
    /// Tell whether the input is read as text only because no content type says that it is base64.
    pub(crate) fn is_taken_as_text(&self) -> bool {
        matches!(self.data, Data::Json(_)) && self.content_type.is_none()
    }
}

/// Return one value for each item; refuses with 400.
///
/// `header_bytes` is the length of the JSON if binary data may follow it.
pub(crate) fn read(
    tensor: &Tensor,
    body: &Bytes,
    header_bytes: Option<usize>,
) -> Result<Vec<Bytes>, Refusal> {
    let begin = header_bytes.unwrap_or(body.len());
    let (items, end) = match tensor.data {
        Data::Json(data) => (strings(tensor, data)?, begin),
        Data::Binary(_) if header_bytes.is_none() => {
            return Err(wrong(format!(
                "input '{INPUT}' is binary and the header Inference-Header-Content-Length is missing: \
                 send it with the length of the JSON in bytes"
            )));
        }
        Data::Binary(size) => {
            let end = begin as u128 + u128::from(size);
            let end = usize::try_from(end)
                .ok()
                .filter(|end| *end <= body.len())
                .ok_or_else(|| {
                    wrong(format!(
                        "the body ends {} bytes too early for input '{INPUT}': \
                     send as many as its binary_data_size says",
                        end - body.len() as u128
                    ))
                })?;
            let count = tensor.shape.first().copied().unwrap_or_default();
            (elements(count, body, begin, end)?, end)
        }
    };
    if end != body.len() {
        return Err(wrong(format!(
            "the body has {} bytes after the last input: send as many as the binary_data_size of each says",
            body.len() - end
        )));
    }
    Ok(items)
}

/// Return the items that are sent as strings in JSON.
fn strings(tensor: &Tensor, data: Option<&Value>) -> Result<Vec<Bytes>, Refusal> {
    let texts: Option<Vec<&str>> = flat(&tensor.shape, data)?.into_iter().map(Value::text).collect();
    let texts = texts.ok_or_else(|| {
        wrong(format!(
            "the data of input '{INPUT}' are not all strings: send BYTES as strings"
        ))
    })?;
    match tensor.content_type {
        Some("base64") => texts.into_iter().map(from_base64).collect(),
        // the content types, from MLServer's codecs, that mark text
        None | Some("str" | "np" | "pd") => Ok(texts
            .into_iter()
            .map(|text| Bytes::copy_from_slice(text.as_bytes()))
            .collect()),
        Some(_) => Err(wrong(format!(
            "input '{INPUT}' has a content_type that is not served: \
             send \"base64\" for base64, or \"str\" for text"
        ))),
    }
}

fn from_base64(text: &str) -> Result<Bytes, Refusal> {
    base64::decode(text.as_bytes()).map(Bytes::from).ok_or_else(|| {
        wrong(format!(
            "input '{INPUT}' is not base64 ({}): encode its bytes with padding",
            base64::fault(text)
        ))
    })
}

/// Return a tensor's elements in row-major order.
fn flat<'a>(shape: &[usize], data: Option<&'a Value<'a>>) -> Result<Vec<&'a Value<'a>>, Refusal> {
    let count = shape.iter().product::<usize>();
    let Some(list) = data.and_then(Value::list) else {
        let what = if data.is_none() {
            "has no data"
        } else {
            "has data that is not a list"
        };
        return Err(wrong(format!(
            "input '{INPUT}' {what}: send a list of {count} elements, nested or flat"
        )));
    };
    if list.first().is_none_or(|first| first.list().is_none()) {
        if list.len() != count {
            let elements = list.len();
            return Err(wrong(format!(
                "input '{INPUT}' has {elements} elements: its shape {shape:?} needs {count}"
            )));
        }
        return Ok(list.iter().collect());
    }
    let mut level: Vec<&Value> = data.into_iter().collect();
    for size in shape {
        let parts: Option<Vec<&[Value]>> = level
            .iter()
            .map(|part| part.list().filter(|part| part.len() == *size))
            .collect();
        let parts = parts.ok_or_else(|| {
            wrong(format!(
                "the data of input '{INPUT}' are not nested as its shape {shape:?} is: send them flat"
            ))
        })?;
        level = parts.into_iter().flatten().collect();
    }
    Ok(level)
}

/// Return the `count` elements that are `body[at..end]`, each behind its length.
fn elements(count: usize, body: &Bytes, mut at: usize, end: usize) -> Result<Vec<Bytes>, Refusal> {
    let mut elements = Vec::new();
    for _ in 0..count {
        let element = element_at(body.get(at..end).unwrap_or_default()).ok_or_else(|| {
            wrong(format!(
                "the bytes of input '{INPUT}' end within its {count} elements: \
                 send for each its length as a little-endian u32, then its bytes"
            ))
        })?;
        let begin = at + LENGTH_BYTES;
        at = begin + element;
        elements.push(body.slice(begin..at));
    }
    if at != end {
        return Err(wrong(format!(
            "input '{INPUT}' has {} bytes after its {count} elements: send as many as its shape says",
            end - at
        )));
    }
    Ok(elements)
}

/// Return the length of the element that begins `bytes`; None if it is not there whole.
fn element_at(bytes: &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    (length <= rest.len()).then_some(length)
}
