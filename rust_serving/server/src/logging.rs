//! The log: one JSON object a line on standard error, through the macros of the crate `log`.
//!
//! `log::error!(request_id = id; "a request failed")` writes the fields time, level, service, message and `request_id`.
//! A field that is displayed, `phases:% = object`, is written as JSON if its text is a JSON object.

mod timestamp;

use std::io::Write;
use std::time::SystemTime;

use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::settings::{LogLevel, SERVICE};
use timestamp::timestamp;

/// The crates whose records are logged at every level; of others only what somebody should look at.
const OWN: [&str; 4] = ["rust_serving", "models", "pixels", "codecs"];

/// Sends each record at or above `level` to standard error; call it again to change the level.
pub fn configure(level: LogLevel) {
    // it fails if it is set already
    let _ = log::set_logger(&JsonLines);
    log::set_max_level(match level {
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Warning => LevelFilter::Warn,
        LogLevel::Error => LevelFilter::Error,
    });
}

/// Writes each record as one line.
struct JsonLines;

impl Log for JsonLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let crate_name = metadata.target().split("::").next().unwrap_or_default();
        metadata.level() <= Level::Warn || OWN.contains(&crate_name)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = line(record, SystemTime::now());
            // nobody could be told of it if it failed
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Returns a record as one line of JSON.
fn line(record: &Record<'_>, now: SystemTime) -> String {
    let level = match record.level() {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    };
    let mut fields = Fields(String::from("{"));
    fields.text("time", &timestamp(now));
    fields.text("level", level);
    fields.text("service", SERVICE);
    fields.text("message", &record.args().to_string());
    // no field fails
    let _ = record.key_values().visit(&mut fields);
    fields.0.push_str("}\n");
    fields.0
}

/// The fields of a line so far.
struct Fields(String);

impl Fields {
    fn text(&mut self, name: &str, value: &str) {
        self.json(name, &serde_json::Value::from(value));
    }

    fn json(&mut self, name: &str, value: &serde_json::Value) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.0.push_str(&serde_json::Value::from(name).to_string());
        self.0.push(':');
        self.0.push_str(&value.to_string());
    }
}

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let mut found = Found(serde_json::Value::Null);
        value.visit(&mut found)?;
        self.json(key.as_str(), &found.0);
        Ok(())
    }
}

/// The value of one field.
struct Found(serde_json::Value);

impl Found {
    #[expect(clippy::unnecessary_wraps, reason = "every visit ends with this result")]
    fn set(&mut self, value: impl Into<serde_json::Value>) -> Result<(), Error> {
        self.0 = value.into();
        Ok(())
    }
}

impl<'v> VisitValue<'v> for Found {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        let text = value.to_string();
        let object = if text.starts_with('{') {
            serde_json::from_str(&text).ok()
        } else {
            None
        };
        self.set(object.unwrap_or_else(|| serde_json::Value::from(text)))
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        self.set(serde_json::Value::Null)
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        self.set(value)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        self.set(value)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        self.set(value)
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        self.set(value)
    }

    fn visit_str(&mut self, value: &str) -> Result<(), Error> {
        self.set(value)
    }

    fn visit_borrowed_str(&mut self, value: &'v str) -> Result<(), Error> {
        self.set(value)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn logged(level: Level, message: &str, fields: &[(&str, Value<'_>)]) -> (String, serde_json::Value) {
        let arguments = format_args!("{message}").to_string();
        let text = line(
            &Record::builder()
                .level(level)
                .args(format_args!("{arguments}"))
                .key_values(&fields)
                .build(),
            SystemTime::UNIX_EPOCH + Duration::from_millis(1_796_064_013_372),
        );
        let parsed = serde_json::from_str(&text).unwrap();
        (text, parsed)
    }

    #[test]
    fn a_record_is_one_line_with_the_fields_of_the_other_services() {
        let phases = serde_json::json!({"pull": 0.25});
        let (text, parsed) = logged(
            Level::Info,
            "two\nlines \"quoted\"",
            &[
                ("engine", Value::from("onnx")),
                ("threads", Value::from(2_usize)),
                ("share", Value::from(0.5)),
                ("cached", Value::from(true)),
                ("phases", Value::from_display(&phases)),
                ("cause", Value::from_display(&"{no JSON")),
            ],
        );
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.starts_with(
            "{\"time\":\"2026-11-30T18:40:13.372+00:00\",\"level\":\"info\",\"service\":\"rust\","
        ));
        assert_eq!(parsed["message"], "two\nlines \"quoted\"");
        assert_eq!(
            (&parsed["engine"], &parsed["threads"], &parsed["cached"]),
            (&"onnx".into(), &2.into(), &true.into())
        );
        assert_eq!(parsed["share"], 0.5);
        assert_eq!(parsed["phases"]["pull"], 0.25);
        assert_eq!(parsed["cause"], "{no JSON");
    }

    #[test]
    fn levels_have_the_names_of_the_settings() {
        for (level, name) in [
            (Level::Error, "error"),
            (Level::Warn, "warning"),
            (Level::Debug, "debug"),
        ] {
            assert_eq!(logged(level, "x", &[]).1["level"], name);
        }
    }

    #[test]
    fn what_libraries_say_is_logged_only_if_somebody_should_look_at_it() {
        let enabled =
            |target, level| JsonLines.enabled(&Metadata::builder().target(target).level(level).build());
        assert!(enabled("rust_serving::server", Level::Debug) && enabled("models", Level::Info));
        assert!(!enabled("hyper::proto", Level::Info) && enabled("rustls", Level::Warn));
    }

    #[test]
    fn the_level_can_be_changed() {
        configure(LogLevel::Info);
        configure(LogLevel::Error);
        assert_eq!(log::max_level(), LevelFilter::Error);
        log::error!(number = 1; "a line of a test");
    }
}
