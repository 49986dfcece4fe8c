//! A file at a web address: one GET, whose redirects are checked like the address itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use ureq::http::Request;
use url::Url;

use crate::addresses::{Address, is_near, malformed, shown};
use crate::client::{Answer, Client, Route};
use crate::deadline::Deadline;
use crate::faults::Fault;
use crate::source::{Bounded, Object, Source};

const MOST_REDIRECTS: usize = 5;
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];
const BUSY: [u16; 3] = [408, 425, 429];
/// The most digits of a length that is believed.
const LONGEST_LENGTH: usize = 18;
pub(crate) const GIVE_WHOLE: &str = "give an address that answers a GET with the whole file";
const GIVE_READABLE: &str = "give an address that may be read; if addresses are signed, the manifest needs an \
                             address of its own, MANIFEST_URI";

/// A file at an address that answers a GET, as signed addresses do, which may refuse a HEAD.
pub(crate) struct WebObject {
    uri: String,
    url: Url,
    client: Client,
    answer: Option<Answer>,
}

impl WebObject {
    /// Returns the object at an address that names a web server; nothing is sent yet.
    pub(crate) fn new(uri: &str) -> Result<Self, Fault> {
        let url = Url::parse(uri).map_err(|_| malformed(uri))?;
        Ok(Self {
            uri: uri.to_owned(),
            url,
            client: Client::new(),
            answer: None,
        })
    }

    /// Follows the redirects and returns the last answer, with its body unread.
    fn follow(&self, deadline: Deadline) -> Result<Answer, Fault> {
        let mut before: Option<Url> = None;
        let mut there = self.url.clone();
        for _ in 0..=MOST_REDIRECTS {
            // judged is what will be called, however the address was written
            self.check_hop(before.as_ref(), &there)?;
            let answer = self.get(&there, deadline)?;
            let location = answer.header("location").filter(|location| !location.is_empty());
            match location {
                Some(location) if REDIRECTS.contains(&answer.status()) => {
                    let next = joined(&there, &location)?;
                    before = Some(std::mem::replace(&mut there, next));
                }
                _ => return Ok(answer),
            }
        }
        Err(Fault::start(format!(
            "{} redirects more than {MOST_REDIRECTS} times: give the address of the file itself",
            shown(&self.uri)
        )))
    }

    fn get(&self, there: &Url, deadline: Deadline) -> Result<Answer, Fault> {
        let mut called = there.clone();
        called.set_fragment(None);
        // both fail only for an address without a host
        let _ = called.set_username("");
        let _ = called.set_password(None);
        let mut request = Request::get(called.as_str());
        if let Some(credentials) = self.credentials(there) {
            request = request.header("Authorization", credentials);
        }
        let request = request
            .body(())
            .map_err(|error| Fault::refused(error.to_string()))?;
        // http leads only to this machine, which no proxy stands before
        let route = if called.scheme() == "https" {
            Route::Proxied
        } else {
            Route::Direct
        };
        self.client.send(request, route, deadline)
    }

    /// What the given address holds is for its own host alone.
    fn credentials(&self, there: &Url) -> Option<String> {
        let name = percent_decode_str(self.url.username()).decode_utf8_lossy();
        let password = percent_decode_str(self.url.password().unwrap_or("")).decode_utf8_lossy();
        if there.origin() != self.url.origin() || (name.is_empty() && password.is_empty()) {
            return None;
        }
        Some(format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
    }

    /// Refuses an address that is refused directly, and https that leads to http.
    fn check_hop(&self, before: Option<&Url>, there: &Url) -> Result<(), Fault> {
        let downgraded = before.is_some_and(|before| before.scheme() == "https") && there.scheme() != "https";
        if is_web(there) && !downgraded {
            return Ok(());
        }
        let given = shown(&self.uri);
        Err(Fault::start(if before.is_none() {
            format!("{given} is not a model address: give https://host/path")
        } else {
            let there = shown(there.as_str());
            format!("{given} redirects to {there}, which is not https: give the address of the file itself")
        }))
    }
}

impl Source for WebObject {
    /// Opens the stream that `download` reads, and returns what its headers say.
    fn describe(&mut self, deadline: Deadline) -> Result<Object, Fault> {
        self.answer = None;
        let answer = self.follow(deadline)?;
        check_status(answer.status())?;
        let encoding = answer
            .header("content-encoding")
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if !matches!(&*encoding, "" | "identity") {
            let cause = format!("it is sent with Content-Encoding {encoding}");
            return Err(Fault::refused_with(cause, "store it without an encoding"));
        }
        let hashes = answer.header("x-goog-hash").unwrap_or_default();
        let crc32c = hashes
            .split(',')
            .find_map(|part| part.trim().strip_prefix("crc32c="));
        let object = Object {
            version: version(&answer),
            size_bytes: length(&answer)?,
            crc32c: crc32c.map(str::to_owned),
        };
        self.answer = Some(answer);
        Ok(object)
    }

    fn download(&mut self, _deadline: Deadline, sink: &mut Bounded<'_>) -> Result<(), Fault> {
        match self.answer.take() {
            Some(answer) => answer.stream_into(sink),
            None => Err(Fault::Transient("it was not opened".to_owned())),
        }
    }
}

/// The address to which a redirect leads.
fn joined(there: &Url, location: &str) -> Result<Url, Fault> {
    let given = Address::parse(location)?;
    // this has no host, and yet a lenient parser would take the path's beginning for it
    let hostless = matches!(&*given.scheme, "http" | "https") && given.authority.is_empty();
    if hostless {
        return Err(malformed(location));
    }
    there.join(location).map_err(|_| malformed(location))
}

fn is_web(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("");
    let near = url.scheme() == "http" && is_near(host.trim_matches(['[', ']']));
    !host.is_empty() && (url.scheme() == "https" || near)
}

fn version(answer: &Answer) -> String {
    let names = ["x-goog-generation", "etag", "last-modified"];
    names
        .into_iter()
        .filter_map(|name| answer.header(name))
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

fn length(answer: &Answer) -> Result<Option<u64>, Fault> {
    let Some(text) = answer.header("content-length") else {
        return Ok(None);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(length) if digits && text.len() <= LONGEST_LENGTH => Ok(Some(length)),
        _ => Err(Fault::refused_with("its Content-Length is malformed", GIVE_WHOLE)),
    }
}

fn check_status(status: u16) -> Result<(), Fault> {
    let cause = format!("HTTP status {status}");
    match status {
        200 => Ok(()),
        404 | 410 => Err(Fault::Missing),
        _ if status >= 500 || BUSY.contains(&status) => Err(Fault::Transient(cause)),
        401 | 403 => Err(Fault::refused_with(cause, GIVE_READABLE)),
        _ => Err(Fault::refused_with(cause, GIVE_WHOLE)),
    }
}
