//! The service's settings: read from the environment, and checked before anything else happens.

mod addresses;
mod numbers;
mod reader;
mod shown;
mod stated;

use std::collections::HashMap;
use std::path::PathBuf;

use models::{Addresses, local_store, manifest_addresses, model_addresses};

use crate::start_error::StartError;
use crate::usable::{usable_cores, usable_memory_bytes};
use addresses::pushgateway;
use numbers::Bounds;
use reader::Reader;

pub use stated::state_settings;

/// The service's name in logs, in messages and at a Pushgateway.
pub const SERVICE: &str = "rust";
/// The environment variable of the model's address.
pub const MODEL_URI_VARIABLE: &str = "ONNX_NETWORK_URI";

const MIB: u64 = 1 << 20;
const MOST_MODEL_BYTES: u64 = 8 << 30;
const MOST_PIXELS: u64 = 50_000_000;
/// The most threads that the default of THREADS gives, however many cores there are.
const MOST_THREADS: usize = 32;
/// A photograph's usual share of a request that has the most items.
const USUAL_IMAGES: u64 = 16;

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
    pub models: Addresses,
    /// The address of each manifest that is not beside its model, by the names of `models`.
    pub manifests: Addresses,
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

/// The settings that have an effect here, in the order in which `settings` lists them, and in which faults are told.
const NAMES: [&str; 25] = [
    MODEL_URI_VARIABLE,
    "MANIFEST_URI",
    "MAX_MODEL_BYTES",
    "HOST",
    "PORT",
    "MODEL_CACHE_DIR",
    "LOCAL_STORE",
    "STORE_TIMEOUT_S",
    "MAX_BODY_BYTES",
    "MAX_PIXELS",
    "MAX_REQUEST_PIXELS",
    "DECODE_BYTES",
    "MAX_ITEMS",
    "MAX_CONNECTIONS",
    "HEADER_TIMEOUT_S",
    "BODY_TIMEOUT_S",
    "REQUEST_TIMEOUT_MS",
    "QUEUE_LIMIT",
    "QUEUE_BYTES",
    "THREADS",
    "DRAIN_LINGER_S",
    "GRACE_S",
    "PUSHGATEWAY",
    "PUSH_INTERVAL_S",
    "LOG_LEVEL",
];

impl Settings {
    /// Reads the settings from this process's environment; the error names each wrong variable.
    ///
    /// # Errors
    /// If a variable is wrong, or asks for what this service does not have.
    pub fn load() -> Result<Self, StartError> {
        let environment = environment();
        Self::read(&|name| environment.get(name).cloned())
    }

    /// Reads the settings from `variables`, a function from a variable's name to its value.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn read(variables: &dyn Fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let read = Reader::new(variables);
        let model_uri = read.text(MODEL_URI_VARIABLE).ok_or_else(|| {
            StartError(format!(
                "{MODEL_URI_VARIABLE} is not set: give the model's address, such as gs://bucket/folder/file"
            ))
        })?;
        let manifest_uri = read.text("MANIFEST_URI").unwrap_or_default();
        let max_pixels = || read.whole("MAX_PIXELS", MOST_PIXELS, Bounds::from(1));
        let seconds = |name, default| read.real(name, default, Bounds::above(0.0, 3600.0));
        let mut made = Self {
            models: Vec::new(),
            manifests: Vec::new(),
            model_uri,
            max_model_bytes: read.whole("MAX_MODEL_BYTES", MOST_MODEL_BYTES, Bounds::from(1)),
            host: read.text("HOST").unwrap_or_else(|| "127.0.0.1".to_owned()),
            port: read.whole("PORT", 8080, Bounds::within(1, 65_535)),
            model_cache_dir: read
                .text("MODEL_CACHE_DIR")
                .map_or_else(|| default_cache(variables), PathBuf::from),
            local_store: read.form("LOCAL_STORE", "bucket=http://host:port", local_store),
            store_timeout_s: seconds("STORE_TIMEOUT_S", 30.0),
            max_body_bytes: read.whole("MAX_BODY_BYTES", 16 * MIB, Bounds::from(1)),
            max_pixels: max_pixels(),
            max_request_pixels: read.whole("MAX_REQUEST_PIXELS", 0, Bounds::from(1)),
            decode_bytes: read.whole("DECODE_BYTES", 0, Bounds::from(1)),
            max_items: read.whole("MAX_ITEMS", 64, Bounds::within(1, 4096)),
            max_connections: read.whole("MAX_CONNECTIONS", 1024, Bounds::within(1, 1_000_000)),
            header_timeout_s: seconds("HEADER_TIMEOUT_S", 10.0),
            body_timeout_s: seconds("BODY_TIMEOUT_S", 10.0),
            request_timeout_ms: read.whole("REQUEST_TIMEOUT_MS", 30_000, Bounds::within(1, 3_600_000)),
            queue_limit: read.whole("QUEUE_LIMIT", 256, Bounds::from(1)),
            queue_bytes: read.whole("QUEUE_BYTES", 512 * MIB, Bounds::from(1)),
            threads: read.whole("THREADS", 0, Bounds::within(1, 1024)),
            drain_linger_s: read.real("DRAIN_LINGER_S", 0.5, Bounds::within(0.0, 60.0)),
            grace_s: seconds("GRACE_S", 8.0),
            pushgateway: read.form(
                "PUSHGATEWAY",
                "http://host:port or https://name:password@host:port",
                pushgateway,
            ),
            push_interval_s: seconds("PUSH_INTERVAL_S", 15.0),
            log_level: read.choice("LOG_LEVEL", LogLevel::Info, &LEVELS),
        };
        read.finish()?;
        made.derive_defaults();
        made.models = model_addresses(MODEL_URI_VARIABLE, &made.model_uri)?;
        made.manifests = manifest_addresses(&manifest_uri, &made.models)?;
        Ok(made)
    }

    /// Sets what follows from other settings, or from the machine, where it was not set.
    fn derive_defaults(&mut self) {
        if self.max_request_pixels == 0 {
            self.max_request_pixels = self.max_pixels.saturating_mul(USUAL_IMAGES);
        }
        if self.decode_bytes == 0 {
            // the other half is for the model, and for the bodies
            self.decode_bytes = (usable_memory_bytes() / 2).max(MIB);
        }
        if self.threads == 0 {
            self.threads = usable_cores().min(MOST_THREADS);
        }
    }
}

const LEVELS: [(&str, LogLevel); 4] = [
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    ("warning", LogLevel::Warning),
    ("error", LogLevel::Error),
];

/// Returns the environment by upper-case names: settings may be written in any case.
fn environment() -> HashMap<String, String> {
    let mut found = HashMap::new();
    for (name, value) in std::env::vars_os() {
        set(
            &mut found,
            &name.to_string_lossy(),
            value.to_string_lossy().into_owned(),
        );
    }
    found
}

/// Sets a variable as the environment has it.
fn set(environment: &mut HashMap<String, String>, name: &str, value: String) {
    // an address is read only from the very name of its variable
    let upper = name.to_uppercase();
    let key = if upper == MODEL_URI_VARIABLE {
        name.to_owned()
    } else {
        upper
    };
    environment.insert(key, value);
}

fn default_cache(variables: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let value = |name| variables(name).filter(|value: &String| !value.is_empty());
    let home = value("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let folder = value("XDG_CACHE_HOME").unwrap_or_else(|| "~/.cache".to_owned());
    let folder = match folder.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => PathBuf::from(folder),
    };
    folder.join("model-serving")
}

#[cfg(test)]
mod tests;
