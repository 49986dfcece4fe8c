//! Pushes metrics to a Prometheus Pushgateway, beside the metrics that are served for scraping.

mod gateway;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::settings::{SERVICE, Settings};
use crate::start_error::StartError;
use gateway::Gateway;

/// The longest time that a push may take; the end of the service waits for it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A thread that pushes at every interval, and once more when it is closed.
///
/// The beginning and the end of an outage are logged; a failed push has no other effect.
pub struct Pusher {
    closing: Sender<()>,
    ended: Receiver<()>,
}

impl Pusher {
    /// Starts to push, if the settings say so.
    ///
    /// # Errors
    /// If the gateway's certificate cannot be verified with what the environment names for that.
    pub fn start(settings: &Settings, metrics: &Metrics) -> Result<Option<Self>, StartError> {
        let Some(address) = &settings.pushgateway else {
            return Ok(None);
        };
        let gateway = Gateway::new(address, SERVICE, TIMEOUT)?;
        let interval = Duration::try_from_secs_f64(settings.push_interval_s);
        Ok(interval
            .ok()
            .and_then(|interval| Self::to(gateway, metrics.clone(), interval)))
    }

    fn to(gateway: Gateway, metrics: Metrics, interval: Duration) -> Option<Self> {
        let (closing, closes) = channel();
        let (ends, ended) = channel();
        let started = thread::Builder::new().name("pusher".to_owned()).spawn(move || {
            let mut pushing = Pushing {
                gateway,
                metrics,
                out: false,
            };
            while closes.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                pushing.push();
            }
            pushing.push();
            // nobody may wait any more
            let _ = ends.send(());
        });
        if let Err(error) = started {
            log::warn!("metrics are not pushed, since no thread could be started: {error}");
            return None;
        }
        Some(Self { closing, ended })
    }

    /// Pushes a last time and ends, within four seconds. Blocks: call it on a thread of its own.
    pub fn close(self) {
        drop(self.closing);
        // an error says that the thread has ended, or that it takes too long
        let _ = self.ended.recv_timeout(2 * TIMEOUT);
    }
}

struct Pushing {
    gateway: Gateway,
    metrics: Metrics,
    /// Whether the last push failed.
    out: bool,
}

impl Pushing {
    fn push(&mut self) {
        let (text, kind) = self.metrics.render("text/plain");
        let failure = self.gateway.put(text, kind).err();
        let was_out = std::mem::replace(&mut self.out, failure.is_some());
        match failure {
            Some(cause) if !was_out => {
                log::warn!("cannot push metrics to {}: {cause}", self.gateway.address());
            }
            None if was_out => log::info!("metrics are pushed to {} again", self.gateway.address()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
