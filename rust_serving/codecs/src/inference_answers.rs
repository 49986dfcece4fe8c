//! The answers of the Open Inference Protocol, in JSON and binary data.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::call::{Answer, Outcome, Outputs};
use crate::encodings::JSON;
use crate::oip::{HEADER, OCTETS};
use crate::refusal::{Refusal, wrong};
use crate::signature::{Output, Signature};

/// What an inference request asks for.
#[derive(Clone, Debug)]
pub(crate) struct Inference {
    pub(crate) identifier: Option<String>,
    pub(crate) wanted: Vec<Wanted>,
    /// Whether the input was read as text only because it has no content type.
    pub(crate) taken_as_text: bool,
}

/// An output that the request asks for, as binary data or in the JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) output: Output,
    pub(crate) binary: bool,
}

/// Return the answer; the first refusal among the outcomes refuses the request.
pub(crate) fn write(
    signature: &Signature,
    inference: &Inference,
    outcomes: Vec<Outcome>,
) -> Result<Answer, Refusal> {
    let several = outcomes.len() > 1;
    let mut results = Vec::with_capacity(outcomes.len());
    for (index, outcome) in outcomes.into_iter().enumerate() {
        let result =
            outcome.map_err(|refusal| of_item(refusal, several.then_some(index), inference.taken_as_text))?;
        results.push(result);
    }
    let mut binary = Vec::new();
    let mut outputs = Vec::with_capacity(inference.wanted.len());
    for wanted in &inference.wanted {
        outputs.push(tensor(signature, *wanted, &results, &mut binary)?);
    }
    let head = Head {
        signature,
        identifier: inference.identifier.as_deref(),
        outputs,
    };
    let mut body = serde_json::to_vec(&head).map_err(|_| Refusal::fault())?;
    if !inference.wanted.iter().any(|wanted| wanted.binary) {
        return Ok(Answer {
            body,
            content_type: JSON,
            headers: Vec::new(),
        });
    }
    let headers = vec![(HEADER, body.len().to_string())];
    body.append(&mut binary);
    Ok(Answer {
        body,
        content_type: OCTETS,
        headers,
    })
}

/// Return the refusal of the whole request for that of an item, which `index` names among several.
fn of_item(mut refusal: Refusal, index: Option<usize>, taken_as_text: bool) -> Refusal {
    if let Some(index) = index {
        refusal.message = format!("item {index}: {}", refusal.message);
    }
    if refusal.status == 422 && taken_as_text {
        let hint = " (input 'image' was taken as text: is its parameter content_type to be \"base64\"?)";
        refusal.message.push_str(hint);
    }
    refusal
}

/// One output's JSON.
struct Tensor<'a> {
    output: Output,
    shape: Vec<usize>,
    data: Data<'a>,
}

enum Data<'a> {
    Numbers(Vec<f32>),
    Texts(Vec<&'a str>),
    /// The size of the data behind the JSON.
    BinaryBytes(usize),
}

/// Return one output's JSON; append its binary data, if it has any, to `binary`.
fn tensor<'a>(
    signature: &'a Signature,
    wanted: Wanted,
    results: &[Outputs],
    binary: &mut Vec<u8>,
) -> Result<Tensor<'a>, Refusal> {
    let output = wanted.output;
    let (mut shape, data) = match output {
        Output::Label => (
            vec![],
            Data::Texts(labels(signature, results).ok_or_else(Refusal::fault)?),
        ),
        Output::Logits | Output::Probabilities => {
            let numbers = numbers(signature, output, results).ok_or_else(Refusal::fault)?;
            (vec![signature.labels.len()], Data::Numbers(numbers))
        }
    };
    shape.insert(0, results.len());
    let begin = binary.len();
    let data = match data {
        Data::Numbers(numbers) if wanted.binary => {
            binary.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            Data::BinaryBytes(binary.len() - begin)
        }
        Data::Texts(texts) if wanted.binary => {
            for text in texts {
                let length = u32::try_from(text.len()).map_err(|_| Refusal::fault())?;
                binary.extend_from_slice(&length.to_le_bytes());
                binary.extend_from_slice(text.as_bytes());
            }
            Data::BinaryBytes(binary.len() - begin)
        }
        Data::Numbers(numbers) if !numbers.iter().all(|number| number.is_finite()) => {
            return Err(wrong(format!(
                "output '{}' holds NaN or infinity, which JSON cannot carry: \
                 request it with its parameter binary_data true",
                output.name()
            )));
        }
        data => data,
    };
    Ok(Tensor { output, shape, data })
}

/// Return the items' labels; None if an item's outputs do not fit the model.
fn labels<'a>(signature: &'a Signature, results: &[Outputs]) -> Option<Vec<&'a str>> {
    results
        .iter()
        .map(|result| Some(signature.labels.get(result.label)?.as_str()))
        .collect()
}

/// Return the items' numbers one after another; None if an item's outputs do not fit the model.
#[expect(
    clippy::cast_possible_truncation,
    reason = "probabilities are computed in FP64 and sent as FP32"
)]
fn numbers(signature: &Signature, output: Output, results: &[Outputs]) -> Option<Vec<f32>> {
    let classes = signature.labels.len();
    let mut numbers = Vec::with_capacity(results.len() * classes);
    for result in results {
        let before = numbers.len();
        match output {
            Output::Logits => numbers.extend_from_slice(result.logits.as_ref()?),
            _ => numbers.extend(result.probabilities.iter().map(|probability| *probability as f32)),
        }
        if numbers.len() - before != classes {
            return None;
        }
    }
    Some(numbers)
}

/// An answer's JSON.
struct Head<'a> {
    signature: &'a Signature,
    identifier: Option<&'a str>,
    outputs: Vec<Tensor<'a>>,
}

impl Serialize for Head<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model_name", &self.signature.name)?;
        if let Some(version) = &self.signature.version {
            map.serialize_entry("model_version", version)?;
        }
        if let Some(identifier) = self.identifier {
            map.serialize_entry("id", identifier)?;
        }
        map.serialize_entry("outputs", &self.outputs)?;
        map.end()
    }
}

impl Serialize for Tensor<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.output.name())?;
        map.serialize_entry("datatype", self.output.datatype())?;
        map.serialize_entry("shape", &self.shape)?;
        match &self.data {
            Data::Numbers(numbers) => map.serialize_entry("data", numbers)?,
            Data::Texts(texts) => map.serialize_entry("data", texts)?,
            Data::BinaryBytes(bytes) => map.serialize_entry("parameters", &BinarySize(*bytes))?,
        }
        map.end()
    }
}

struct BinarySize(usize);

impl Serialize for BinarySize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("binary_data_size", &self.0)?;
        map.end()
    }
}
