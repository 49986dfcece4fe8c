//! Who gets in: a bound on the items and bytes accepted, and an honest Retry-After when it is reached.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use codecs::Refusal;

use crate::metrics::Metrics;

/// The weight that an earlier answer keeps when the next arrives: the average covers about the last hundred answers,
/// because answers that were computed together arrive together.
const KEEP: f64 = 0.99;
const FIRST_GUESS_S: f64 = 0.02;
/// Deadlines are judged by the timed answers only if there are at least this many.
const ENOUGH_ANSWERS: f64 = 10.0;
/// This part of the queue is kept for requests' first items: a few large requests must not fill it.
const KEPT_PART: usize = 8;

/// Counts items accepted and unanswered, and the bytes of bodies.
///
/// No request is accepted to wait for more than `usual`, the deadline of those that state none: who states a later
/// deadline would otherwise get the places that these are refused.
pub struct Admission {
    limit: usize,
    limit_bytes: u64,
    usual: Duration,
    metrics: Metrics,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    waiting: usize,
    requests: usize,
    bytes: u64,
    last_answer: Option<Instant>,
    /// The number of timed answers and the busy time that they took in seconds, both weighted.
    answers: f64,
    busy_s: f64,
}

impl Counts {
    /// Seconds from one answer to the next while there is work: the inverse of what the engine can do.
    fn service_s(&self) -> f64 {
        if self.answers > 0.0 {
            self.busy_s / self.answers
        } else {
            FIRST_GUESS_S
        }
    }
}

impl Admission {
    /// Returns an empty queue for `limit` items and `limit_bytes` bytes.
    pub fn new(limit: usize, limit_bytes: u64, usual: Duration, metrics: Metrics) -> Self {
        Self {
            limit,
            limit_bytes,
            usual,
            metrics,
            counts: Mutex::default(),
        }
    }

    /// The items accepted and not yet answered.
    pub fn waiting(&self) -> usize {
        self.counts().waiting
    }

    /// Tells whether the queue has room for one more item of `length` bytes.
    ///
    /// # Errors
    /// 429 if it has none.
    pub fn check(&self, length: u64) -> Result<(), Refusal> {
        let counts = self.counts();
        if counts.waiting >= self.limit || (counts.bytes > 0 && counts.bytes + length > self.limit_bytes) {
            return Err(self.full(&counts));
        }
        Ok(())
    }

