//! JSON: the whole value, and a short way for a body that is one string in one field.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::value::Value;

/// Return what the text holds, or why it is not JSON.
pub(crate) fn parse(text: &[u8]) -> Result<Value<'_>, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
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
