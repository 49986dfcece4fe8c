//! One connection from its beginning to its end: its requests, its time limits, and whether its client is still there.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use crate::http::app::{App, answer};
use crate::http::link::{Late, Link, State};
use crate::http::turned_away::say_and_close;
use crate::http::wire::{BEGINNING, Wire};

/// How much of what a client sends ahead of its answer is read at a time, and so what a body's chunk may have.
const READ_BYTES: usize = 128 * 1024;
/// How much of what a client sends ahead of an answer is kept, to see whether it ends behind it.
const AHEAD_BYTES: usize = 64 * 1024;
/// The time between the first bytes of an answer that has begun before it is there.
///
/// A client that closes its connection and a client that ends only its sending look alike: both send FIN. They differ
/// when they are sent something: the kernel of the first answers with a reset, the second reads on. So a connection
/// with an ended half gets the bytes with which any answer begins; if no reset comes, the answer goes on behind them.
/// They go one at a time, because a proxy between us passes the first on before it learns that nobody reads, fails to
/// pass the second on, and only then is gone itself.
const BETWEEN_BYTES: Duration = Duration::from_millis(5);
/// How often a client that sends nothing more is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How a connection ends.
enum End {
    /// At once.
    Silent,
    /// When the client has read the last answer: it may still be sending.
    Read,
    /// With a refusal.
    Refused(u16, String),
}

/// Serves one connection.
pub async fn serve(stream: TcpStream, link: Arc<Link>, app: Arc<App>) {
    let _ = stream.set_nodelay(true);
    if link.enter() {
        let stream = Arc::new(stream);
        let end = drive(&stream, &link, &app).await;
        match end {
            End::Silent => {}
            End::Read => say_and_close(&stream, &[]).await,
            End::Refused(status, message) => {
                let refusal = app.refusals.answer(status, &message);
                say_and_close(&stream, &refusal).await;
            }
        }
    } else {
        app.service.metrics.dropped("connections");
        turn_away(&stream, &link, &app).await;
    }
    link.leave();
}

/// Tells a client, once it sends something, that there are too many.
async fn turn_away(stream: &TcpStream, link: &Link, app: &App) {
    let told = async {
        if timeout(link.limits().header_timeout, stream.readable())
            .await
            .is_ok()
        {
            let most = app.places.most();
            let message = format!("all {most} connections are taken: send again later");
            say_and_close(stream, &app.refusals.answer(503, &message)).await;
        }
    };
    tokio::select! {
        () = told => {}
        () = link.woken() => {}
    }
}

/// Answers the requests of a connection until it must end; its requests learn that.
async fn drive(stream: &Arc<TcpStream>, link: &Arc<Link>, app: &Arc<App>) -> End {
    let limits = link.limits();
    let wire = TokioIo::new(Wire::new(Arc::clone(stream), Arc::clone(link)));
    let requests = service_fn(|request: Request<Incoming>| {
        // at once, and not when the answer is first worked at: more may be read before
        link.begin(request.body().is_end_stream());
        answer(Arc::clone(app), Arc::clone(link), request)
    });
    let mut builder = Builder::new();
    builder
        .half_close(true)
        .header_read_timeout(None)
        .max_headers(limits.headers)
        .max_header_size(limits.header_bytes)
        .max_buf_size(READ_BYTES)
        .auto_date_header(false)
        .writev(false);
    let mut http = pin!(builder.serve_connection(wire, requests));
    let mut cut = pin!(link.woken());
    let mut alarm = pin!(sleep_until(Instant::now() + limits.header_timeout));
    let mut watch = Watch::new(stream, link);
    let end = poll_fn(|context| {
        if let Poll::Ready(result) = http.as_mut().poll(context) {
            return Poll::Ready(ended(link, result));
        }
        if watch.poll(context).is_ready() || cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(End::Silent);
        }
        late(link, alarm.as_mut(), context)
    })
    .await;
    link.abandon();
    end
}

