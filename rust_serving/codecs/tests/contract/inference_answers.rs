//! The answers of inference requests, in JSON and binary data.

use codecs::{Answer, Call, Outcome, Outputs, Refusal, Signature};
use serde_json::{Value, json};

use crate::requests::{LENGTH, infer, infer_binary, lengthened, message, no_image, outputs, signature};

fn call(changes: &Value) -> Call {
    let parameters = json!({"content_type": "base64"});
    let tensor = json!({"name": "image", "datatype": "BYTES", "shape": [1], "data": ["YQ=="],
                        "parameters": parameters});
    let mut request = json!({"inputs": [tensor]});
    for (name, value) in changes.as_object().unwrap() {
        request[name] = value.clone();
    }
    infer(request.to_string().as_bytes(), None).unwrap()
}

fn encoded(call: &Call, outcomes: Vec<Outcome>) -> Result<Answer, Refusal> {
    call.encode(
        &Signature {
            version: None,
            ..signature()
        },
        outcomes,
    )
}

/// Return an answer's JSON and the binary data behind it.
fn split(answer: &Answer) -> (Value, &[u8]) {
    let Some((name, length)) = answer.headers.first() else {
        assert_eq!(answer.content_type, "application/json");
        return (serde_json::from_slice(&answer.body).unwrap(), &[]);
    };
    assert_eq!((*name, answer.content_type), (LENGTH, "application/octet-stream"));
    let (text, data) = answer.body.split_at(length.parse().unwrap());
    (serde_json::from_slice(text).unwrap(), data)
}

#[test]
fn an_answer_in_json_is_the_protocol_s() {
    let answer = encoded(&call(&json!({})), vec![Ok(outputs(0))]).unwrap();
    assert_eq!(
        String::from_utf8(answer.body).unwrap(),
        concat!(
            r#"{"model_name":"weather","outputs":["#,
            r#"{"name":"logits","datatype":"FP32","shape":[1,3],"data":[1.5,-2.0,0.1]},"#,
            r#"{"name":"probabilities","datatype":"FP32","shape":[1,3],"data":[0.7,0.2,0.1]},"#,
            r#"{"name":"label","datatype":"BYTES","shape":[1],"data":["rime"]}]}"#,
        )
    );
    assert_eq!(
        (answer.content_type, answer.headers),
        ("application/json", vec![])
    );
}

#[test]
fn id_and_version_are_answered_if_there_are_any() {
    let answer = call(&json!({"id": ""}))
        .encode(&signature(), vec![Ok(outputs(0))])
        .unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    assert!(
        text.starts_with(r#"{"model_name":"weather","model_version":"7","id":"","outputs":["#),
        "{text}"
    );
}

#[test]
fn outputs_come_as_asked_for_in_the_order_of_the_request() {
    let wanted = json!([{"name": "label"}, {"name": "logits", "parameters": {"binary_data": true}}]);
    let tensor = json!({"name": "image", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]});
    let call = call(&json!({"inputs": [tensor], "outputs": wanted}));
    let answer = encoded(&call, vec![Ok(outputs(0)), Ok(outputs(1))]).unwrap();
    let (text, data) = split(&answer);
    assert_eq!(
        text["outputs"],
        json!([
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["rime", "dew"]},
            {"name": "logits", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": 24}},
        ])
    );
    let logits = [1.5_f32, -2.0, 0.1].map(f32::to_le_bytes).concat();
    assert_eq!(data, [logits.clone(), logits].concat());
}