    /// Begins to count the bytes of a body.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held {
            admission: Arc::clone(self),
            bytes: 0,
        }
    }

    /// Accepts a request whose bytes are counted already.
    ///
    /// # Errors
    /// 429 if the queue is full, or if the recent rate of answers shows that this request's answer would come after
    /// `due`: requests take turns, whatever the number of their items. If nothing waits, the request is accepted.
    pub fn enter(self: &Arc<Self>, due: Instant) -> Result<Place, Refusal> {
        let mut counts = self.counts();
        if counts.waiting >= self.limit {
            return Err(self.full(&counts));
        }
        if counts.waiting > 0 && counts.answers >= ENOUGH_ANSWERS {
            #[expect(clippy::cast_precision_loss, reason = "a queue is not that long")]
            let wait_s = (counts.requests + 1) as f64 * counts.service_s();
            let allowed = due.saturating_duration_since(Instant::now()).min(self.usual);
            let too_long_s = wait_s - allowed.as_secs_f64();
            if too_long_s > 0.0 {
                self.metrics.dropped("late");
                let message = "the queue is too long for this deadline: allow more time, or send again later";
                return Err(Refusal::new(429, message).retry_after(too_long_s));
            }
        }
        counts.waiting += 1;
        counts.requests += 1;
        self.metrics.set_queue_depth(counts.waiting);
        Ok(Place {
            admission: Arc::clone(self),
            items: 1,
            answered: false,
        })
    }

    fn claim(&self, items: usize, own: usize) -> Result<(), Refusal> {
        let mut counts = self.counts();
        let most = self.limit - self.limit / KEPT_PART;
        if counts.waiting + items > most && counts.waiting > own && items > 0 {
            return Err(self.full(&counts));
        }
        counts.waiting += items;
        self.metrics.set_queue_depth(counts.waiting);
        Ok(())
    }

    fn leave(&self, items: usize, answered: bool) {
        let mut counts = self.counts();
        counts.waiting -= items;
        counts.requests -= 1;
        self.metrics.set_queue_depth(counts.waiting);
        let busy = counts.waiting > 0;
        if !answered {
            // giving up takes no time and says nothing about the time of an answer
            counts.last_answer = counts.last_answer.filter(|_| busy);
            return;
        }
        let now = Instant::now();
        if let Some(last) = counts.last_answer {
            #[expect(clippy::cast_precision_loss, reason = "a request has few items")]
            let items = items as f64;
            let keep = KEEP.powf(items);
            counts.answers = counts.answers * keep + items;
            counts.busy_s = counts.busy_s * keep + now.duration_since(last).as_secs_f64();
        }
        // If nothing is left to do, the time until the next answer depends on the clients alone.
        counts.last_answer = busy.then_some(now);
    }

    fn full(&self, counts: &Counts) -> Refusal {
        self.metrics.dropped("full");
        #[expect(clippy::cast_precision_loss, reason = "a queue is not that long")]
        let wait_s = counts.waiting as f64 * counts.service_s();
        Refusal::new(429, "the queue is full: send again later").retry_after(wait_s)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of one body, counted until this is dropped.
pub struct Held {
    admission: Arc<Admission>,
    bytes: u64,
}

impl Held {
    /// The bytes counted for this body.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts `length` more bytes.
    ///
    /// # Errors
    /// 429 if the bodies together are too large; an only body may have any size.
    pub fn add(&mut self, length: u64) -> Result<(), Refusal> {
        let mut counts = self.admission.counts();
        if counts.bytes + length > self.admission.limit_bytes && counts.bytes > self.bytes {
            return Err(self.admission.full(&counts));
        }
        counts.bytes += length;
        self.bytes += length;
        self.admission.metrics.set_queue_bytes(counts.bytes);
        Ok(())
    }
}

impl Held {
    /// Counts the bytes no longer.
    pub fn let_go(&mut self) {
        if self.bytes > 0 {
            let mut counts = self.admission.counts();
            counts.bytes -= std::mem::take(&mut self.bytes);
            self.admission.metrics.set_queue_bytes(counts.bytes);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// One accepted request's place in the queue, given up when it is dropped: one item, until it claims more.
pub struct Place {
    admission: Arc<Admission>,
    items: usize,
    answered: bool,
}

impl Place {
    /// Takes room for `items` more items.
    ///
    /// # Errors
    /// 429 if there is no room; an only request may have any number of items.
    pub fn claim(&mut self, items: usize) -> Result<(), Refusal> {
        self.admission.claim(items, self.items)?;
        self.items += items;
        Ok(())
    }

    /// Notes that the request was computed, so that its time tells of the time of answers.
    pub fn answered(&mut self) {
        self.answered = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.leave(self.items, self.answered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(limit: usize, limit_bytes: u64) -> Arc<Admission> {
        let usual = Duration::from_secs(30);
        Arc::new(Admission::new(limit, limit_bytes, usual, Metrics::new()))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn a_full_queue_refuses_and_says_when_to_come_again() {
        let queue = queue(2, 100);
        let first = queue.enter(soon());
        let _second = queue.enter(soon());
        let refused = queue.enter(soon()).err();
        assert_eq!(refused.as_ref().map(|refusal| refusal.status), Some(429));
        assert!(refused.is_some_and(|refusal| refusal.retry_after_s.is_some()));
        drop(first);
        assert!(queue.enter(soon()).is_ok());
    }

    #[test]
    fn an_only_request_may_have_any_number_of_items_and_of_bytes() {
        let queue = queue(2, 100);
        let mut held = queue.hold();
        assert!(held.add(90).is_ok());
        assert!(held.add(90).is_ok());
        assert!(queue.hold().add(1).is_err());
        assert!(queue.check(1).is_err());
        let mut place = queue.enter(soon()).ok();
        assert!(place.as_mut().is_some_and(|place| place.claim(10).is_ok()));
        assert_eq!(queue.waiting(), 11);
        drop((held, place));
        assert_eq!(queue.waiting(), 0);
        assert!(queue.check(1000).is_ok());
    }

    #[test]
    fn who_cannot_be_in_time_is_refused_only_when_others_wait() {
        let queue = queue(100, 100);
        let waits = queue.enter(soon());
        for _ in 0..20 {
            if let Ok(mut place) = queue.enter(soon()) {
                place.answered();
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let now = Instant::now();
        assert!(
            queue
                .enter(now)
                .is_err_and(|refusal| refusal.message.contains("deadline"))
        );
        drop(waits);
        assert!(queue.enter(now).is_ok());
    }
}