/// Returns how the connection ends if its time is up.
fn late(link: &Link, mut alarm: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<End> {
    let limits = link.limits();
    loop {
        let Some((at, late)) = link.state().deadline(limits) else {
            return Poll::Pending;
        };
        if at <= Instant::now() {
            return Poll::Ready(match late {
                Late::Close => End::Silent,
                Late::Head => {
                    let allowed_s = super::body::general(limits.header_timeout.as_secs_f64());
                    let message = format!("the headers took over {allowed_s} s: send a request in one go");
                    End::Refused(408, message)
                }
            });
        }
        // an alarm that is too early rings once more than it must: it is set anew only then
        if alarm.is_elapsed() || alarm.deadline() > at {
            alarm.as_mut().reset(at);
        }
        if alarm.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
    }
}

/// Returns what becomes of the connection when the HTTP library is done with it.
fn ended(link: &Link, result: Result<(), hyper::Error>) -> End {
    let limits = link.limits();
    let state = link.state();
    if state.gone {
        return End::Silent;
    }
    let long = || {
        let most = limits.header_bytes;
        End::Refused(
            400,
            format!("the headers are over {most} bytes: send fewer or shorter ones"),
        )
    };
    let invalid = || End::Refused(400, "Invalid HTTP request received: send HTTP/1.1".to_owned());
    match result {
        _ if state.framing.is_doubtful() => invalid(),
        Ok(()) if state.body_whole || state.read_ended => End::Silent,
        Ok(()) => End::Read,
        Err(_) if state.head_bytes > limits.header_bytes => long(),
        Err(error) if error.is_parse_too_large() => {
            if state.head_bytes > limits.header_bytes / 2 {
                return long();
            }
            End::Refused(
                400,
                format!("there are over {} headers: send fewer", limits.headers),
            )
        }
        Err(error) if error.is_parse() => invalid(),
        Err(_) => End::Silent,
    }
}

/// Notices that the client of a request that waits is gone.
struct Watch<'a> {
    stream: &'a TcpStream,
    link: &'a Link,
    /// When to look again.
    look: Pin<Box<Sleep>>,
    looks: bool,
}

impl<'a> Watch<'a> {
    fn new(stream: &'a TcpStream, link: &'a Link) -> Self {
        Self {
            stream,
            link,
            look: Box::pin(sleep_until(Instant::now())),
            looks: false,
        }
    }

    /// Is ready once the client is gone.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.link.state();
        if !state.gone && !state.waits() {
            self.looks = false;
            return Poll::Pending;
        }
        self.read_ahead(context, &mut state);
        if state.gone {
            return Poll::Ready(());
        }
        if !state.read_ended && state.ahead.len() < AHEAD_BYTES {
            return Poll::Pending;
        }
        loop {
            if self.looks && self.look.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let Some(ended) = self.half_ended(&state) else {
                return Poll::Ready(());
            };
            let begins = ended && state.pending.is_empty() && state.sent_ahead < BEGINNING.len();
            if begins && !self.send_a_byte(&mut state) {
                return Poll::Ready(());
            }
            let wait = if begins { BETWEEN_BYTES } else { LOOK };
            self.look.as_mut().reset(Instant::now() + wait);
            self.looks = true;
        }
    }

    /// Reads what the client sends ahead, to see its end.
    fn read_ahead(&self, context: &mut Context<'_>, state: &mut State) {
        while !state.read_ended && !state.gone && state.ahead.len() < AHEAD_BYTES {
            match self.stream.poll_read_ready(context) {
                Poll::Pending => return,
                Poll::Ready(Err(_)) => state.gone = true,
                Poll::Ready(Ok(())) => {
                    state.ahead.reserve(1024);
                    match self.stream.try_read_buf(&mut state.ahead) {
                        Ok(0) => state.read_ended = true,
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(_) => state.gone = true,
                    }
                }
            }
        }
    }

    /// Tells whether the client has ended its half; None if it is gone.
    fn half_ended(&self, state: &State) -> Option<bool> {
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut asked = [PollFd::new(self.stream, PollFlags::RDHUP)];
        if poll(&mut asked, Some(&at_once)).is_err() {
            return None;
        }
        let [told] = &asked;
        let told = told.revents();
        (!told.intersects(PollFlags::HUP | PollFlags::ERR))
            .then(|| state.read_ended || told.contains(PollFlags::RDHUP))
    }

    /// Begins an answer; returns false if the client is gone.
    fn send_a_byte(&self, state: &mut State) -> bool {
        let byte = BEGINNING
            .get(state.sent_ahead..=state.sent_ahead)
            .unwrap_or_default();
        match self.stream.try_write(byte) {
            Ok(count) => state.sent_ahead += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
        true
    }
}
