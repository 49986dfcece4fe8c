//! What `/predict/` answers: an object for one image, a list for several, each with its own error.

use codecs::{Outputs, Refusal, error_body};
use serde_json::json;

use crate::requests::{JSON, MSGPACK, PICTURE, message, no_image, outputs, predict, predict_with, signature};

const ALL: &str = r#"{"prediction":"rime","probabilities":{"rime":0.7,"dew":0.2,"snow":0.1}}"#;

#[test]
fn one_image_is_answered_with_an_object() {
    let call = predict(PICTURE, "image/png").unwrap();
    let answer = call.encode(&signature(), vec![Ok(outputs(0))]).unwrap();
    assert_eq!(String::from_utf8(answer.body).unwrap(), ALL);
    assert_eq!(
        (answer.content_type, answer.headers),
        ("application/json", vec![])
    );
}

#[test]
fn the_best_classes_come_in_order_and_equal_ones_in_the_manifest_s() {
    let made = Outputs {
        probabilities: vec![0.25, 0.5, 0.25],
        ..outputs(1)
    };
    for (count, expected) in [
        (1, json!([{"class": "dew", "probability": 0.5}])),
        (
            5,
            json!([{"class": "dew", "probability": 0.5}, {"class": "rime", "probability": 0.25},
                   {"class": "snow", "probability": 0.25}]),
        ),
    ] {
        for query in [format!("top_k={count}"), format!("&top_k=%3{count}&&")] {
            let call = predict_with(PICTURE, "image/png", &query).unwrap();
            let body = call.encode(&signature(), vec![Ok(made.clone())]).unwrap().body;
            let text: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(text, json!({"prediction": "dew", "top_k": expected}));
        }
    }
}

#[test]
fn several_are_answered_in_order_with_errors_in_their_own_places() {
    let call = predict(br#"{"images": ["YQ==", "YQ=="]}"#, JSON).unwrap();
    let answer = call
        .encode(&signature(), vec![Err(no_image()), Ok(outputs(0))])
        .unwrap();
    let error = r#"{"error":"this is not an image: send one"}"#;
    assert_eq!(
        String::from_utf8(answer.body).unwrap(),
        format!("[{error},{ALL}]")
    );
    let one = predict(br#"{"images": ["YQ=="]}"#, JSON).unwrap();
    let answer = one.encode(&signature(), vec![Ok(outputs(0))]).unwrap();
    assert_eq!(String::from_utf8(answer.body).unwrap(), format!("[{ALL}]"));
}

#[test]
fn the_error_of_an_only_image_refuses_the_request() {
    for (body, kind) in [(PICTURE, "image/png"), (br#"{"image": "YQ=="}"#, JSON)] {
        let call = predict(body, kind).unwrap();
        assert_eq!(
            message(call.encode(&signature(), vec![Err(no_image())]), 422),
            no_image().message
        );
    }
}

#[test]
fn msgpack_is_answered_in_msgpack() {
    let one = predict(b"\x81\xa5image\xc4\x01a", MSGPACK).unwrap();
    let answer = one.encode(&signature(), vec![Ok(outputs(0))]).unwrap();
    assert_eq!(answer.content_type, "application/msgpack");
    let double = |number: f64| [b"\xcb".as_slice(), &number.to_be_bytes()].concat();
    let expected = [
        b"\x82\xaaprediction\xa4rime\xadprobabilities\x83\xa4rime".as_slice(),
        &double(0.7),
        b"\xa3dew",
        &double(0.2),
        b"\xa4snow",
        &double(0.1),
    ]
    .concat();
    assert_eq!(answer.body, expected);
    let two = predict(b"\x81\xa6images\x92\xc4\x01a\xc4\x01a", MSGPACK).unwrap();
    let answer = two
        .encode(&signature(), vec![Err(Refusal::new(422, "x: y")), Ok(outputs(0))])
        .unwrap();
    assert_eq!(
        answer.body,
        [b"\x92\x81\xa5error\xa4x: y".as_slice(), &expected].concat()
    );
}

#[test]
fn outputs_that_do_not_fit_the_model_are_our_fault_in_their_own_place() {
    let wrong = Outputs {
        probabilities: vec![1.0],
        ..outputs(0)
    };
    for made in [wrong, outputs(3)] {
        let one = predict(PICTURE, "image/png").unwrap();
        assert_eq!(
            one.encode(&signature(), vec![Ok(made.clone())]).unwrap_err(),
            Refusal::fault()
        );
        let two = predict(br#"{"images": ["YQ==", "YQ=="]}"#, JSON).unwrap();
        let answer = two.encode(&signature(), vec![Ok(outputs(0)), Ok(made)]).unwrap();
        let fault = String::from_utf8(error_body(&Refusal::fault().message)).unwrap();
        assert_eq!(
            String::from_utf8(answer.body).unwrap(),
            format!("[{ALL},{fault}]")
        );
    }
}

#[test]
fn an_error_is_one_object() {
    let text = String::from_utf8(error_body("a \"quoted\"\n\u{e9}: x")).unwrap();
    assert_eq!(text, "{\"error\":\"a \\\"quoted\\\"\\n\u{e9}: x\"}");
}
