//! Where each body of a connection ends, read from the bytes that arrive: a request that leaves it in doubt is told.
//!
//! The HTTP library takes two equal lengths for one, and prefers chunks to a length. A proxy may choose otherwise, and
//! then takes a part of one client's body for another client's request, so such a request is refused.

/// No more of a line is kept: what says where a body ends is shorter.
const LINE_BYTES: usize = 256;

/// Follows the requests of one connection.
pub struct Framing {
    stage: Stage,
    /// The beginning of the line whose end has not arrived.
    line: Vec<u8>,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The first line of a head is next.
    Start,
    /// Another header, or the end of the head.
    Header,
    /// So many bytes of a body.
    Body(u64),
    /// The size of a chunk.
    Size,
    /// So many bytes of a chunk, with the end of its line.
    Chunk(u64),
    /// What follows a body in chunks.
    Trailer,
    /// Unknown: nothing that follows is read.
    Unknown,
}

/// It cannot be told for certain where a body ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Doubtful;

impl Framing {
    /// Returns the state of a connection of which nothing has arrived.
    pub fn new() -> Self {
        Self {
            stage: Stage::Start,
            line: Vec::new(),
            length: None,
            chunked: false,
        }
    }

    /// Takes the bytes that arrived next.
    ///
    /// # Errors
    /// If one of the requests until now has two lengths, or a length and chunks.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), Doubtful> {
        let taken = self.take_all(bytes);
        if taken.is_err() {
            self.stage = Stage::Unknown;
        }
        taken
    }

    /// Tells whether a request left the end of its body in doubt.
    pub fn is_doubtful(&self) -> bool {
        self.stage == Stage::Unknown
    }

    /// Tells whether a request's head has begun and not ended.
    pub fn is_in_head(&self) -> bool {
        self.stage == Stage::Header || (self.stage == Stage::Start && !self.line.trim_ascii().is_empty())
    }

    fn take_all(&mut self, mut bytes: &[u8]) -> Result<(), Doubtful> {
        while !bytes.is_empty() {
            bytes = match self.stage {
                Stage::Body(left) => self.skip(bytes, left, Stage::Body, Stage::Start),
                Stage::Chunk(left) => self.skip(bytes, left, Stage::Chunk, Stage::Size),
                Stage::Unknown => return Err(Doubtful),
                _ => self.take_line(bytes)?,
            };
        }
        Ok(())
    }

    /// Returns what follows the `left` bytes.
    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, more: fn(u64) -> Stage, next: Stage) -> &'a [u8] {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - count as u64;
        self.stage = if left == 0 { next } else { more(left) };
        bytes.get(count..).unwrap_or_default()
    }

    /// Returns what follows the line.
    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Doubtful> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        let room = LINE_BYTES.saturating_sub(self.line.len());
        self.line.extend_from_slice(part.get(..room).unwrap_or(part));
        if end.is_some() {
            let mut line = std::mem::take(&mut self.line);
            self.end_line(line.trim_ascii())?;
            line.clear();
            self.line = line;
        }
        Ok(rest)
    }

    fn end_line(&mut self, line: &[u8]) -> Result<(), Doubtful> {
        self.stage = match self.stage {
            Stage::Start | Stage::Trailer if line.is_empty() => Stage::Start,
            Stage::Start => {
                (self.length, self.chunked) = (None, false);
                Stage::Header
            }
            Stage::Header if line.is_empty() => self.body(),
            Stage::Header => {
                self.header(line)?;
                Stage::Header
            }
            Stage::Size => match size(line)? {
                0 => Stage::Trailer,
                size => Stage::Chunk(size.saturating_add(2)),
            },
            stage => stage,
        };
        Ok(())
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Doubtful> {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().unwrap_or_default();
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = parts.next().unwrap_or_default().trim_ascii();
            if self.length.is_some() || !length.iter().all(u8::is_ascii_digit) {
                return Err(Doubtful);
            }
            let length = std::str::from_utf8(length)
                .ok()
                .and_then(|length| length.parse().ok());
            self.length = Some(length.ok_or(Doubtful)?);
        }
        if self.chunked && self.length.is_some() {
            return Err(Doubtful);
        }
        Ok(())
    }

    /// The stage that follows the head.
    fn body(&self) -> Stage {
        match self.length {
            _ if self.chunked => Stage::Size,
            None | Some(0) => Stage::Start,
            Some(length) => Stage::Body(length),
        }
    }
}

/// Returns the size of a chunk.
fn size(line: &[u8]) -> Result<u64, Doubtful> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits.trim_ascii()).map_err(|_| Doubtful)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Doubtful);
    }
    u64::from_str_radix(digits, 16).map_err(|_| Doubtful)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] =
        b"POST / HTTP/1.1\r\nContent-Length: 40\r\n\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
    const CHUNKS: &[u8] = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
        28;x=y\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n\r\n0\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
    const NOTHING: &[u8] = b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\nContent-Length: 0\n\n";

    /// Takes the parts one after another, all at once and byte by byte.
    fn all(parts: &[&[u8]]) -> Result<(), Doubtful> {
        let bytes = parts.concat();
        let mut slow = Framing::new();
        let slowly = bytes.chunks(1).try_for_each(|byte| slow.take(byte));
        let mut fast = Framing::new();
        let at_once = fast.take(&bytes);
        assert_eq!(slowly, at_once);
        at_once
    }

    #[test]
    fn requests_of_one_length_may_follow_each_other() {
        assert_eq!(
            all(&[WHOLE, CHUNKS, NOTHING, CHUNKS, WHOLE, NOTHING, WHOLE]),
            Ok(())
        );
    }

    #[test]
    fn a_head_is_known_from_its_first_byte_to_its_last() {
        let mut framing = Framing::new();
        for part in [WHOLE, CHUNKS, b"\r\n"] {
            assert_eq!(framing.take(part), Ok(()));
            assert!(!framing.is_in_head());
        }
        let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for (number, byte) in head.chunks(1).enumerate() {
            assert_eq!(framing.take(byte), Ok(()));
            assert_eq!(framing.is_in_head(), number + 1 < head.len(), "{number}");
        }
    }

    #[test]
    fn a_request_of_two_lengths_is_told_wherever_it_is() {
        for headers in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "transfer-encoding: chunked\r\nHost: x\r\ncontent-length: 5",
            "Content-Length: 5\r\nCONTENT-LENGTH:5",
            "Content-Length: 5\nContent-Length: 6",
            "Content-Length: +5",
            "Content-Length: 5, 5",
            "Content-Length: 99999999999999999999",
        ] {
            let doubtful = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n");
            for before in [&b""[..], WHOLE, CHUNKS, NOTHING] {
                assert_eq!(all(&[before, doubtful.as_bytes()]), Err(Doubtful), "{headers}");
            }
        }
    }

    #[test]
    fn a_length_behind_more_than_is_kept_of_a_line_is_doubtful() {
        let padded = format!(
            "GET / HTTP/1.1\r\nContent-Length:{}5\r\n\r\n",
            " ".repeat(LINE_BYTES)
        );
        assert_eq!(all(&[padded.as_bytes()]), Err(Doubtful));
        let long = format!(
            "GET / HTTP/1.1\r\nCookie: {}\r\n\r\n",
            "x".repeat(10 * LINE_BYTES)
        );
        assert_eq!(all(&[long.as_bytes(), WHOLE]), Ok(()));
    }
}
