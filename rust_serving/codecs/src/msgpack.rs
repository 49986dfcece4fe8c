//! Msgpack: a body's structure is checked before anything is kept of it, and limits while it is read.

use std::borrow::Cow;

use rmp::Marker;

use crate::size_limits::SizeLimits;
use crate::value::Value;

const DEEPEST: usize = 1024;

/// Why a body is not msgpack, or not within the limits.
#[derive(Debug, PartialEq)]
pub(crate) enum Fault {
    /// A list has this many elements, more than any request's.
    LongList(u64),
    Other(String),
}

fn fault(why: &str) -> Fault {
    Fault::Other(why.to_owned())
}

fn early() -> Fault {
    fault("it ends too early")
}

fn unknown() -> Fault {
    fault("no such type, or nested too deep")
}

/// Return what the body holds.
pub(crate) fn parse<'a>(body: &'a [u8], limits: &SizeLimits) -> Result<Value<'a>, Fault> {
    check_structure(body)?;
    Reader {
        body,
        limits,
        open: Vec::new(),
        containers: 0,
        elements: 0,
    }
    .value()
}

/// The beginning of a value, with the length of what follows.
enum Head {
    Scalar(Value<'static>),
    Text(u64),
    Bytes(u64),
    List(u64),
    Map(u64),
    Extension(u64),
}

/// Read the beginning of a value.
fn head(body: &mut &[u8]) -> Result<Head, Fault> {
    let [byte] = take(body)?;
    Ok(match Marker::from_u8(byte) {
        Marker::Null => Head::Scalar(Value::Null),
        Marker::True => Head::Scalar(Value::Bool(true)),
        Marker::False => Head::Scalar(Value::Bool(false)),
        Marker::FixPos(_) | Marker::FixNeg(_) => number(body, 0)?,
        Marker::U8 | Marker::I8 => number(body, 1)?,
        Marker::U16 | Marker::I16 => number(body, 2)?,
        Marker::U32 | Marker::I32 | Marker::F32 => number(body, 4)?,
        Marker::U64 | Marker::I64 | Marker::F64 => number(body, 8)?,
        Marker::FixStr(length) => Head::Text(length.into()),
        Marker::Str8 => Head::Text(length::<1>(body)?),
        Marker::Str16 => Head::Text(length::<2>(body)?),
        Marker::Str32 => Head::Text(length::<4>(body)?),
        Marker::Bin8 => Head::Bytes(length::<1>(body)?),
        Marker::Bin16 => Head::Bytes(length::<2>(body)?),
        Marker::Bin32 => Head::Bytes(length::<4>(body)?),
        Marker::FixArray(length) => Head::List(length.into()),
        Marker::Array16 => Head::List(length::<2>(body)?),
        Marker::Array32 => Head::List(length::<4>(body)?),
        Marker::FixMap(length) => Head::Map(length.into()),
        Marker::Map16 => Head::Map(length::<2>(body)?),
        Marker::Map32 => Head::Map(length::<4>(body)?),
        Marker::FixExt1 => Head::Extension(1),
        Marker::FixExt2 => Head::Extension(2),
        Marker::FixExt4 => Head::Extension(4),
        Marker::FixExt8 => Head::Extension(8),
        Marker::FixExt16 => Head::Extension(16),
        Marker::Ext8 => Head::Extension(length::<1>(body)?),
        Marker::Ext16 => Head::Extension(length::<2>(body)?),
        Marker::Ext32 => Head::Extension(length::<4>(body)?),
        Marker::Reserved => return Err(unknown()),
    })
}

/// Pass a number of so many bytes, whose value means nothing to an image's model.
fn number(body: &mut &[u8], bytes: u64) -> Result<Head, Fault> {
    content(body, bytes)?;
    Ok(Head::Scalar(Value::Number(f64::NAN)))
}

fn take<const N: usize>(body: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (taken, rest) = body.split_first_chunk::<N>().ok_or_else(early)?;
    *body = rest;
    Ok(*taken)
}

fn length<const N: usize>(body: &mut &[u8]) -> Result<u64, Fault> {
    Ok(take::<N>(body)?
        .iter()
        .fold(0, |length, byte| length << 8 | u64::from(*byte)))
}

fn content<'a>(body: &mut &'a [u8], length: u64) -> Result<&'a [u8], Fault> {
    let length = usize::try_from(length).map_err(|_| early())?;
    let (content, rest) = body.split_at_checked(length).ok_or_else(early)?;
    *body = rest;
    Ok(content)
}

