//! The service: ONNX Runtime behind axum, with the contract of its Python siblings.

mod engine;
mod logging;
mod memory;
mod metrics;
mod push;
mod settings;
mod start_error;
mod usable;
mod workers;

fn main() {}
