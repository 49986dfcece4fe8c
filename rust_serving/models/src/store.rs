//! The download of a model: pulled from its address, verified, and kept for the next start.

use std::cmp;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::addresses::{Address, shown};
use crate::cache;
use crate::checks::{difference, sha256};
use crate::deadline::Deadline;
use crate::faults::{Fault, in_words};
use crate::manifest::{Document, Manifest};
use crate::source::{self, Bounded, LengthLimit, Source};
use crate::start_error::StartError;

const MANIFEST_NAME: &str = "model.json";
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// One or two damaged copies may be the network's fault; a third means that the object is damaged.
const CORRUPT_ATTEMPTS: u32 = 3;
const MANIFEST_LIMIT: LengthLimit = LengthLimit {
    size_bytes: 16 * 1024 * 1024,
    name: "the longest manifest",
    remedy: "give the address of the model's model.json",
};

/// How models are pulled.
#[derive(Debug, Clone)]
pub struct PullSettings {
    /// The folder in which pulled files are kept, `MODEL_CACHE_DIR`.
    pub cache: PathBuf,
    /// The bucket that a stand-in serves, and the stand-in's `http://host:port`; see [`crate::local_store`].
    pub local_store: Option<(String, String)>,
    /// The seconds that pulling a model may take in all, `STORE_TIMEOUT_S`.
    pub timeout_s: f64,
    /// The longest file that is pulled as a model, `MAX_MODEL_BYTES`.
    pub max_model_bytes: u64,
}

impl PullSettings {
    /// The default of `max_model_bytes`.
    pub const MOST_MODEL_BYTES: u64 = 8 << 30;

    fn model_limit(&self) -> LengthLimit {
        LengthLimit {
            size_bytes: self.max_model_bytes,
            name: "MAX_MODEL_BYTES",
            remedy: "correct the address, or raise the setting",
        }
    }
}

/// A pulled file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Where the file is.
    pub path: PathBuf,
    /// Whether the store's checksum verified it.
    pub verified: bool,
    /// Whether nothing had to be downloaded.
    pub cached: bool,
}

/// A model's verified file and its manifest.
#[derive(Debug, Clone)]
pub struct Model {
    /// Where the file is.
    pub path: PathBuf,
    /// What was published beside it.
    pub manifest: Manifest,
    /// The address of the file, as it was given: [`shown`] hides its secrets.
    pub uri: String,
    /// Whether nothing had to be downloaded.
    pub cached: bool,
}

/// What one pull needs beyond its address.
struct Order<'a> {
    settings: &'a PullSettings,
    deadline: Deadline,
    limit: LengthLimit,
}

/// Pulls the model at `uri` and its manifest, within `timeout_s` seconds in all; call it on a thread that may
/// block.
///
/// The manifest is `model.json` in the same folder, unless `manifest_uri` says otherwise.
///
/// # Errors
///
/// [`StartError`] if the model or the manifest is missing, may not be read, or differs from what was
/// published, and if the manifest describes no image classifier.
pub fn pull(uri: &str, manifest_uri: Option<&str>, settings: &PullSettings) -> Result<Model, StartError> {
    let deadline = Deadline::after(settings.timeout_s);
    let address = Address::parse(uri).map_err(|fault| in_one_line(fault, uri, settings))?;
    let manifest_uri = manifest_uri.map_or_else(|| address.beside(MANIFEST_NAME), str::to_owned);
    // the model first: if its address is wrong, the message must name that address
    let pulled = pull_one(
        uri,
        &Order {
            settings,
            deadline,
            limit: settings.model_limit(),
        },
    )?;
    let found = pull_one(
        &manifest_uri,
        &Order {
            settings,
            deadline,
            limit: MANIFEST_LIMIT,
        },
    )?;
    let document = read_document(&found.path, &manifest_uri, settings)?;
    verify(&pulled, uri, &address, &document, settings)?;
    Ok(Model {
        path: pulled.path,
        manifest: document.into_classifier()?,
        uri: uri.to_owned(),
        cached: pulled.cached && found.cached,
    })
}

/// Downloads the object at `uri` into the cache, unless its present version is there; its manifest is not
/// asked for.
///
/// # Errors
///
/// [`StartError`] as for [`pull`].
pub fn pull_file(uri: &str, settings: &PullSettings) -> Result<Pulled, StartError> {
    let deadline = Deadline::after(settings.timeout_s);
    pull_one(
        uri,
        &Order {
            settings,
            deadline,
            limit: settings.model_limit(),
        },
    )
}

