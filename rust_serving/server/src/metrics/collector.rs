//! The families of metrics, and how they are written.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::TypedMetric;

use super::{
    BATCH_BUCKETS, BUCKETS_S, Counter, Family, Gauge, Histogram, Info, Model, ModelStage, Phase, Reason,
    Request, Seconds, process,
};

type Durations<Labels> = Family<Labels, Histogram, fn() -> Histogram>;

/// All families; the service contract names them and their labels.
#[derive(Debug, Clone)]
pub(super) struct Families {
    pub(super) request_duration: Durations<Request>,
    pub(super) stage_duration: Durations<ModelStage>,
    pub(super) batch_size: Durations<Model>,
    pub(super) queue_depth: Gauge,
    pub(super) queue_bytes: Gauge,
    pub(super) in_flight: Gauge,
    pub(super) stage_waiting: Family<ModelStage, Gauge>,
    pub(super) dropped: Family<Reason, Counter>,
    pub(super) requests: Counter,
    pub(super) startup_phase: Family<Phase, Seconds>,
    pub(super) model_info: Family<Info, Gauge>,
}

impl Default for Families {
    fn default() -> Self {
        let durations: fn() -> Histogram = || Histogram::new(BUCKETS_S);
        Self {
            request_duration: Family::new_with_constructor(durations),
            stage_duration: Family::new_with_constructor(durations),
            batch_size: Family::new_with_constructor(|| Histogram::new(BATCH_BUCKETS)),
            queue_depth: Gauge::default(),
            queue_bytes: Gauge::default(),
            in_flight: Gauge::default(),
            stage_waiting: Family::default(),
            dropped: Family::default(),
            requests: Counter::default(),
            startup_phase: Family::default(),
            model_info: Family::default(),
        }
    }
}

// A registry would end each text with a full stop, unlike the other services; a collector writes it as it is.
impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let to = &mut encoder;
        write(
            to,
            "request_duration_seconds",
            "Request to answer",
            &self.request_duration,
        )?;
        write(
            to,
            "stage_duration_seconds",
            "One stage of a prediction",
            &self.stage_duration,
        )?;
        write(to, "batch_size", "Items computed together", &self.batch_size)?;
        write(
            to,
            "queue_depth",
            "Items accepted and not yet answered",
            &self.queue_depth,
        )?;
        write(
            to,
            "queue_bytes",
            "Bytes of bodies accepted or being read",
            &self.queue_bytes,
        )?;
        write(
            to,
            "in_flight",
            "Requests being read, computed or answered",
            &self.in_flight,
        )?;
        write(
            to,
            "stage_queue_depth",
            "Items that wait for a stage that has a queue",
            &self.stage_waiting,
        )?;
        write(to, "dropped", "Requests given up, by reason", &self.dropped)?;
        write(to, "requests", "Requests answered", &self.requests)?;
        write(
            to,
            "startup_phase_seconds",
            "Startup, by phase",
            &self.startup_phase,
        )?;
        write(
            to,
            "model_info",
            "1 for each model that is served",
            &self.model_info,
        )?;
        process::write_all(to)
    }
}

/// Writes one family with its name and text.
pub(super) fn write<M: EncodeMetric + TypedMetric>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    metric: &M,
) -> std::fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, M::TYPE)?)
}
