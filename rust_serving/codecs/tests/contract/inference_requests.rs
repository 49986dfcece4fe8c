//! What an inference request may say, and every way in which it may be wrong.

use serde_json::{Value, json};

use crate::requests::{infer, items, message};

fn tensor() -> Value {
    json!({"name": "image", "datatype": "BYTES", "shape": [1], "data": ["YQ=="],
           "parameters": {"content_type": "base64"}})
}

/// Return an input with some fields changed, or taken away if they are null.
fn changed(changes: &Value) -> Value {
    let mut tensor = tensor();
    for (name, value) in changes.as_object().unwrap() {
        tensor[name] = value.clone();
    }
    tensor
}

fn taken(request: &Value) -> Vec<Vec<u8>> {
    let call = infer(request.to_string().as_bytes(), None).unwrap();
    items(&call).into_iter().map(<[u8]>::to_vec).collect()
}

fn refused(request: &Value) -> String {
    message(infer(request.to_string().as_bytes(), None), 400)
}

#[test]
fn data_may_be_nested_or_flat() {
    for (shape, data) in [
        (json!([2]), json!(["YQ==", "/w=="])),
        (json!([2, 1]), json!(["YQ==", "/w=="])),
        (json!([2, 1]), json!([["YQ=="], ["/w=="]])),
    ] {
        let sent = changed(&json!({"shape": shape, "data": data}));
        assert_eq!(taken(&json!({"inputs": [sent]})), [b"a", b"\xff"]);
    }
}

#[test]
fn the_request_s_content_type_holds_if_an_input_has_none() {
    let request = json!({"content_type": "base64"});
    for own in [json!(null), json!({}), json!({"content_type": null})] {
        let inherited = json!({"inputs": [changed(&json!({"parameters": own}))], "parameters": request});
        assert_eq!(taken(&inherited), [b"a"]);
    }
    let own = changed(&json!({"parameters": {"content_type": "str"}}));
    assert_eq!(taken(&json!({"inputs": [own], "parameters": request})), [b"YQ=="]);
}

#[test]
fn other_bytes_are_utf_8() {
    for kind in [json!(null), json!("str"), json!("np"), json!("pd")] {
        let sent =
            changed(&json!({"shape": [2], "data": ["\u{e9}", ""], "parameters": {"content_type": kind}}));
        assert_eq!(taken(&json!({"inputs": [sent]})), ["\u{e9}".as_bytes(), b""]);
    }
}

#[test]
fn what_the_protocol_leaves_to_the_server_is_tolerated() {
    let sent = changed(&json!({"parameters": {"content_type": "base64", "anything": [1]}}));
    let request = json!({
        "inputs": [sent], "id": null, "outputs": null, "model_name": "x",
        "parameters": {"timeout": 5, "priority": 1, "headers": {}},
    });
    assert_eq!(taken(&request), [b"a"]);
}

#[test]
fn what_is_not_an_object_is_refused() {
    for body in [
        &b""[..],
        b"{",
        b"\"\xff\"",
        br#"{"inputs": NaN}"#,
        &b"[".repeat(2000),
        br#"{"id": "\ud800"}"#,
        b"{\"id\": \"\xed\xa0\x80\"}",
        br#"{"parameters": {"x": 1e999}}"#,
        br#"{"x": "\ude00"}"#,
    ] {
        let message = message(infer(body, None), 400);
        assert!(message.starts_with("this is not JSON ("), "{message}");
        assert!(message.ends_with("): send an inference request"), "{message}");
    }
    assert_eq!(
        refused(&json!([])),
        r#"the JSON is not an object: send {"inputs": [...]}"#
    );
    let twice = br#"{"inputs": [{"name": "y"}], "inputs": [7]}"#;
    let says = "inputs is not a list of objects: send one for each tensor";
    assert_eq!(message(infer(twice, None), 400), says);
}

#[test]
fn a_wrong_request_is_refused_with_its_remedy() {
    let list = "inputs is not a list of objects: send one for each tensor";
    for (request, says) in [
        (json!({}), list),
        (json!({"inputs": {}}), list),
        (json!({"inputs": [1]}), list),
        (json!({"inputs": [tensor(), 1]}), list),
        (
            json!({"inputs": []}),
            "input 'image' is missing: send it under inputs",
        ),
        (
            json!({"inputs": [tensor(), tensor()]}),
            "input 'image' is there twice: send it once",
        ),
        (
            json!({"inputs": [tensor()], "parameters": "a"}),
            "the parameters of the request are not an object: send names and values, or none",
        ),
        (
            json!({"inputs": [tensor()], "id": 7}),
            "id is not a string: send it in quotes, or leave it out",
        ),
        (
            json!({"inputs": [tensor()], "parameters": {"binary_data_output": "yes"}}),
            "binary_data_output of the request is neither true nor false: send one of them",
        ),
        (
            json!({"inputs": [tensor()], "parameters": {"shared_memory_x": 1}}),
            "the request asks for shared memory, which is not served: send the data",
        ),
    ] {
        assert_eq!(refused(&request), says);
    }
}