fn read_document(path: &Path, uri: &str, settings: &PullSettings) -> Result<Document, StartError> {
    let place = shown(uri);
    let unreadable = |error| in_one_line(Fault::Disk(error), uri, settings);
    // a local file is used where it lies, and its length is not checked yet
    let size = path.metadata().map_err(unreadable)?.len();
    MANIFEST_LIMIT
        .check(&place, size)
        .map_err(|fault| in_one_line(fault, uri, settings))?;
    Document::read(&fs::read(path).map_err(unreadable)?, &place)
}

/// Refuses a file that the manifest does not list, or that differs from what it lists.
fn verify(
    pulled: &Pulled,
    uri: &str,
    address: &Address,
    document: &Document,
    settings: &PullSettings,
) -> Result<(), StartError> {
    let (place, manifest) = (shown(uri), &document.source);
    let name = address.file_name();
    let listed = document.sha256.iter().find(|(file, _)| *file == name);
    match listed {
        // another model's file, left there when this one was published: a store vouches for its bytes too
        None if !document.sha256.is_empty() => {
            let names: Vec<_> = document.sha256.iter().map(|(file, _)| &**file).collect();
            Err(StartError(format!(
                "{place} is none of the files that {manifest} lists ({}): \
                 give the address of one of them, or publish the model in this form",
                names.join(", ")
            )))
        }
        None if !pulled.verified => Err(StartError(format!(
            "{place} cannot be verified: list its sha256 under files in {manifest}"
        ))),
        None => Ok(()),
        Some((_, expected)) => {
            let found =
                sha256(&pulled.path).map_err(|error| in_one_line(Fault::Disk(error), uri, settings))?;
            if found == *expected {
                return Ok(());
            }
            Err(StartError(format!(
                "{place} is not the file that {manifest} lists (sha256 differs): publish both again"
            )))
        }
    }
}

fn pull_one(uri: &str, order: &Order<'_>) -> Result<Pulled, StartError> {
    let settings = order.settings;
    let from_store = || {
        let address = Address::parse(uri)?;
        if address.scheme == "file" {
            return local(&shown(uri), &address.decoded_path());
        }
        let mut source = source::open(uri, settings.local_store.as_ref(), order.deadline)?;
        retrying(|| pull_once(&mut *source, uri, &address, order), order.deadline)
    };
    from_store().map_err(|fault| in_one_line(fault, uri, settings))
}

/// Tries until it succeeds, with waits that grow, while there is time for the next wait.
fn retrying(mut attempt: impl FnMut() -> Result<Pulled, Fault>, deadline: Deadline) -> Result<Pulled, Fault> {
    let (mut wait, mut corrupt) = (FIRST_WAIT, 0);
    loop {
        let fault = match attempt() {
            Err(fault @ Fault::Corrupt(_)) => {
                corrupt += 1;
                if corrupt >= CORRUPT_ATTEMPTS {
                    return Err(fault);
                }
                fault
            }
            Err(fault @ Fault::Transient(_)) => fault,
            outcome => return outcome,
        };
        if wait > deadline.left() {
            return Err(fault);
        }
        log::debug!("the store is not answering; trying again: {fault:?}");
        thread::sleep(jittered(wait));
        wait = cmp::min(2 * wait, LONGEST_WAIT);
    }
}

/// Half of a wait to all of it, so that many starts do not ask together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + 0.5 * fastrand::f64())
}

fn pull_once(
    source: &mut dyn Source,
    uri: &str,
    address: &Address,
    order: &Order<'_>,
) -> Result<Pulled, Fault> {
    let described = source.describe(order.deadline)?;
    let folder = &order.settings.cache;
    let path = cache::place(folder, uri, address, &described.version);
    let verified = described.crc32c.is_some();
    if cache::holds(&path, &described) {
        return Ok(Pulled {
            path,
            verified,
            cached: true,
        });
    }
    let place = shown(uri);
    order.limit.check(&place, described.size_bytes.unwrap_or(0))?;
    let mut temporary = cache::temporary(folder).map_err(Fault::Disk)?;
    let mut sink = Bounded {
        file: temporary.as_file_mut(),
        declared_bytes: described.size_bytes,
        limit: order.limit,
        place: &place,
        taken_bytes: 0,
    };
    source.download(order.deadline, &mut sink)?;
    temporary.as_file().sync_all().map_err(Fault::Disk)?;
    if let Some(fault) = difference(temporary.path(), &described).map_err(Fault::Disk)? {
        return Err(Fault::Corrupt(fault));
    }
    cache::keep(temporary, &path).map_err(Fault::Disk)?;
    Ok(Pulled {
        path,
        verified,
        cached: false,
    })
}

