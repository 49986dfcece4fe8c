//! The threads that compute, and how the requests share them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Returns after how many seconds without progress a job is taken to hang, for the default deadline in milliseconds.
#[must_use]
pub fn patience(request_timeout_ms: u64) -> Duration {
    Duration::from_millis(2 * request_timeout_ms).max(Duration::from_secs(20))
}

/// Notes that the job of this thread does not hang; any other thread may call this to no effect.
pub fn note_progress() {}

/// `threads` threads that take jobs first come, first served; clones share them.
///
/// Jobs that were submitted together take turns with all others: a turn is one job, or several short jobs.
#[derive(Clone)]
pub struct Workers {}

impl Workers {
    /// Starts the threads, called `name`-0, `name`-1, ...
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(threads: usize, name: &str, patience: Duration) -> std::io::Result<Self> {
        let _ = (threads, name, patience);
        Ok(Self {})
    }

    /// Has a thread do `work`. If the job is dropped before, `work` is dropped undone.
    pub fn submit<T, F>(&self, work: F) -> Job<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let _ = work;
        Job(std::marker::PhantomData)
    }

    /// Has threads do one request's works, in turn with other requests; a work whose job is dropped is not done.
    pub fn take_turns<T, F>(&self, works: Vec<F>) -> Vec<Job<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        works.into_iter().map(|work| self.submit(work)).collect()
    }

    /// Tells whether a job that is submitted will have its turn: not if every thread hangs.
    #[must_use]
    pub fn alive(&self) -> bool {
        true
    }

    /// Lets every thread end when the queued jobs are done.
    pub fn close(&self) {}
}

/// The result to come of a job.
pub struct Job<T>(std::marker::PhantomData<fn() -> T>);

impl<T> Future for Job<T> {
    type Output = Result<T, Failed>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(Failed(String::new())))
    }
}

/// The job panicked, or the threads are gone; the text is for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed(pub String);
