//! An exported network in ONNX Runtime: from normalised crops to scores.

mod graph;
mod runtime;

use std::ffi::{CStr, CString};
use std::path::Path;

use ort::session::Session;
use ort::value::{TensorRef, TensorRefMut};

use crate::native;
use crate::start_error::StartError;
use graph::{check_outputs, differences};

/// The name that metadata, logs and metrics give the engine; the `platform` of the protocol.
pub const NAME: &str = "onnx";
/// The message to a client, with status 500, if the network's answer is not finite.
pub const NOT_FINITE: &str = "the model gave no finite answer to this image: report it with the request's id";

/// The graph's input, float32 [n, 3, crop, crop].
const INPUT: &CStr = c"input";
/// How often an example is computed once it was checked: memory is laid out after the first time.
const WARM_RUNS: usize = 1;
/// By how much the probabilities of a network that has the softmax inside may miss a sum of 1.
const ROUNDING: f64 = 0.01;
/// How much of what ONNX Runtime says is in an error at the start, in characters.
const LONGEST_CAUSE: usize = 200;

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

impl Network {
    /// The graph's output, float32 [n, classes].
    fn output(&self) -> &'static str {
        if self.softmax { "probabilities" } else { "logits" }
    }

    fn input_len(&self) -> usize {
        self.crop.saturating_mul(self.crop).saturating_mul(3)
    }
}

/// One session for all threads; each calling thread computes on one core.
pub struct Engine {
    session: Session,
    network: Network,
    output: CString,
}

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

impl Engine {
    /// Opens the graph at `path` without optimising it, computes an example, and compares both with the manifest.
    ///
    /// # Errors
    /// If ONNX Runtime cannot be loaded, or if the file is not a graph, or not this network.
    pub fn load(path: &Path, network: Network) -> Result<Self, StartError> {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let mut session = runtime::open(path, &file)?;
        let wrong = differences(network, session.inputs(), session.outputs());
        if !wrong.is_empty() {
            return Err(StartError(format!(
                "{file} differs from its manifest ({wrong}): publish the graph and its manifest again"
            )));
        }
        check_outputs(network, &mut session, &example(network))?;
        let output = CString::new(network.output()).unwrap_or_default();
        Ok(Self {
            session,
            network,
            output,
        })
    }

    /// The number of floats of an input: 3 · crop · crop.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.network.input_len()
    }

    /// Computes an example, so that the first request is as fast as any, and checks what comes back.
    ///
    /// # Errors
    /// If the network computes nothing, or gives other outputs than its manifest says.
    pub fn warm(&self) -> Result<(), StartError> {
        let input = example(self.network);
        let mut scores = Vec::new();
        for _ in 0..WARM_RUNS {
            scores = self
                .predict(&input)
                .map_err(|error| no_image(self.network, &error.0))?;
        }
        let sum: f64 = scores.iter().copied().map(f64::from).sum();
        if self.network.softmax && (sum - 1.0).abs() > ROUNDING {
            return Err(StartError(format!(
                "the model's probabilities sum to {}: publish it without softmax in its manifest",
                three_digits(sum)
            )));
        }
        Ok(())
    }

    /// Returns the network's scores of one input, float32 `[3, crop, crop]` normalised: logits, or probabilities if
    /// the network gives these. Called from several threads at once.
    ///
    /// # Errors
    /// If the network cannot compute it: a fault of the service, whose text goes to the log and not to the client.
    pub fn predict(&self, input: &[f32]) -> Result<Vec<f32>, Uncomputable> {
        let mut scores = vec![0.0; self.network.classes];
        self.run(input, &mut scores)
            .map_err(|error| Uncomputable(error.to_string()))?;
        Ok(scores)
    }

    fn run(&self, input: &[f32], scores: &mut [f32]) -> ort::Result<()> {
        let Network { crop, classes, .. } = self.network;
        let input = TensorRef::from_array_view(([1, 3, crop, crop], input))?;
        let mut output = TensorRefMut::from_array_view_mut(([1, classes], scores))?;
        native::run(&self.session, (INPUT, &input), (&self.output, &mut output))
    }

    /// Returns probabilities and label for scores; None if they are not finite ([`NOT_FINITE`] is the message, 500).
    #[must_use]
    pub fn finish(&self, scores: &[f32]) -> Option<Ranked> {
        let scores: Vec<f64> = scores.iter().copied().map(f64::from).collect();
        let probabilities = if self.network.softmax {
            scores
        } else {
            softmax(&scores)
        };
        if !probabilities.iter().all(|probability| probability.is_finite()) {
            return None;
        }
        let label = first_highest(&probabilities)?;
        Some(Ranked { probabilities, label })
    }
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Returns the place of the first highest value; None if there is no value.
fn first_highest(values: &[f64]) -> Option<usize> {
    let mut places = values.iter().enumerate();
    let first = places.next()?;
    let highest = places.fold(first, |best, next| if next.1 > best.1 { next } else { best });
    Some(highest.0)
}

/// Returns an input with values that normalised pixels have, the same at each start.
fn example(network: Network) -> Vec<f32> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [.., level] = state.to_be_bytes().map(f32::from);
        let [level_high, ..] = state.to_be_bytes().map(f32::from);
        (level_high + level / 256.0) / 64.0 - 2.0
    };
    std::iter::repeat_with(next).take(network.input_len()).collect()
}

/// Returns why the service does not start with a network that computes no example.
fn no_image(network: Network, cause: &str) -> StartError {
    let words: Vec<&str> = cause.split_whitespace().collect();
    let cause: String = words.join(" ").chars().take(LONGEST_CAUSE).collect();
    StartError(format!(
        "the model computes no image of crop {} ({cause}): publish the model and its manifest again",
        network.crop
    ))
}

/// Writes a number with three digits that count.
fn three_digits(value: f64) -> String {
    format!("{value:.2e}")
        .parse::<f64>()
        .map_or_else(|_| value.to_string(), |rounded| rounded.to_string())
}

#[cfg(test)]
mod tests;
