//! Who may hold a connection: up to a limit all, beyond it those who came last before those who do nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A connection as seen by the places.
pub trait Holder: Send + Sync {
    /// Tells whether the client still has to read from this connection.
    fn sends(&self) -> bool;

    /// Closes at once.
    fn give_way(&self);
}

/// The places of a process's connections.
///
/// A connection is idle from its beginning until it has a request to answer, and again when it has none. When all
/// places are taken, the connection that has been idle longest gives its place to a newcomer. If none is idle, the
/// newcomer is turned away: it stays connected to be told so, until it is the oldest of too many.
pub struct Places<H: Holder> {
    most: usize,
    most_turned_away: usize,
    held: Mutex<Held<H>>,
}

struct Held<H> {
    next: u64,
    taken: HashMap<u64, (Arc<H>, Option<u64>)>,
    /// The idle connections, by when they became idle.
    idle: BTreeMap<u64, u64>,
    turned_away: VecDeque<(u64, Arc<H>)>,
}

impl<H> Held<H> {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn leave(&mut self, id: u64) {
        if let Some((_, Some(since))) = self.taken.remove(&id) {
            self.idle.remove(&since);
        }
        self.turned_away.retain(|(other, _)| *other != id);
    }
}

/// A connection's name among the places, and whether it has one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// The name.
    pub id: u64,
    /// False if the connection is turned away.
    pub placed: bool,
}

impl<H: Holder> Places<H> {
    /// Returns `most` empty places, and room to turn `most_turned_away` more away with an answer.
    pub fn new(most: usize, most_turned_away: usize) -> Self {
        Self {
            most,
            most_turned_away,
            held: Mutex::new(Held {
                next: 0,
                taken: HashMap::new(),
                idle: BTreeMap::new(),
                turned_away: VecDeque::new(),
            }),
        }
    }

    /// The number of places.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Gives the newcomer a place, or turns it away.
    pub fn enter(&self, newcomer: Arc<H>) -> Entered {
        let mut held = self.held();
        let id = held.number();
        if held.taken.len() >= self.most {
            let longest_idle = held.idle.values().copied().find(|id| {
                let holder = held.taken.get(id);
                holder.is_some_and(|(holder, _)| !holder.sends())
            });
            let Some(longest_idle) = longest_idle else {
                held.turned_away.push_back((id, newcomer));
                if held.turned_away.len() > self.most_turned_away
                    && let Some((_, oldest)) = held.turned_away.pop_front()
                {
                    oldest.give_way();
                }
                return Entered { id, placed: false };
            };
            if let Some((holder, _)) = held.taken.get(&longest_idle) {
                holder.give_way();
            }
            held.leave(longest_idle);
        }
        held.taken.insert(id, (newcomer, Some(id)));
        held.idle.insert(id, id);
        Entered { id, placed: true }
    }

    /// Notes that this connection has a request to answer.
    pub fn work(&self, id: u64) {
        let mut held = self.held();
        let since = held.taken.get_mut(&id).and_then(|(_, since)| since.take());
        if let Some(since) = since {
            held.idle.remove(&since);
        }
    }

    /// Notes that this connection has no request to answer any more.
    pub fn rest(&self, id: u64) {
        let mut held = self.held();
        let now = held.number();
        let Some((_, since)) = held.taken.get_mut(&id) else {
            return;
        };
        if since.is_none() {
            *since = Some(now);
            held.idle.insert(now, id);
        }
    }

    /// Frees what the connection holds, if it still holds anything.
    pub fn leave(&self, id: u64) {
        self.held().leave(id);
    }

    /// All connections that have a place.
    pub fn holders(&self) -> Vec<Arc<H>> {
        self.held()
            .taken
            .values()
            .map(|(holder, _)| Arc::clone(holder))
            .collect()
    }

    /// All connections, those turned away too.
    pub fn all(&self) -> Vec<Arc<H>> {
        let held = self.held();
        let placed = held.taken.values().map(|(holder, _)| holder);
        placed
            .chain(held.turned_away.iter().map(|(_, holder)| holder))
            .cloned()
            .collect()
    }

    fn held(&self) -> MutexGuard<'_, Held<H>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[derive(Default)]
    struct Connection {
        sending: AtomicBool,
        gone: AtomicBool,
    }

    impl Holder for Connection {
        fn sends(&self) -> bool {
            self.sending.load(Ordering::Relaxed)
        }

        fn give_way(&self) {
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn places_are_counted_whatever_comes_when() {
        let places = Places::new(2, 1);
        let [first, second, third, fourth, fifth, sixth] =
            std::array::from_fn(|_| Arc::new(Connection::default()));
        let gone = |connection: &Arc<Connection>| connection.gone.load(Ordering::Relaxed);
        let one = places.enter(Arc::clone(&first));
        assert!(one.placed);
        assert!(places.enter(Arc::clone(&second)).placed);
        places.work(one.id);
        second.sending.store(true, Ordering::Relaxed);
        assert!(!places.enter(Arc::clone(&third)).placed);
        assert!(!places.enter(Arc::clone(&fourth)).placed);
        assert_eq!((gone(&third), gone(&fourth)), (true, false));
        places.rest(one.id);
        places.leave(one.id);
        places.leave(one.id);
        places.rest(one.id);
        assert!(places.enter(Arc::clone(&fifth)).placed);
        assert!(places.enter(Arc::clone(&sixth)).placed);
        assert_eq!((gone(&fifth), gone(&sixth), gone(&second)), (true, false, false));
    }

    #[test]
    fn a_connection_that_was_used_again_is_not_the_longest_idle() {
        let places = Places::new(2, 1);
        let [used, other, newcomer] = std::array::from_fn(|_| Arc::new(Connection::default()));
        let id = places.enter(Arc::clone(&used)).id;
        places.enter(Arc::clone(&other));
        places.work(id);
        places.rest(id);
        assert!(places.enter(newcomer).placed);
        assert!(other.gone.load(Ordering::Relaxed));
        assert!(!used.gone.load(Ordering::Relaxed));
    }
}
