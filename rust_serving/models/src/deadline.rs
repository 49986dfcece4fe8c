//! The time that the work of a start may take.

use std::time::{Duration, Instant};

/// The moment by which work must be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
}

impl Deadline {
    /// The deadline that is `seconds` from now.
    pub(crate) fn after(seconds: f64) -> Self {
        let length = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO);
        let now = Instant::now();
        Self {
            at: now.checked_add(length).unwrap_or(now),
        }
    }

    /// The time until the deadline; zero if it has passed.
    pub(crate) fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}
