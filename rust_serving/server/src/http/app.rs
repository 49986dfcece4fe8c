//! Every request: the routes that predict, those that tell, and what is no route.

use std::future::poll_fn;
use std::io::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use codecs::Refusal;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, HeaderValue, RETRY_AFTER, VARY};
use http::{HeaderMap, Method, Request};
use hyper::body::{Body as _, Incoming};
use percent_encoding::percent_decode_str;

use crate::faults::caught;
use crate::http::answers::{REQUEST_ID, Whole, close, given_id, id_text, json, refused, whole};
use crate::http::body::BodyReader;
use crate::http::description::describe;
use crate::http::link::{ConnectionLimits, Link};
use crate::http::places::Places;
use crate::http::predict::{DRAINING_DISCARD, serve};
use crate::http::routes::{Asked, DESCRIPTION, OTHER, asks, predicts};
use crate::http::turned_away::Refusals;
use crate::service::Service;

/// The version that metadata and the description tell.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The name that they tell.
pub const TITLE: &str = "rust serving";
const WORTH_COMPRESSING_BYTES: usize = 2048;

/// What connections share.
pub struct App {
    /// The service.
    pub service: Arc<Service>,
    /// Who may hold a connection.
    pub places: Arc<Places<Link>>,
    /// The limits of each connection.
    pub limits: ConnectionLimits,
    /// What refuses before there is a request.
    pub refusals: Refusals,
}

/// The client is gone: there is nobody to answer.
#[derive(Debug)]
pub struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the client is gone")
    }
}

impl std::error::Error for Closed {}

/// Returns the answer to a request.
///
/// # Errors
/// If the client is gone.
pub async fn answer(app: Arc<App>, link: Arc<Link>, request: Request<Incoming>) -> Result<Whole, Closed> {
    let is_head = request.method() == Method::HEAD;
    let id = given_id(request.headers()).or_else(|| app.service.new_request_id().parse().ok());
    let id = id.unwrap_or_else(|| HeaderValue::from_static("none"));
    let mut answer = whatever_happens(&app, &link, request, &id).await?;
    answer.headers_mut().insert(REQUEST_ID, id);
    if app.service.lifecycle.draining() {
        close(&mut answer);
    }
    let length = answer.body().size_hint().exact().unwrap_or(0);
    link.owe(if is_head {
        0
    } else {
        usize::try_from(length).unwrap_or(0)
    });
    Ok(answer)
}

/// Returns the answer to a request; a panic is logged with the request's id and becomes a 500.
async fn whatever_happens(
    app: &Arc<App>,
    link: &Arc<Link>,
    request: Request<Incoming>,
    id: &HeaderValue,
) -> Result<Whole, Closed> {
    let mut answered = pin!(routed(app, link, request, id));
    let settled = poll_fn(|context| match caught(|| answered.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(answer)) => Poll::Ready(Ok(answer)),
        Err(text) => Poll::Ready(Err(text)),
    })
    .await;
    settled.unwrap_or_else(|text| {
        log::error!(request_id = id_text(id).as_str(), trace = text.as_str(); "a request failed");
        Ok(refused(&Refusal::fault()))
    })
}

async fn routed(
    app: &Arc<App>,
    link: &Arc<Link>,
    request: Request<Incoming>,
    id: &HeaderValue,
) -> Result<Whole, Closed> {
    let started = Instant::now();
    let path = percent_decode_str(request.uri().path())
        .decode_utf8_lossy()
        .into_owned();
    let target = predicts(&path);
    if request.method() == Method::POST
        && let Some(target) = target
    {
        return serve(app, link, target, request, id).await;
    }
    let asked = asks(&path);
    let (parts, body) = request.into_parts();
    let mut answer = match (asked, target) {
        (Some(asked), _) if matches!(parts.method, Method::GET | Method::HEAD) => {
            told(app, asked, &parts.headers).await
        }
        (Some(_), _) => not_served(&parts.method, &path, "GET, HEAD"),
        (None, Some(_)) => not_served(&parts.method, &path, "POST"),
        (None, None) => nowhere(&path),
    };
    let mut reader = BodyReader::new(
        body,
        &parts.headers,
        app.service.admission.hold(),
        Arc::clone(link),
    );
    if !reader.discard(app.discard_time()).await {
        close(&mut answer);
    }
    let route = asked
        .map(|asked| asked.route())
        .or(target.map(|target| target.route));
    let (status, seconds) = (answer.status().as_u16(), started.elapsed().as_secs_f64());
    app.observe(route.unwrap_or(OTHER), status, seconds, "", id);
    Ok(answer)
}

impl App {
    /// How long the rest of a refused body is waited for.
    pub fn discard_time(&self) -> Duration {
        let allowed = self.limits.body_timeout;
        if self.service.lifecycle.draining() {
            allowed.min(DRAINING_DISCARD)
        } else {
            allowed
        }
    }

