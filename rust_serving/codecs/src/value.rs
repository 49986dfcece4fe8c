//! What JSON and msgpack hold, borrowed from the body as far as possible.

use std::borrow::Cow;

/// A parsed value. A list or map is only as large as what the body really has.
#[derive(Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// A whole number from 0.
    Whole(u64),
    /// Any other number.
    Number(f64),
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    /// Names and values in the order of the body; a name may be there twice, then the last holds.
    Map(Vec<(Value<'a>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Return the text; None for anything else.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Return the elements of a list; None for anything else.
    pub(crate) fn list(&self) -> Option<&[Value<'a>]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// Return the fields of a map; None for anything else.
    pub(crate) fn map(&self) -> Option<&[(Value<'a>, Value<'a>)]> {
        match self {
            Self::Map(fields) => Some(fields),
            _ => None,
        }
    }

    /// Return a field of a map; None if it is missing or null, or if this is not a map.
    pub(crate) fn field(&self, name: &str) -> Option<&Value<'a>> {
        let (_, value) = self
            .map()?
            .iter()
            .rev()
            .find(|(key, _)| key.text() == Some(name))?;
        (*value != Self::Null).then_some(value)
    }

    /// Return the value of a map that has no other field than `name`.
    pub(crate) fn only_field(&self, name: &str) -> Option<&Value<'a>> {
        let fields = self.map()?;
        let (_, value) = fields.last()?;
        fields
            .iter()
            .all(|(key, _)| key.text() == Some(name))
            .then_some(value)
    }
}
