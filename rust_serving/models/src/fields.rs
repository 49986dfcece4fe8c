//! Reads the fields of a JSON document, and collects in words what is wrong with them.
//!
//! Values are taken as leniently as the Python services take them, and the words are theirs, so that one
//! manifest is right or wrong for all of them.

use serde_json::{Map, Value};

/// The faults of a document; each begins with the field's path.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    /// Adds a fault of the field at `path`; the document's own path is "".
    pub(crate) fn add(&mut self, path: &str, words: &str) {
        self.0.push(if path.is_empty() {
            words.to_owned()
        } else {
            format!("{path}: {words}")
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn joined(&self) -> String {
        self.0.join("; ")
    }
}

/// Reads an object that must be there.
pub(crate) fn object<'a>(
    value: &'a Value,
    path: &str,
    faults: &mut Faults,
) -> Option<&'a Map<String, Value>> {
    let found = value.as_object();
    if found.is_none() {
        faults.add(path, "input should be an object");
    }
    found
}

/// Reads a field that must be there; `path` is that of the object, with a dot at its end unless it is "".
pub(crate) fn required<'a, T>(
    fields: &'a Map<String, Value>,
    path: &str,
    name: &str,
    faults: &mut Faults,
    read: impl FnOnce(&'a Value, &str, &mut Faults) -> Option<T>,
) -> Option<T> {
    let path = format!("{path}{name}");
    if let Some(value) = fields.get(name) {
        return read(value, &path, faults);
    }
    faults.add(&path, "field required");
    None
}

/// Reads a text.
pub(crate) fn text<'a>(value: &'a Value, path: &str, faults: &mut Faults) -> Option<&'a str> {
    let found = value.as_str();
    if found.is_none() {
        faults.add(path, "input should be a valid string");
    }
    found
}

/// Reads a whole number between two bounds.
pub(crate) fn whole(
    value: &Value,
    (least, most): (i64, i64),
    path: &str,
    faults: &mut Faults,
) -> Option<i64> {
    let read = match value {
        Value::Bool(set) => Ok(i64::from(*set)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(whole),
            _ if number.is_u64() => Ok(i64::MAX),
            (None, Some(real)) if real.fract() == 0.0 => format!("{real:.0}")
                .parse()
                .map_err(|_| "unable to parse input string as an integer, exceeded maximum size"),
            _ => Err("input should be a valid integer, got a number with a fractional part"),
        },
        Value::String(text) => {
            let text = text.trim();
            let digits = text.split_once('.').map_or(text, |(digits, zeros)| {
                if zeros.trim_end_matches('0').is_empty() {
                    digits
                } else {
                    text
                }
            });
            digits
                .parse()
                .map_err(|_| "input should be a valid integer, unable to parse string as an integer")
        }
        _ => Err("input should be a valid integer"),
    };
    match read {
        Err(words) => faults.add(path, words),
        Ok(number) if number < least => {
            faults.add(path, &format!("input should be greater than or equal to {least}"));
        }
        Ok(number) if number > most => {
            faults.add(path, &format!("input should be less than or equal to {most}"));
        }
        Ok(number) => return Some(number),
    }
    None
}

/// Reads a number that is not infinite.
pub(crate) fn real(value: &Value, path: &str, faults: &mut Faults) -> Option<f64> {
    let read = match value {
        Value::Bool(set) => Ok(f64::from(u8::from(*set))),
        Value::Number(number) => number.as_f64().ok_or("input should be a valid number"),
        Value::String(text) => text
            .trim()
            .parse()
            .map_err(|_| "input should be a valid number, unable to parse string as a number"),
        _ => Err("input should be a valid number"),
    };
    match read {
        Err(words) => faults.add(path, words),
        Ok(number) if !number.is_finite() => faults.add(path, "input should be a finite number"),
        Ok(number) => return Some(number),
    }
    None
}

/// Reads a number above 0.
pub(crate) fn above_zero(value: &Value, path: &str, faults: &mut Faults) -> Option<f64> {
    let number = real(value, path, faults)?;
    if number > 0.0 {
        return Some(number);
    }
    faults.add(path, "input should be greater than 0");
    None
}

/// Reads true or false, or a word or number for it.
pub(crate) fn boolean(value: &Value, path: &str, faults: &mut Faults) -> Option<bool> {
    let read = match value {
        Value::Bool(set) => return Some(*set),
        Value::Number(number) => match number.as_f64() {
            Some(0.0) => Some("0".to_owned()),
            Some(1.0) => Some("1".to_owned()),
            _ => None,
        },
        Value::String(text) => Some(text.to_lowercase()),
        _ => {
            faults.add(path, "input should be a valid boolean");
            return None;
        }
    };
    match read.as_deref() {
        Some("0" | "off" | "f" | "false" | "n" | "no") => Some(false),
        Some("1" | "on" | "t" | "true" | "y" | "yes") => Some(true),
        _ => {
            faults.add(path, "input should be a valid boolean, unable to interpret input");
            None
        }
    }
}

/// Reads a list.
pub(crate) fn list<'a>(value: &'a Value, path: &str, faults: &mut Faults) -> Option<&'a Vec<Value>> {
    let found = value.as_array();
    if found.is_none() {
        faults.add(path, "input should be a valid tuple");
    }
    found
}

/// Reads three numbers, each by `read`.
pub(crate) fn three(
    value: &Value,
    read: fn(&Value, &str, &mut Faults) -> Option<f64>,
    path: &str,
    faults: &mut Faults,
) -> Option<[f64; 3]> {
    let items = list(value, path, faults)?;
    if items.len() > 3 {
        let count = items.len();
        faults.add(
            path,
            &format!("tuple should have at most 3 items after validation, not {count}"),
        );
        return None;
    }
    let mut item = |at: usize| {
        let path = format!("{path}.{at}");
        if let Some(value) = items.get(at) {
            return read(value, &path, faults);
        }
        faults.add(&path, "field required");
        None
    };
    let (first, second, third) = (item(0), item(1), item(2));
    Some([first?, second?, third?])
}
