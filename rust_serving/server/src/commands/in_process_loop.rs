//! `rust_serving loop`: the service's own pipeline without HTTP, which shows how much time serving adds.
//!
//! Beside the whole pipeline it can run two parts alone: the preparation of items, and the model on items that are
//! prepared.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use codecs::{Parse, choose_predict};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use rustix::time::{ClockId, clock_gettime};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::loading::Loader;
use crate::memory::DecodingMemory;
use crate::metrics::Metrics;
use crate::pipeline::{Pipeline, Stop, Unprepared, Work};
use crate::settings::Settings;
use crate::start_error::StartError;

/// What to run: request bodies, cycled over for `seconds` after `warmup_seconds`; each of `parts` runs alone
/// afterwards, for `part_seconds`.
struct Order {
    seconds: f64,
    warmup_seconds: f64,
    content_type: HeaderValue,
    bodies: Vec<Bytes>,
    parts: Vec<String>,
    part_seconds: f64,
}

/// Reads an order in JSON, runs it one image at a time, and returns a line of JSON.
///
/// # Errors
/// If the order is none, or if the model cannot be served or does not answer.
pub fn run(settings: &Settings, asked: &[u8]) -> Result<Vec<u8>, StartError> {
    let order =
        order(asked).map_err(|wrong| StartError(format!("standard input is not a loop order: {wrong}")))?;
    let memory = DecodingMemory::new(settings.decode_bytes);
    let metrics = Metrics::new();
    let pipeline = Loader::new(settings, &metrics, memory).load(0)?;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, order.content_type.clone())]);
    let parse = choose_predict(&headers, None, &pipeline.signature).map_err(|refusal| told(&refusal))?;
    let bench = Bench {
        pipeline,
        parse,
        bodies: order.bodies,
    };
    let mut answers = Vec::with_capacity(bench.bodies.len());
    for place in 0..bench.bodies.len() {
        answers.push(bench.answer(place)?);
    }
    let mut report = timed(
        &mut |done| bench.answer(done).map(|_| 1),
        order.warmup_seconds,
        order.seconds,
    )?;
    let mut parts = Map::new();
    for part in &order.parts {
        let run = if part == "prepare" {
            bench.prepare(order.part_seconds)
        } else {
            bench.infer(order.part_seconds)
        };
        parts.insert(part.clone(), Value::Object(run?));
    }
    report.insert("parts".to_owned(), Value::Object(parts));
    // the answers are JSON already
    let answers = serde_json::to_string(&answers).map_err(|error| StartError(error.to_string()))?;
    let mut line = format!("{{\"answers\":{answers},").into_bytes();
    line.extend_from_slice(
        Value::Object(report)
            .to_string()
            .as_bytes()
            .get(1..)
            .unwrap_or_default(),
    );
    line.push(b'\n');
    Ok(line)
}

struct Bench {
    pipeline: Pipeline,
    parse: Parse,
    bodies: Vec<Bytes>,
}

impl Bench {
    /// The request at this place, cycled over.
    fn work(&self, place: usize) -> Work {
        let now = Instant::now();
        let place = place.checked_rem(self.bodies.len()).unwrap_or(0);
        Work {
            parse: self.parse.clone(),
            body: self.bodies.get(place).cloned().unwrap_or_default(),
            arrived: now,
            due: now + Duration::from_hours(1),
            request_id: String::new(),
            abandoned: Arc::new(AtomicBool::new(false)),
        }
    }

    fn answer(&self, place: usize) -> Result<Box<RawValue>, StartError> {
        let answer = self.pipeline.run(&self.work(place)).map_err(stopped)?;
        let text = String::from_utf8(answer.body).map_err(|error| StartError(error.to_string()))?;
        RawValue::from_string(text).map_err(|error| StartError(error.to_string()))
    }

    fn prepared(&self, place: usize) -> Result<Vec<Vec<f32>>, StartError> {
        let images = self.pipeline.images(&self.work(place)).map_err(stopped)?;
        let prepared = images.iter().map(|image| self.pipeline.prepare(image, &|| true));
        prepared.collect::<Result<_, _>>().map_err(|stop| match stop {
            Unprepared::Refused(refusal) => told(&refusal),
            Unprepared::Unwanted => StartError("an image was given up".to_owned()),
        })
    }

    fn prepare(&self, seconds: f64) -> Result<Map<String, Value>, StartError> {
        timed(
            &mut |done| self.prepared(done).map(|items| items.len()),
            seconds / 3.0,
            seconds,
        )
    }

