//! Which form an inference request has, and what describes the server and the model.

use bytes::Bytes;
use codecs::{Signature, choose_infer, model_metadata, server_metadata};

use crate::requests::{LENGTH, base64, headers, infer, infer_binary, items, lengthened, message, signature};

fn one() -> String {
    let data = base64(b"\xff\xd8 an image");
    let tensor = format!(
        r#"{{"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {{"content_type": "base64"}},
        "data": ["{data}"]}}"#
    );
    format!(r#"{{"inputs": [{tensor}]}}"#)
}

#[test]
fn json_is_read_under_every_header_that_may_announce_it() {
    let text = one();
    let length = text.len().to_string();
    for pairs in [
        &[][..],
        &[("content-type", &b"application/json"[..])],
        &[("content-type", b"Application/JSON; charset=utf-8")],
        &[("content-encoding", b"identity")],
        &[(LENGTH, length.as_bytes())],
        &[(LENGTH, length.as_bytes()), ("content-type", b"application/json")],
        &[
            (LENGTH, length.as_bytes()),
            ("content-type", b"application/octet-stream"),
        ],
    ] {
        let parse = choose_infer(&headers(pairs), &signature()).unwrap();
        let call = parse.parse(&Bytes::from(text.clone()), &signature()).unwrap();
        assert_eq!(items(&call), [b"\xff\xd8 an image"]);
    }
}

#[test]
fn a_raw_body_is_the_input_of_one_item_whatever_its_bytes() {
    let body = lengthened(&[b"not read as lengths"]);
    assert_eq!(items(&infer(&body, Some(0)).unwrap()), [body]);
    assert_eq!(
        message(infer(b"", Some(0)), 400),
        "the body is empty: send the bytes of 'image'"
    );
}

#[test]
fn wrong_headers_are_refused_before_the_body() {
    let json = "application/json";
    let octets = "application/octet-stream";
    for (kind, length, status, says) in [
        (
            "image/jpeg",
            None,
            415,
            "content type 'image/jpeg' is not served here: send application/json",
        ),
        (
            "text/plain",
            Some("9"),
            415,
            "content type 'text/plain' is not served here: send application/octet-stream or application/json",
        ),
        (
            json,
            Some("0"),
            415,
            "content type 'application/json' is not served here: send application/octet-stream",
        ),
        (
            octets,
            None,
            400,
            "the header Inference-Header-Content-Length is missing: send the length of the JSON in bytes, \
             or 0 if the body is the input itself",
        ),
    ] {
        let mut pairs = vec![("content-type", kind.as_bytes())];
        pairs.extend(length.map(|length| (LENGTH, length.as_bytes())));
        assert_eq!(
            message(choose_infer(&headers(&pairs), &signature()), status),
            says
        );
    }
    let zipped = headers(&[("content-encoding", b"gzip")]);
    assert!(message(choose_infer(&zipped, &signature()), 415).contains("send no Content-Encoding"));
}

fn binary(size: &str) -> String {
    format!(
        r#"{{"inputs": [{{"name": "image", "datatype": "BYTES", "shape": [1],
        "parameters": {{"binary_data_size": {size}}}}}]}}"#
    )
}

#[test]
fn binary_data_follow_the_json() {
    assert_eq!(
        items(&infer_binary(&binary("9"), &lengthened(&[b"\xffbcde"])).unwrap()),
        [b"\xffbcde"]
    );
    let two = binary("10").replace("[1]", "[2, 1]");
    assert_eq!(
        items(&infer_binary(&two, &lengthened(&[b"a", b"b"])).unwrap()),
        [b"a", b"b"]
    );
}

#[test]
fn binary_data_of_the_wrong_length_are_refused() {
    let ends = "the bytes of input 'image' end within its 1 elements: \
                send for each its length as a little-endian u32, then its bytes";
    let size = "the binary_data_size of input 'image' is wrong: send its bytes";
    let whole = lengthened(&[b"abcde"]);
    let tail = [&whole[..], b"!"].concat();
    for (bytes, data, says) in [
        (
            "9",
            &whole[..8],
            "the body ends 1 bytes too early for input 'image': send as many as its binary_data_size says",
        ),
        (
            "9",
            &tail,
            "the body has 1 bytes after the last input: send as many as the binary_data_size of each says",
        ),
        (
            "10",
            &tail,
            "input 'image' has 1 bytes after its 1 elements: send as many as its shape says",
        ),
        ("3", b"abc", ends),
        ("0", b"", ends),
        ("8", b"\xff\xff\xff\xffabcd", ends),
        ("8", b"\x00\x00\x00\x05abcd", ends),
        ("-1", b"", size),
        ("true", b"a", size),
        ("\"9\"", b"a", size),
        ("1.0", b"a", size),
        (
            "18446744073709551615",
            b"a",
            "the body ends 18446744073709551614 bytes too early for input 'image': \
             send as many as its binary_data_size says",
        ),
    ] {
        assert_eq!(message(infer_binary(&binary(bytes), data), 400), says);
    }
    let missing = "input 'image' is binary and the header Inference-Header-Content-Length is missing: \
                   send it with the length of the JSON in bytes";
    assert_eq!(message(infer(binary("8").as_bytes(), None), 400), missing);
    let beside = binary("9").replace("\"shape\"", r#""data": ["a"], "shape""#);
    let says = "input 'image' has data and binary_data_size: send one of them";
    assert_eq!(message(infer_binary(&beside, &whole), 400), says);
    let longer = "Inference-Header-Content-Length is 900 and the body has 2 bytes: \
                  send the length of the JSON in bytes";
    assert_eq!(message(infer(b"{}", Some(900)), 400), longer);
    let behind = "the body has 3 bytes after the last input: \
                  send as many as the binary_data_size of each says";
    assert_eq!(message(infer_binary(&one(), b"abc"), 400), behind);
}

#[test]
fn metadata_describe_the_server_and_the_model() {
    assert_eq!(
        String::from_utf8(server_metadata("rust \"serving\"", "0.1.0")).unwrap(),
        r#"{"name":"rust \"serving\"","version":"0.1.0","extensions":["binary_tensor_data"]}"#
    );
    let text = String::from_utf8(model_metadata(&signature())).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"name":"weather","versions":["7"],"platform":"test","#,
            r#""inputs":[{"name":"image","datatype":"BYTES","shape":[-1]}],"#,
            r#""outputs":[{"name":"logits","datatype":"FP32","shape":[-1,3]},"#,
            r#"{"name":"probabilities","datatype":"FP32","shape":[-1,3]},"#,
            r#"{"name":"label","datatype":"BYTES","shape":[-1]}]}"#,
        )
    );
    let softmax = Signature {
        softmax: true,
        version: None,
        ..signature()
    };
    let text = String::from_utf8(model_metadata(&softmax)).unwrap();
    assert!(text.contains(r#""versions":[],"#), "{text}");
    assert!(!text.contains("logits"), "{text}");
}
