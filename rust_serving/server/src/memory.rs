//! The memory that all threads together decode in, and its return to the system.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::native::trim;
use crate::workers::note_progress;

const MIB: u64 = 1 << 20;
/// How long a thread waits for memory before it asks whether its image is still wanted.
const WAIT: Duration = Duration::from_millis(50);
/// The allocator keeps freed blocks. After this much memory was given back, it is made to let go.
const TRIM_BYTES: u64 = 256 * MIB;

/// `limit_bytes` of memory; a thread that needs more than is left waits its turn. Clones share it.
///
/// A thread takes all the memory of an image at once and waits for nothing else while it holds it, so threads never
/// wait for each other for ever.
#[derive(Debug, Clone)]
pub struct DecodingMemory {
    limit_bytes: u64,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Held {
    taken_bytes: u64,
    /// The bytes given back since the allocator last let go.
    released_bytes: u64,
    /// Who waits, in the order of arrival.
    turns: VecDeque<u64>,
    last_turn: u64,
}

/// A part of the memory, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    bytes: u64,
    shared: Arc<Shared>,
}

/// Why there is no memory for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoMemory {
    /// There will never be enough: the text is the message to the client, with status 413.
    TooLarge(String),
    /// Nobody waits for the image any more.
    Unwanted,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DecodingMemory {
    /// Returns the memory with nothing taken.
    #[must_use]
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            limit_bytes,
            shared: Arc::default(),
        }
    }

    /// The bytes that images in work hold.
    #[cfg(test)]
    #[must_use]
    pub fn taken_bytes(&self) -> u64 {
        self.shared.lock().taken_bytes
    }

    /// Takes `need_bytes`; waits until there is enough, asking `wanted` every 50 ms. Notes progress meanwhile.
    ///
    /// # Errors
    /// If there will never be enough, or if `wanted` says no while it waits.
    pub fn take(&self, need_bytes: u64, wanted: &dyn Fn() -> bool) -> Result<Share, NoMemory> {
        if need_bytes > self.limit_bytes {
            return Err(NoMemory::TooLarge(format!(
                "the image takes {} MiB to decode and the service has {} MiB: send a smaller image, or set \
                 DECODE_BYTES",
                need_bytes / MIB,
                self.limit_bytes / MIB
            )));
        }
        let most_taken = self.limit_bytes - need_bytes;
        let place = Place::last(&self.shared);
        let mut held = self.shared.lock();
        while held.turns.front() != Some(&place.turn) || held.taken_bytes > most_taken {
            let (again, _) = self
                .shared
                .changed
                .wait_timeout(held, WAIT)
                .unwrap_or_else(PoisonError::into_inner);
            drop(again);
            note_progress();
            if !wanted() {
                return Err(NoMemory::Unwanted);
            }
            held = self.shared.lock();
        }
        held.taken_bytes += need_bytes;
        drop(held);
        Ok(Share {
            bytes: need_bytes,
            shared: Arc::clone(&self.shared),
        })
    }
}

/// A place in the order of those who wait, given up when it is dropped.
struct Place<'a> {
    turn: u64,
    shared: &'a Shared,
}

impl<'a> Place<'a> {
    fn last(shared: &'a Shared) -> Self {
        let mut held = shared.lock();
        held.last_turn += 1;
        let turn = held.last_turn;
        held.turns.push_back(turn);
        Self { turn, shared }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.lock().turns.retain(|turn| *turn != self.turn);
        self.shared.changed.notify_all();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shared.lock();
        held.taken_bytes -= self.bytes;
        held.released_bytes += self.bytes;
        let trims = held.released_bytes >= TRIM_BYTES;
        if trims {
            held.released_bytes = 0;
        }
        drop(held);
        self.shared.changed.notify_all();
        if trims {
            trim();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    fn always() -> bool {
        true
    }

    #[test]
    fn what_is_taken_is_given_back() {
        let memory = DecodingMemory::new(100);
        let share = memory.take(60, &always).unwrap();
        assert_eq!(memory.clone().taken_bytes(), 60);
        drop(share);
        assert_eq!(memory.taken_bytes(), 0);
    }

    #[test]
    fn more_than_all_memory_is_refused_at_once() {
        let told = DecodingMemory::new(20 * MIB).take(23 * MIB, &always).unwrap_err();
        let text = "the image takes 23 MiB to decode and the service has 20 MiB: send a smaller image, or set DECODE_BYTES";
        assert_eq!(told, NoMemory::TooLarge(text.to_owned()));
    }

    #[test]
    fn who_finds_no_memory_waits_in_the_order_of_arrival() {
        let memory = DecodingMemory::new(100);
        let held = memory.take(60, &always).unwrap();
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            // the smallest would fit at once, and so might others for ever
            for (before, need) in [90, 50, 40].into_iter().enumerate() {
                let (memory, order) = (&memory, &order);
                scope.spawn(move || {
                    let share = memory.take(need, &always).unwrap();
                    order.lock().unwrap().push(need);
                    drop(share);
                });
                while memory.shared.lock().turns.len() <= before {
                    thread::yield_now();
                }
            }
            assert!(order.lock().unwrap().is_empty());
            drop(held);
        });
        let order = order.into_inner().unwrap();
        assert_eq!((order.len(), order[0]), (3, 90));
        assert_eq!(memory.taken_bytes(), 0);
    }

    #[test]
    fn who_is_no_longer_wanted_waits_no_longer_and_holds_nobody_up() {
        let memory = DecodingMemory::new(100);
        let held = memory.take(60, &always).unwrap();
        let wanted = AtomicBool::new(true);
        thread::scope(|scope| {
            let gone = scope.spawn(|| memory.take(90, &|| wanted.load(Ordering::Relaxed)).map(|_| ()));
            while memory.shared.lock().turns.is_empty() {
                thread::yield_now();
            }
            wanted.store(false, Ordering::Relaxed);
            assert_eq!(gone.join().unwrap(), Err(NoMemory::Unwanted));
        });
        drop(memory.take(40, &always).unwrap());
        drop(held);
        assert_eq!(memory.taken_bytes(), 0);
    }

    #[test]
    fn a_panic_while_it_waits_holds_nobody_up() {
        let memory = DecodingMemory::new(100);
        let held = memory.take(60, &always).unwrap();
        thread::scope(|scope| {
            let broken = scope.spawn(|| memory.take(90, &|| panic!("on purpose")).map(|_| ()));
            assert!(broken.join().is_err());
        });
        drop(memory.take(40, &always).unwrap());
        drop(held);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn threads_never_hold_more_than_there_is_and_all_end(
            needs in proptest::collection::vec(proptest::collection::vec(0_u64..=100, 0..20), 1..6)
        ) {
            let memory = DecodingMemory::new(100);
            let (now, highest) = (AtomicU64::new(0), AtomicU64::new(0));
            thread::scope(|scope| {
                for needs in &needs {
                    let (memory, now, highest) = (&memory, &now, &highest);
                    scope.spawn(move || {
                        for need in needs {
                            let share = memory.take(*need, &always).unwrap();
                            highest.fetch_max(now.fetch_add(*need, Ordering::SeqCst) + need, Ordering::SeqCst);
                            now.fetch_sub(*need, Ordering::SeqCst);
                            drop(share);
                        }
                    });
                }
            });
            prop_assert!(highest.into_inner() <= 100);
            prop_assert_eq!(memory.taken_bytes(), 0);
        }
    }
}