    fn infer(&self, seconds: f64) -> Result<Map<String, Value>, StartError> {
        let mut items = Vec::new();
        for place in 0..self.bodies.len() {
            items.extend(self.prepared(place)?);
        }
        let mut infer = |done: usize| {
            let item = done.checked_rem(items.len()).and_then(|place| items.get(place));
            let computed = self.pipeline.infer(item.map_or(&[], Vec::as_slice));
            computed.map(|_| 1).map_err(|error| StartError(error.0))
        };
        let mut report = timed(&mut infer, seconds / 3.0, seconds)?;
        report.insert("batch_size".to_owned(), json!(1));
        Ok(report)
    }
}

fn stopped(stop: Stop) -> StartError {
    match stop {
        Stop::Refused(refusal) => told(&refusal),
        Stop::Dropped => StartError("a request was given up".to_owned()),
    }
}

fn told(refusal: &codecs::Refusal) -> StartError {
    StartError(format!("a request of the loop is refused: {}", refusal.message))
}

fn order(asked: &[u8]) -> Result<Order, String> {
    let sent: Value = serde_json::from_slice(asked).map_err(|error| error.to_string())?;
    let number = |name: &str, least: f64, usual: Option<f64>| {
        let found = sent.get(name).map_or(usual, Value::as_f64);
        found
            .filter(|found| *found >= least)
            .ok_or_else(|| format!("{name} is wrong or missing"))
    };
    let texts = |name: &str| match sent.get(name) {
        None => Some(Vec::new()),
        Some(value) => value
            .as_array()?
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>(),
    };
    let bodies = texts("bodies")
        .filter(|bodies| !bodies.is_empty())
        .ok_or("bodies is wrong or missing")?;
    let bodies: Result<Vec<Bytes>, _> = bodies
        .iter()
        .map(|body| STANDARD.decode(body).map(Bytes::from))
        .collect();
    let mut parts = texts("parts").ok_or("parts is wrong")?;
    if let Some(unknown) = parts
        .iter()
        .find(|part| !["prepare", "infer"].contains(&part.as_str()))
    {
        return Err(format!("there is no part {unknown:?}: ask for prepare or infer"));
    }
    let mut seen = Vec::new();
    parts.retain(|part| {
        !seen.contains(part) && {
            seen.push(part.clone());
            true
        }
    });
    let content_type = sent.get("content_type").and_then(Value::as_str);
    Ok(Order {
        seconds: number("seconds", f64::MIN_POSITIVE, None)?,
        warmup_seconds: number("warmup_seconds", 0.0, None)?,
        content_type: content_type
            .and_then(|sent| sent.parse().ok())
            .ok_or("content_type is wrong or missing")?,
        bodies: bodies.map_err(|error| error.to_string())?,
        parts,
        part_seconds: number("part_seconds", f64::MIN_POSITIVE, Some(1.0))?,
    })
}

/// Does one step of a part; its argument is the number of items done before, its result the number done now.
type Step<'a> = dyn FnMut(usize) -> Result<usize, StartError> + 'a;

/// Repeats a step for `seconds` after the warm-up; returns the requests, the time and the CPU time.
fn timed(step: &mut Step<'_>, warmup_seconds: f64, seconds: f64) -> Result<Map<String, Value>, StartError> {
    repeated(step, warmup_seconds)?;
    let (cpu_began_s, began) = (cpu_s(), Instant::now());
    let requests = repeated(step, seconds)?;
    let mut report = Map::new();
    report.insert("requests".to_owned(), json!(requests));
    report.insert("seconds".to_owned(), json!(began.elapsed().as_secs_f64()));
    report.insert("cpu_seconds".to_owned(), json!(cpu_s() - cpu_began_s));
    Ok(report)
}

fn repeated(step: &mut Step<'_>, seconds: f64) -> Result<usize, StartError> {
    let began = Instant::now();
    let mut requests = 0;
    while began.elapsed().as_secs_f64() < seconds {
        requests += step(requests)?;
    }
    Ok(requests)
}

/// The seconds that this process has computed.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
    .as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_checked() {
        let whole =
            r#"{"seconds": 1, "warmup_seconds": 0, "content_type": "image/jpeg", "bodies": ["YQ=="]}"#;
        assert!(order(whole.as_bytes()).is_ok_and(|order| order.bodies == ["a"] && order.parts.is_empty()));
        for (from, to) in [("1", "0"), ("YQ==", "YQ"), ("\"bodies\"", "\"x\""), ("0", "-1")] {
            assert!(order(whole.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
        let parts = whole.replace("{\"s", "{\"parts\": [\"infer\", \"infer\"], \"s");
        assert!(order(parts.as_bytes()).is_ok_and(|order| order.parts == ["infer"]));
        assert!(order(parts.replace("infer", "encode").as_bytes()).is_err());
    }

    #[test]
    fn steps_are_counted_by_what_they_say() {
        let report = timed(&mut |_| Ok(2), 0.0, 0.01);
        let count = report
            .ok()
            .and_then(|report| report.get("requests").and_then(Value::as_u64));
        assert!(count.is_some_and(|count| count > 0 && count % 2 == 0));
    }
}
