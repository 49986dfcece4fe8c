//! Numbers at places of a file, which may lie beyond its end.

/// Return the `N` bytes at `at`.
pub(crate) fn array<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Return the bytes from `begin` to `end`, as far as they are there.
pub(crate) fn clipped(data: &[u8], begin: usize, end: usize) -> &[u8] {
    let end = end.min(data.len());
    data.get(begin..end).unwrap_or_default()
}

pub(crate) fn u16_le(data: &[u8], at: usize) -> Option<u16> {
    array(data, at).map(u16::from_le_bytes)
}

pub(crate) fn u16_be(data: &[u8], at: usize) -> Option<u16> {
    array(data, at).map(u16::from_be_bytes)
}

pub(crate) fn u32_le(data: &[u8], at: usize) -> Option<u32> {
    array(data, at).map(u32::from_le_bytes)
}

pub(crate) fn u32_be(data: &[u8], at: usize) -> Option<u32> {
    array(data, at).map(u32::from_be_bytes)
}

/// Return where `wanted` first occurs at or after `from`.
pub(crate) fn find(data: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    data.get(from..)?
        .windows(wanted.len())
        .position(|window| window == wanted)
        .map(|at| at + from)
}
