//! The proxy that stands before a host, as the environment says it.

use std::env;
use std::net::Ipv4Addr;

use ureq::Proxy;
use url::Url;

use crate::faults::{Fault, one_line};

/// Returns the proxy for an https address, `None` if it is reached directly.
pub(crate) fn proxy_for(url: &Url) -> Result<Option<Proxy>, Fault> {
    let host = url.host_str().unwrap_or("").to_lowercase();
    let with_port = url
        .port()
        .map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    if variable("NO_PROXY").is_some_and(|list| is_excepted(&list, &host, &with_port)) {
        return Ok(None);
    }
    let scheme = format!("{}_PROXY", url.scheme().to_ascii_uppercase());
    match variable(&scheme).or_else(|| variable("ALL_PROXY")) {
        Some(proxy) => read(&proxy).map(Some),
        None => Ok(None),
    }
}

/// The value of a variable; its name in lower case counts first.
fn variable(name: &str) -> Option<String> {
    let found = env::var(name.to_ascii_lowercase())
        .or_else(|_| env::var(name))
        .ok()?;
    let found = found.trim();
    (!found.is_empty()).then(|| found.to_owned())
}

fn read(proxy: &str) -> Result<Proxy, Fault> {
    const REMEDY: &str = "set an http:// proxy, or name the host in NO_PROXY";
    if proxy
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("socks"))
    {
        return Err(Fault::refused_with(
            "Missing dependencies for SOCKS support.",
            REMEDY,
        ));
    }
    Proxy::new(proxy)
        .map_err(|error| Fault::refused_with(one_line(&format!("the proxy's address: {error}")), REMEDY))
}

/// Whether a list of exceptions holds a host: by suffix, and a number also by its network.
fn is_excepted(list: &str, host: &str, with_port: &str) -> bool {
    let list = list.replace(' ', "").to_lowercase();
    let number: Option<Ipv4Addr> = host.parse().ok();
    list.split(',')
        .filter(|entry| !entry.is_empty())
        .any(|entry| match number {
            _ if entry == "*" => true,
            Some(number) => entry == host || in_network(number, entry),
            None => {
                let entry = entry.strip_prefix('*').unwrap_or(entry);
                host.ends_with(entry) || with_port.ends_with(entry) || entry.strip_prefix('.') == Some(host)
            }
        })
}

fn in_network(number: Ipv4Addr, network: &str) -> bool {
    let Some((base, bits)) = network.split_once('/') else {
        return false;
    };
    let (Ok(base), Ok(bits)) = (base.parse::<Ipv4Addr>(), bits.parse::<u32>()) else {
        return false;
    };
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
    bits <= 32 && number.to_bits() & mask == base.to_bits() & mask
}

#[cfg(test)]
mod tests {
    use super::is_excepted;

    #[test]
    fn exceptions_are_suffixes_and_networks() {
        for (list, host) in [
            ("internal.example, x", "store.internal.example"),
            (".example", "store.example"),
            (".example", "example"),
            ("*.example", "store.example"),
            ("*", "anything"),
            ("10.0.0.0/8", "10.2.3.4"),
            ("10.2.3.4", "10.2.3.4"),
        ] {
            assert!(is_excepted(list, host, host), "{list} {host}");
        }
        for (list, host) in [
            ("other", "store.example"),
            ("10.0.0.0/16", "10.2.3.4"),
            ("3.4", "10.2.3.4"),
            ("", "x"),
        ] {
            assert!(!is_excepted(list, host, host), "{list} {host}");
        }
        assert!(is_excepted("store:8443", "store", "store:8443"));
    }
}
