//! A Pushgateway, and how metrics are put there.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ureq::Agent;

use crate::start_error::StartError;

/// What a part of a path has encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Where the metrics of one instance of a job are put.
pub(super) struct Gateway {
    agent: Agent,
    /// The address without a name and a password.
    address: String,
    /// The address with the job and the instance.
    url: String,
    /// The header that has the name and the password, if the address has them.
    authorization: Option<String>,
}

impl Gateway {
    /// Returns the gateway at `address`, which may have a name and a password; a push takes `timeout` at most.
    ///
    /// # Errors
    /// If the bundle of certificates cannot be used that verifies a gateway at https.
    pub(super) fn new(address: &str, job: &str, timeout: Duration) -> Result<Self, StartError> {
        let (address, authorization) = without_user(address);
        let instance = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let [job, instance] = [job, &instance].map(|part| utf8_percent_encode(part, ENCODED));
        let url = format!(
            "{}/metrics/job/{job}/instance/{instance}",
            address.trim_end_matches('/')
        );
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout));
        if url.starts_with("https:") {
            config = config.tls_config(models::trusted()?);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            address,
            url,
            authorization,
        })
    }

    /// The address as it may be logged.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Replaces what the gateway knows of this instance. The error says why it could not.
    pub(super) fn put(&self, text: String, content_type: &str) -> Result<(), String> {
        let mut request = self.agent.put(&self.url).header("Content-Type", content_type);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let status = request.send(text).map_err(|error| error.to_string())?.status();
        if status.is_success() {
            return Ok(());
        }
        let reason = status.canonical_reason().unwrap_or_default();
        Err(format!("HTTP Error {}: {reason}", status.as_u16()))
    }
}

/// Returns an address without its name and password, and the header that sends these.
fn without_user(address: &str) -> (String, Option<String>) {
    let (scheme, rest) = address.split_once("//").unwrap_or(("http:", address));
    let Some((user, place)) = rest.rsplit_once('@') else {
        return (address.to_owned(), None);
    };
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let [name, password] = [name, password].map(|part| percent_decode_str(part).decode_utf8_lossy());
    let header = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
    (format!("{scheme}//{place}"), Some(header))
}
