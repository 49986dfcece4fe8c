//! What is known of one connection, shared by the bytes on it, its requests, and who may close it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::http::framing::Framing;
use crate::http::places::{Holder, Places};

/// How long a connection without a request is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The limits of one connection; times are those that a request's head, a request's body or an answer may take.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// How long a head may take to arrive.
    pub header_timeout: Duration,
    /// How long a body may take to arrive, and an answer to be read.
    pub body_timeout: Duration,
    /// The most bytes of a head.
    pub header_bytes: usize,
    /// The most headers of a request.
    pub headers: usize,
}

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing has arrived yet.
    New,
    /// A request's head arrives.
    Head,
    /// A request is read, computed or answered.
    Busy,
    /// The last request is answered.
    Idle,
}

/// How far an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// The next bytes begin an answer.
    Start,
    /// So many bytes of the answer are left.
    Within(usize),
    /// What comes is the HTTP library's own refusal, which is not sent.
    Swallow,
}

/// The state of a connection.
pub struct State {
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: Instant,
    /// The bytes that arrived of the head that arrives.
    pub head_bytes: usize,
    /// Where the bodies end.
    pub framing: Framing,
    /// Whether all of the request's body was read.
    pub body_whole: bool,
    /// Whether the client sends nothing more.
    pub read_ended: bool,
    /// Whether nothing can be written any more.
    pub gone: bool,
    /// What the client sent ahead of the answer to its request.
    pub ahead: BytesMut,
    /// How far the answer is written.
    pub out: Out,
    /// The bytes of the body of the answer that is written next.
    pub owed: Option<usize>,
    /// The first bytes of an answer that are written already.
    pub sent_ahead: usize,
    /// Bytes that were taken to be written.
    pub pending: BytesMut,
    /// Since when the client does not read all of the answer that is written, however little it reads meanwhile.
    pub blocked: Option<Instant>,
}

/// One connection.
pub struct Link {
    limits: ConnectionLimits,
    places: Arc<Places<Link>>,
    place: Mutex<Option<u64>>,
    state: Mutex<State>,
    cut: AtomicBool,
    woken: Notify,
    abandoned: Arc<AtomicBool>,
}

impl Link {
    /// Returns a connection that has just begun.
    pub fn new(limits: ConnectionLimits, places: Arc<Places<Link>>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            places,
            place: Mutex::new(None),
            state: Mutex::new(State {
                phase: Phase::New,
                since: Instant::now(),
                head_bytes: 0,
                framing: Framing::new(),
                body_whole: true,
                read_ended: false,
                gone: false,
                ahead: BytesMut::new(),
                out: Out::Start,
                owed: None,
                sent_ahead: 0,
                pending: BytesMut::new(),
                blocked: None,
            }),
            cut: AtomicBool::new(false),
            woken: Notify::new(),
            abandoned: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Takes a place among the connections; returns whether there was one.
    pub fn enter(self: &Arc<Self>) -> bool {
        let entered = self.places.enter(Arc::clone(self));
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(entered.id);
        entered.placed
    }

    /// Gives the place up.
    pub fn leave(&self) {
        if let Some(id) = self.place() {
            self.places.leave(id);
        }
    }

    /// The connection's limits.
    pub fn limits(&self) -> &ConnectionLimits {
        &self.limits
    }

    /// The state of the connection.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request's head is complete.
    pub fn begin(&self, body_whole: bool) {
        let mut state = self.state();
        state.phase = Phase::Busy;
        state.head_bytes = 0;
        state.body_whole = body_whole;
        drop(state);
        if let Some(id) = self.place() {
            self.places.work(id);
        }
    }

    /// Notes that the request's body is complete.
    pub fn body_is_whole(&self) {
        self.state().body_whole = true;
    }

    /// Notes that the next answer has a body of so many bytes.
    pub fn owe(&self, body_bytes: usize) {
        self.state().owed = Some(body_bytes);
    }

    /// Notes that an answer is written.
    pub fn answered(&self, state: &mut State) {
        state.out = Out::Start;
        state.blocked = None;
        // a head that began before the answer was written has its time from now on
        state.phase = if state.framing.is_in_head() {
            Phase::Head
        } else {
            Phase::Idle
        };
        state.since = Instant::now();
        state.head_bytes = 0;
        if let Some(id) = self.place() {
            self.places.rest(id);
        }
    }

    /// Tells whether the client is gone.
    pub fn is_gone(&self) -> bool {
        let state = self.state();
        state.gone || state.read_ended
    }

    /// The flag that tells the connection's requests that their client is gone.
    pub fn abandoned(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.abandoned)
    }

    /// Tells the connection's requests that their client is gone.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    /// Tells whether the client has still to send a request that it began, or to get its answer.
    ///
    /// A new connection has begun its first.
    pub fn begun(&self) -> bool {
        !self.is_cut() && self.state().phase != Phase::Idle
    }

    /// Tells whether somebody said that the connection must be closed at once.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Waits until [`Link::is_cut`] may have changed.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    fn place(&self) -> Option<u64> {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder for Link {
    fn sends(&self) -> bool {
        // who writes just now holds the state
        self.state
            .try_lock()
            .map_or(true, |state| state.blocked.is_some())
    }

    fn give_way(&self) {
        self.cut.store(true, Ordering::Release);
        self.woken.notify_one();
    }
}

/// What becomes of a connection whose time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// It is closed without a word.
    Close,
    /// It is told that its head took too long.
    Head,
}

impl State {
    /// Notes that bytes arrived.
    ///
    /// # Errors
    /// If they leave in doubt where a body ends: the HTTP library must not read them.
    pub fn arrived(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = bytes.len();
        match self.phase {
            Phase::Busy => {}
            Phase::Head => self.head_bytes += count,
            Phase::New | Phase::Idle => {
                if self.phase == Phase::Idle {
                    self.since = Instant::now();
                }
                self.phase = Phase::Head;
                self.head_bytes = count;
            }
        }
        let taken = self.framing.take(bytes);
        taken.map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// When the connection's time is up, and what becomes of it then; None if it may take any time.
    pub fn deadline(&self, limits: &ConnectionLimits) -> Option<(Instant, Late)> {
        if let Some(blocked) = self.blocked {
            return Some((blocked + limits.body_timeout, Late::Close));
        }
        match self.phase {
            Phase::Busy => None,
            Phase::New => Some((self.since + limits.header_timeout, Late::Close)),
            Phase::Head => Some((self.since + limits.header_timeout, Late::Head)),
            Phase::Idle => Some((self.since + KEEP_ALIVE, Late::Close)),
        }
    }

    /// Tells whether a whole request waits for its answer, of which nothing is written.
    pub fn waits(&self) -> bool {
        self.phase == Phase::Busy && self.body_whole && self.owed.is_none() && self.out == Out::Start
    }
}
