//! A parsed request: its items, and how their outcomes are written as its answer.

use bytes::Bytes;

use crate::answers::{self, Format};
use crate::inference_answers::{self, Inference};
use crate::refusal::Refusal;
use crate::signature::Signature;
use crate::{encodings, oip};

/// One image's outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// The scores of the classes; None if the network gives probabilities itself.
    pub logits: Option<Vec<f32>>,
    /// The probabilities of the classes.
    pub probabilities: Vec<f64>,
    /// The index of the most probable class.
    pub label: usize,
}

/// What became of one item.
pub type Outcome = Result<Outputs, Refusal>;

/// The content of a response with status 200.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The body.
    pub body: Vec<u8>,
    /// The header `Content-Type`.
    pub content_type: &'static str,
    /// Further headers, their names in lower case.
    pub headers: Vec<(&'static str, String)>,
}

/// How a request's body is parsed, as its headers and query say.
#[derive(Clone, Debug)]
pub struct Parse {
    pub(crate) encoding: Encoding,
}

/// The encodings of bodies.
#[derive(Clone, Debug)]
pub(crate) enum Encoding {
    Json {
        top_k: Option<u64>,
    },
    Msgpack {
        top_k: Option<u64>,
    },
    Raw {
        top_k: Option<u64>,
    },
    Form {
        top_k: Option<u64>,
        boundary: Vec<u8>,
    },
    /// An inference request whose first bytes, or all if None, are JSON.
    Inference {
        header_bytes: Option<u64>,
    },
    RawInference,
}

impl Parse {
    /// Parse a whole body.
    ///
    /// # Errors
    ///
    /// Returns a refusal with status 400.
    pub fn parse(&self, body: &Bytes, signature: &Signature) -> Result<Call, Refusal> {
        match &self.encoding {
            Encoding::Json { top_k } => encodings::parse_json(body, *top_k, signature),
            Encoding::Msgpack { top_k } => encodings::parse_msgpack(body, *top_k, signature),
            Encoding::Raw { top_k } => encodings::parse_raw(body, *top_k),
            Encoding::Form { top_k, boundary } => encodings::parse_form(body, boundary, *top_k, signature),
            Encoding::Inference { header_bytes } => oip::parse(body, *header_bytes, signature),
            Encoding::RawInference => oip::parse_raw(body, signature),
        }
    }
}

/// One request's items; if an item of several could not be read, its refusal stands in its place.
#[derive(Clone, Debug)]
pub struct Call {
    /// The encoded images.
    pub items: Vec<Result<Bytes, Refusal>>,
    pub(crate) write: Write,
}

/// How outcomes are written.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Predict {
        format: Format,
        top_k: Option<u64>,
        several: bool,
    },
    Inference(Inference),
}

impl Call {
    /// Return the call of a request to `/predict/`; `several` says whether its answer is a list.
    pub(crate) fn predict(
        items: Vec<Result<Bytes, Refusal>>,
        format: Format,
        top_k: Option<u64>,
        several: bool,
    ) -> Self {
        Self {
            items,
            write: Write::Predict {
                format,
                top_k,
                several,
            },
        }
    }

    /// Write the outcomes of all items, in their order; an item that is a refusal has itself as its outcome.
    ///
    /// # Errors
    ///
    /// Returns a refusal if an outcome means that the whole request is refused; status 500 if the outcomes
    /// are not those of the items or do not fit the model.
    pub fn encode(&self, signature: &Signature, outcomes: Vec<Outcome>) -> Result<Answer, Refusal> {
        if outcomes.len() != self.items.len() {
            return Err(Refusal::fault());
        }
        match &self.write {
            Write::Predict {
                format,
                top_k,
                several,
            } => answers::write(signature, *format, *top_k, *several, &outcomes),
            Write::Inference(inference) => inference_answers::write(signature, inference, outcomes),
        }
    }
}
