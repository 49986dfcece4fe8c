//! When each thread's job began, or last said that it makes progress.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The milliseconds of a thread that has no job.
const IDLE: u64 = u64::MAX;

thread_local! {
    static OWN: RefCell<Option<(Arc<Progress>, usize)>> = const { RefCell::new(None) };
}

/// Notes that the job of this thread does not hang; any other thread may call this to no effect.
pub fn note_progress() {
    OWN.with_borrow(|own| {
        if let Some((progress, number)) = own {
            progress.begin(*number);
        }
    });
}

/// The last progress of each thread, in milliseconds since the threads were started.
pub(super) struct Progress {
    epoch: Instant,
    began_ms: Vec<AtomicU64>,
}

impl Progress {
    pub(super) fn of(threads: usize) -> Self {
        Self {
            epoch: Instant::now(),
            began_ms: (0..threads).map(|_| AtomicU64::new(IDLE)).collect(),
        }
    }

    /// Makes [`note_progress`] of the calling thread note it for thread `number`.
    pub(super) fn belongs_to_this_thread(self: &Arc<Self>, number: usize) {
        OWN.set(Some((Arc::clone(self), number)));
    }

    pub(super) fn begin(&self, number: usize) {
        self.set(number, self.now_ms());
    }

    pub(super) fn end(&self, number: usize) {
        self.set(number, IDLE);
    }

    /// Tells whether a thread is idle, or made progress within `patience`.
    pub(super) fn within(&self, patience: Duration) -> bool {
        let now_ms = self.now_ms();
        self.began_ms
            .iter()
            .map(|began_ms| began_ms.load(Ordering::Relaxed))
            .any(|began_ms| {
                began_ms == IDLE || Duration::from_millis(now_ms.saturating_sub(began_ms)) <= patience
            })
    }

    fn set(&self, number: usize, value: u64) {
        if let Some(began_ms) = self.began_ms.get(number) {
            began_ms.store(value, Ordering::Relaxed);
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(IDLE - 1)
    }
}