/// Returns a local file, which is used where it lies.
fn local(place: &str, path: &str) -> Result<Pulled, Fault> {
    let path = Path::new(if path.is_empty() { "." } else { path });
    let refused = |error: io::Error| {
        Fault::start(match error.kind() {
            ErrorKind::NotFound => format!("{place} does not exist: correct the address or create the file"),
            // a character that paths cannot have
            ErrorKind::InvalidInput => format!("{place} is malformed: give file:///path"),
            _ => format!(
                "{place} cannot be read ({}): grant this service's user read access",
                in_words(&error)
            ),
        })
    };
    let facts = path.metadata().map_err(refused)?;
    if facts.is_dir() {
        return Err(Fault::start(format!(
            "{place} is a folder: give the address of the model's file in it"
        )));
    }
    if facts.len() == 0 {
        return Err(Fault::start(format!("{place} is empty: publish it again")));
    }
    File::open(path).map_err(refused)?;
    Ok(Pulled {
        path: path.to_owned(),
        verified: false,
        cached: true,
    })
}

/// Returns a fault as one line that names the address and the remedy.
fn in_one_line(fault: Fault, uri: &str, settings: &PullSettings) -> StartError {
    let place = shown(uri);
    let seconds = six_digits(settings.timeout_s);
    StartError(match fault {
        Fault::Missing => format!("{place} does not exist: publish the model or correct the address"),
        Fault::Refused { cause, remedy } => format!("{place} may not be read ({cause}): {remedy}"),
        Fault::Corrupt(cause) => format!("{place} arrived damaged ({cause}): publish it again"),
        Fault::TimeOver => format!(
            "{place} did not arrive within STORE_TIMEOUT_S={seconds}: \
             raise it, or use a store that answers faster"
        ),
        Fault::Transient(cause) => format!(
            "{place} could not be reached for {seconds} s ({cause}): check its address and that it is up"
        ),
        Fault::Disk(error) => format!(
            "{place} cannot be kept in MODEL_CACHE_DIR={} ({}): make room or grant access",
            settings.cache.display(),
            in_words(&error)
        ),
        Fault::Start(error) => return error,
    })
}

/// Returns a number with six significant digits at most, without zeros at its end.
fn six_digits(number: f64) -> String {
    format!("{number:.5e}")
        .parse::<f64>()
        .map_or_else(|_| number.to_string(), |short| short.to_string())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use super::*;

    #[test]
    fn waits_grow_with_jitter_and_stay_within_the_bound() {
        let tries = Cell::new(0);
        let began = Instant::now();
        let attempt = || {
            tries.set(tries.get() + 1);
            Err(Fault::Transient("busy".to_owned()))
        };
        let outcome = retrying(attempt, Deadline::after(1.0));
        assert!(matches!(outcome, Err(Fault::Transient(_))));
        assert!(began.elapsed() < Duration::from_secs(3));
        // 0.2, 0.4 and 0.8 s, or half of each
        assert!((2..=4).contains(&tries.get()), "{}", tries.get());
        for _ in 0..100 {
            let wait = jittered(FIRST_WAIT);
            assert!(wait >= FIRST_WAIT / 2 && wait <= FIRST_WAIT);
        }
    }

    #[test]
    fn a_third_damaged_copy_is_the_last() {
        let tries = Cell::new(0);
        let attempt = || {
            tries.set(tries.get() + 1);
            Err(Fault::Corrupt("its crc32c differs".to_owned()))
        };
        assert!(matches!(
            retrying(attempt, Deadline::after(30.0)),
            Err(Fault::Corrupt(_))
        ));
        assert_eq!(tries.get(), 3);
    }

    #[test]
    fn a_missing_object_is_not_asked_for_again() {
        let tries = Cell::new(0);
        let attempt = || {
            tries.set(tries.get() + 1);
            Err(Fault::Missing)
        };
        assert!(matches!(
            retrying(attempt, Deadline::after(30.0)),
            Err(Fault::Missing)
        ));
        assert_eq!(tries.get(), 1);
    }

    #[test]
    fn seconds_are_shown_short() {
        assert_eq!(six_digits(30.0), "30");
        assert_eq!(six_digits(0.6), "0.6");
        assert_eq!(six_digits(0.1 + 0.2), "0.3");
    }
}
