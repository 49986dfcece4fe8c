//! Requests as the tests write them.

use base64_simd::STANDARD;
use bytes::Bytes;
use codecs::{Call, Outputs, Refusal, Signature, choose_infer, choose_predict};
use http::{HeaderMap, HeaderName, HeaderValue};

pub const JSON: &str = "application/json";
pub const MSGPACK: &str = "application/msgpack";
pub const FORM: &str = "multipart/form-data; boundary=b";
pub const LENGTH: &str = "inference-header-content-length";
pub const PICTURE: &[u8] = b"\x00\x01 some bytes \xff";

pub fn signature() -> Signature {
    Signature {
        name: "weather".to_owned(),
        version: Some("7".to_owned()),
        platform: "test".to_owned(),
        labels: ["rime", "dew", "snow"].map(str::to_owned).to_vec(),
        softmax: false,
        max_items: 4,
    }
}

pub fn headers(pairs: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

pub fn predict_with(body: &[u8], kind: &str, query: &str) -> Result<Call, Refusal> {
    let headers = headers(&[("content-type", kind.as_bytes())]);
    let parse = choose_predict(&headers, Some(query), &signature())?;
    parse.parse(&Bytes::copy_from_slice(body), &signature())
}

pub fn predict(body: &[u8], kind: &str) -> Result<Call, Refusal> {
    predict_with(body, kind, "")
}

pub fn refused(body: &[u8], kind: &str) -> String {
    message(predict(body, kind), 400)
}

/// Return a refusal's message, which says what is wrong and what would be right.
pub fn message<T>(result: Result<T, Refusal>, status: u16) -> String {
    let Err(refusal) = result else {
        panic!("it was taken")
    };
    assert_eq!(refusal.status, status, "{refusal}");
    assert!(refusal.message.contains(": "), "{refusal}");
    refusal.message
}

/// Parse an inference request; its first `length` bytes are JSON, all if None.
pub fn infer(body: &[u8], length: Option<usize>) -> Result<Call, Refusal> {
    let length = length.map(|length| length.to_string());
    let pairs: Vec<_> = length.iter().map(|length| (LENGTH, length.as_bytes())).collect();
    choose_infer(&headers(&pairs), &signature())?.parse(&Bytes::copy_from_slice(body), &signature())
}

/// Parse an inference request of JSON and binary data.
pub fn infer_binary(text: &str, data: &[u8]) -> Result<Call, Refusal> {
    infer(&[text.as_bytes(), data].concat(), Some(text.len()))
}

/// Return BYTES elements as the binary extension sends them.
pub fn lengthened(elements: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for element in elements {
        bytes.extend(u32::try_from(element.len()).unwrap().to_le_bytes());
        bytes.extend(*element);
    }
    bytes
}

/// Return the items of a call, none of which is a refusal.
pub fn items(call: &Call) -> Vec<&[u8]> {
    call.items.iter().map(|item| item.as_deref().unwrap()).collect()
}

pub fn base64(content: &[u8]) -> String {
    STANDARD.encode_to_string(content)
}

pub fn outputs(label: usize) -> Outputs {
    Outputs {
        logits: Some(vec![1.5, -2.0, 0.1]),
        probabilities: vec![0.7, 0.2, 0.1],
        label,
    }
}

pub fn no_image() -> Refusal {
    Refusal::new(422, "this is not an image: send one")
}
