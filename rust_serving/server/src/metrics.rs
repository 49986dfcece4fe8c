//! What the service counts and times.

/// A stage of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The wait for a thread.
    Queue,
    /// From a body to encoded images.
    Parse,
    /// From an encoded image to pixels.
    Decode,
    /// From pixels to the network's input.
    Transform,
    /// The network.
    Infer,
    /// From outcomes to the answer's body.
    Encode,
}

/// The metrics of the service; cheap to clone: clones share what they count.
#[derive(Clone)]
pub struct Metrics {}

impl Metrics {
    /// Returns metrics that have counted nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// Returns the metrics of the model `name`, with all its stages at 0.
    #[must_use]
    pub fn model(&self, name: &str) -> ModelMetrics {
        let _ = name;
        ModelMetrics {}
    }

    /// Records an answered request. `route` is the route's pattern, `model` "" if none.
    pub fn observe_request(&self, route: &str, status: u16, seconds: f64, model: &str) {
        let _ = (route, status, seconds, model);
    }

    /// Counts a request given up: "full", "draining", "not_ready", "disconnected", ...
    pub fn dropped(&self, reason: &str) {
        let _ = reason;
    }

    /// Items accepted and not yet answered.
    pub fn set_queue_depth(&self, items: usize) {
        let _ = items;
    }

    /// Bytes of bodies accepted or being read.
    pub fn set_queue_bytes(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Adds `change` to the requests being read, computed or answered.
    pub fn add_in_flight(&self, change: i64) {
        let _ = change;
    }

    /// Records how long a phase of the start took.
    pub fn startup_phase(&self, phase: &str, model: &str, seconds: f64) {
        let _ = (phase, model, seconds);
    }

    /// Records a model that is served; `uri` without secrets.
    pub fn model_info(&self, name: &str, version: &str, engine: &str, uri: &str) {
        let _ = (name, version, engine, uri);
    }

    /// Returns the exposition in the format that the header Accept asks for, and its content type.
    #[must_use]
    pub fn render(&self, accept: &str) -> (String, &'static str) {
        let _ = accept;
        (String::new(), "text/plain")
    }
}

/// The counts and times of one model; cheap to clone.
#[derive(Clone)]
pub struct ModelMetrics {}

impl ModelMetrics {
    /// Records one stage.
    pub fn observe_stage(&self, stage: Stage, seconds: f64) {
        let _ = (stage, seconds);
    }

    /// Times `work` as one stage, whatever it returns.
    pub fn time<R>(&self, stage: Stage, work: impl FnOnce() -> R) -> R {
        let began = std::time::Instant::now();
        let result = work();
        self.observe_stage(stage, began.elapsed().as_secs_f64());
        result
    }

    /// Records that `items` items were computed together.
    pub fn observe_batch(&self, items: usize) {
        let _ = items;
    }
}
