//! The Open Inference Protocol v2 over HTTP: parsing and checking of its requests.

use bytes::Bytes;
use http::HeaderMap;

use crate::call::{Call, Encoding, Parse, Write};
use crate::encodings::JSON;
use crate::inference_answers::{Inference, Wanted};
use crate::json;
use crate::numbers::whole_number;
use crate::oip_tensors::{self, Data, Tensor};
use crate::refusal::{Refusal, wrong};
use crate::signature::{INPUT, Output, Signature};
use crate::size_limits::check_json;
use crate::text::{header, is_compressed, listed, media_type, shown};
use crate::value::Value;

pub(crate) const OCTETS: &str = "application/octet-stream";
pub(crate) const HEADER: &str = "inference-header-content-length";

/// Choose how the body of an inference request is parsed.
///
/// # Errors
///
/// Returns a refusal with status 400 for a wrong length of the JSON, 415 for a type that is not served.
pub fn choose_infer(headers: &HeaderMap, _signature: &Signature) -> Result<Parse, Refusal> {
    if is_compressed(headers) {
        return Err(Refusal::new(
            415,
            "compressed bodies are not served: send no Content-Encoding",
        ));
    }
    let kind = media_type(header(headers, "content-type").unwrap_or_default());
    let Some(length) = header(headers, HEADER) else {
        if kind == OCTETS {
            return Err(wrong(
                "the header Inference-Header-Content-Length is missing: send the length of the JSON in bytes, \
                 or 0 if the body is the input itself",
            ));
        }
        check_type(&kind, &[JSON])?;
        return Ok(Parse {
            encoding: Encoding::Inference { header_bytes: None },
        });
    };
    let header_bytes = whole_number(length, None).ok_or_else(|| {
        wrong("Inference-Header-Content-Length is wrong: send the length of the JSON in bytes, or 0")
    })?;
    if header_bytes > 0 {
        check_type(&kind, &[OCTETS, JSON])?;
        return Ok(Parse {
            encoding: Encoding::Inference {
                header_bytes: Some(header_bytes),
            },
        });
    }
    check_type(&kind, &[OCTETS])?;
    Ok(Parse {
        encoding: Encoding::RawInference,
    })
}

fn check_type(kind: &str, served: &[&str]) -> Result<(), Refusal> {
    if kind.is_empty() || served.contains(&kind) {
        return Ok(());
    }
    let message = format!(
        "content type {} is not served here: send {}",
        shown(kind),
        served.join(" or ")
    );
    Err(Refusal::new(415, message))
}

/// Parse a body whose first `header_bytes` bytes are JSON, all bytes if None; refuses with 400.
pub(crate) fn parse(body: &Bytes, header_bytes: Option<u64>, signature: &Signature) -> Result<Call, Refusal> {
    let text = match header_bytes {
        None => body.as_ref(),
        Some(length) => usize::try_from(length)
            .ok()
            .and_then(|length| body.get(..length))
            .ok_or_else(|| {
                wrong(format!(
                    "Inference-Header-Content-Length is {length} and the body has {} bytes: \
                 send the length of the JSON in bytes",
                    body.len()
                ))
            })?,
    };
    check_json(signature, text)?;
    let request = json::parse(text)
        .map_err(|error| wrong(format!("this is not JSON ({error}): send an inference request")))?;
    if request.map().is_none() {
        return Err(wrong(r#"the JSON is not an object: send {"inputs": [...]}"#));
    }
    let parameters = Parameters::of("the request", &request)?;
    let input = input(signature, &request, &parameters)?;
    let items = oip_tensors::read(&input, body, header_bytes.map(|_| text.len()))?;
    let wanted = wanted(signature, &request, &parameters)?;
    let inference = Inference {
        identifier: identifier(&request)?,
        wanted,
        taken_as_text: input.is_taken_as_text(),
    };
    Ok(Call {
        items: items.into_iter().map(Ok).collect(),
        write: Write::Inference(inference),
    })
}

/// Parse a body that is nothing but the only input of one item; refuses with 400.
pub(crate) fn parse_raw(body: &Bytes, signature: &Signature) -> Result<Call, Refusal> {
    if body.is_empty() {
        return Err(wrong(format!("the body is empty: send the bytes of '{INPUT}'")));
    }
    let wanted = signature
        .outputs()
        .iter()
        .map(|output| Wanted {
            output: *output,
            binary: true,
        })
        .collect();
    let inference = Inference {
        identifier: None,
        wanted,
        taken_as_text: false,
    };
    Ok(Call {
        items: vec![Ok(body.clone())],
        write: Write::Inference(inference),
    })
}

fn identifier(request: &Value) -> Result<Option<String>, Refusal> {
    match request.field("id") {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.to_string())),
        Some(_) => Err(wrong("id is not a string: send it in quotes, or leave it out")),
    }
}

