//! A piece of work and the result to come of it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// The result to come of a job; if it is dropped before the job has begun, the job is not done.
pub struct Job<T> {
    result: oneshot::Receiver<Result<T, Failed>>,
    work: Arc<dyn Held>,
}

impl<T> Drop for Job<T> {
    /// Keeps the work no longer: it holds a request's body, and the job may stay long in the queue.
    fn drop(&mut self) {
        self.work.let_go();
    }
}

/// Why a job has no result: it panicked, or the threads are gone. The text is for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed(pub String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

impl<T> Future for Job<T> {
    type Output = Result<T, Failed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(context).map(|received| {
            received.unwrap_or_else(|_| Err(Failed("the threads that compute have ended".to_owned())))
        })
    }
}

/// What a thread does.
pub(super) struct Task(Arc<dyn Held>);

impl Task {
    /// Does the work, unless nobody waits for its result any more.
    pub(super) fn run(self) {
        self.0.run();
    }
}

impl Drop for Task {
    /// Whoever waits learns that the work will not be done; nothing happens if it was.
    fn drop(&mut self) {
        self.0.let_go();
    }
}

impl<T: Send + 'static> Job<T> {
    /// Returns what a thread does for `work`, and what comes of it.
    pub(super) fn of<F: FnOnce() -> T + Send + 'static>(work: F) -> (Task, Self) {
        let (sender, result) = oneshot::channel();
        let work = Arc::new(Work(Mutex::new(Some((work, sender)))));
        (Task(Arc::clone(&work) as Arc<dyn Held>), Self { result, work })
    }
}

/// Work that is held until it is done or let go.
trait Held: Send + Sync {
    fn run(&self);
    fn let_go(&self);
}

/// A piece of work, and where its result goes.
type Pending<T, F> = (F, oneshot::Sender<Result<T, Failed>>);

struct Work<T, F>(Mutex<Option<Pending<T, F>>>);

impl<T, F> Work<T, F> {
    fn take(&self) -> Option<Pending<T, F>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T: Send, F: FnOnce() -> T + Send> Held for Work<T, F> {
    fn run(&self) {
        if let Some((work, sender)) = self.take() {
            let result =
                catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Failed(text_of(panic.as_ref())));
            // nobody may wait any more
            let _ = sender.send(result);
        }
    }

    fn let_go(&self) {
        self.take();
    }
}

/// Returns what a panic says.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
