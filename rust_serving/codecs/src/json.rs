//! JSON: the whole value, and a short way for a body that is one string in one field.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::size_limits::after_string;
use crate::value::Value;

/// How deep lists and objects may be nested, as for the Python services; a level takes some hundred bytes of stack.
const DEEPEST: usize = 1024;

/// Return what the text holds, or why it is not JSON.
pub(crate) fn parse(text: &[u8]) -> Result<Value<'_>, String> {
    if is_too_deep(text) {
        return Err("depth limit exceeded".to_owned());
    }
    let mut parser = serde_json::Deserializer::from_slice(text);
    parser.disable_recursion_limit();
    let value = Value::deserialize(&mut parser).and_then(|value| parser.end().map(|()| value));
    value.map_err(|error| error.to_string())
}

/// Tell whether lists and objects are nested too deep; of a text that is not JSON it may tell either.
fn is_too_deep(mut text: &[u8]) -> bool {
    let mut depth = 0_usize;
    loop {
        let opening = memchr(b'"', text).unwrap_or(text.len());
        let (outside, rest) = text.split_at_checked(opening).unwrap_or((text, &[]));
        for byte in outside {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth = depth.saturating_sub(1),
                _ => (),
            }
            if depth > DEEPEST {
                return true;
            }
        }
        if rest.is_empty() {
            return false;
        }
        text = after_string(rest.get(1..).unwrap_or_default());
    }
}

/// Return the bytes between the quotes of a body that is `{"name": "..."}` and nothing else.
///
/// They are a JSON string if they are base64: then no escape or control character is among them. None does
/// not mean that the body is wrong: it must then be parsed.
pub(crate) fn only_string<'a>(body: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = after(after(body, b"{")?, b"\"")?
        .strip_prefix(name.as_bytes())?
        .strip_prefix(b"\"")?;
    let rest = after(after(rest, b":")?, b"\"")?;
    let (content, rest) = rest.split_at_checked(memchr::memchr(b'"', rest)?)?;
    let rest = after(rest.strip_prefix(b"\"")?, b"}")?;
    rest.iter().all(|byte| is_space(*byte)).then_some(content)
}

/// Return what follows a token, which spaces may precede.
fn after<'a>(text: &'a [u8], token: &[u8]) -> Option<&'a [u8]> {
    let begin = text.iter().position(|byte| !is_space(*byte))?;
    text.get(begin..)?.strip_prefix(token)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Values)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Whole(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "of a negative number only matters that it is negative"
    )]
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(value).map_or(Value::Number(value as f64), Value::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Value::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Value::Map(fields))
    }
}
