//! Objects in Google Cloud Storage or in its stand-in.

use std::env;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::Request;
use url::Url;

use crate::addresses::shown;
use crate::client::{Answer, Client, LONGEST_ANSWER_BYTES, Route};
use crate::credentials::Credentials;
use crate::deadline::Deadline;
use crate::faults::{Fault, one_line};
use crate::quoted::quoted;
use crate::source::{Bounded, Object, Source};

const GOOGLE: &str = "https://storage.googleapis.com";
/// What a name keeps as it is within an address.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// An object in a bucket.
pub(crate) struct BucketObject {
    client: Client,
    credentials: Credentials,
    route: Route,
    endpoint: String,
    path: String,
}

impl BucketObject {
    /// Returns an object of a bucket that is at `endpoint` if a stand-in holds it.
    pub(crate) fn open(
        bucket: &str,
        name: &str,
        endpoint: Option<&str>,
        deadline: Deadline,
    ) -> Result<Self, Fault> {
        let client = Client::new();
        let emulator = env::var("STORAGE_EMULATOR_HOST")
            .ok()
            .filter(|host| !host.is_empty());
        let stand_in = endpoint.map(str::to_owned).or(emulator);
        let credentials = match stand_in {
            Some(_) => Credentials::anonymous(),
            None => Credentials::find(&client, deadline)?,
        };
        // no proxy stands before a stand-in
        let route = if stand_in.is_some() {
            Route::Direct
        } else {
            Route::Proxied
        };
        let endpoint = stand_in
            .unwrap_or_else(|| GOOGLE.to_owned())
            .trim_end_matches('/')
            .to_owned();
        let path = format!("/storage/v1/b/{}/o/{}", encoded(bucket), encoded(name));
        Ok(Self {
            client,
            credentials,
            route,
            endpoint,
            path,
        })
    }

    /// Asks the store; an answer that is neither the object nor its description becomes a fault.
    fn ask(&mut self, prefix: &str, query: &str, deadline: Deadline) -> Result<Answer, Fault> {
        let plain = format!("{}{prefix}{}", self.endpoint, self.path);
        if !Url::parse(&plain).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            let cause = format!("No connection adapters were found for {}", quoted(&shown(&plain)));
            return Err(Fault::refused_with(
                cause,
                "write STORAGE_EMULATOR_HOST=http://host:port",
            ));
        }
        let mut request = Request::get(format!("{plain}?{query}"));
        for (name, value) in self.credentials.headers(&self.client, deadline)? {
            request = request.header(name, value);
        }
        let request = request
            .body(())
            .map_err(|_| Fault::refused("a header of the request is malformed"))?;
        let answer = self.client.send(request, self.route, deadline)?;
        let status = answer.status();
        if let Some(target) = answer.header("location").filter(|_| (300..400).contains(&status)) {
            let cause = format!("the store redirects to {}", shown(&target));
            return Err(Fault::refused_with(cause, "give the address of the store itself"));
        }
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        if status == 404 {
            return Err(Fault::Missing);
        }
        let message = error_message(&answer.into_short_body()?);
        let cause = one_line(&format!("{status} GET {plain}: {message}"));
        // a store that is busy, or that gave up waiting
        let passes = status == 408 || status == 429 || status >= 500;
        Err(if passes {
            Fault::Transient(cause)
        } else {
            Fault::refused(cause)
        })
    }
}

impl Source for BucketObject {
    /// Asks for the object's metadata.
    fn describe(&mut self, deadline: Deadline) -> Result<Object, Fault> {
        let answer = self.ask("", "projection=noAcl&prettyPrint=false", deadline)?;
        let body = answer.into_short_body()?;
        if body.len() as u64 > LONGEST_ANSWER_BYTES {
            let cause = format!("its description is longer than {LONGEST_ANSWER_BYTES} bytes");
            return Err(Fault::Corrupt(cause));
        }
        let facts: Value = serde_json::from_slice(&body)
            .map_err(|error| Fault::refused(one_line(&format!("its description is not JSON, {error}"))))?;
        let text = |name: &str| match &facts[name] {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        if let Some(encoding) = text("contentEncoding").filter(|encoding| encoding != "identity") {
            let cause = format!("it is stored with Content-Encoding {encoding}");
            return Err(Fault::refused_with(cause, "publish it without an encoding"));
        }
        Ok(Object {
            version: text("generation").unwrap_or_default(),
            size_bytes: text("size").and_then(|size| size.parse().ok()),
            crc32c: text("crc32c"),
        })
    }

    /// Streams the object as it is stored.
    ///
    /// The checksum reveals another version; a request for the described generation would call it missing.
    fn download(&mut self, deadline: Deadline, sink: &mut Bounded<'_>) -> Result<(), Fault> {
        self.ask("/download", "alt=media", deadline)?.stream_into(sink)
    }
}

fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NAME).to_string()
}

/// What a store's error says: the message in its JSON, or its text.
fn error_message(body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json["error"]["message"].as_str());
    match message {
        Some(message) => message.to_owned(),
        None if body.is_empty() || json.is_some() => "unknown error".to_owned(),
        None => String::from_utf8_lossy(body).into_owned(),
    }
}
