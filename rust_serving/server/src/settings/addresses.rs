//! The address of a Pushgateway; addresses of models are those of the crate `models`.

/// Returns the address of a Pushgateway, `scheme://name:password@host:port/path`, if it is one.
pub(super) fn pushgateway(text: &str) -> Option<String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, place) = authority.rsplit_once('@').unwrap_or(("-", authority));
    let (host, port) = match place.rsplit_once(':') {
        // the colons of an address in brackets are its own
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let fits = is_plain(user) && is_plain(path) && is_host(host) && port.is_none_or(is_port);
    (fits && !user.is_empty()).then(|| text.to_owned())
}

fn is_plain(text: &str) -> bool {
    !text.contains(|character: char| "?#@".contains(character) || character.is_whitespace())
}

fn is_host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return !address.is_empty()
            && address
                .chars()
                .all(|character| character.is_ascii_hexdigit() || ":.".contains(character));
    }
    !text.is_empty() && is_plain(text) && !text.contains([':', '[', ']'])
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
