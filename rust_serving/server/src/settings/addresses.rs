//! The addresses in settings: of models and manifests, of a bucket's stand-in, of a Pushgateway.

use regex_lite::Regex;
use std::sync::LazyLock;

use super::shown::{quoted, shown_whole};
use crate::start_error::StartError;

/// An address and the name that the setting gives it; None for the name in the manifest.
pub type Named = (Option<String>, String);

/// name=value, with a name that a path holds without encoding
static PAIR: LazyLock<Regex> = LazyLock::new(|| regex(r"^([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)$"));
static NAMED_MODEL: LazyLock<Regex> = LazyLock::new(|| regex(r"^[A-Za-z0-9][A-Za-z0-9._-]*=[a-z]+://."));
static PATH: LazyLock<Regex> = LazyLock::new(|| regex(r"^([A-Za-z0-9][A-Za-z0-9._-]*=)?(/.+)$"));
static STORE: LazyLock<Regex> = LazyLock::new(|| regex(r"^([^=/]+)=(https?://[^/?#@\s]+)/?$"));
/// scheme, name and password, host and port, path
static GATEWAY: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"^https?://([^/?#@\s]+@)?(\[[0-9a-fA-F:.]+\]|[^/?#@:\[\]\s]+)(:[0-9]{1,5})?(/[^?#@\s]*)?$")
});

#[expect(
    clippy::expect_used,
    reason = "the patterns are constants, and every test compiles them"
)]
fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of this file")
}

/// Reads bucket=http://host:port into the bucket and the address.
pub(super) fn local_store(text: &str) -> Option<(String, String)> {
    let found = STORE.captures(text)?;
    Some((found[1].to_owned(), found[2].to_owned()))
}

/// Returns the address of a Pushgateway, if it is one.
pub(super) fn pushgateway(text: &str) -> Option<String> {
    GATEWAY.is_match(text).then(|| text.to_owned())
}

/// Returns the models' addresses; the error names a path instead of an address, a malformed pair, or a name that
/// two models have.
pub(super) fn model_addresses(variable: &str, text: &str) -> Result<Vec<Named>, StartError> {
    let parts = split(text.trim());
    for part in &parts {
        if let Some(path) = PATH.captures(part) {
            let name = path.get(1).map_or("", |name| name.as_str());
            return Err(StartError(format!(
                "{variable} has a path, {}, and no address: write {name}file://{}",
                quoted(part),
                &path[2]
            )));
        }
    }
    match parts[..] {
        [only] if !NAMED_MODEL.is_match(only) => Ok(vec![(None, only.to_owned())]),
        _ => pairs(variable, &parts),
    }
}

/// Returns the address of each manifest that is not beside its model; the error names a malformed address or pair,
/// an address alone for several models, or a name that no model has.
pub(super) fn manifest_addresses(models: &[Named], text: &str) -> Result<Vec<Named>, StartError> {
    const VARIABLE: &str = "MANIFEST_URI";
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let manifests = model_addresses(VARIABLE, text)?;
    if let [(None, address)] = &manifests[..] {
        if models.len() > 1 {
            return Err(StartError(format!(
                "{VARIABLE} is one address for several models: write name=address pairs"
            )));
        }
        return Ok(models
            .iter()
            .map(|(name, _)| (name.clone(), address.clone()))
            .collect());
    }
    let strangers: Vec<String> = manifests
        .iter()
        .filter(|(name, _)| !models.iter().any(|(model, _)| model == name))
        .filter_map(|(name, _)| name.as_deref().map(quoted))
        .collect();
    if !strangers.is_empty() {
        return Err(StartError(format!(
            "{VARIABLE} names {}: use its models' names",
            strangers.join(", ")
        )));
    }
    Ok(manifests)
}

/// Splits at the commas that stand before a named model: a signed address may itself contain commas.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (comma, _) in text.match_indices(',') {
        let after = text[comma + 1..].trim_start();
        if comma >= start && NAMED_MODEL.is_match(after) {
            parts.push(text[start..comma].trim_end());
            start = text.len() - after.len();
        }
    }
    parts.push(&text[start..]);
    parts
}

fn pairs(variable: &str, parts: &[&str]) -> Result<Vec<Named>, StartError> {
    let mut named: Vec<Named> = Vec::with_capacity(parts.len());
    for part in parts {
        let Some(pair) = PAIR.captures(part) else {
            return Err(StartError(format!(
                "{variable} has the part {}: write name=gs://bucket/folder/file, with commas between pairs",
                quoted(&shown_whole(part))
            )));
        };
        let name = Some(pair[1].to_owned());
        if named.iter().any(|(known, _)| *known == name) {
            return Err(StartError(format!(
                "{variable} names {} twice: give each model a name of its own",
                quoted(&pair[1])
            )));
        }
        named.push((name, pair[2].to_owned()));
    }
    Ok(named)
}
