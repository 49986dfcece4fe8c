//! The service: its models, its threads, its admission and its lifecycle; none of them is global.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use codecs::{Refusal, Signature};

use crate::admission::Admission;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::refusals::{quoted, unavailable};
use crate::settings::Settings;
use crate::workers::Workers;

const NOT_READY_RETRY_S: f64 = 1.0;
/// After a refusal with 503 a client should use another instance, or the successor of this one.
const DRAINING_RETRY_S: f64 = 2.0;

/// Owns the models, the queue, the metrics and the lifecycle.
pub struct Service {
    /// The settings in force.
    pub settings: Settings,
    /// Whether it is ready, and whether it ends.
    pub lifecycle: Lifecycle,
    /// What it counts and times.
    pub metrics: Metrics,
    /// Who gets in.
    pub admission: Arc<Admission>,
    models: RwLock<Vec<Arc<Pipeline>>>,
    workers: OnceLock<Workers>,
    prefix: String,
    numbers: AtomicU64,
}

impl Service {
    /// Returns a service without models.
    pub fn new(settings: Settings) -> Self {
        let metrics = Metrics::new();
        let usual = Duration::from_millis(settings.request_timeout_ms);
        let admission = Admission::new(settings.queue_limit, settings.queue_bytes, usual, metrics.clone());
        Self {
            lifecycle: Lifecycle::default(),
            admission: Arc::new(admission),
            metrics,
            models: RwLock::default(),
            workers: OnceLock::new(),
            prefix: format!("{:x}-{}", std::process::id(), some_digits()),
            numbers: AtomicU64::new(1),
            settings,
        }
    }

    /// Serves one more model, the first with these threads.
    pub fn open(&self, pipeline: Arc<Pipeline>, workers: &Workers) {
        let _ = self.workers.set(workers.clone());
        self.models
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(pipeline);
    }

    /// The threads that compute; None as long as no model is there.
    pub fn workers(&self) -> Option<&Workers> {
        self.workers.get()
    }

    /// Tells whether this process can still answer: false means restart it.
    pub fn alive(&self) -> bool {
        if self.lifecycle.failure().is_some() {
            return false;
        }
        if self.workers.get().is_some_and(|workers| !workers.alive()) {
            let message = "what computes the answers died or hangs: restart the service";
            self.lifecycle.fail(message.to_owned());
            return false;
        }
        true
    }

    /// Returns the model `name`, or the first model if `name` is None; if `version` is None, any version will do.
    ///
    /// # Errors
    /// 404 if there is no such model or version, 503 if it may still come.
    pub fn model(&self, name: Option<&str>, version: Option<&str>) -> Result<Arc<Pipeline>, Refusal> {
        let found = {
            let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
            match name {
                None => models.first().cloned(),
                Some(name) => models.iter().find(|model| model.signature.name == name).cloned(),
            }
        };
        let Some(model) = found else {
            return Err(self.missing(name));
        };
        let has = model.signature.version.as_deref();
        if let Some(version) = version.filter(|version| has != Some(*version)) {
            let has = match has.filter(|has| !has.is_empty()) {
                Some(has) => format!("version {}", quoted(has)),
                None => "no versions".to_owned(),
            };
            let (version, name) = (quoted(version), quoted(&model.signature.name));
            return Err(Refusal::new(
                404,
                format!("no version {version} of {name}: it has {has}"),
            ));
        }
        Ok(model)
    }

    fn missing(&self, name: Option<&str>) -> Refusal {
        let configured = &self.settings.models;
        let may_come = name.is_none_or(|name| {
            configured
                .iter()
                .any(|(known, _)| known.as_deref().is_none_or(|known| known == name))
        });
        let ready = self.lifecycle.ready();
        if !ready && may_come {
            self.metrics.dropped("not_ready");
            return unavailable("the model is still loading", NOT_READY_RETRY_S);
        }
        let names: Vec<String> = if ready {
            let signatures = self.signatures();
            signatures.into_iter().map(|signature| signature.name).collect()
        } else {
            configured.iter().filter_map(|(name, _)| name.clone()).collect()
        };
        let asked = name.map_or_else(|| "None".to_owned(), quoted);
        let message = format!("no model {asked} is served here: ask for {}", names.join(", "));
        Refusal::new(404, message)
    }

    /// What the codecs know about each model that is served now.
    pub fn signatures(&self) -> Vec<Signature> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        models.iter().map(|model| model.signature.clone()).collect()
    }

    /// Returns the model's name as a label of metrics; "" if no such model is served.
    pub fn known_name(&self, name: Option<&str>) -> String {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        let mut names = models.iter().map(|model| model.signature.name.as_str());
        let known = match name {
            None => names.next(),
            Some(name) => names.find(|known| *known == name),
        };
        known.unwrap_or_default().to_owned()
    }

    /// Checks that new requests are taken.
    ///
    /// # Errors
    /// 503 if they are not.
    pub fn check_open(&self) -> Result<(), Refusal> {
        if self.lifecycle.accepting() {
            return Ok(());
        }
        Err(self.shutting_down())
    }

    /// Returns, and counts, the refusal of a request that another instance will answer.
    pub fn shutting_down(&self) -> Refusal {
        self.metrics.dropped("draining");
        unavailable("the service is shutting down", DRAINING_RETRY_S)
    }

    /// Returns an id that no other request of this process has.
    pub fn new_request_id(&self) -> String {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(self.prefix.len() + 10);
        id.push_str(&self.prefix);
        let _ = write!(id, "-{number:x}");
        id
    }
}

/// Returns six digits that another process is unlikely to have.
pub fn some_digits() -> String {
    use std::hash::{BuildHasher, RandomState};
    // each state is seeded by the system's randomness
    format!("{:06x}", RandomState::new().hash_one(0) & 0x00ff_ffff)
}
