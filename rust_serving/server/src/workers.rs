//! The threads that compute, and how the requests share them.

mod job;
mod progress;
mod queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use job::Job;
use job::Task;
use progress::Progress;
pub use progress::note_progress;
use queue::{Queue, Taken, Turns};

/// A thread that has worked on one job for this many request deadlines is taken to hang.
const DEADLINES: u64 = 2;
/// The longest that a job may work between two notes of progress, whatever the deadline: an image of the most pixels
/// and the slowest format takes some seconds.
const LEAST_PATIENCE: Duration = Duration::from_secs(20);
/// A turn of several jobs begins no further job after this time: about as much as one job for one image takes.
const TURN: Duration = Duration::from_millis(20);

/// Returns after how many seconds without progress a job is taken to hang, for the default deadline in milliseconds.
#[must_use]
pub fn patience(request_timeout_ms: u64) -> Duration {
    Duration::from_millis(request_timeout_ms.saturating_mul(DEADLINES)).max(LEAST_PATIENCE)
}

/// `threads` threads that take jobs first come, first served; clones share them.
///
/// Jobs that were submitted together take turns with all others: a turn is one job, or several short jobs. A job that
/// panics fails alone. The threads count as alive unless every thread has worked for longer than the patience without
/// progress: since its job began, or since its job called [`note_progress`].
#[derive(Clone)]
pub struct Workers {
    queue: Arc<Queue>,
    progress: Arc<Progress>,
    patience: Duration,
}

impl Workers {
    /// Starts the threads, called `name`-0, `name`-1, ...
    ///
    /// # Errors
    /// If the system gives no more threads.
    pub fn new(threads: usize, name: &str, patience: Duration) -> std::io::Result<Self> {
        let made = Self {
            queue: Arc::default(),
            progress: Arc::new(Progress::of(threads)),
            patience,
        };
        for number in 0..threads {
            let (queue, progress) = (Arc::clone(&made.queue), Arc::clone(&made.progress));
            let started = thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || serve(&queue, &progress, number));
            if let Err(error) = started {
                made.close();
                return Err(error);
            }
        }
        Ok(made)
    }

    /// Has a thread do `work`. If the job is dropped before, `work` is dropped undone.
    pub fn submit<T, F>(&self, work: F) -> Job<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (task, job) = Job::of(work);
        self.queue.put(Taken::Task(task));
        job
    }

    /// Has threads do one request's works, in turn with other requests; a work whose job is dropped is not done.
    pub fn take_turns<T, F>(&self, works: Vec<F>) -> Vec<Job<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (tasks, jobs): (Vec<Task>, Vec<Job<T>>) = works.into_iter().map(Job::of).unzip();
        self.queue.put(Taken::Turns(Turns::of(tasks)));
        jobs
    }

    /// Tells whether a job that is submitted will have its turn: not if every thread hangs.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.progress.within(self.patience)
    }

    /// Lets every thread end when the queued jobs are done.
    pub fn close(&self) {
        self.queue.close();
    }
}

/// Takes jobs until the queue is closed and empty.
fn serve(queue: &Queue, progress: &Arc<Progress>, number: usize) {
    progress.belongs_to_this_thread(number);
    while let Some(taken) = queue.take() {
        match taken {
            Taken::Task(task) => take(task, progress, number),
            Taken::Turns(turns) => turn(queue, &turns, progress, number),
        }
    }
}

/// Takes a turn of a request.
fn turn(queue: &Queue, turns: &Arc<Turns>, progress: &Progress, number: usize) {
    if !queue.goes_on_later(turns) {
        return;
    }
    let end = Instant::now() + TURN;
    while let Some(task) = turns.next() {
        take(task, progress, number);
        if Instant::now() >= end && !queue.is_closed() {
            break;
        }
    }
}

/// Does one job and keeps nothing of it.
fn take(task: Task, progress: &Progress, number: usize) {
    progress.begin(number);
    // a task gives its own panic to whoever waits for it; what is caught here comes from dropping what it held
    let _ = catch_unwind(AssertUnwindSafe(|| task.run()));
    progress.end(number);
}

#[cfg(test)]
mod tests;
