//! The hot routes: predictions.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use codecs::{Answer, Refusal, choose_infer, choose_predict, whole_number};
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use tokio::time::timeout_at;

use crate::admission::Place;
use crate::http::answers::{Whole, id_text, refused, whole};
use crate::http::app::{App, Closed};
use crate::http::body::{BodyReader, NoBody, declared};
use crate::http::link::Link;
use crate::http::routes::PredictPath;
use crate::pipeline::{Pipeline, Stop, Work};
use crate::refusals::expired;
use crate::service::Service;

/// How long a shutdown waits for the rest of a refused body.
pub const DRAINING_DISCARD: Duration = Duration::from_secs(1);
const LONGEST_TIMEOUT_MS: u64 = 3_600_000;
const TIMEOUT: &str = "x-request-timeout-ms";
/// The headers that the contract reads a number from, and how messages name them.
const NUMBERS: [(&str, &str); 2] = [
    (TIMEOUT, "X-Request-Timeout-Ms"),
    (
        "inference-header-content-length",
        "Inference-Header-Content-Length",
    ),
];
/// The statuses of refusals that are not computed, so their time says nothing about the time of answers.
const UNWORKED: [u16; 3] = [429, 503, 504];

/// Counts a request as being in work; if it is dropped unfinished, its client went away.
struct Flight<'a> {
    service: &'a Service,
    finished: bool,
}

impl<'a> Flight<'a> {
    fn new(service: &'a Service) -> Self {
        service.metrics.add_in_flight(1);
        Self {
            service,
            finished: false,
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.service.metrics.add_in_flight(-1);
        if !self.finished {
            self.service.metrics.dropped("disconnected");
        }
    }
}

/// Answers a request that predicts, or refuses it with the reason in JSON.
///
/// # Errors
/// If the client is gone.
pub async fn serve(
    app: &Arc<App>,
    link: &Arc<Link>,
    target: PredictPath<'_>,
    request: Request<Incoming>,
    id: &HeaderValue,
) -> Result<Whole, Closed> {
    let started = Instant::now();
    let service = &app.service;
    let mut flight = Flight::new(service);
    let (parts, body) = request.into_parts();
    let held = service.admission.hold();
    let mut reader = BodyReader::new(body, &parts.headers, held, Arc::clone(link));
    let answer = match predict(app, link, target, &parts, &mut reader, id).await {
        Ok(answer) => written(answer),
        Err(Stop::Dropped) => return Err(Closed),
        Err(Stop::Refused(refusal)) => {
            if refusal.status == 504 {
                service.metrics.dropped("expired");
            }
            refused(&refusal)
        }
    };
    flight.finished = true;
    drop((flight, reader));
    let (status, seconds) = (answer.status().as_u16(), started.elapsed().as_secs_f64());
    app.observe(
        target.route,
        status,
        seconds,
        &service.known_name(target.model),
        id,
    );
    Ok(answer)
}

fn written(answer: Answer) -> Whole {
    let mut response = whole(200, HeaderValue::from_static(answer.content_type), answer.body);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    response
}

async fn predict(
    app: &App,
    link: &Link,
    target: PredictPath<'_>,
    parts: &Parts,
    reader: &mut BodyReader,
    id: &HeaderValue,
) -> Result<Answer, Stop> {
    let accepted = accept(app, link.abandoned(), target, parts, reader, id).await;
    let (pipeline, work, mut place) = match accepted {
        Ok(accepted) => accepted,
        Err(NoBody::Disconnected) => return Err(Stop::Dropped),
        Err(NoBody::Refused(mut refusal)) => {
            // of a body that was late the time is used up
            let late = [408, 504].contains(&refusal.status);
            refusal.closes = late || !reader.discard(app.discard_time()).await;
            return Err(refusal.into());
        }
    };
    let answer = in_time(&app.service, &pipeline, work, &mut place).await;
    let worked = match &answer {
        Ok(_) => true,
        Err(Stop::Refused(refusal)) => !UNWORKED.contains(&refusal.status),
        Err(Stop::Dropped) => false,
    };
    if worked {
        place.answered();
    }
    answer
}

async fn accept(
    app: &App,
    abandoned: Arc<AtomicBool>,
    target: PredictPath<'_>,
    parts: &Parts,
    reader: &mut BodyReader,
    id: &HeaderValue,
) -> Result<(Arc<Pipeline>, Work, Place), NoBody> {
    let service = &app.service;
    let (settings, admission) = (&service.settings, &service.admission);
    service.check_open()?;
    let pipeline = service.model(target.model, target.version)?;
    let headers = &parts.headers;
    check_numbers_are_single(headers)?;
    let parse = if target.oip {
        choose_infer(headers, &pipeline.signature)?
    } else {
        choose_predict(headers, parts.uri.query(), &pipeline.signature)?
    };
    let due = Instant::now() + allowed(headers, settings.request_timeout_ms)?;
    admission.check(declared(headers, settings.max_body_bytes)?)?;
    let body_time = due.saturating_duration_since(Instant::now());
    let read = reader
        .read(settings.max_body_bytes, body_time.min(app.limits.body_timeout))
        .await;
    let body = match read {
        Err(NoBody::Refused(refusal)) if refusal.status == 408 && body_time < app.limits.body_timeout => {
            return Err(expired().into());
        }
        read => read?,
    };
    service.check_open()?;
    let place = admission.enter(due)?;
    let work = Work {
        parse,
        body,
        arrived: Instant::now(),
        due,
        request_id: id_text(id),
        abandoned,
    };
    Ok((pipeline, work, place))
}

async fn in_time(
    service: &Service,
    pipeline: &Arc<Pipeline>,
    work: Work,
    place: &mut Place,
) -> Result<Answer, Stop> {
    let Some(workers) = service.workers() else {
        return Err(Refusal::fault().into());
    };
    let due = work.due.into();
    tokio::select! {
        biased;
        answered = timeout_at(due, pipeline.answer(workers, work, place)) => {
            answered.unwrap_or_else(|_| Err(expired().into()))
        }
        // the stop waits no longer for this request: its client gets a refusal before the port closes
        () = service.lifecycle.given_up() => Err(service.shutting_down().into()),
    }
}

fn allowed(headers: &HeaderMap, default_ms: u64) -> Result<Duration, Refusal> {
    let Some(sent) = headers.get_all(TIMEOUT).iter().next_back() else {
        return Ok(Duration::from_millis(default_ms));
    };
    if let Some(allowed_ms @ 1..=LONGEST_TIMEOUT_MS) = whole_number(sent.as_bytes(), None) {
        return Ok(Duration::from_millis(allowed_ms));
    }
    let message =
        format!("X-Request-Timeout-Ms is wrong: send whole milliseconds, 1 to {LONGEST_TIMEOUT_MS}");
    Err(Refusal::new(400, message))
}

/// Checks that no header with a number is there twice: which one is meant is not known.
fn check_numbers_are_single(headers: &HeaderMap) -> Result<(), Refusal> {
    for (name, shown) in NUMBERS {
        if headers.get_all(name).iter().count() > 1 {
            return Err(Refusal::new(
                400,
                format!("the header {shown} is there twice: send it once"),
            ));
        }
    }
    Ok(())
}
