//! The encodings of requests and answers: `/predict/` and the Open Inference Protocol, as pure functions.
//!
//! A model takes one input, `image` (BYTES), and gives `logits` (unless its network has the softmax inside),
//! `probabilities` and `label`. [`choose_predict`] or [`choose_infer`] reads a request's headers before its
//! body; [`Parse::parse`] takes the body apart; [`Call::encode`] writes the answer. What is wrong is a
//! [`Refusal`] with the words of the Python services.

mod answers;
mod base64;
mod call;
mod encodings;
mod forms;
mod inference_answers;
mod json;
mod metadata;
mod msgpack;
mod numbers;
mod oip;
mod oip_tensors;
mod options_header;
mod query;
mod refusal;
mod signature;
mod size_limits;
mod text;
mod value;

pub use call::{Answer, Call, Outcome, Outputs, Parse};
pub use encodings::choose_predict;
pub use metadata::{model_metadata, server_metadata};
pub use numbers::whole_number;
pub use oip::choose_infer;
pub use refusal::{Refusal, error_body};
pub use signature::Signature;
