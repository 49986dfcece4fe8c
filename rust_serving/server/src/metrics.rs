//! What the service counts and times, in a Prometheus registry of its own.

mod collector;
mod process;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use collector::Families;

/// The content type of the format that a scraper gets if it asks for it.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A request here takes 1 to 100 ms: the first steps are a millisecond or less, the later steps are coarser.
const BUCKETS_S: [f64; 33] = [
    0.0001, 0.000_25, 0.0005, 0.000_75, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009, 0.01,
    0.012, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0,
    30.0,
];
const BATCH_BUCKETS: [f64; 14] = [
    1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 128.0, 256.0,
];

/// A stage of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From a body to encoded images.
    Parse,
    /// From an encoded image to pixels.
    Decode,
    /// From pixels to the network's input.
    Transform,
    /// The wait for a thread.
    Queue,
    /// The network.
    Infer,
    /// From outcomes to the answer's body.
    Encode,
}

/// The names of all stages that services have, and the place of each [`Stage`]; "wait" is a stage of other services.
const STAGES: [&str; 7] = ["wait", "parse", "decode", "transform", "queue", "infer", "encode"];
/// The queues that services have before a stage; none of them waits here.
const QUEUES: [&str; 2] = ["prepare", "infer"];

impl Stage {
    fn place(self) -> usize {
        match self {
            Self::Parse => 1,
            Self::Decode => 2,
            Self::Transform => 3,
            Self::Queue => 4,
            Self::Infer => 5,
            Self::Encode => 6,
        }
    }
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    model: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ModelStage {
    model: String,
    stage: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Model {
    model: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Phase {
    model: String,
    phase: String,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Info {
    engine: String,
    name: String,
    uri: String,
    version: String,
}

type Seconds = Gauge<f64, AtomicU64>;

/// The metrics of the service; cheap to clone: clones share what they count.
#[derive(Debug, Clone)]
pub struct Metrics {
    families: Families,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Returns metrics that have counted nothing.
    #[must_use]
    pub fn new() -> Self {
        let families = Families::default();
        let mut registry = Registry::default();
        registry.register_collector(Box::new(families.clone()));
        Self {
            families,
            registry: Arc::new(registry),
        }
    }

    /// Returns the metrics of the model `name`, with all its stages at 0.
    #[must_use]
    pub fn model(&self, name: &str) -> ModelMetrics {
        let model = name.to_owned();
        for stage in QUEUES {
            self.families.stage_waiting.get_or_create_owned(&ModelStage {
                model: model.clone(),
                stage,
            });
        }
        ModelMetrics {
            stages: STAGES.map(|stage| {
                self.families.stage_duration.get_or_create_owned(&ModelStage {
                    model: model.clone(),
                    stage,
                })
            }),
            batch_size: self.families.batch_size.get_or_create_owned(&Model { model }),
        }
    }

    /// Records an answered request. `route` is the route's pattern, `model` "" if none.
    pub fn observe_request(&self, route: &str, status: u16, seconds: f64, model: &str) {
        let labels = Request {
            model: model.to_owned(),
            route: route.to_owned(),
            status,
        };
        self.families
            .request_duration
            .get_or_create(&labels)
            .observe(seconds);
        self.families.requests.inc();
    }

    /// Counts a request given up: `full`, `draining`, `not_ready`, `disconnected` and so on.
    pub fn dropped(&self, reason: &str) {
        self.families
            .dropped
            .get_or_create(&Reason {
                reason: reason.to_owned(),
            })
            .inc();
    }

    /// Items accepted and not yet answered.
    pub fn set_queue_depth(&self, items: usize) {
        self.families.queue_depth.set(as_gauge(items));
    }

    /// Bytes of bodies accepted or being read.
    pub fn set_queue_bytes(&self, bytes: u64) {
        self.families.queue_bytes.set(as_gauge(bytes));
    }

    /// Adds `change` to the requests being read, computed or answered.
    pub fn add_in_flight(&self, change: i64) {
        self.families.in_flight.inc_by(change);
    }

    /// Records how long a phase of the start took.
    pub fn startup_phase(&self, phase: &str, model: &str, seconds: f64) {
        let labels = Phase {
            model: model.to_owned(),
            phase: phase.to_owned(),
        };
        self.families.startup_phase.get_or_create(&labels).set(seconds);
    }

    /// Records a model that is served; `uri` without secrets.
    pub fn model_info(&self, name: &str, version: &str, engine: &str, uri: &str) {
        let [name, version, engine, uri] = [name, version, engine, uri].map(str::to_owned);
        self.families
            .model_info
            .get_or_create(&Info {
                engine,
                name,
                uri,
                version,
            })
            .set(1);
    }

    /// Returns the exposition in the format that the header Accept asks for, and its content type.
    #[must_use]
    pub fn render(&self, accept: &str) -> (String, &'static str) {
        let mut written = String::new();
        // writing into a string does not fail
        let (_, kind) = if accept.contains("application/openmetrics-text") {
            (text::encode(&mut written, &self.registry), OPENMETRICS)
        } else {
            (
                prometheus_text::encode(&mut written, &self.registry),
                prometheus_text::CONTENT_TYPE,
            )
        };
        (written, kind)
    }
}

fn as_gauge(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// The counts and times of one model; cheap to clone.
#[derive(Debug, Clone)]
pub struct ModelMetrics {
    stages: [Histogram; 7],
    batch_size: Histogram,
}

impl ModelMetrics {
    /// Records one stage.
    pub fn observe_stage(&self, stage: Stage, seconds: f64) {
        self.stages[stage.place()].observe(seconds);
    }

    /// Times `work` as one stage, whatever it returns.
    pub fn time<R>(&self, stage: Stage, work: impl FnOnce() -> R) -> R {
        let began = Instant::now();
        let result = work();
        self.observe_stage(stage, began.elapsed().as_secs_f64());
        result
    }

    /// Records that `items` items were computed together.
    pub fn observe_batch(&self, items: u32) {
        self.batch_size.observe(f64::from(items));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used() -> Metrics {
        let metrics = Metrics::new();
        let model = metrics.model("weather");
        model.observe_stage(Stage::Infer, 0.002);
        model.observe_batch(1);
        metrics.observe_request("/predict/", 200, 0.01, "weather");
        metrics.startup_phase("load", "weather", 0.5);
        metrics.model_info("weather", "1", "onnx", "gs://a/\"b\"");
        metrics.dropped("full");
        metrics.set_queue_depth(7);
        metrics.set_queue_bytes(u64::MAX);
        metrics.add_in_flight(3);
        metrics.add_in_flight(-1);
        metrics
    }

    #[test]
    fn names_labels_and_texts_are_those_of_the_other_services() {
        let (text, kind) = used().render("text/plain");
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        for row in [
            "# HELP request_duration_seconds Request to answer\n# TYPE request_duration_seconds histogram\n",
            "\nrequest_duration_seconds_count{model=\"weather\",route=\"/predict/\",status=\"200\"} 1\n",
            "\nrequest_duration_seconds_bucket{model=\"weather\",route=\"/predict/\",status=\"200\",le=\"0.01\"} 1\n",
            "\nrequest_duration_seconds_bucket{model=\"weather\",route=\"/predict/\",status=\"200\",le=\"0.009\"} 0\n",
            "\nstage_duration_seconds_count{model=\"weather\",stage=\"infer\"} 1\n",
            "\nstage_duration_seconds_count{model=\"weather\",stage=\"wait\"} 0\n",
            "\nbatch_size_sum{model=\"weather\"} 1.0\n",
            "\n# HELP queue_depth Items accepted and not yet answered\n# TYPE queue_depth gauge\nqueue_depth 7\n",
            "\nqueue_bytes 9223372036854775807\n",
            "\nin_flight 2\n",
            "\nstage_queue_depth{model=\"weather\",stage=\"prepare\"} 0\n",
            "\n# HELP dropped_total Requests given up, by reason\n# TYPE dropped_total counter\n",
            "\ndropped_total{reason=\"full\"} 1\n",
            "\n# HELP requests_total Requests answered\n# TYPE requests_total counter\nrequests_total 1\n",
            "\nstartup_phase_seconds{model=\"weather\",phase=\"load\"} 0.5\n",
            "\nmodel_info{engine=\"onnx\",name=\"weather\",uri=\"gs://a/\\\"b\\\"\",version=\"1\"} 1\n",
            "\n# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ",
            "\nprocess_resident_memory_bytes ",
            "\nprocess_virtual_memory_bytes ",
            "\nprocess_open_fds ",
            "\nprocess_max_fds ",
            "\nprocess_start_time_seconds ",
        ] {
            assert!(text.contains(row), "{row} is not in {text}");
        }
    }

    #[test]
    fn openmetrics_are_written_if_they_are_asked_for() {
        let (text, kind) = used().render("text/html, application/openmetrics-text; version=1.0.0");
        assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        assert!(text.ends_with("# EOF\n"));
        assert!(
            text.contains("# TYPE requests counter\nrequests_total 1\n"),
            "{text}"
        );
    }

    #[test]
    fn clones_share_what_they_count() {
        let metrics = Metrics::new();
        metrics.clone().dropped("full");
        metrics.model("a").observe_batch(2);
        metrics.model("a").observe_batch(2);
        let text = metrics.render("").0;
        assert!(text.contains("dropped_total{reason=\"full\"} 1\n"));
        assert!(text.contains("batch_size_count{model=\"a\"} 2\n"));
    }

    #[test]
    fn this_process_is_described() {
        let text = Metrics::new().render("").0;
        let value = |name: &str| -> f64 {
            let row = text
                .lines()
                .find(|row| row.starts_with(&format!("{name} ")))
                .unwrap();
            row.rsplit(' ').next().unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e5);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_start_time_seconds") > 1e9);
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
