//! What the service says of its settings to a program that is about to start it with others.

use std::collections::BTreeMap;
use std::collections::HashMap;

use super::{NAMES, Settings, environment, set};
use crate::start_error::StartError;

/// Answers `rust_serving settings`: reads from `asked` a JSON list of combinations, each an object from names to
/// values, and returns the JSON object that bench reads, `{"settings": [names], "faults": [text or null]}`.
///
/// # Errors
/// If `asked` is not such a list.
pub fn state_settings(asked: &[u8]) -> Result<Vec<u8>, StartError> {
    state(asked, &environment())
}

/// States the settings of a service that starts in `environment`.
pub(super) fn state(asked: &[u8], environment: &HashMap<String, String>) -> Result<Vec<u8>, StartError> {
    let combinations: Vec<BTreeMap<String, String>> = serde_json::from_slice(asked).map_err(|error| {
        StartError(format!(
            "standard input is not a list of objects from names to values: {error}"
        ))
    })?;
    let faults: Vec<Option<String>> = combinations
        .iter()
        .map(|combination| fault(environment, combination))
        .collect();
    let mut answer = serde_json::json!({"settings": NAMES, "faults": faults})
        .to_string()
        .into_bytes();
    answer.push(b'\n');
    Ok(answer)
}

/// Returns what a start with `combination` set besides `environment` would say is wrong; None if nothing is.
fn fault(environment: &HashMap<String, String>, combination: &BTreeMap<String, String>) -> Option<String> {
    let mut environment = environment.clone();
    for (name, value) in combination {
        set(&mut environment, name, value.clone());
    }
    Settings::read(&|name| environment.get(name).cloned())
        .err()
        .map(|StartError(text)| text)
}
