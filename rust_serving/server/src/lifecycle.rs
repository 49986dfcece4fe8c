//! The state of the service: flags that any thread may read and that are set once and never cleared.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether the service is ready, whether it ends, and why.
#[derive(Default)]
pub struct Lifecycle {
    ready: AtomicBool,
    draining: AtomicBool,
    given_up: AtomicBool,
    giving_up: Notify,
    failure: OnceLock<String>,
    failed: Notify,
}

impl Lifecycle {
    /// Tells whether every model is served.
    pub fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Notes that every model is served.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Tells whether the service stops.
    pub fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Notes that the service stops.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Tells whether a request that arrives now is served, provided that its model is ready.
    pub fn accepting(&self) -> bool {
        !self.draining() && self.failure().is_none()
    }

    /// Records why the service must end; only the first reason counts.
    pub fn fail(&self, message: String) {
        if self.failure.set(message).is_ok() {
            self.failed.notify_one();
        }
    }

    /// Why the service must end, None if it need not.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Waits until the service must end; for one waiter.
    pub async fn failed(&self) {
        while self.failure().is_none() {
            self.failed.notified().await;
        }
    }

    /// Notes that the stop waits no longer for the requests that it accepted: each is then refused.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Release);
        self.giving_up.notify_waiters();
    }

    /// Waits until the stop waits no longer for accepted requests.
    pub async fn given_up(&self) {
        let mut told = std::pin::pin!(self.giving_up.notified());
        told.as_mut().enable();
        if !self.given_up.load(Ordering::Acquire) {
            told.await;
        }
    }
}
