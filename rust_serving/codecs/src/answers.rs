//! The answers of `/predict/`, in JSON and msgpack.
//!
//! The answer is an item's object, or a list with an object or an error for each item.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::call::{Answer, Outcome, Outputs};
use crate::encodings::{JSON, MSGPACK};
use crate::refusal::Refusal;
use crate::signature::Signature;

/// The formats of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Msgpack,
}

/// Return the answer, a list if `several`; the refusal of an only item refuses the request.
pub(crate) fn write(
    signature: &Signature,
    format: Format,
    top_k: Option<u64>,
    several: bool,
    outcomes: &[Outcome],
) -> Result<Answer, Refusal> {
    let mut places = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        places.push(match outcome {
            Ok(outputs) => match prediction(signature, outputs, top_k) {
                Some(prediction) => Place::Prediction(prediction),
                None if several => Place::Error(Refusal::fault().message),
                None => return Err(Refusal::fault()),
            },
            Err(refusal) if several => Place::Error(refusal.message.clone()),
            Err(refusal) => return Err(refusal.clone()),
        });
    }
    let (body, content_type) = match (format, several) {
        (Format::Json, true) => (serde_json::to_vec(&places).ok(), JSON),
        (Format::Json, false) => (serde_json::to_vec(&places.first()).ok(), JSON),
        (Format::Msgpack, true) => (rmp_serde::to_vec(&places).ok(), MSGPACK),
        (Format::Msgpack, false) => (rmp_serde::to_vec(&places.first()).ok(), MSGPACK),
    };
    let body = body.ok_or_else(Refusal::fault)?;
    Ok(Answer {
        body,
        content_type,
        headers: Vec::new(),
    })
}

/// What stands in an item's place.
enum Place<'a> {
    Prediction(Prediction<'a>),
    Error(String),
}

struct Prediction<'a> {
    label: &'a str,
    classes: Classes<'a>,
}

/// The probability of every class in the manifest's order, or of the best.
enum Classes<'a> {
    All(Vec<Class<'a>>),
    Best(Vec<Class<'a>>),
}

#[derive(Clone, Copy)]
struct Class<'a> {
    label: &'a str,
    probability: f64,
}

/// Return what is answered to one image; None if the outputs do not fit the model.
fn prediction<'a>(signature: &'a Signature, outputs: &Outputs, top_k: Option<u64>) -> Option<Prediction<'a>> {
    let label = signature.labels.get(outputs.label)?;
    if outputs.probabilities.len() != signature.labels.len() {
        return None;
    }
    let named = signature.labels.iter().zip(&outputs.probabilities);
    let mut classes: Vec<Class> = named
        .map(|(label, probability)| Class {
            label,
            probability: *probability,
        })
        .collect();
    let classes = if let Some(count) = top_k {
        // equal ones stay in the manifest's order
        classes.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        classes.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        Classes::Best(classes)
    } else {
        Classes::All(classes)
    };
    Some(Prediction { label, classes })
}

impl Serialize for Place<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Prediction(prediction) => prediction.serialize(serializer),
            Self::Error(message) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("error", message)?;
                map.end()
            }
        }
    }
}

impl Serialize for Prediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("prediction", self.label)?;
        match &self.classes {
            Classes::All(classes) => map.serialize_entry("probabilities", &ByLabel(classes))?,
            Classes::Best(classes) => map.serialize_entry("top_k", classes)?,
        }
        map.end()
    }
}

struct ByLabel<'a>(&'a [Class<'a>]);

impl Serialize for ByLabel<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for class in self.0 {
            map.serialize_entry(class.label, &class.probability)?;
        }
        map.end()
    }
}

impl Serialize for Class<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("class", self.label)?;
        map.serialize_entry("probability", &self.probability)?;
        map.end()
    }
}