/// Check that the body is one whole value, so that all elements which lists declare are there.
fn check_structure(mut body: &[u8]) -> Result<(), Fault> {
    // of each open list or map, how many values are missing
    let mut open: Vec<u64> = Vec::new();
    loop {
        match head(&mut body)? {
            Head::Text(length) | Head::Bytes(length) => {
                content(&mut body, length)?;
            }
            Head::Extension(length) => {
                content(&mut body, length + 1)?;
            }
            Head::List(_) | Head::Map(_) if open.len() >= DEEPEST => return Err(unknown()),
            Head::Scalar(_) | Head::List(0) | Head::Map(0) => {}
            Head::List(count) => {
                open.push(count);
                continue;
            }
            Head::Map(count) => {
                open.push(2 * count);
                continue;
            }
        }
        while let Some(missing) = open.last_mut() {
            *missing -= 1;
            if *missing > 0 {
                break;
            }
            open.pop();
        }
        if open.is_empty() {
            return if body.is_empty() {
                Ok(())
            } else {
                Err(fault("something follows its end"))
            };
        }
    }
}

/// A list or map of which not all is read.
struct Open<'a> {
    /// How many values it has in all; of a map, names and values count each.
    count: u64,
    is_map: bool,
    values: Vec<Value<'a>>,
}

struct Reader<'a, 'b> {
    body: &'a [u8],
    limits: &'b SizeLimits,
    open: Vec<Open<'a>>,
    containers: usize,
    elements: usize,
}

impl<'a> Reader<'a, '_> {
    /// Read the whole value.
    fn value(mut self) -> Result<Value<'a>, Fault> {
        loop {
            let mut value = match head(&mut self.body)? {
                Head::Scalar(value) => value,
                Head::Text(length) => Value::Text(Cow::Borrowed(self.text(length)?)),
                Head::Bytes(length) => Value::Bytes(content(&mut self.body, length)?),
                Head::Extension(0) => return Err(fault("it has an extension type")),
                Head::Extension(length) => {
                    return Err(Fault::Other(format!("{length} exceeds max_ext_len(0)")));
                }
                Head::List(count) if count > self.limits.longest_list as u64 => {
                    return Err(Fault::LongList(count));
                }
                Head::Map(count) if count > self.limits.longest_map as u64 => {
                    let most = self.limits.longest_map;
                    return Err(Fault::Other(format!("{count} exceeds max_map_len({most})")));
                }
                Head::List(count) => {
                    self.open.push(Open {
                        count,
                        is_map: false,
                        values: Vec::new(),
                    });
                    let Some(empty) = self.finished()? else { continue };
                    empty
                }
                Head::Map(count) => {
                    self.open.push(Open {
                        count: 2 * count,
                        is_map: true,
                        values: Vec::new(),
                    });
                    let Some(empty) = self.finished()? else { continue };
                    empty
                }
            };
            loop {
                let Some(parent) = self.open.last_mut() else {
                    return Ok(value);
                };
                parent.values.push(value);
                parent.check_name()?;
                let Some(complete) = self.finished()? else { break };
                value = complete;
            }
        }
    }

    fn text(&mut self, length: u64) -> Result<&'a str, Fault> {
        let text = content(&mut self.body, length)?;
        str::from_utf8(text).map_err(|error| Fault::Other(format!("its text is not UTF-8: {error}")))
    }

    /// Close the innermost list or map if it is complete, and return it.
    fn finished(&mut self) -> Result<Option<Value<'a>>, Fault> {
        let Some(complete) = self.open.pop_if(|open| open.values.len() as u64 == open.count) else {
            return Ok(None);
        };
        let value = complete.value();
        self.containers += 1;
        self.elements += match &value {
            Value::List(elements) => elements.len(),
            Value::Map(fields) => fields.len(),
            _ => 0,
        };
        if self.containers > self.limits.containers {
            let most = self.limits.containers;
            return Err(Fault::Other(format!("it has more than {most} lists and maps")));
        }
        if self.elements > self.limits.elements {
            return Err(Fault::Other(format!(
                "it has more than {} elements",
                self.limits.elements
            )));
        }
        Ok(Some(value))
    }
}

impl<'a> Open<'a> {
    /// Refuse a map's name that is neither text nor bytes, once its value is read.
    fn check_name(&self) -> Result<(), Fault> {
        match self.values.as_slice() {
            [.., name, _] if self.is_map && self.values.len().is_multiple_of(2) => match name {
                Value::Text(_) | Value::Bytes(_) => Ok(()),
                _ => Err(fault("a map's name is neither text nor bytes")),
            },
            _ => Ok(()),
        }
    }

    fn value(self) -> Value<'a> {
        if !self.is_map {
            return Value::List(self.values);
        }
        let mut fields = Vec::with_capacity(self.values.len() / 2);
        let mut values = self.values.into_iter();
        while let (Some(name), Some(value)) = (values.next(), values.next()) {
            fields.push((name, value));
        }
        Value::Map(fields)
    }
}