    /// Counts an answered request, and logs it where detail is asked for.
    pub fn observe(&self, route: &str, status: u16, seconds: f64, model: &str, id: &HeaderValue) {
        self.service
            .metrics
            .observe_request(route, status, seconds, model);
        if log::log_enabled!(log::Level::Debug) {
            let milliseconds = (1e6 * seconds).round() / 1000.0;
            let request_id = id_text(id);
            log::debug!(
                request_id = request_id.as_str(),
                route = route,
                status = status,
                milliseconds = milliseconds;
                "answered"
            );
        }
    }
}

fn nowhere(path: &str) -> Whole {
    // as the other services show it: what follows ? or # in the decoded path is no path any more
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let message = format!("no route {path}: POST to /predict/, or see {DESCRIPTION}");
    refused(&Refusal::new(404, message))
}

fn not_served(method: &Method, path: &str, allowed: &'static str) -> Whole {
    let message = format!("{method} is not served on {path}: use {allowed}");
    let mut answer = refused(&Refusal::new(405, message));
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Answers a route that tells.
async fn told(app: &Arc<App>, asked: Asked<'_>, headers: &HeaderMap) -> Whole {
    let service = &app.service;
    match asked {
        Asked::Root => {
            let content = r#"{"status":"healthy","message":"rust serves POST /predict/"}"#;
            json(200, content)
        }
        Asked::Live(_) => live(service),
        Asked::Ready => ready(service),
        Asked::Server => json(200, codecs::server_metadata(TITLE, VERSION)),
        Asked::Model(_, name, version) => match service.model(Some(name), version) {
            Ok(model) => json(200, codecs::model_metadata(&model.signature)),
            Err(refusal) => refused(&refusal),
        },
        Asked::ModelReady(_, name, version) => {
            let open = service
                .check_open()
                .and_then(|()| service.model(Some(name), version));
            match open {
                Ok(model) => {
                    let content = serde_json::json!({"name": model.signature.name, "ready": true});
                    json(200, content.to_string())
                }
                Err(refusal) => refused(&refusal),
            }
        }
        Asked::Metrics => {
            let accepted = headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
            let accepted = accepted.unwrap_or_default().to_owned();
            let service = Arc::clone(service);
            long(headers, move || {
                let (text, kind) = service.metrics.render(&accepted);
                (HeaderValue::from_static(kind), text.into_bytes())
            })
            .await
        }
        Asked::Description => {
            let signatures = service.signatures();
            long(headers, move || {
                let document = describe(TITLE, VERSION, &signatures);
                (
                    HeaderValue::from_static("application/json"),
                    document.to_string().into_bytes(),
                )
            })
            .await
        }
    }
}

fn live(service: &Service) -> Whole {
    if service.alive() {
        return json(200, r#"{"status":"healthy","live":true}"#);
    }
    let reason = service.lifecycle.failure().unwrap_or_default();
    come_again(format!("not live: {reason}"))
}

fn ready(service: &Service) -> Whole {
    let lifecycle = &service.lifecycle;
    if service.alive() && lifecycle.ready() && lifecycle.accepting() {
        return json(200, r#"{"ready":true}"#);
    }
    let reason = if lifecycle.draining() {
        "the service is shutting down"
    } else {
        "the model is still loading"
    };
    come_again(format!("not ready: {reason}"))
}

fn come_again(message: String) -> Whole {
    let mut answer = refused(&Refusal::new(503, message));
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Answers with what is made on another thread than the event loop's, compressed if that is wanted and pays.
async fn long(headers: &HeaderMap, make: impl FnOnce() -> (HeaderValue, Vec<u8>) + Send + 'static) -> Whole {
    let wanted = takes_gzip(headers);
    let job = tokio::task::spawn_blocking(move || {
        let (kind, content) = make();
        if content.len() < WORTH_COMPRESSING_BYTES {
            return (kind, content, false);
        }
        match wanted.then(|| gzipped(&content)).transpose() {
            Ok(Some(shorter)) => (kind, shorter, true),
            _ => (kind, content, false),
        }
    });
    let Ok((kind, content, is_gzip)) = job.await else {
        return refused(&Refusal::fault());
    };
    let mut answer = whole(200, kind, Bytes::from(content));
    answer
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if is_gzip {
        answer
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer
}

fn gzipped(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content)?;
    encoder.finish()
}

/// Tells whether the client takes gzip: it names it, and not with a quality of 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let sent = headers.get_all(ACCEPT_ENCODING).iter();
    sent.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| {
            let (name, quality) = part.split_once(';').unwrap_or((part, ""));
            let quality = quality
                .trim()
                .strip_prefix("q=")
                .and_then(|quality| quality.trim().parse().ok());
            name.trim() == "gzip" && quality.unwrap_or(1.0) > 0.0
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip_gets_it() {
        let takes = |sent: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(sent))]);
            takes_gzip(&headers)
        };
        assert!(takes("gzip"));
        assert!(takes("br, gzip;q=0.5"));
        assert!(!takes("gzip;q=0, identity"));
        assert!(!takes("identity"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
