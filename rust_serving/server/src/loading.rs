//! Loading the configured models, and timing how long each phase takes.

use std::sync::Arc;
use std::time::Instant;

use codecs::Signature;
use models::{Model, PullSettings, shown};

use crate::engine::{self, Engine, Network};
use crate::faults::caught;
use crate::memory::DecodingMemory;
use crate::metrics::Metrics;
use crate::pipeline::{Pipeline, PixelLimits, Unprepared};
use crate::service::Service;
use crate::settings::Settings;
use crate::start_error::StartError;
use crate::usable::process_age_s;
use crate::workers::{Workers, patience};

const EXAMPLE_SIDES: (u32, u32) = (400, 300);

/// Loads every model into the service on a thread of its own; the server answers meanwhile.
///
/// # Errors
/// If the system gives no thread.
pub fn start(service: Arc<Service>) -> std::io::Result<()> {
    let loader = std::thread::Builder::new().name("loader".to_owned());
    loader.spawn(move || match caught(|| load(&service)) {
        Ok(Ok(())) => service.lifecycle.set_ready(),
        Ok(Err(error)) => service.lifecycle.fail(error.0),
        Err(text) => {
            log::error!(trace = text.as_str(); "loading failed");
            let uri = &service.settings.model_uri;
            let message = shown(&format!("{uri} could not be loaded: report what the log says"));
            service.lifecycle.fail(message);
        }
    })?;
    Ok(())
}

fn load(service: &Service) -> Result<(), StartError> {
    let settings = &service.settings;
    let memory = DecodingMemory::new(settings.decode_bytes);
    let mut models = Loader::new(settings, &service.metrics, memory);
    let workers = Workers::new(settings.threads, "worker", patience(settings.request_timeout_ms));
    let workers = workers.map_err(|error| {
        let threads = settings.threads;
        StartError(format!(
            "the system gives no {threads} threads ({error}): lower THREADS"
        ))
    })?;
    for place in 0..settings.models.len() {
        let pipeline = models.load(place)?;
        service.open(Arc::new(pipeline), &workers);
    }
    Ok(())
}

/// Loads one model after another.
pub struct Loader<'a> {
    settings: &'a Settings,
    metrics: &'a Metrics,
    memory: DecodingMemory,
    since: Instant,
    /// What passed before `since`, in seconds.
    before_s: f64,
    phases: Vec<(&'static str, f64)>,
}

impl<'a> Loader<'a> {
    /// Returns what loads the configured models, which decode in `memory`.
    pub fn new(settings: &'a Settings, metrics: &'a Metrics, memory: DecodingMemory) -> Self {
        Self {
            settings,
            metrics,
            memory,
            since: Instant::now(),
            before_s: process_age_s(),
            phases: Vec::new(),
        }
    }

    /// Pulls the model at this place among the configured models, loads it and computes an example.
    ///
    /// # Errors
    /// If the model cannot be served.
    pub fn load(&mut self, place: usize) -> Result<Pipeline, StartError> {
        let settings = self.settings;
        let Some((name, uri)) = settings.models.get(place) else {
            return Err(StartError("there is no such model: configure one".to_owned()));
        };
        self.passed("imports");
        let model = self.pull(name.as_deref(), uri)?;
        self.passed("pull");
        let manifest = &model.manifest;
        let network = Network {
            crop: usize::try_from(manifest.transform.crop).unwrap_or(usize::MAX),
            classes: manifest.labels.len(),
            softmax: manifest.softmax,
        };
        let engine = Engine::load(&model.path, network)?;
        self.passed("load");
        engine.warm()?;
        let name = name.clone().unwrap_or_else(|| manifest.name.clone());
        let signature = Signature {
            name: name.clone(),
            version: manifest.version.clone(),
            platform: engine::NAME.to_owned(),
            labels: manifest.labels.clone(),
            softmax: manifest.softmax,
            max_items: settings.max_items,
        };
        let limits = PixelLimits {
            image: settings.max_pixels,
            request: settings.max_request_pixels,
        };
        let (transform, metrics) = (transform_of(&model), self.metrics.model(&name));
        let memory = self.memory.clone();
        let pipeline = Pipeline::new(signature, metrics, Box::new(engine), transform, limits, memory);
        warm(&pipeline)?;
        self.passed("warm_up");
        self.report(&pipeline.signature, &model);
        Ok(pipeline)
    }

