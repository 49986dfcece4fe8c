//! The server: it serves, and ends only when every accepted request is answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::http::app::App;
use crate::http::connection;
use crate::http::link::{ConnectionLimits, Link};
use crate::http::places::{Holder as _, Places};
use crate::http::turned_away::Refusals;
use crate::listener::{allow_connections, listen, queued, stop_admitting};
use crate::loading;
use crate::push::Pusher;
use crate::service::Service;
use crate::settings::Settings;
use crate::signals::Stopping;
use crate::start_error::StartError;

const HEADER_BYTES: usize = 65_536;
const HEADERS: usize = 100;
/// How often the service is asked whether it can go on.
const TICK: Duration = Duration::from_secs(1);
/// How often the drain checks whether it is done.
const POLL: Duration = Duration::from_millis(20);
/// How long a connection may take to reach the listener's queue, and how long the queue may take to empty.
const ACCEPT: Duration = Duration::from_millis(50);
const QUEUE: Duration = Duration::from_secs(1);
/// After the listener has closed, an idle connection may bring one more request for this long,
const LAST_WORDS: Duration = Duration::from_millis(300);
/// and what a connection has begun is waited for this long.
const LAST_REQUESTS: Duration = Duration::from_millis(1500);
/// How long the last answers may take to be written.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How long to wait for a file to accept a connection with.
const NO_FILE: Duration = Duration::from_millis(50);

/// Serves until stopped; returns the exit status.
///
/// # Errors
/// If the address is not available, or the system gives no thread.
pub async fn serve(settings: Settings, stopping: &Stopping) -> Result<u8, StartError> {
    let listener = listen(&settings.host, settings.port)?;
    let counts = allow_connections(settings.max_connections);
    let listener = TcpListener::from_std(listener).map_err(|error| StartError(error.to_string()))?;
    let limits = ConnectionLimits {
        header_timeout: Duration::from_secs_f64(settings.header_timeout_s),
        body_timeout: Duration::from_secs_f64(settings.body_timeout_s),
        header_bytes: HEADER_BYTES,
        headers: HEADERS,
    };
    let service = Arc::new(Service::new(settings));
    let app = Arc::new(App {
        service: Arc::clone(&service),
        places: Arc::new(Places::new(counts.served, counts.turned_away)),
        limits,
        refusals: Refusals::new(),
    });
    let pusher = Pusher::start(&service.settings, &service.metrics)?;
    loading::start(Arc::clone(&service))
        .map_err(|error| StartError(format!("the system gives no thread ({error}): raise its limit")))?;
    let status = run(listener, &app, stopping).await;
    if let Some(pusher) = pusher {
        let _ = tokio::task::spawn_blocking(move || pusher.close()).await;
    }
    if let Some(failure) = service.lifecycle.failure() {
        let cannot = if service.lifecycle.ready() {
            "cannot go on"
        } else {
            "cannot start"
        };
        log::error!("{cannot}: {failure}");
        return Ok(1);
    }
    if status == 0 {
        log::info!("stopped");
    }
    Ok(status)
}

/// Serves until the service must end, and drains.
async fn run(listener: TcpListener, app: &Arc<App>, stopping: &Stopping) -> u8 {
    let listener = Arc::new(listener);
    let accepting = tokio::spawn(accept(Arc::clone(&listener), Arc::clone(app)));
    let service = &app.service;
    let dead = async {
        while service.alive() {
            sleep(TICK).await;
        }
    };
    tokio::select! {
        () = stopping.asked() => {}
        () = service.lifecycle.failed() => {}
        () = dead => {}
    }
    let drain = Drain { app, stopping };
    drain.refuse_and_finish(listener, accepting).await
}

async fn accept(listener: Arc<TcpListener>, app: Arc<App>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let link = Link::new(app.limits, Arc::clone(&app.places));
                tokio::spawn(connection::serve(stream, link, Arc::clone(&app)));
            }
            // a connection that ended before it was accepted, or no file for it
            Err(_) => sleep(NO_FILE).await,
        }
    }
}

/// The end of a service.
struct Drain<'a> {
    app: &'a App,
    stopping: &'a Stopping,
}

impl Drain<'_> {
    /// Drains, closes the listener, answers requests on the wire with 503, then closes the connections. Returns the
    /// exit status.
    async fn refuse_and_finish(
        &self,
        listener: Arc<TcpListener>,
        accepting: tokio::task::JoinHandle<()>,
    ) -> u8 {
        let service = &self.app.service;
        let settings = &service.settings;
        service.lifecycle.drain();
        let began = Instant::now();
        let give_up = began + Duration::from_secs_f64(settings.grace_s);
        let mut unanswered = 0;
        if service.lifecycle.failure().is_none() {
            self.until(|| service.admission.waiting() == 0 && !self.unsent(), give_up)
                .await;
            unanswered = self.unanswered();
            let linger = began + Duration::from_secs_f64(settings.drain_linger_s);
            self.until(|| false, give_up.min(linger)).await;
        }
        stop_admitting(&*listener);
        sleep(ACCEPT).await;
        self.until(|| !queued(&*listener), Instant::now() + QUEUE).await;
        accepting.abort();
        let _ = accepting.await;
        drop(listener);
        let closed = Instant::now();
        let places = &self.app.places;
        self.until(|| places.all().is_empty(), closed + LAST_WORDS).await;
        self.until(
            || !places.holders().iter().any(|link| link.begun()),
            closed + LAST_REQUESTS,
        )
        .await;
        if unanswered > 0 {
            service.lifecycle.give_up();
        }
        for link in places.holders() {
            if !link.begun() {
                link.give_way();
            }
        }
        self.until(|| places.all().is_empty(), Instant::now() + LAST_ANSWERS)
            .await;
        u8::from(unanswered > 0)
    }

    /// Tells whether a client is still reading its answer.
    fn unsent(&self) -> bool {
        self.app.places.holders().iter().any(|link| link.sends())
    }

    /// Returns, and logs, how many accepted items are not answered though the grace period is over.
    fn unanswered(&self) -> usize {
        if self.stopping.is_hurried() {
            return 0;
        }
        let waiting = self.app.service.admission.waiting();
        if waiting > 0 {
            let grace_s = self.app.service.settings.grace_s;
            let grace_s = crate::http::body::general(grace_s);
            log::error!(
                "{waiting} accepted items were not answered within GRACE_S={grace_s}: raise it, or lower QUEUE_LIMIT"
            );
        }
        waiting
    }

    async fn until(&self, done: impl Fn() -> bool, give_up: Instant) {
        while !done() && Instant::now() < give_up && !self.stopping.is_hurried() {
            sleep(POLL).await;
        }
    }
}
