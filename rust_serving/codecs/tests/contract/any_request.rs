//! Requests of any bytes are taken or refused: nothing panics.

use bytes::Bytes;
use codecs::{Parse, Refusal, choose_infer, choose_predict};
use http::{HeaderMap, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::requests::{FORM, JSON, LENGTH, MSGPACK, lengthened, no_image, outputs, signature};

/// Check that a body is a call that can be answered, or refused as wrong.
fn answered_or_refused(parse: Result<Parse, Refusal>, body: Vec<u8>) {
    let signature = signature();
    match parse.and_then(|parse| parse.parse(&Bytes::from(body), &signature)) {
        Ok(call) => {
            assert!((1..=signature.max_items).contains(&call.items.len()));
            for refusal in call.items.iter().filter_map(|item| item.as_ref().err()) {
                assert_eq!(refusal.status, 400);
            }
            let outcomes = call.items.iter().map(|_| Ok(outputs(0))).collect();
            assert!(!call.encode(&signature, outcomes).unwrap().body.is_empty());
            let outcomes = call.items.iter().map(|_| Err(no_image())).collect();
            if let Err(refusal) = call.encode(&signature, outcomes) {
                assert_eq!(refusal.status, 422);
            }
        }
        Err(refusal) => {
            assert!(matches!(refusal.status, 400 | 415), "{refusal:?}");
            assert!(refusal.message.contains(": "), "{refusal:?}");
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let binary = br#"{"inputs":[{"name":"image","datatype":"BYTES","shape":[2],
        "parameters":{"binary_data_size":10}}]}"#;
    vec![
        br#"{"image": "cGljdHVyZQ=="}"#.to_vec(),
        br#"{"images": ["MQ==", "\u0059Q==", 7]}"#.to_vec(),
        b"\x81\xa5image\xc4\x07picture".to_vec(),
        b"\x81\xa6images\x93\xc4\x011\xa1x\xcb\x00\x00\x00\x00\x00\x00\x00\x00".to_vec(),
        b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\none\r\n--b--\r\n".to_vec(),
        br#"{"id":"7","inputs":[{"name":"image","datatype":"BYTES","shape":[2,1],"data":[["YQ=="],["/w=="]],
            "parameters":{"content_type":"base64"}}],"outputs":[{"name":"label","parameters":{"binary_data":true}}]}"#
            .to_vec(),
        [&binary[..], &lengthened(&[b"a", b"b"])].concat(),
    ]
}

prop_compose! {
    fn mutated()(
        mut body in select(seeds()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        length in proptest::option::of(any::<prop::sample::Index>()),
    ) -> Vec<u8> {
        for (place, byte) in changes {
            let at = place.index(body.len());
            body[at] = byte;
        }
        if let Some(length) = length {
            body.truncate(length.index(body.len()));
        }
        body
    }
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![3 => mutated(), 1 => vec(any::<u8>(), 0..300)]
}

fn kinds() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        JSON,
        MSGPACK,
        FORM,
        "image/png",
        "application/octet-stream",
        "multipart/form-data",
        "",
    ];
    prop_oneof![
        4 => select(known.map(|kind| kind.as_bytes().to_vec()).to_vec()),
        1 => vec(any::<u8>(), 0..60),
        1 => "multipart/form-data; *boundary *= *\"?[b;\"\\\\=]{0,9}".prop_map(String::into_bytes),
    ]
}

fn headers(kind: &[u8], length: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // bytes that no header can have never come here
    if let Ok(kind) = HeaderValue::from_bytes(kind) {
        headers.insert("content-type", kind);
    }
    if let Some(length) = length {
        headers.insert(LENGTH, HeaderValue::from_str(length).unwrap());
    }
    headers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_prediction_is_answered_or_refused(body in bodies(), kind in kinds(), query in ".{0,20}") {
        let headers = headers(&kind, None);
        for query in [None, Some(query.as_str())] {
            answered_or_refused(choose_predict(&headers, query, &signature()), body.clone());
        }
    }

    #[test]
    fn any_inference_is_answered_or_refused(
        body in bodies(),
        kind in kinds(),
        length in proptest::option::of(0_usize..300),
    ) {
        for kind in [kind.as_slice(), b"application/octet-stream", b"application/json"] {
            let text = length.map(|length| length.to_string());
            answered_or_refused(choose_infer(&headers(kind, text.as_deref()), &signature()), body.clone());
        }
    }

    #[test]
    fn any_form_is_answered_or_refused(
        pieces in vec(select(vec![
            &b"--b"[..], b"\r\n", b"\r", b"\n", b"-", b"--", b" ", b"\t", b":", b"a: b", b"x", b"\xff", b";", b"\"",
            b"Content-Disposition: form-data; name=f; filename=f\r\n", b"Content-Type: image/png\r\n",
        ]), 0..20),
    ) {
        let headers = headers(FORM.as_bytes(), None);
        let part = b"--b\r\nContent-Type: image/png\r\n\r\n";
        for head in [&b""[..], part] {
            let body = [head, &pieces.concat()].concat();
            answered_or_refused(choose_predict(&headers, None, &signature()), body);
        }
    }
}