    fn pull(&self, name: Option<&str>, uri: &str) -> Result<Model, StartError> {
        let settings = self.settings;
        let mut manifests = settings.manifests.iter();
        let manifest = manifests.find(|(known, _)| known.as_deref() == name);
        let pulling = PullSettings {
            cache: settings.model_cache_dir.clone(),
            local_store: settings.local_store.clone(),
            timeout_s: settings.store_timeout_s,
            max_model_bytes: settings.max_model_bytes,
        };
        let manifest = manifest.map(|(_, address)| address.as_str());
        models::pull(uri, manifest, &pulling).map_err(|error| StartError(error.0))
    }

    fn passed(&mut self, phase: &'static str) {
        let seconds = self.since.elapsed().as_secs_f64() + std::mem::take(&mut self.before_s);
        self.since = Instant::now();
        self.phases.push((phase, seconds));
    }

    fn report(&mut self, signature: &Signature, model: &Model) {
        let name = signature.name.as_str();
        let phases = std::mem::take(&mut self.phases);
        for (phase, seconds) in &phases {
            self.metrics.startup_phase(phase, name, *seconds);
        }
        let (address, version) = (
            shown(&model.uri),
            signature.version.as_deref().unwrap_or_default(),
        );
        self.metrics.model_info(name, version, engine::NAME, &address);
        let rounded = phases.iter().map(|(phase, seconds)| {
            let seconds = (seconds * 10_000.0).round() / 10_000.0;
            ((*phase).to_owned(), serde_json::Value::from(seconds))
        });
        let phases = serde_json::Value::Object(rounded.collect());
        log::info!(
            engine = engine::NAME,
            model = name,
            uri = address.as_str(),
            cached = model.cached,
            threads = self.settings.threads,
            startup_phases_s:% = phases;
            "ready"
        );
    }
}

fn transform_of(model: &Model) -> pixels::Transform {
    let given = &model.manifest.transform;
    pixels::Transform {
        resize: given.resize,
        crop: given.crop,
        interpolation: match given.interpolation {
            models::Interpolation::Bilinear => pixels::Interpolation::Bilinear,
            models::Interpolation::Bicubic => pixels::Interpolation::Bicubic,
        },
        mean: given.mean,
        std: given.std,
    }
}

/// Computes a picture with every grey level, so that the first request is as fast as any.
fn warm(pipeline: &Pipeline) -> Result<(), StartError> {
    let input = pipeline
        .prepare(&grey_levels(), &|| true)
        .map_err(|stop| match stop {
            Unprepared::Refused(refusal) => StartError(format!("the example was refused: {refusal}")),
            Unprepared::Unwanted => StartError("the example was not wanted".to_owned()),
        })?;
    pipeline
        .infer(&input)
        .map_err(|error| StartError(format!("the model computes no example: {}", error.0)))?;
    Ok(())
}

/// Returns a bitmap of every grey level, 400 pixels wide.
pub fn grey_levels() -> Vec<u8> {
    let (width, height) = EXAMPLE_SIDES;
    let length = 54 + 3 * width * height;
    let mut bitmap = b"BM".to_vec();
    for word in [length, 0, 54, 40, width, height] {
        bitmap.extend_from_slice(&word.to_le_bytes());
    }
    bitmap.extend_from_slice(&[1, 0, 24, 0]);
    bitmap.extend_from_slice(&[0; 24]);
    for row in 0..height {
        let level = u8::try_from(row * 256 / height).unwrap_or(u8::MAX);
        bitmap.extend(std::iter::repeat_n(level, 3 * width as usize));
    }
    bitmap
}
