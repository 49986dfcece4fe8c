//! Reads requests from standard input, one JSON object a line, and writes what becomes of each: for a test
//! that compares these codecs with those of the Python services.
//!
//! A line has `protocol` ("predict" or "infer"), `headers` (pairs), `query`, `body` (base64), `softmax` and
//! `version`. Outputs are made from an item's FNV-1a hash, so that both sides know them.

use std::io::{BufRead, Write};

use base64_simd::STANDARD;
use bytes::Bytes;
use codecs::{Answer, Call, Outcome, Outputs, Parse, Refusal, Signature, choose_infer, choose_predict};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

const LABELS: [&str; 3] = ["rime", "dew", "gr\u{fc}n \"\u{1}\""];

fn main() {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input is text");
        let request = serde_json::from_str(&line).expect("a line is JSON");
        writeln!(output, "{}", result(&request)).expect("standard output is open");
    }
}

fn result(request: &Value) -> Value {
    let signature = Signature {
        name: "weather".to_owned(),
        version: request["version"].as_str().map(str::to_owned),
        platform: "test".to_owned(),
        labels: LABELS.map(str::to_owned).to_vec(),
        softmax: request["softmax"] == true,
        max_items: 4,
    };
    match parsed(request, &signature) {
        Ok(call) => {
            let items: Vec<Value> = call.items.iter().map(item).collect();
            let outcomes = call.items.iter().map(outcome).collect();
            json!({"items": items, "answer": answer(call.encode(&signature, outcomes))})
        }
        Err(refusal) => refused(&refusal),
    }
}

fn parsed(request: &Value, signature: &Signature) -> Result<Call, Refusal> {
    let mut headers = HeaderMap::new();
    for pair in request["headers"].as_array().expect("headers are a list") {
        let name: HeaderName = pair[0]
            .as_str()
            .and_then(|name| name.parse().ok())
            .expect("a header's name");
        let value = HeaderValue::from_bytes(&decoded(&pair[1])).expect("a header's value");
        headers.append(name, value);
    }
    let parse: Parse = if request["protocol"] == "infer" {
        choose_infer(&headers, signature)?
    } else {
        choose_predict(&headers, request["query"].as_str(), signature)?
    };
    parse.parse(&Bytes::from(decoded(&request["body"])), signature)
}

fn decoded(text: &Value) -> Vec<u8> {
    STANDARD
        .decode_to_vec(text.as_str().expect("base64 is text"))
        .expect("base64")
}

fn item(item: &Result<Bytes, Refusal>) -> Value {
    match item {
        Ok(content) => json!(STANDARD.encode_to_string(content)),
        Err(refusal) => refused(refusal),
    }
}

/// Return a content's FNV-1a hash.
fn digest(content: &[u8]) -> [u8; 8] {
    let hash = content.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.to_le_bytes()
}

fn refused(refusal: &Refusal) -> Value {
    json!({"status": refusal.status, "message": refusal.message})
}

#[expect(clippy::cast_possible_truncation, reason = "logits are FP32")]
fn outcome(item: &Result<Bytes, Refusal>) -> Outcome {
    let digest = digest(item.as_ref().map_err(Clone::clone)?);
    if digest[0].is_multiple_of(8) {
        return Err(Refusal::new(422, "this is not an image: send one"));
    }
    let logits = digest[..3]
        .iter()
        .map(|byte| ((f64::from(*byte) - 128.0) / 7.0) as f32)
        .collect();
    let probabilities = digest[3..6]
        .iter()
        .map(|byte| fifth(f64::from(*byte) / 765.0))
        .collect();
    Ok(Outputs {
        logits: Some(logits),
        probabilities,
        label: usize::from(digest[6]) % LABELS.len(),
    })
}

/// Return the fifth power, multiplied in the order of the test.
fn fifth(base: f64) -> f64 {
    (base * base) * (base * base) * base
}

fn answer(written: Result<Answer, Refusal>) -> Value {
    match written {
        Ok(answer) => json!({
            "type": answer.content_type,
            "headers": answer.headers,
            "body": STANDARD.encode_to_string(answer.body),
        }),
        Err(refusal) => refused(&refusal),
    }
}
