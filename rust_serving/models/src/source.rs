//! Where objects are kept: Google Cloud Storage and plain HTTPS behind one small interface.

use std::fs::File;
use std::io::Write as _;

use crate::addresses::{Address, shown};
use crate::bucket::BucketObject;
use crate::deadline::Deadline;
use crate::faults::Fault;
use crate::web::WebObject;

/// A store's facts about an object: its version ("" if unknown), and, if known, bytes and base64 crc32c.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    pub(crate) version: String,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) crc32c: Option<String>,
}

/// One object in a store.
pub(crate) trait Source {
    /// Returns the object's present version and its facts.
    fn describe(&mut self, deadline: Deadline) -> Result<Object, Fault>;

    /// Streams the bytes of the object, which was just described, into `sink`.
    fn download(&mut self, deadline: Deadline, sink: &mut Bounded<'_>) -> Result<(), Fault>;
}

/// Returns the source at `uri`; the fault says if its scheme or form is not supported.
///
/// `local_store` is the bucket that a stand-in serves, and the address of the stand-in, which needs no
/// credentials.
pub(crate) fn open(
    uri: &str,
    local_store: Option<&(String, String)>,
    deadline: Deadline,
) -> Result<Box<dyn Source>, Fault> {
    let address = Address::parse(uri)?;
    let name = address.decoded_path();
    let name = name.trim_start_matches('/');
    if address.scheme == "gs" && !address.authority.is_empty() && !name.is_empty() {
        let endpoint = local_store
            .filter(|(bucket, _)| *bucket == address.authority)
            .map(|(_, url)| &**url);
        return Ok(Box::new(BucketObject::open(
            &address.authority,
            name,
            endpoint,
            deadline,
        )?));
    }
    if address.is_web() {
        return Ok(Box::new(WebObject::new(uri)?));
    }
    Err(Fault::start(format!(
        "{} is not a model address: give gs://bucket/name, file:///path or https://host/path",
        shown(uri)
    )))
}

/// The most bytes of a file, and what to do about a longer one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LengthLimit {
    pub(crate) size_bytes: u64,
    pub(crate) name: &'static str,
    pub(crate) remedy: &'static str,
}

impl LengthLimit {
    /// Refuses a file of this size if it is too long.
    pub(crate) fn check(&self, place: &str, size_bytes: u64) -> Result<(), Fault> {
        if size_bytes <= self.size_bytes {
            return Ok(());
        }
        let (name, limit, remedy) = (self.name, self.size_bytes, self.remedy);
        Err(Fault::start(format!(
            "{place} is longer than {name}={limit} bytes: {remedy}"
        )))
    }
}

/// Takes no more bytes into a file than were declared, or than a limit lets through.
pub(crate) struct Bounded<'a> {
    pub(crate) file: &'a mut File,
    pub(crate) declared_bytes: Option<u64>,
    pub(crate) limit: LengthLimit,
    pub(crate) place: &'a str,
    pub(crate) taken_bytes: u64,
}

impl Bounded<'_> {
    /// Writes a chunk; fails before the first byte that is too many.
    pub(crate) fn write(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        self.taken_bytes += chunk.len() as u64;
        if let Some(declared) = self.declared_bytes
            && self.taken_bytes > declared
        {
            return Err(Fault::Corrupt(format!(
                "more than its {declared} bytes were sent"
            )));
        }
        self.limit.check(self.place, self.taken_bytes)?;
        self.file.write_all(chunk).map_err(Fault::Disk)
    }
}
