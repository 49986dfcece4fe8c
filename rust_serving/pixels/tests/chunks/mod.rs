//! The parts that a PNG is made of.

/// Returns a chunk: its length, its name, its body and their checksum.
pub fn chunk(name: &[u8], body: &[u8]) -> Vec<u8> {
    let mut sum = crc32fast::Hasher::new();
    sum.update(name);
    sum.update(body);
    let length = u32::try_from(body.len()).expect("a short body").to_be_bytes();
    [&length, name, body, &sum.finalize().to_be_bytes()].concat()
}
