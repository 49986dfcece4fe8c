//! The certificates that are trusted: a bundle that the environment names, or Mozilla's.

use std::env;
use std::fs;
use std::io;
use std::path::Path;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::faults::in_words;
use crate::start_error::StartError;

/// Variables that name a bundle, the first that is set counts. The Python client knows the first two.
const VARIABLES: [&str; 3] = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"];

/// Returns how servers are verified.
///
/// Mozilla's certificates are compiled in, so that an image needs no file of them. A bundle must hold the
/// authority that signed a server's certificate: one that signed itself and calls itself an authority is not
/// taken for a server's.
///
/// # Errors
/// If a bundle that is named cannot be used.
pub fn trusted() -> Result<TlsConfig, StartError> {
    let named = VARIABLES.into_iter().find_map(|name| {
        let path = env::var(name).ok().filter(|path| !path.is_empty())?;
        Some((name, path))
    });
    let Some((name, path)) = named else {
        return Ok(TlsConfig::builder().root_certs(RootCerts::WebPki).build());
    };
    let unusable = |cause: &str| {
        StartError(format!(
            "{name}={path}: {cause}: name a readable file of certificates in PEM, or unset it"
        ))
    };
    let pem = read(Path::new(&path)).map_err(|error| unusable(&in_words(&error)))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(unusable("no certificate is in it"));
    }
    Ok(TlsConfig::builder().root_certs(certificates.into()).build())
}

/// Reads a file, or all files of a folder.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !path.is_dir() {
        return fs::read(path);
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(path)? {
        all.extend(fs::read(entry?.path()).unwrap_or_default());
        all.push(b'\n');
    }
    Ok(all)
}
