//! Settings that hold addresses: one, or several as name=address pairs.

use crate::addresses::shown_whole;
use crate::quoted::quoted;
use crate::start_error::StartError;

/// Addresses in the order of the setting; the name `None` stands for the name in the manifest.
pub type Addresses = Vec<(Option<String>, String)>;

/// Returns each model's address from the setting `variable`, whose text is `text`.
///
/// # Errors
///
/// [`StartError`] for a path instead of an address, for a malformed pair, and for two pairs with one name.
pub fn model_addresses(variable: &str, text: &str) -> Result<Addresses, StartError> {
    let parts = split_pairs(text.trim());
    for part in &parts {
        refuse_a_path(variable, part)?;
    }
    if let [alone] = parts[..]
        && !begins_named_model(alone)
    {
        return Ok(vec![(None, alone.to_owned())]);
    }
    pairs(variable, &parts)
}

/// Returns the address of each manifest that is not beside its model, by the names of `models`.
///
/// `text` is the setting `MANIFEST_URI`.
///
/// # Errors
///
/// [`StartError`] for a malformed address or pair, for one address if there are several models, and for a
/// name that no model has.
pub fn manifest_addresses(text: &str, models: &Addresses) -> Result<Addresses, StartError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let manifests = model_addresses("MANIFEST_URI", text)?;
    if let [(None, alone)] = &manifests[..] {
        if models.len() > 1 {
            return Err(StartError(
                "MANIFEST_URI is one address for several models: write name=address pairs".to_owned(),
            ));
        }
        return Ok(models
            .iter()
            .map(|(name, _)| (name.clone(), alone.clone()))
            .collect());
    }
    let known = |name: &Option<String>| models.iter().any(|(model, _)| model == name);
    let strangers = manifests.iter().map(|(name, _)| name).filter(|name| !known(name));
    let strangers: Vec<_> = strangers.flatten().map(|name| quoted(name)).collect();
    if strangers.is_empty() {
        return Ok(manifests);
    }
    Err(StartError(format!(
        "MANIFEST_URI names {}: use its models' names",
        strangers.join(", ")
    )))
}

/// Splits the setting `LOCAL_STORE`, `bucket=http://host:port`, into bucket and address; `None` if it is
/// malformed.
#[must_use]
pub fn local_store(text: &str) -> Option<(String, String)> {
    let (bucket, address) = text.split_once('=')?;
    let host = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let host_is_plain = !host.is_empty() && !host.contains(|c: char| "/?#@".contains(c) || c.is_whitespace());
    let fits = !bucket.is_empty() && !bucket.contains('/') && host_is_plain;
    fits.then(|| (bucket.to_owned(), address.to_owned()))
}

/// Splits before each comma that a pair follows: a signed address may itself contain commas.
fn split_pairs(text: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for (comma, _) in text.match_indices(',') {
        let next = text[comma + 1..].trim_start();
        if begins_named_model(next) && comma >= start {
            parts.push(text[start..comma].trim_end());
            start = text.len() - next.len();
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The name and the rest of a text `name=rest`, with a name that a path holds without encoding.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('=')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain)).then_some((name, rest))
}

/// Whether a text begins with `name=scheme://` and goes on.
fn begins_named_model(text: &str) -> bool {
    split_name(text)
        .and_then(|(_, address)| address.split_once("://"))
        .is_some_and(|(scheme, rest)| {
            let letters = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_lowercase());
            letters && !rest.is_empty() && !rest.starts_with('\n')
        })
}

fn refuse_a_path(variable: &str, part: &str) -> Result<(), StartError> {
    let (name, path) = match split_name(part) {
        Some((name, path)) if path.starts_with('/') => (format!("{name}="), path),
        _ => (String::new(), part),
    };
    if path.len() < 2 || !path.starts_with('/') || path.contains('\n') {
        return Ok(());
    }
    let part = quoted(part);
    Err(StartError(format!(
        "{variable} has a path, {part}, and no address: write {name}file://{path}"
    )))
}

fn pairs(variable: &str, parts: &[&str]) -> Result<Addresses, StartError> {
    let mut named = Addresses::new();
    for part in parts {
        let pair = split_name(part).filter(|(_, value)| !value.is_empty() && !value.contains('\n'));
        let Some((name, value)) = pair else {
            let part = quoted(&shown_whole(part));
            return Err(StartError(format!(
                "{variable} has the part {part}: write name=gs://bucket/folder/file, with commas between pairs"
            )));
        };
        if named.iter().any(|(other, _)| other.as_deref() == Some(name)) {
            let name = quoted(name);
            return Err(StartError(format!(
                "{variable} names {name} twice: give each model a name of its own"
            )));
        }
        named.push((Some(name.to_owned()), value.to_owned()));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(name: &str, address: &str) -> (Option<String>, String) {
        (Some(name.to_owned()), address.to_owned())
    }

    #[test]
    fn addresses_are_one_or_pairs() {
        let read = |text| model_addresses("ONNX_NETWORK_URI", text);
        assert_eq!(
            read("gs://b/x?a=1,2").unwrap(),
            [(None, "gs://b/x?a=1,2".to_owned())]
        );
        let two = read(" a=gs://b/x?k=1,2 , b=https://h/y ").unwrap();
        assert_eq!(two, [some("a", "gs://b/x?k=1,2"), some("b", "https://h/y")]);
        let said = |text| read(text).unwrap_err().0;
        assert_eq!(
            said("a=gs://b/x,a=gs://b/y"),
            "ONNX_NETWORK_URI names 'a' twice: give each model a name of its own"
        );
        assert_eq!(
            said("/a/b"),
            "ONNX_NETWORK_URI has a path, '/a/b', and no address: write file:///a/b"
        );
        assert_eq!(
            said("m=/a/b"),
            "ONNX_NETWORK_URI has a path, 'm=/a/b', and no address: write m=file:///a/b"
        );
        assert_eq!(
            said("https://u:p@h/x,a=gs://b/y"),
            "ONNX_NETWORK_URI has the part 'https://h/x': \
             write name=gs://bucket/folder/file, with commas between pairs"
        );
    }

    #[test]
    fn manifests_have_their_models_names() {
        let alone = vec![(None, "gs://b/x".to_owned())];
        let two = vec![some("a", "gs://b/x"), some("b", "gs://b/y")];
        assert_eq!(
            manifest_addresses("gs://m/j", &alone).unwrap(),
            [(None, "gs://m/j".to_owned())]
        );
        assert_eq!(
            manifest_addresses("a=gs://m/j", &two).unwrap(),
            [some("a", "gs://m/j")]
        );
        assert_eq!(
            manifest_addresses("gs://m/j", &two).unwrap_err().0,
            "MANIFEST_URI is one address for several models: write name=address pairs"
        );
        assert_eq!(
            manifest_addresses("c=gs://m/j", &two).unwrap_err().0,
            "MANIFEST_URI names 'c': use its models' names"
        );
    }

    #[test]
    fn a_local_store_is_a_bucket_and_an_address() {
        let expected = ("models".to_owned(), "http://store:4443".to_owned());
        assert_eq!(local_store("models=http://store:4443"), Some(expected));
        for text in [
            "models",
            "=http://h",
            "models=ftp://h",
            "models=http://u@h",
            "models=http://h/x",
            "a/b=http://h",
        ] {
            assert_eq!(local_store(text), None, "{text}");
        }
    }
}
