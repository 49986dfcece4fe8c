//! The library that computes: loaded once, with its options.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::settings::MODEL_URI_VARIABLE;
use crate::start_error::StartError;

/// The environment variable of the library's path.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";
const LIBRARY: &str = "libonnxruntime.so";

/// The process has one environment, which lives to its end.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// Opens a graph without optimising it; `file` is its name in errors.
pub(super) fn open(path: &Path, file: &str) -> Result<Session, StartError> {
    let environment = environment()?;
    builder(&environment).and_then(|mut builder| builder.commit_from_file(path)).map_err(|error| {
        let text = error.to_string();
        let cause = text.lines().next().unwrap_or_default();
        StartError(format!(
            "{file} is not a graph that ONNX Runtime can open ({cause}): publish the model again, or give \
             {MODEL_URI_VARIABLE} the address of a graph"
        ))
    })
}

fn builder(environment: &Environment) -> ort::Result<SessionBuilder> {
    // As many requests as cores are computed at once: more threads for each would only compete for them.
    Ok(Session::builder(environment)?
        .with_optimization_level(GraphOptimizationLevel::Disable)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_parallel_execution(false)?
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        // what fails is returned: a client's request must not fill the log
        .with_log_level(LogLevel::Fatal)?)
}

fn environment() -> Result<Environment, StartError> {
    let mut known = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = known.as_ref() {
        return Ok(environment.clone());
    }
    let library = std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty());
    let made = ort::init_from(library.unwrap_or_else(|| LIBRARY.into()))
        .map_err(|error| error.to_string())
        .and_then(|builder| {
            builder
                .with_telemetry(false)
                .build()
                .map_err(|error| error.to_string())
        });
    let environment = made.map_err(|cause| {
        let words: Vec<&str> = cause.split_whitespace().collect();
        StartError(format!(
            "ONNX Runtime cannot be loaded ({}): set {LIBRARY_VARIABLE} to the path of its library, \
             {LIBRARY}",
            words.join(" ")
        ))
    })?;
    environment.set_log_level(LogLevel::Fatal);
    Ok(known.insert(environment).clone())
}
