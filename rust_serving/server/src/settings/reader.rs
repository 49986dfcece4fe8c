//! Reads settings one by one and gathers their faults.

use std::cell::RefCell;

use models::shown_whole;

use super::numbers::{Bounds, real, whole};
use super::shown::{quoted, shortened};
use crate::start_error::StartError;

/// Reads variables; an empty variable is not set.
pub(super) struct Reader<'a> {
    variables: &'a dyn Fn(&str) -> Option<String>,
    faults: RefCell<Vec<String>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variables: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            variables,
            faults: RefCell::default(),
        }
    }

    /// Returns a variable's text; None if it is not set.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    /// Returns a whole number; `default` if it is not set, or if it is wrong.
    pub(super) fn whole<T: TryFrom<u64>>(&self, name: &str, default: T, bounds: Bounds<i128>) -> T {
        let Some(given) = self.text(name) else {
            return default;
        };
        match whole(&given)
            .map_err(str::to_owned)
            .and_then(|value| bounds.check(value))
        {
            // what is unbounded is a number of bytes or of things: no machine has more than u64 counts
            Ok(value) => T::try_from(u64::try_from(value).unwrap_or(u64::MAX)).unwrap_or(default),
            Err(fault) => {
                self.wrong(name, &given, &fault);
                default
            }
        }
    }

    /// Returns a number; `default` if it is not set, or if it is wrong.
    pub(super) fn real(&self, name: &str, default: f64, bounds: Bounds<f64>) -> f64 {
        let Some(given) = self.text(name) else {
            return default;
        };
        match real(&given)
            .map_err(str::to_owned)
            .and_then(|value| bounds.check(value))
        {
            Ok(value) => value,
            Err(fault) => {
                self.wrong(name, &given, &fault);
                default
            }
        }
    }

    /// Returns what one of the `choices` stands for; `default` if it is not set, or if it is wrong.
    pub(super) fn choice<T: Copy>(&self, name: &str, default: T, choices: &[(&str, T)]) -> T {
        let Some(given) = self.text(name) else {
            return default;
        };
        if let Some((_, value)) = choices.iter().find(|(choice, _)| *choice == given) {
            return *value;
        }
        let quoted: Vec<String> = choices.iter().map(|(choice, _)| format!("'{choice}'")).collect();
        let (last, others) = quoted
            .split_last()
            .map_or((String::new(), String::new()), |(last, others)| {
                (last.clone(), others.join(", "))
            });
        self.wrong(name, &given, &format!("input should be {others} or {last}"));
        default
    }

    /// Returns what `parse` makes of an address; None if it is not set, or if it is wrong. The fault shows no secret.
    pub(super) fn form<T>(&self, name: &str, form: &str, parse: fn(&str) -> Option<T>) -> Option<T> {
        let given = self.text(name)?;
        let parsed = parse(&given);
        if parsed.is_none() {
            self.faults.borrow_mut().push(format!(
                "{name}={}: input should be {form}",
                quoted(&shown_whole(&given))
            ));
        }
        parsed
    }

    fn wrong(&self, name: &str, given: &str, fault: &str) {
        self.faults
            .borrow_mut()
            .push(format!("{name}={}: {fault}", shortened(given)));
    }

    /// Ends with every fault, or with the first setting of the other services that this service does not have.
    pub(super) fn finish(self) -> Result<(), StartError> {
        let elsewhere = self.elsewhere();
        let faults = self.faults.into_inner();
        if !faults.is_empty() {
            return Err(StartError(format!("wrong setting: {}", faults.join("; "))));
        }
        elsewhere.map_or(Ok(()), |refusal| Err(StartError(refusal)))
    }

    /// Checks the other services' settings too, and returns why one of them cannot be followed here.
    fn elsewhere(&self) -> Option<String> {
        let handler = self.text("HANDLER");
        let workers: u64 = self.whole("WORKERS", 1, Bounds::within(1, 64));
        let cuda = self.choice(
            "DEVICE",
            false,
            &[("auto", false), ("cpu", false), ("cuda", true)],
        );
        self.real("DEVICE_MEMORY_SHARE", 1.0, Bounds::above(0.0, 1.0));
        let max_batch: u64 = self.whole("MAX_BATCH", 1, Bounds::within(1, 1024));
        let max_wait_ms = self.real("MAX_WAIT_MS", 0.0, Bounds::within(0.0, 10_000.0));
        let batches = "rust_serving computes each image by itself; use batched_serving, or";
        if let Some(handler) = handler {
            let given = quoted(&handler);
            return Some(format!(
                "HANDLER={given}: rust_serving has no Python; use onnx_serving, or set no HANDLER"
            ));
        }
        if workers > 1 {
            return Some(format!(
                "WORKERS={workers}: rust_serving is one process, whose threads use all cores; \
                 use THREADS, and WORKERS=1"
            ));
        }
        if cuda {
            return Some(
                "DEVICE=cuda: rust_serving computes on the processor; use batched_serving, or DEVICE=cpu"
                    .to_owned(),
            );
        }
        if max_batch > 1 {
            return Some(format!("MAX_BATCH={max_batch}: {batches} MAX_BATCH=1"));
        }
        (max_wait_ms > 0.0).then(|| format!("MAX_WAIT_MS={max_wait_ms}: {batches} MAX_WAIT_MS=0"))
    }
}