/// The parameters of the request, of an input or of an output; it may have none.
struct Parameters<'a> {
    whose: String,
    sent: Option<&'a Value<'a>>,
}

impl<'a> Parameters<'a> {
    fn of(whose: &str, sent: &'a Value<'a>) -> Result<Self, Refusal> {
        let parameters = Self {
            whose: whose.to_owned(),
            sent: sent.field("parameters"),
        };
        let Some(sent) = parameters.sent else {
            return Ok(parameters);
        };
        let Some(fields) = sent.map() else {
            return Err(wrong(format!(
                "the parameters of {whose} are not an object: send names and values, or none"
            )));
        };
        if fields
            .iter()
            .any(|(name, _)| name.text().is_some_and(|name| name.starts_with("shared_memory_")))
        {
            return Err(wrong(format!(
                "{whose} asks for shared memory, which is not served: send the data"
            )));
        }
        Ok(parameters)
    }

    fn field(&self, name: &str) -> Option<&'a Value<'a>> {
        self.sent?.field(name)
    }

    /// Return a parameter that is true or false, `default` if it is not there.
    fn flag(&self, name: &str, default: bool) -> Result<bool, Refusal> {
        match self.field(name) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => {
                let whose = &self.whose;
                Err(wrong(format!(
                    "{name} of {whose} is neither true nor false: send one of them"
                )))
            }
        }
    }
}

/// Return each tensor in the request's list with its place in `known`, in the order of the request.
fn named<'a>(
    kind: &str,
    sent: Option<&'a Value<'a>>,
    known: &[&str],
) -> Result<Vec<(usize, &'a Value<'a>)>, Refusal> {
    let sent = sent
        .and_then(Value::list)
        .filter(|tensors| tensors.iter().all(|tensor| tensor.map().is_some()))
        .ok_or_else(|| {
            wrong(format!(
                "{kind}s is not a list of objects: send one for each tensor"
            ))
        })?;
    let mut tensors: Vec<(usize, &Value)> = Vec::new();
    for tensor in sent {
        let Some(name) = tensor.field("name").and_then(Value::text) else {
            return Err(wrong(format!(
                "an {kind} has no name: give it one of {}",
                listed(known)
            )));
        };
        let Some(place) = known.iter().position(|one| *one == name) else {
            let (name, known) = (shown(name), listed(known));
            return Err(wrong(format!("there is no {kind} {name}: name one of {known}")));
        };
        if tensors.iter().any(|(other, _)| *other == place) {
            return Err(wrong(format!(
                "{kind} {} is there twice: send it once",
                shown(name)
            )));
        }
        tensors.push((place, tensor));
    }
    Ok(tensors)
}

