//! Connections to stores: one request each, their faults, and the longest answer that is not an object.

use std::cell::OnceCell;
use std::io::Read;
use std::time::Duration;

use ureq::http::{Request, Response};
use ureq::tls::TlsConfig;
use ureq::{Agent, AsSendBody, Body, Error, Timeout};
use url::Url;

use crate::deadline::Deadline;
use crate::faults::{Fault, in_words, one_line};
use crate::proxies::proxy_for;
use crate::source::Bounded;
use crate::trust::trusted;

/// A description of an object, or an error: a few kilobytes.
pub(crate) const LONGEST_ANSWER_BYTES: u64 = 256 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long each byte may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const CHUNK_BYTES: usize = 256 * 1024;

/// Sends requests, and follows no redirect.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    trust: OnceCell<TlsConfig>,
}

/// How a request reaches its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Past any proxy.
    Direct,
    /// Through the proxy that the environment names, if any.
    Proxied,
}

/// An answer whose body has not been read.
#[derive(Debug)]
pub(crate) struct Answer(Response<Body>);

impl Client {
    /// Returns a client; nothing is sent yet.
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("rust_serving/", env!("CARGO_PKG_VERSION")))
            // what is checked are the bytes as they are stored
            .accept_encoding("identity")
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT))
            .timeout_per_write(Some(READ_TIMEOUT))
            .build();
        Self {
            agent: config.new_agent(),
            trust: OnceCell::new(),
        }
    }

    /// Sends a request; the answer's body must arrive by the deadline too.
    pub(crate) fn send(
        &self,
        request: Request<impl AsSendBody>,
        route: Route,
        deadline: Deadline,
    ) -> Result<Answer, Fault> {
        let left = deadline.left();
        if left.is_zero() {
            return Err(Fault::TimeOver);
        }
        let url = request.uri().to_string();
        let proxy = match (route, Url::parse(&url)) {
            (Route::Proxied, Ok(url)) => proxy_for(&url)?,
            _ => None,
        };
        let proxied = proxy.is_some();
        let encrypted = request.uri().scheme_str() == Some("https");
        let mut config = self
            .agent
            .configure_request(request)
            .timeout_global(Some(left))
            .proxy(proxy);
        if encrypted {
            config = config.tls_config(self.trust()?);
        }
        let request = config.build();
        self.agent
            .run(request)
            .map(Answer)
            .map_err(|error| match head_fault(error) {
                Fault::Transient(cause) if proxied => Fault::Transient(format!("through a proxy, {cause}")),
                fault => fault,
            })
    }

    /// A bundle of certificates is read only if one is needed.
    fn trust(&self) -> Result<TlsConfig, Fault> {
        if let Some(known) = self.trust.get() {
            return Ok(known.clone());
        }
        let found = trusted().map_err(Fault::Start)?;
        Ok(self.trust.get_or_init(|| found).clone())
    }
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    /// A header's text; several of the name are joined by commas.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values = self.0.headers().get_all(name);
        let texts: Vec<_> = values
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }

    /// Reads the body up to `LONGEST_ANSWER_BYTES`, and a byte more if there are more.
    pub(crate) fn into_short_body(self) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        let mut reader = self.0.into_body().into_reader().take(LONGEST_ANSWER_BYTES + 1);
        reader
            .read_to_end(&mut body)
            .map_err(|error| body_fault(error.into()))?;
        Ok(body)
    }

    /// Streams the body into `sink`.
    pub(crate) fn stream_into(self, sink: &mut Bounded<'_>) -> Result<(), Fault> {
        let mut reader = self.0.into_body().into_reader();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = reader
                .read(&mut chunk)
                .map_err(|error| body_fault(error.into()))?;
            match chunk.get(..length) {
                Some([]) | None => return Ok(()),
                Some(bytes) => sink.write(bytes)?,
            }
        }
    }
}

/// The fault of a request that has no answer.
fn head_fault(error: Error) -> Fault {
    match error {
        Error::Timeout(Timeout::Global) => Fault::TimeOver,
        Error::Protocol(
            ureq_proto::Error::BadContentLengthHeader | ureq_proto::Error::TooManyContentLengthHeaders,
        ) => Fault::refused_with("its Content-Length is malformed", crate::web::GIVE_WHOLE),
        // this error shows the header, which may be a secret
        Error::Http(_) => Fault::refused("a header of the request is malformed"),
        Error::BadUri(_) => Fault::refused("its address is malformed"),
        Error::Io(error) => Fault::Transient(one_line(&in_words(&error))),
        other => Fault::Transient(one_line(&other.to_string())),
    }
}

/// The fault of a body that did not arrive whole.
fn body_fault(error: Error) -> Fault {
    let cause = match error {
        Error::Timeout(Timeout::Global) => return Fault::TimeOver,
        Error::Timeout(_) => return Fault::Transient(one_line(&error.to_string())),
        Error::Io(error) => in_words(&error),
        other => other.to_string(),
    };
    Fault::Corrupt(format!("the transfer ended early, {}", one_line(&cause)))
}
