//! The encodings of requests and answers: `/predict/` and the Open Inference Protocol, as pure functions.
