//! What the codecs take, answer and refuse, with the words of the Python services.

mod answers;
mod any_request;
mod encodings;
mod forms;
mod inference;
mod inference_answers;
mod inference_requests;
mod numbers;
mod requests;
mod size_limits;
