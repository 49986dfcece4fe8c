//! What waits for a thread, in the order in which it is taken.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::job::Task;

/// What a thread takes from the queue.
pub(super) enum Taken {
    /// A job.
    Task(Task),
    /// The jobs of one request.
    Turns(Arc<Turns>),
}

/// The jobs of one request, whose turns alternate with other requests.
///
/// They stand in the queue for their next turn. While a turn is taken they stand there early, for threads that have
/// nothing else to do.
pub(super) struct Turns {
    tasks: Mutex<VecDeque<Task>>,
    early: AtomicBool,
}

impl Turns {
    pub(super) fn of(tasks: Vec<Task>) -> Arc<Self> {
        Arc::new(Self {
            tasks: Mutex::new(tasks.into()),
            early: AtomicBool::new(false),
        })
    }

    /// Returns the next job; None if all are taken.
    pub(super) fn next(&self) -> Option<Task> {
        lock(&self.tasks).pop_front()
    }
}

#[derive(Default)]
struct Waiting {
    taken: VecDeque<Taken>,
    closed: bool,
}

/// A queue without a bound: admission bounds what comes into it.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
    /// Appends to the queue; drops what comes after it was closed, since no thread might take it.
    pub(super) fn put(&self, taken: Taken) {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            drop(waiting);
            return;
        }
        waiting.taken.push_back(taken);
        drop(waiting);
        self.changed.notify_one();
    }

    /// Waits for the next in the queue; None if it is closed and empty.
    pub(super) fn take(&self) -> Option<Taken> {
        let mut waiting = lock(&self.waiting);
        loop {
            if let Some(taken) = waiting.taken.pop_front() {
                return Some(taken);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts `turns` that were just taken back for their next turn, if they have several jobs left; returns false if
    /// others are to have their turn first.
    pub(super) fn goes_on_later(&self, turns: &Arc<Turns>) -> bool {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return true;
        }
        if turns.early.load(Ordering::Relaxed) && !waiting.taken.is_empty() {
            // others came during its last turn
            turns.early.store(false, Ordering::Relaxed);
            waiting.taken.push_back(Taken::Turns(Arc::clone(turns)));
            return false;
        }
        if lock(&turns.tasks).len() > 1 {
            turns.early.store(true, Ordering::Relaxed);
            waiting.taken.push_back(Taken::Turns(Arc::clone(turns)));
            drop(waiting);
            self.changed.notify_one();
        }
        true
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.waiting).closed
    }

    /// Lets [`Queue::take`] return None once the queue is empty.
    pub(super) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.changed.notify_all();
    }
}

/// Locks; a panic while it was locked changes nothing, since no job runs meanwhile.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
