//! Forms (multipart/form-data): the files that they bring, each of which is an item.
//!
//! The parser reads the whole body at once and copies nothing but header lines, so that its memory is bounded.

use std::collections::HashMap;
use std::ops::Range;

use memchr::memchr;
use memchr::memmem::Finder;

use crate::options_header::option;
use crate::refusal::{Refusal, wrong};
use crate::text::{latin1, media_type, shown};

const LONGEST_BOUNDARY: usize = 70; // RFC 2046
const MOST_HEADERS: usize = 8;
const LONGEST_HEADER: usize = 4096 + 128;
const FIELDS: [&str; 3] = ["json", "xml", "x-www-form-urlencoded"];
/// The content type of a file that no other type of image names.
const OCTETS: &str = "application/octet-stream";

/// Return the boundary between a form's parts; refuses with 400.
pub(crate) fn boundary_of(content_type: &[u8]) -> Result<Vec<u8>, Refusal> {
    option(content_type, b"boundary")
        .filter(|it| (1..=LONGEST_BOUNDARY).contains(&it.len()))
        .ok_or_else(|| {
            wrong(format!(
                "the form's boundary is missing or wrong: give it 1 to {LONGEST_BOUNDARY} characters"
            ))
        })
}

/// Return where the contents of a form's files are in the body, in order; refuses with 400.
pub(crate) fn files_of(boundary: &[u8], body: &[u8], most: usize) -> Result<Vec<Range<usize>>, Refusal> {
    let files = Form::new(boundary, body, most)
        .files()
        .map_err(|fault| match fault {
            Fault::Truncated => wrong("the form is truncated: send it whole, its last boundary included"),
            Fault::Malformed(why) => wrong(format!(
                "the body is not a multipart form ({why}): send a form of files"
            )),
            Fault::Refused(refusal) => refusal,
        })?;
    if files.is_empty() {
        return Err(wrong("the form has no file: send at least one"));
    }
    Ok(files)
}

enum Fault {
    /// The body ends within the form.
    Truncated,
    Malformed(String),
    Refused(Refusal),
}

/// What follows a part.
enum Next {
    Part,
    End,
}

struct Form<'a> {
    /// CR, LF, two hyphens and the boundary.
    delimiter: Vec<u8>,
    body: &'a [u8],
    /// Where parsing has come to.
    at: usize,
    most: usize,
}

