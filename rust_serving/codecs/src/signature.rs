//! What the codecs must know about a model.

/// The name of the only input.
pub(crate) const INPUT: &str = "image";
/// The field of `/predict/` that holds several items.
pub(crate) const SEVERAL: &str = "images";

/// A model as its requests and answers name it.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The model's name.
    pub name: String,
    /// The model's version; None if it has none.
    pub version: Option<String>,
    /// What computes the model, as its metadata say.
    pub platform: String,
    /// The names of the classes, in the order of the network's outputs.
    pub labels: Vec<String>,
    /// Whether the network gives probabilities itself; then there is no output `logits`.
    pub softmax: bool,
    /// The most items that a request may have.
    pub max_items: usize,
}

/// One of the model's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Logits,
    Probabilities,
    Label,
}

impl Output {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Logits => "logits",
            Self::Probabilities => "probabilities",
            Self::Label => "label",
        }
    }

    pub(crate) fn datatype(self) -> &'static str {
        match self {
            Self::Logits | Self::Probabilities => "FP32",
            Self::Label => "BYTES",
        }
    }
}

impl Signature {
    /// Return the model's outputs in the order in which its metadata and answers name them.
    pub(crate) fn outputs(&self) -> &'static [Output] {
        if self.softmax {
            &[Output::Probabilities, Output::Label]
        } else {
            &[Output::Logits, Output::Probabilities, Output::Label]
        }
    }
}
