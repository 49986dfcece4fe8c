//! An exported network in ONNX Runtime: from normalised crops to scores.

use std::path::Path;

use crate::start_error::StartError;

/// The name that metadata, logs and metrics give the engine; the `platform` of the protocol.
pub const NAME: &str = "onnx";

/// What an engine must know of a classifier's network beside its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Height and width of the input.
    pub crop: usize,
    /// The number of classes.
    pub classes: usize,
    /// Whether the network gives probabilities, in an output of that name, and not logits.
    pub softmax: bool,
}

/// One session for all threads; each calling thread computes on one core.
pub struct Engine {}

impl Engine {
    /// Opens the graph at `path` without optimising it, and compares it with its manifest.
    ///
    /// # Errors
    /// If the file is not a graph, or not this network.
    pub fn load(path: &Path, network: Network) -> Result<Self, StartError> {
        let _ = (path, network);
        Err(StartError("not written yet".to_owned()))
    }

    /// The number of floats of an input: 3 · crop · crop.
    #[must_use]
    pub fn input_len(&self) -> usize {
        0
    }

    /// Computes an example, so that the first request is as fast as any, and checks what comes back.
    ///
    /// # Errors
    /// If the network computes nothing, or gives other outputs than its manifest says.
    pub fn warm(&self) -> Result<(), StartError> {
        Ok(())
    }

    /// Returns the network's scores of one input, float32 `[3, crop, crop]` normalised: logits, or probabilities if
    /// the network gives these. Called from several threads at once.
    ///
    /// # Errors
    /// If the network cannot compute it: a fault of the service, whose text goes to the log and not to the client.
    pub fn predict(&self, input: &[f32]) -> Result<Vec<f32>, Uncomputable> {
        let _ = input;
        Err(Uncomputable(String::new()))
    }

    /// Returns probabilities and label for scores; None if they are not finite ([`NOT_FINITE`] is the message, 500).
    #[must_use]
    pub fn finish(&self, scores: &[f32]) -> Option<Ranked> {
        let _ = scores;
        None
    }
}

/// The message to a client, with status 500, if the network's answer is not finite.
pub const NOT_FINITE: &str = "the model gave no finite answer to this image: report it with the request's id";

/// The network failed; the text says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncomputable(pub String);

/// The probability of each class, and the place of the highest.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// The softmax of the logits, in float64.
    pub probabilities: Vec<f64>,
    /// The place of the first highest probability.
    pub label: usize,
}