impl<'a> Form<'a> {
    fn new(boundary: &[u8], body: &'a [u8], most: usize) -> Self {
        Self {
            delimiter: [b"\r\n--", boundary].concat(),
            body,
            at: 0,
            most,
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    /// Return the byte at which parsing is.
    fn byte(&self) -> Result<u8, Fault> {
        self.body.get(self.at).copied().ok_or(Fault::Truncated)
    }

    /// Pass `expected`; another byte is a fault that `message` tells.
    fn pass(&mut self, expected: u8, message: impl Fn(usize, u8) -> String) -> Result<(), Fault> {
        let byte = self.byte()?;
        if byte != expected {
            return Err(Fault::Malformed(message(self.at, byte)));
        }
        self.at += 1;
        Ok(())
    }

    fn files(mut self) -> Result<Vec<Range<usize>>, Fault> {
        let mut files = Vec::new();
        let delimiter = self.delimiter.clone();
        let finder = Finder::new(&delimiter);
        let mut next = self.begin()?;
        while let Next::Part = next {
            if files.len() == self.most {
                let message = format!("the form has too many files: send at most {}", self.most);
                return Err(Fault::Refused(wrong(message)));
            }
            check(&self.headers()?).map_err(Fault::Refused)?;
            let (file, behind) = self.content(&finder)?;
            files.push(file);
            next = behind;
        }
        Ok(files)
    }

    /// Pass the first boundary.
    fn begin(&mut self) -> Result<Next, Fault> {
        if matches!(self.byte()?, b'\r' | b'\n') {
            self.at = memchr(b'-', self.body).ok_or(Fault::Truncated)?;
        }
        for index in 2..self.delimiter.len() {
            let expected = self.delimiter.get(index).copied().unwrap_or_default();
            self.pass(expected, |_, byte| {
                format!("Expected boundary character {expected}, got {byte} at index {index}")
            })?;
        }
        if self.byte()? == b'-' {
            self.at += 1;
            self.pass(b'-', |at, _| format!("Did not find - at end of boundary ({at})"))?;
            return Ok(Next::End);
        }
        self.pass(b'\r', |at, _| {
            format!("Did not find CR at end of boundary ({at})")
        })?;
        self.pass(b'\n', |at, _| {
            format!("Did not find LF at end of boundary ({at})")
        })?;
        Ok(Next::Part)
    }

    /// Pass a part's headers and the empty line behind them; return them by their names in lower case.
    fn headers(&mut self) -> Result<HashMap<Vec<u8>, &'a [u8]>, Fault> {
        let mut headers = HashMap::new();
        for count in 0.. {
            if self.byte()? == b'\r' {
                self.at += 1;
                self.pass(b'\n', |_, byte| {
                    format!("Did not find LF at end of headers (found {byte})")
                })?;
                break;
            }
            if count == MOST_HEADERS {
                return Err(Fault::Malformed("Maximum header count exceeded".to_owned()));
            }
            let (name, value) = self.header()?;
            headers.insert(name.to_ascii_lowercase(), value);
        }
        Ok(headers)
    }

    /// Pass one header line; return its name and value.
    fn header(&mut self) -> Result<(&'a [u8], &'a [u8]), Fault> {
        let too_long = || Fault::Malformed("Maximum header size exceeded".to_owned());
        let rest = self.rest();
        let colon = memchr(b':', rest);
        let name = rest.get(..colon.unwrap_or(rest.len())).unwrap_or_default();
        let before_value = name.len() + usize::from(colon.is_some());
        if before_value > LONGEST_HEADER {
            return Err(too_long());
        }
        if let Some((index, bad)) = name.iter().enumerate().find(|(_, byte)| !is_token(**byte)) {
            let at = self.at + index;
            return Err(Fault::Malformed(format!(
                "Found invalid character {bad} in header at {at}"
            )));
        }
        if colon.is_none() {
            return Err(Fault::Truncated);
        }
        if name.is_empty() {
            return Err(Fault::Malformed(format!("Found 0-length header at {}", self.at)));
        }
        let rest = rest.get(before_value..).unwrap_or_default();
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        let rest = rest.get(spaces..).unwrap_or_default();
        let end = memchr(b'\r', rest);
        let value = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if before_value + spaces + value.len() > LONGEST_HEADER {
            return Err(too_long());
        }
        if end.is_none() {
            return Err(Fault::Truncated);
        }
        self.at += before_value + spaces + value.len() + 1;
        self.pass(b'\n', |_, byte| {
            format!("Did not find LF character at end of header (found {byte})")
        })?;
        Ok((name, value))
    }

    /// Pass a part's content and the delimiter behind it; return where the content is, and what follows.
    fn content(&mut self, finder: &Finder) -> Result<(Range<usize>, Next), Fault> {
        let begin = self.at;
        loop {
            let found = finder.find(self.rest()).ok_or(Fault::Truncated)?;
            let content = begin..self.at + found;
            self.at += found + self.delimiter.len();
            match self.rest() {
                [b'\r', b'\n', ..] => {
                    self.at += 2;
                    return Ok((content, Next::Part));
                }
                [b'-', b'-', ..] => return Ok((content, Next::End)),
                [b' ' | b'\t', ..] => {
                    self.pass_padding()?;
                    return Ok((content, Next::Part));
                }
                // the content has the delimiter's bytes in it
                _ => {}
            }
        }
    }

    /// Pass the spaces and the end of line behind a delimiter.
    fn pass_padding(&mut self) -> Result<(), Fault> {
        let message = |at, _| format!("Did not find CRLF after boundary padding at {at}");
        while matches!(self.byte()?, b' ' | b'\t') {
            self.at += 1;
        }
        self.pass(b'\r', message)?;
        self.pass(b'\n', message)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Refuse a part that is not a file, or a file whose bytes are encoded, with 400.
fn check(headers: &HashMap<Vec<u8>, &[u8]>) -> Result<(), Refusal> {
    let header = |name: &[u8]| headers.get(name).copied().unwrap_or_default();
    let disposition = header(b"content-disposition");
    let name = shown(&latin1(&option(disposition, b"name").unwrap_or_default()));
    if !is_file(
        &media_type(header(b"content-type")),
        option(disposition, b"filename").is_some(),
    ) {
        return Err(wrong(format!(
            "the form's field {name} is not a file: send files only"
        )));
    }
    // the encodings that leave bytes as they are
    match header(b"content-transfer-encoding")
        .trim_ascii()
        .to_ascii_lowercase()
        .as_slice()
    {
        b"" | b"binary" | b"8bit" | b"7bit" => Ok(()),
        _ => Err(wrong(format!(
            "the form's file {name} has a Content-Transfer-Encoding: send its bytes as they are"
        ))),
    }
}

/// Tell whether a part is a file: by its type if that is known, else by whether a file is `named`.
fn is_file(kind: &str, named: bool) -> bool {
    let family = kind.split('/').next().unwrap_or_default();
    kind == OCTETS || family == "image" || (named && !is_field_type(kind))
}

/// Tell whether this is the type of a field. A browser names a file for such a field too, if a script made the
/// field of a blob.
fn is_field_type(kind: &str) -> bool {
    if kind.contains('\n') {
        return false;
    }
    match kind.split_once('/') {
        Some(("text" | "multipart", _)) => true,
        Some(("application", name)) => {
            FIELDS.contains(&name) || name.ends_with("+json") || name.ends_with("+xml")
        }
        _ => false,
    }
}
