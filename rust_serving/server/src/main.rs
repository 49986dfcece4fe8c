//! The service: ONNX Runtime behind axum, with the contract of its Python siblings.

fn main() {}
