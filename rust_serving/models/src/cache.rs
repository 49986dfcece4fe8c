//! The folder of pulled files: whole and verified files under their names, and partial ones until they are.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ring::digest::{SHA256, digest};
use tempfile::{Builder, NamedTempFile};

use crate::addresses::Address;
use crate::checks::{difference, hexadecimal};
use crate::source::Object;

const TEMPORARY_PREFIX: &str = ".pull-";
/// Twice the longest time that `STORE_TIMEOUT_S` lets a start take.
const ABANDONED_AFTER: Duration = Duration::from_hours(2);
const KEY_DIGITS: usize = 32;
const LONGEST_NAME: usize = 100;

/// The path at which a version of the object at `uri` is kept. The Python services use the same.
pub(crate) fn place(folder: &Path, uri: &str, address: &Address, version: &str) -> PathBuf {
    let key = hexadecimal(digest(&SHA256, format!("{uri}\n{version}").as_bytes()).as_ref());
    folder.join(format!(
        "{}-{}",
        &key[..KEY_DIGITS],
        kept_name(&address.file_name())
    ))
}

/// Whether the described version of an object is there, and is whole.
pub(crate) fn holds(path: &Path, described: &Object) -> bool {
    !described.version.is_empty() && path.is_file() && matches!(difference(path, described), Ok(None))
}

/// Creates a temporary file in the folder, which is created too; it is removed unless it is kept.
///
/// What killed starts left is removed: files older than any start can take.
pub(crate) fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    fs::create_dir_all(folder)?;
    sweep(folder)?;
    Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder)
}

/// Gives a temporary file its name, in one step.
pub(crate) fn keep(temporary: NamedTempFile, path: &Path) -> io::Result<()> {
    temporary.persist(path).map(drop).map_err(|error| error.error)
}

fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(OsStr::new(TEMPORARY_PREFIX).as_encoded_bytes())
        {
            continue;
        }
        // another start may remove it first
        let changed = entry.metadata().and_then(|facts| facts.modified());
        let age = changed
            .ok()
            .and_then(|changed| SystemTime::now().duration_since(changed).ok());
        if age.is_some_and(|age| age > ABANDONED_AFTER) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// A name that every file system takes.
fn kept_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).collect();
    name[name.len().saturating_sub(LONGEST_NAME)..].to_owned()
}
