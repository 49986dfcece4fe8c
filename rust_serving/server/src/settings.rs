//! The service's settings: read from the environment, and checked before anything else happens.

use std::path::PathBuf;

use crate::start_error::StartError;

/// The service's name in logs, in messages and at a Pushgateway.
pub const SERVICE: &str = "rust";
/// The environment variable of the model's address.
pub const MODEL_URI_VARIABLE: &str = "ONNX_NETWORK_URI";

/// The level below which nothing is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens once, such as a start.
    Info,
    /// What somebody should look at.
    Warning,
    /// What failed.
    Error,
}

/// All settings of the service; the environment variable of a field is its name in upper case.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The models' addresses as `ONNX_NETWORK_URI` gives them.
    pub model_uri: String,
    /// The address of each model by its name; the name None stands for the name in the manifest. At least one.
    pub models: Vec<(Option<String>, String)>,
    /// The address of each manifest that is not beside its model, by the names of `models`.
    pub manifests: Vec<(Option<String>, String)>,
    /// The longest file that is pulled as a model, in bytes.
    pub max_model_bytes: u64,
    /// The address to listen on.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// Where pulled models are kept for the next start.
    pub model_cache_dir: PathBuf,
    /// A bucket of gs:// and the address of the stand-in that serves it.
    pub local_store: Option<(String, String)>,
    /// How long pulling a model may take in all, in seconds.
    pub store_timeout_s: f64,
    /// The longest body of a request, in bytes.
    pub max_body_bytes: u64,
    /// The most pixels of an image, judged by its header.
    pub max_pixels: u64,
    /// The most pixels of a request of several images, judged by their headers.
    pub max_request_pixels: u64,
    /// The memory that images take while they are decoded, in bytes.
    pub decode_bytes: u64,
    /// The most items in one request.
    pub max_items: usize,
    /// Connections held at once.
    pub max_connections: usize,
    /// How long a request's headers may take to arrive, in seconds.
    pub header_timeout_s: f64,
    /// How long a request's body may take to arrive, in seconds.
    pub body_timeout_s: f64,
    /// A request's deadline in milliseconds, unless its header sets another.
    pub request_timeout_ms: u64,
    /// Items accepted and not yet answered.
    pub queue_limit: usize,
    /// Bytes of bodies held at once.
    pub queue_bytes: u64,
    /// Threads that compute.
    pub threads: usize,
    /// How long a stop answers 503 before it closes the port, in seconds.
    pub drain_linger_s: f64,
    /// How long a stop waits for accepted requests, in seconds.
    pub grace_s: f64,
    /// The address of a Pushgateway; None if metrics are not pushed.
    pub pushgateway: Option<String>,
    /// How often metrics are pushed, in seconds.
    pub push_interval_s: f64,
    /// The lowest level that is logged.
    pub log_level: LogLevel,
}

impl Settings {
    /// Reads the settings from this process's environment; the error names each wrong variable.
    ///
    /// # Errors
    /// If a variable is wrong, or asks for what this service does not have.
    pub fn load() -> Result<Self, StartError> {
        Self::read(&|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Reads the settings from `variables`, a function from a variable's name to its value.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn read(variables: &dyn Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let _ = variables;
        Err(StartError("not written yet".to_owned()))
    }
}

/// Answers `rust_serving settings`: reads from `asked` a JSON list of combinations, each an object from names to
/// values, and returns the JSON object that bench reads, `{"settings": [names], "faults": [text or null]}`.
///
/// # Errors
/// If `asked` is not such a list.
pub fn state_settings(asked: &[u8]) -> Result<Vec<u8>, StartError> {
    let _ = asked;
    Err(StartError("not written yet".to_owned()))
}