#[test]
fn a_wrong_input_is_refused_with_its_remedy() {
    let long = "y".repeat(5000);
    let unknown = format!("there is no input '{}': name one of ['image']", "y".repeat(80));
    let list = "the shape of input 'image' is no list of whole numbers: send [n] for n items";
    let strings = "the data of input 'image' are not all strings: send BYTES as strings";
    let nested = "the data of input 'image' are not nested as its shape [1] is: send them flat";
    let base64 = "input 'image' is not base64 (Non-base64 digit found): encode its bytes with padding";
    for (changes, says) in [
        (
            json!({"name": null}),
            "an input has no name: give it one of ['image']",
        ),
        (
            json!({"name": ["image"]}),
            "an input has no name: give it one of ['image']",
        ),
        (json!({"name": long}), unknown.as_str()),
        (
            json!({"datatype": null}),
            "input 'image' has the wrong datatype: send BYTES",
        ),
        (
            json!({"datatype": "FP32"}),
            "input 'image' has the wrong datatype: send BYTES",
        ),
        (
            json!({"parameters": [1]}),
            "the parameters of input 'image' are not an object: send names and values, or none",
        ),
        (
            json!({"parameters": {"shared_memory_region": "r"}}),
            "input 'image' asks for shared memory, which is not served: send the data",
        ),
        (
            json!({"parameters": {"content_type": 3}}),
            "the content_type of input 'image' is not a string: send text, or none",
        ),
        (
            json!({"parameters": {"content_type": "jpeg"}}),
            "input 'image' has a content_type that is not served: send \"base64\" for base64, or \"str\" for text",
        ),
        (json!({"shape": null}), list),
        (json!({"shape": [1.0]}), list),
        (json!({"shape": [true]}), list),
        (json!({"shape": ["1"]}), list),
        (json!({"shape": [-1]}), list),
        (
            json!({"shape": []}),
            "the shape of input 'image' is of 0 dimensions: send [n] for n items",
        ),
        (
            json!({"shape": [1, 2]}),
            "the shape of input 'image' is of 2 dimensions: send [n] for n items",
        ),
        (
            json!({"shape": [1, 1, 1]}),
            "the shape of input 'image' is of 3 dimensions: send [n] for n items",
        ),
        (
            json!({"shape": [0], "data": []}),
            "input 'image' has 0 items: send 1 to 4",
        ),
        (json!({"shape": [5]}), "input 'image' has 5 items: send 1 to 4"),
        (
            json!({"shape": [u64::MAX]}),
            "input 'image' has 18446744073709551615 items: send 1 to 4",
        ),
        (
            json!({"data": null}),
            "input 'image' has no data: send a list of 1 elements, nested or flat",
        ),
        (
            json!({"data": "a"}),
            "input 'image' has data that is not a list: send a list of 1 elements, nested or flat",
        ),
        (
            json!({"data": []}),
            "input 'image' has 0 elements: its shape [1] needs 1",
        ),
        (
            json!({"data": ["YQ==", "YQ=="], "shape": [1, 1]}),
            "input 'image' has 2 elements: its shape [1, 1] needs 1",
        ),
        (json!({"data": [["YQ=="], ["YQ=="]]}), nested),
        (json!({"data": [["YQ=="]]}), strings),
        (json!({"data": [7]}), strings),
        (json!({"data": [null]}), strings),
        (json!({"data": ["a"]}), base64),
        (json!({"data": ["YQ\n=="]}), base64),
        (json!({"data": ["\u{e9}"]}), base64),
    ] {
        assert_eq!(refused(&json!({"inputs": [changed(&changes)]})), says);
    }
    let beyond =
        br#"{"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1180591620717411303424]}]}"#;
    assert_eq!(message(infer(beyond, None), 400), list);
}

#[test]
fn a_wrong_output_is_refused_with_its_remedy() {
    let list = "outputs is not a list of objects: send one for each tensor";
    for (outputs, says) in [
        (json!("label"), list),
        (json!({"name": "label"}), list),
        (json!(["label"]), list),
        (
            json!([{}]),
            "an output has no name: give it one of ['logits', 'probabilities', 'label']",
        ),
        (
            json!([{"name": "x"}]),
            "there is no output 'x': name one of ['logits', 'probabilities', 'label']",
        ),
        (
            json!([{"name": "label"}, {"name": "label"}]),
            "output 'label' is there twice: send it once",
        ),
        (
            json!([{"name": "label", "parameters": 1}]),
            "the parameters of output 'label' are not an object: send names and values, or none",
        ),
        (
            json!([{"name": "label", "parameters": {"binary_data": 1}}]),
            "binary_data of output 'label' is neither true nor false: send one of them",
        ),
        (
            json!([{"name": "label", "parameters": {"classification": 3}}]),
            "output 'label' asks for classification, which is not served: send no such parameter",
        ),
        (
            json!([{"name": "label", "parameters": {"classification": [3]}}]),
            "output 'label' asks for classification, which is not served: send no such parameter",
        ),
        (
            json!([{"name": "label", "parameters": {"shared_memory_region": "r"}}]),
            "output 'label' asks for shared memory, which is not served: send the data",
        ),
    ] {
        assert_eq!(refused(&json!({"inputs": [tensor()], "outputs": outputs})), says);
    }
    for none in [json!(0), json!(0.0), json!(false), json!(null)] {
        let outputs = json!([{"name": "label", "parameters": {"classification": none}}]);
        assert_eq!(taken(&json!({"inputs": [tensor()], "outputs": outputs})), [b"a"]);
    }
}
