//! Whether a file is the one that its store or its manifest describes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};

use crate::source::Object;

const CHUNK_BYTES: usize = 1024 * 1024;

/// Returns how the file differs from the object; `None` if it does not differ.
pub(crate) fn difference(path: &Path, described: &Object) -> io::Result<Option<String>> {
    let size = path.metadata()?.len();
    if let Some(declared) = described.size_bytes
        && size != declared
    {
        return Ok(Some(format!("{size} bytes of {declared}")));
    }
    if size == 0 {
        return Ok(Some("it is empty".to_owned()));
    }
    match &described.crc32c {
        Some(declared) if crc32c(path)? != *declared => Ok(Some("its crc32c differs".to_owned())),
        _ => Ok(None),
    }
}

/// Returns the base64 of a file's crc32c, most significant byte first.
fn crc32c(path: &Path) -> io::Result<String> {
    let mut sum = 0;
    each_chunk(path, |chunk| sum = crc32c::crc32c_append(sum, chunk))?;
    Ok(STANDARD.encode(sum.to_be_bytes()))
}

/// Returns the hexadecimal sha256 of a file.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let mut digest = Context::new(&SHA256);
    each_chunk(path, |chunk| digest.update(chunk))?;
    Ok(hexadecimal(digest.finish().as_ref()))
}

/// Returns bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn each_chunk(path: &Path, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = file.read(&mut chunk)?;
        match chunk.get(..length) {
            Some([]) | None => return Ok(()),
            Some(bytes) => take(bytes),
        }
    }
}
