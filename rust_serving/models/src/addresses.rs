//! Model addresses: their parts, what of them may be shown, and the file that their path names.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;

use crate::faults::Fault;

/// Hosts that are this machine, as an address writes them.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The parts of an address; the query and the fragment are without their `?` and `#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) fragment: String,
}

impl Address {
    /// Splits an address into its parts; the error names a malformed address without its secrets.
    pub(crate) fn parse(uri: &str) -> Result<Self, Fault> {
        Self::split(uri).ok_or_else(|| malformed(uri))
    }

    fn split(uri: &str) -> Option<Self> {
        let trimmed = uri.trim_start_matches(|c: char| c <= ' ');
        let text: String = trimmed
            .chars()
            .filter(|c| !matches!(c, '\t' | '\r' | '\n'))
            .collect();
        let (scheme, rest) = split_scheme(&text);
        let (authority, rest) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => ("", rest),
        };
        if !brackets_hold_an_address(authority) {
            return None;
        }
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Some(Self {
            scheme: scheme.to_ascii_lowercase(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            fragment: fragment.to_owned(),
        })
    }

    /// The host in lower case, without brackets; empty if there is none.
    pub(crate) fn host(&self) -> String {
        let place = self
            .authority
            .rsplit_once('@')
            .map_or(&*self.authority, |(_, place)| place);
        let host = match place.split_once('[') {
            Some((_, bracketed)) => bracketed.split(']').next(),
            None => place.split(':').next(),
        };
        host.unwrap_or("").to_lowercase()
    }

    /// Whether a file may be fetched there: by https, or by http from this machine.
    pub(crate) fn is_web(&self) -> bool {
        let host = self.host();
        let near = self.scheme == "http" && is_near(&host);
        (self.scheme == "https" || near) && !host.is_empty()
    }

    /// The path without its percent encoding.
    pub(crate) fn decoded_path(&self) -> Cow<'_, str> {
        percent_decode_str(&self.path).decode_utf8_lossy()
    }

    /// The name of the file: the last part of the path.
    pub(crate) fn file_name(&self) -> String {
        let path = self.decoded_path();
        path.rsplit('/').next().unwrap_or("").to_owned()
    }

    /// The address of the file `name` in the same folder.
    pub(crate) fn beside(&self, name: &str) -> String {
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut out = format!("{}://{}{folder}/{name}", self.scheme, self.authority);
        for (mark, part) in [('?', &self.query), ('#', &self.fragment)] {
            if !part.is_empty() {
                out.push(mark);
                out.push_str(part);
            }
        }
        out
    }
}

/// Whether a host, in lower case and without brackets, is this machine.
pub(crate) fn is_near(host: &str) -> bool {
    LOOPBACK.contains(&host)
}

/// The fault of an address that cannot be read.
pub(crate) fn malformed(uri: &str) -> Fault {
    Fault::start(format!(
        "{} is malformed: give gs://bucket/name, file:///path or https://host/path",
        shown_whole(uri)
    ))
}

fn split_scheme(text: &str) -> (&str, &str) {
    match text.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme, rest)
        }
        _ => ("", text),
    }
}

/// Whether an authority has no brackets, or a pair with an IPv6 address in it.
fn brackets_hold_an_address(authority: &str) -> bool {
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    match (authority.contains('['), authority.contains(']')) {
        (false, false) => true,
        (true, true) => place
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .is_some_and(|(host, after)| {
                (after.is_empty() || after.starts_with(':')) && host.parse::<Ipv6Addr>().is_ok()
            }),
        _ => false,
    }
}

/// Returns a text without the user info, queries, fragments and tokens of the addresses in it.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let length = user_info(text, at)
            .or_else(|| query(&text[at..]))
            .or_else(|| token(text, at));
        if let Some(length) = length {
            at += length;
        } else {
            out.push(next);
            at += next.len_utf8();
        }
    }
    out
}

/// Returns a text that should be an address, malformed or not, without the parts that may be secret.
///
/// A malformed password may hold any character, so the last `@` ends it.
#[must_use]
pub fn shown_whole(text: &str) -> String {
    let Some(last) = text.rfind('@') else {
        return shown(text);
    };
    let kept = text[..last].find("//").map_or("", |slashes| &text[..slashes + 2]);
    shown(&format!("{kept}{}", &text[last + 1..]))
}

fn is_space(c: char) -> bool {
    // the separators of records, which other languages count as space
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The length of the name and password that begin at `at`, right after `//`; a slash may be in them.
fn user_info(text: &str, at: usize) -> Option<usize> {
    if !text[..at].ends_with("//") {
        return None;
    }
    let rest = &text[at..];
    let authority = until(rest, |c| "/?#".contains(c) || is_space(c));
    if let Some(last) = authority.rfind('@') {
        return Some(last + 1);
    }
    let name = until(rest, |c| "/?#:@".contains(c) || is_space(c));
    if name.is_empty() || !rest[name.len()..].starts_with(':') {
        return None;
    }
    until(rest, is_space).rfind('@').map(|last| last + 1)
}

/// The length of the query or fragment with which `rest` begins.
fn query(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix(['?', '#'])?;
    let length = until(after, |c| "'\")".contains(c) || is_space(c)).len();
    (length > 0).then_some(1 + length)
}

/// The length of the token that begins at `at`, right after `Bearer `.
fn token(text: &str, at: usize) -> Option<usize> {
    let before = text.as_bytes()[..at].last_chunk::<7>()?;
    if !before.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    let rest = &text[at..];
    let spaces = until(rest, |c| !is_space(c)).len();
    let length = until(&rest[spaces..], |c| "'\"".contains(c) || is_space(c)).len();
    (length > 0).then_some(spaces + length)
}

/// The beginning of a text up to the first character that `ends`.
fn until(text: &str, ends: impl Fn(char) -> bool) -> &str {
    &text[..text.find(ends).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for uri in [
            "https://u:p@ss@host/x?k=1#f",
            "no luck with https://u:p@ss@host/x?k=1",
            "https://u:p/ss@host/x",
            "https://u:p?ss@host/x",
        ] {
            assert_eq!(shown(uri).rsplit(' ').next(), Some("https://host/x"), "{uri}");
        }
        assert_eq!(shown("'Bearer ya29.token\n'"), "'Bearer \n'");
        assert_eq!(shown_whole("https://u:p@[host/x"), "https://[host/x");
        assert_eq!(shown_whole("u:p//x@host/x"), "u:p//host/x");
    }

    #[test]
    fn an_address_has_its_parts() {
        let address = Address::split("HTTPS://u:p@Host:1/a/b%20c?q=a/b#f").unwrap();
        assert_eq!((&*address.scheme, &*address.host()), ("https", "host"));
        assert_eq!(address.file_name(), "b c");
        assert_eq!(
            address.beside("model.json"),
            "https://u:p@Host:1/a/model.json?q=a/b#f"
        );
        assert!(address.is_web());
        assert!(Address::split("http://[::1]:8/x").unwrap().is_web());
        assert!(!Address::split("http://host/x").unwrap().is_web());
        assert_eq!(Address::split("https://u:p@[host/x"), None);
        assert_eq!(Address::split("weights").unwrap().scheme, "");
    }
}