#[test]
fn binary_data_output_holds_if_an_output_does_not_say_otherwise() {
    let label = json!([{"name": "label", "parameters": {"binary_data": false}}, {"name": "logits"}]);
    for (parameters, wanted, binary) in [
        (json!({}), json!(null), vec![false, false, false]),
        (json!({}), json!([]), vec![false, false, false]),
        (
            json!({"binary_data_output": false}),
            json!(null),
            vec![false, false, false],
        ),
        (
            json!({"binary_data_output": true}),
            json!(null),
            vec![true, true, true],
        ),
        (json!({"binary_data_output": true}), label, vec![false, true]),
    ] {
        let call = call(&json!({"parameters": parameters, "outputs": wanted}));
        let answer = encoded(&call, vec![Ok(outputs(0))]).unwrap();
        let (text, _) = split(&answer);
        let outputs = text["outputs"].as_array().unwrap();
        assert_eq!(
            outputs
                .iter()
                .map(|output| output.get("data").is_none())
                .collect::<Vec<_>>(),
            binary
        );
    }
}

#[test]
fn a_raw_request_is_answered_in_binary_throughout() {
    let call = infer(b"\xff\xd8", Some(0)).unwrap();
    let answer = encoded(&call, vec![Ok(outputs(0))]).unwrap();
    let (text, data) = split(&answer);
    let sizes: Vec<_> = text["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| &output["parameters"])
        .collect();
    assert_eq!(
        json!(sizes),
        json!([12, 12, 8].map(|size| json!({"binary_data_size": size})))
    );
    assert_eq!(data.len(), 32);
    assert_eq!(data[24..], lengthened(&[b"rime"]));
}

#[test]
fn an_item_s_refusal_refuses_the_request_and_is_named_by_its_index() {
    let text = r#"{"inputs": [{"name": "image", "datatype": "BYTES", "shape": [3],
                   "parameters": {"binary_data_size": 12}}]}"#;
    let call = infer_binary(text, &lengthened(&[b"", b"", b""])).unwrap();
    let busy = Refusal::new(429, "the queue is full: wait").retry_after(1.2);
    let refusal = encoded(&call, vec![Ok(outputs(0)), Err(busy), Err(no_image())]).unwrap_err();
    assert_eq!((refusal.status, refusal.retry_after_s), (429, Some(2.0)));
    assert_eq!(refusal.message, "item 1: the queue is full: wait");
}

#[test]
fn a_refused_item_that_was_taken_as_text_is_told_of_base64() {
    let one = call(&json!({}));
    assert_eq!(
        message(encoded(&one, vec![Err(no_image())]), 422),
        no_image().message
    );
    let tensor = json!({"name": "image", "datatype": "BYTES", "shape": [1], "data": ["YQ=="]});
    let text = call(&json!({"inputs": [tensor]}));
    let says = "this is not an image: send one \
                (input 'image' was taken as text: is its parameter content_type to be \"base64\"?)";
    assert_eq!(message(encoded(&text, vec![Err(no_image())]), 422), says);
    let large = Refusal::new(413, "too large: send less");
    assert_eq!(
        message(encoded(&text, vec![Err(large)]), 413),
        "too large: send less"
    );
}

#[test]
fn what_json_cannot_carry_is_refused_there_and_sent_in_binary() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let made = Outputs {
            logits: Some(vec![0.0, value, 1.0]),
            ..outputs(0)
        };
        let says = "output 'logits' holds NaN or infinity, which JSON cannot carry: \
                    request it with its parameter binary_data true";
        assert_eq!(
            message(encoded(&call(&json!({})), vec![Ok(made.clone())]), 400),
            says
        );
        let raw = infer(b"x", Some(0)).unwrap();
        let answer = encoded(&raw, vec![Ok(made)]).unwrap();
        assert_eq!(split(&answer).1[4..8], value.to_le_bytes());
    }
}

#[test]
fn outputs_that_do_not_fit_the_model_are_our_fault() {
    let call = call(&json!({}));
    for wrong in [
        Outputs {
            logits: None,
            ..outputs(0)
        },
        Outputs {
            logits: Some(vec![1.0]),
            ..outputs(0)
        },
        Outputs {
            probabilities: vec![],
            ..outputs(0)
        },
        outputs(3),
    ] {
        assert_eq!(encoded(&call, vec![Ok(wrong)]).unwrap_err(), Refusal::fault());
    }
    assert_eq!(encoded(&call, vec![]).unwrap_err(), Refusal::fault());
}
