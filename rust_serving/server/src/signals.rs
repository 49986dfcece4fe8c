//! The signals that reach the service: which of them stop it, and which it ignores.
//!
//! A signal without a handler would end the process in the middle of its answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGTERM: i32 = 15;
const SIGPWR: i32 = 30;
/// Orchestrators and users send SIGTERM, a terminal SIGINT, SIGQUIT and, when it closes, SIGHUP; some container and
/// machine managers send SIGPWR.
const STOPPING: [i32; 5] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPWR];
/// Only the second of these hurries a stop: a terminal that closes sends SIGHUP twice, by its kernel and its shell, and
/// systemd may send SIGHUP after SIGTERM.
const HURRYING: [i32; 2] = [SIGTERM, SIGINT];
/// Other programs use these (`SIGUSR1`, `SIGUSR2`, `SIGALRM`, `SIGVTALRM`, `SIGPROF`, `SIGIO`) to open their logs anew,
/// to report their state or to time themselves.
const IGNORED: [i32; 6] = [10, 12, 14, 26, 27, 29];

/// Whether somebody asked the service to stop, and whether to hurry.
#[derive(Default)]
pub struct Stopping {
    asked: AtomicBool,
    told: AtomicBool,
    hurried: AtomicBool,
    changed: Notify,
}

impl Stopping {
    /// Waits until somebody asks the service to stop; for one waiter.
    pub async fn asked(&self) {
        while !self.is_asked() {
            self.changed.notified().await;
        }
    }

    /// Tells whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Tells whether somebody asked once more, so that nothing is waited for.
    pub fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::Acquire)
    }

    fn take(&self, number: i32) {
        if HURRYING.contains(&number) && self.told.swap(true, Ordering::AcqRel) {
            self.hurried.store(true, Ordering::Release);
        }
        self.asked.store(true, Ordering::Release);
        self.changed.notify_one();
    }
}

/// Handles the signals from now on, on tasks of the running event loop.
///
/// # Errors
/// If the system allows no handler.
pub fn handle() -> std::io::Result<Arc<Stopping>> {
    let stopping = Arc::new(Stopping::default());
    let ignored = ignored_by_starter();
    for number in STOPPING {
        if !HURRYING.contains(&number) && ignored & (1 << (number - 1)) != 0 {
            continue; // nohup is obeyed
        }
        let mut signals = signal(SignalKind::from_raw(number))?;
        let stopping = Arc::clone(&stopping);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stopping.take(number);
            }
        });
    }
    for number in IGNORED {
        // a handler that does nothing; it stays when its stream is dropped
        let _ = signal(SignalKind::from_raw(number))?;
    }
    Ok(stopping)
}

/// Returns the signals that whoever started this process had it ignore, a bit for each.
fn ignored_by_starter() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let row = status.lines().find_map(|row| row.strip_prefix("SigIgn:"));
    row.and_then(|row| u64::from_str_radix(row.trim(), 16).ok())
        .unwrap_or(0)
}