/// Return the only input, its fields checked.
fn input<'a>(
    signature: &Signature,
    request: &'a Value<'a>,
    of_request: &Parameters<'a>,
) -> Result<Tensor<'a>, Refusal> {
    let named = named("input", request.field("inputs"), &[INPUT])?;
    let Some((_, sent)) = named.first() else {
        return Err(wrong(format!("input '{INPUT}' is missing: send it under inputs")));
    };
    if sent.field("datatype").and_then(Value::text) != Some("BYTES") {
        return Err(wrong(format!(
            "input '{INPUT}' has the wrong datatype: send BYTES"
        )));
    }
    let parameters = Parameters::of(&format!("input '{INPUT}'"), sent)?;
    let content_type = match parameters
        .field("content_type")
        .or_else(|| of_request.field("content_type"))
    {
        None => None,
        Some(Value::Text(text)) => Some(text.as_ref()),
        Some(_) => {
            return Err(wrong(format!(
                "the content_type of input '{INPUT}' is not a string: send text, or none"
            )));
        }
    };
    let data = match (parameters.field("binary_data_size"), sent.field("data")) {
        (None, data) => Data::Json(data),
        (Some(Value::Whole(bytes)), None) => Data::Binary(*bytes),
        (Some(Value::Whole(_)), Some(_)) => {
            return Err(wrong(format!(
                "input '{INPUT}' has data and binary_data_size: send one of them"
            )));
        }
        (Some(_), _) => {
            return Err(wrong(format!(
                "the binary_data_size of input '{INPUT}' is wrong: send its bytes"
            )));
        }
    };
    let shape = shape(sent.field("shape"), signature.max_items)?;
    Ok(Tensor {
        shape,
        data,
        content_type,
    })
}

/// Return the input's shape, `[n]` or `[n, 1]`.
fn shape(sent: Option<&Value>, most: usize) -> Result<Vec<usize>, Refusal> {
    let refused = |why: &str| {
        wrong(format!(
            "the shape of input '{INPUT}' is {why}: send [n] for n items"
        ))
    };
    let sizes: Option<Vec<u64>> = sent.and_then(Value::list).and_then(|sizes| {
        let whole = |size: &Value| {
            if let Value::Whole(size) = size {
                Some(*size)
            } else {
                None
            }
        };
        sizes.iter().map(whole).collect()
    });
    let sizes = sizes.ok_or_else(|| refused("no list of whole numbers"))?;
    let ([count] | [count, 1]) = sizes.as_slice() else {
        return Err(refused(&format!("of {} dimensions", sizes.len())));
    };
    match usize::try_from(*count) {
        Ok(items) if (1..=most).contains(&items) => Ok(if sizes.len() == 1 {
            vec![items]
        } else {
            vec![items, 1]
        }),
        _ => Err(wrong(format!(
            "input '{INPUT}' has {count} items: send 1 to {most}"
        ))),
    }
}

/// Return the outputs that the request asks for.
fn wanted<'a>(
    signature: &Signature,
    request: &'a Value<'a>,
    parameters: &Parameters<'a>,
) -> Result<Vec<Wanted>, Refusal> {
    let default = parameters.flag("binary_data_output", false)?;
    let outputs = signature.outputs();
    let sent = request.field("outputs");
    if sent.is_none_or(|sent| sent.list().is_some_and(<[_]>::is_empty)) {
        return Ok(outputs
            .iter()
            .map(|output| Wanted {
                output: *output,
                binary: default,
            })
            .collect());
    }
    let names: Vec<&str> = outputs.iter().map(|output| output.name()).collect();
    let mut wanted = Vec::new();
    for (place, tensor) in named("output", sent, &names)? {
        let Some(output) = outputs.get(place).copied() else {
            continue;
        };
        wanted.push(asked(output, tensor, default)?);
    }
    Ok(wanted)
}

/// Return an output as the request asks for it.
fn asked<'a>(output: Output, sent: &'a Value<'a>, default: bool) -> Result<Wanted, Refusal> {
    let parameters = Parameters::of(&format!("output '{}'", output.name()), sent)?;
    let classifies = match parameters.field("classification") {
        None | Some(Value::Whole(0) | Value::Bool(false)) => false,
        Some(Value::Number(number)) => *number != 0.0,
        Some(_) => true,
    };
    if classifies {
        return Err(wrong(format!(
            "{} asks for classification, which is not served: send no such parameter",
            parameters.whose
        )));
    }
    Ok(Wanted {
        output,
        binary: parameters.flag("binary_data", default)?,
    })
}
