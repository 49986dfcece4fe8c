//! The encodings of `/predict/`: what is taken apart, and what is refused.

use codecs::choose_predict;

use crate::requests::{
    FORM, JSON, MSGPACK, PICTURE, base64, headers, items, message, predict, predict_with, refused, signature,
};

fn form(files: &[&[u8]], head: &[u8], end: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for file in files {
        body.extend([b"--b\r\nContent-Disposition: ", head, b"\r\n\r\n", file, b"\r\n"].concat());
    }
    body.extend(end);
    body
}

const HEAD: &[u8] = b"form-data; name=\"f\"; filename=\"f\"";
const END: &[u8] = b"--b--\r\n";

/// Return `{"image": content}` in msgpack.
fn packed(content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    [b"\x81\xa5image\xc4".as_slice(), &[length], content].concat()
}

#[test]
fn one_image_is_taken_in_every_encoding() {
    let json = format!(r#"{{"image": "{}"}}"#, base64(PICTURE));
    let unnamed = form(
        &[PICTURE],
        b"form-data; name=\"f\"\r\nContent-Type: image/png",
        END,
    );
    for (body, kind) in [
        (json.as_bytes(), "Application/JSON ; charset=utf-8"),
        (&packed(PICTURE), MSGPACK),
        (PICTURE, "image/webp"),
        (&form(&[PICTURE], HEAD, END), FORM),
        (&unnamed, "multipart/form-data; boundary=\"b\""),
    ] {
        assert_eq!(items(&predict(body, kind).unwrap()), [PICTURE], "{kind}");
    }
}

#[test]
fn several_images_are_taken_in_order() {
    for (body, kind) in [
        (&br#"{"images": ["MQ==", "Mg=="]}"#[..], JSON),
        (b"\x81\xa6images\x92\xc4\x011\xc4\x012", MSGPACK),
        (&form(&[b"1", b"2"], HEAD, END), FORM),
    ] {
        assert_eq!(items(&predict(body, kind).unwrap()), [b"1", b"2"], "{kind}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_in_its_own_place() {
    let json = predict(br#"{"images": ["no base64!", 7, null, "MQ=="]}"#, JSON).unwrap();
    let packed = predict(b"\x81\xa6images\x94\xa4text\x07\xc4\x00\xc4\x011", MSGPACK).unwrap();
    for call in [&json, &packed] {
        assert!(
            call.items[..3]
                .iter()
                .all(|item| item.as_ref().is_err_and(|error| error.status == 400))
        );
        assert_eq!(call.items[3].as_deref(), Ok(&b"1"[..]));
    }
    let form = predict(&form(&[b"", b"1"], HEAD, END), FORM).unwrap();
    assert_eq!(
        form.items[0].as_ref().unwrap_err().message,
        "the image is empty: send its bytes"
    );
    assert_eq!(form.items[1].as_deref(), Ok(&b"1"[..]));
}

fn check_refused(cases: &[(&[u8], &str, &str)]) {
    for (body, kind, says) in cases {
        let message = refused(body, kind);
        assert!(message.starts_with(says), "{message}");
        assert!(message.len() < 250, "{message}");
    }
}

#[test]
fn wrong_json_is_refused_with_what_would_be_right() {
    let five = format!(r#"{{"images": [{}]}}"#, [r#""MQ==""#; 5].join(", "));
    check_refused(&[
        (&b"{"[..], JSON, "the body is not JSON ("),
        (b"\"\xff\"", JSON, "the body is not JSON ("),
        (b"\xff\xfe", JSON, "the body is not JSON ("),
        (br#"{"image": "\ud800"}"#, JSON, "the body is not JSON ("),
        (br#"{"image": 1e999}"#, JSON, "the body is not JSON ("),
        (br#"{"image": NaN}"#, JSON, "the body is not JSON ("),
        (b"{\x0c\"image\": \"MQ==\"}", JSON, "the body is not JSON ("),
        (br#"{"image": "MQ=="} x"#, JSON, "the body is not JSON ("),
        (br#"{"image": "MQ==""#, JSON, "the body is not JSON ("),
        (&b"[".repeat(100_000), JSON, "the body is not JSON ("),
        (
            b"null",
            JSON,
            r#"the JSON has the wrong fields: send {"image": "<base64>"} and nothing else"#,
        ),
        (
            b"[]",
            JSON,
            r#"the JSON has the wrong fields: send {"image": "<base64>"} and nothing else"#,
        ),
        (
            b"{}",
            JSON,
            r#"the JSON has the wrong fields: send {"image": "<base64>"} and nothing else"#,
        ),
        (
            br#"{"image": "YQ==", "more": 1}"#,
            JSON,
            "the JSON has the wrong fields: ",
        ),
        (
            br#"{"images": ["YQ=="], "image": "YQ=="}"#,
            JSON,
            "the JSON has the wrong fields: ",
        ),
        (br#"{"picture": "YQ=="}"#, JSON, "the JSON has the wrong fields: "),
        (br#"{"images": []}"#, JSON, "images has 0 items: send 1 to 4"),
        (five.as_bytes(), JSON, "images has 5 items: send 1 to 4"),
        (
            br#"{"images": {}}"#,
            JSON,
            "images is not a list: send 1 to 4 in one",
        ),
        (br#"{"image": 7}"#, JSON, "the image is not a string: send base64"),
        (
            br#"{"image": "YQ"}"#,
            JSON,
            "the image is not base64 (Non-base64 digit found): encode its bytes with padding",
        ),
        (
            br#"{"image": ""}"#,
            JSON,
            "the image is empty: send the base64 of its bytes",
        ),
        (b"", JSON, r#"the body is empty: send {"image": "<base64>"}"#),
        (
            b"",
            "image/jpeg",
            r#"the body is empty: send {"image": "<base64>"}"#,
        ),
    ]);
}

#[test]
fn json_may_be_nested_as_deep_as_for_the_other_services() {
    let lists = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    // those beside each other, and those in strings, are not nested
    let wide = format!("[{}[]]", "[],{},\"[[[\\\"[[[\",".repeat(2000));
    for json in [
        lists(127),
        lists(128),
        lists(1024),
        objects(129),
        objects(1024),
        wide,
    ] {
        let message = refused(json.as_bytes(), JSON);
        assert!(
            message.starts_with("the JSON has the wrong fields: "),
            "{message}"
        );
    }
    for json in [lists(1025), objects(1025), lists(200_000), "[".repeat(200_000)] {
        let message = refused(json.as_bytes(), JSON);
        assert!(
            message.starts_with("the body is not JSON (depth limit exceeded): "),
            "{message}"
        );
    }
}

#[test]
fn wrong_msgpack_is_refused_with_what_would_be_right() {
    check_refused(&[
        (b"", MSGPACK, r#"the body is empty: send {"image": "<base64>"}"#),
        (
            b"\xc1",
            MSGPACK,
            "the body is not msgpack (no such type, or nested too deep): send {\"image\": <bytes>}",
        ),
        (
            b"\x81\xa5image",
            MSGPACK,
            "the body is not msgpack (it ends too early): send ",
        ),
        (
            b"\x81\xa5image\xc4\x01a\xc0",
            MSGPACK,
            "the body is not msgpack (something follows its end): send ",
        ),
        (
            b"\x81\xa5image\xdd\xff\xff\xff\xff",
            MSGPACK,
            "the body is not msgpack (it ends too early): send ",
        ),
        (
            b"\x81\xa5image\xc6\xff\xff\xff\xff",
            MSGPACK,
            "the body is not msgpack (it ends too early): send ",
        ),
        (
            &b"\x91".repeat(100_000),
            MSGPACK,
            "the body is not msgpack (no such type, or nested too deep): ",
        ),
        (
            b"\x81\xa5image\xd4\x05x",
            MSGPACK,
            "the body is not msgpack (1 exceeds max_ext_len(0)): send ",
        ),
        (
            b"\x81\xa5image\xc7\x00\x05",
            MSGPACK,
            "the body is not msgpack (it has an extension type): send ",
        ),
        (
            b"\x81\xa5image\xa3\xed\xa0\x80",
            MSGPACK,
            "the body is not msgpack (",
        ),
        (b"\x81\x01\xc0", MSGPACK, "the body is not msgpack ("),
        (
            b"\x90",
            MSGPACK,
            r#"the msgpack has the wrong fields: send {"image": <bytes>} and nothing else"#,
        ),
        (
            b"\x81\xc4\x05image\xc4\x01a",
            MSGPACK,
            "the msgpack has the wrong fields: ",
        ),
        (
            b"\x81\xa5image\xa1a",
            MSGPACK,
            "the image is not binary: send its bytes as msgpack's bin",
        ),
        (
            b"\x81\xa5image\xc4\x00",
            MSGPACK,
            "the image is empty: send its bytes",
        ),
        (b"\x81\xa6images\x90", MSGPACK, "images has 0 items: send 1 to 4"),
        (
            b"\x81\xa6images\x95\xc0\xc0\xc0\xc0\xc0",
            MSGPACK,
            "images has 5 items: send 1 to 4",
        ),
    ]);
}

#[test]
fn a_wrong_form_is_refused_with_what_would_be_right() {
    check_refused(&[
        (
            &form(&[], HEAD, END),
            FORM,
            "the form has no file: send at least one",
        ),
        (
            &form(&[b"1"], HEAD, b""),
            FORM,
            "the form is truncated: send it whole, its last boundary included",
        ),
        (
            &form(&[&b"1"[..]; 5], HEAD, END),
            FORM,
            "the form has too many files: send at most 4",
        ),
        (
            &form(&[b"1"], b"form-data; name=\"f\"", END),
            FORM,
            "the form's field 'f' is not a file: send files only",
        ),
        (
            b"nothing like it",
            FORM,
            "the body is not a multipart form (Expected boundary character 45, got 110 at index 2): \
             send a form of files",
        ),
    ]);
}

#[test]
fn a_boundary_that_is_missing_or_too_long_is_refused() {
    let body = form(&[b"1"], HEAD, END);
    let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
    for kind in ["multipart/form-data", "multipart/form-data; boundary=", &long] {
        let says = "the form's boundary is missing or wrong: give it 1 to 70 characters";
        assert_eq!(refused(&body, kind), says);
    }
}

#[test]
fn a_wrong_query_is_refused() {
    for query in [
        "top_k=0",
        "top_k=-1",
        "top_k=1.5",
        "top_k=",
        "top_k=1&top_k=1",
        "topk=1",
        "top_k=\u{663}",
        "k",
    ] {
        assert!(
            message(predict_with(PICTURE, "image/png", query), 400).contains("top_k"),
            "{query}"
        );
    }
    let shown = message(predict_with(PICTURE, "image/png", "%C3%A9%27%00=1"), 400);
    assert_eq!(
        shown,
        r#"there is no query parameter "é'\x00": send top_k, or none"#
    );
}

#[test]
fn a_type_that_is_not_served_is_refused_with_those_that_are() {
    let served = "send one of application/json, application/msgpack, application/octet-stream, image/jpeg, \
                  image/png, image/webp, multipart/form-data";
    for (kind, what) in [
        ("text/plain", "content type 'text/plain' is not served"),
        ("Image/GIF; x=1", "content type 'image/gif' is not served"),
        ("", "the content type is missing"),
        (" ; x", "the content type is missing"),
    ] {
        assert_eq!(message(predict(PICTURE, kind), 415), format!("{what}: {served}"));
    }
    let zipped = headers(&[("content-type", b"image/png"), ("content-encoding", b"gzip")]);
    let says = "compressed bodies are not served: send no Content-Encoding";
    assert_eq!(message(choose_predict(&zipped, None, &signature()), 415), says);
    let plain = headers(&[("content-type", b"image/png"), ("content-encoding", b"Identity")]);
    assert!(choose_predict(&plain, None, &signature()).is_ok());
}

#[test]
fn of_a_field_or_header_that_is_there_twice_the_last_holds() {
    let body = format!(r#"{{"image": "?", "image": "{}"}}"#, base64(PICTURE));
    assert_eq!(items(&predict(body.as_bytes(), JSON).unwrap()), [PICTURE]);
    let twice = headers(&[("content-type", b"text/plain"), ("content-type", b"image/png")]);
    assert!(choose_predict(&twice, None, &signature()).is_ok());
}

#[test]
fn base64_may_be_written_as_json_writes_any_string() {
    for body in [
        br#"{"image":"\u0059Q=="}"#.as_slice(),
        br#"{"im\u0061ge":"YQ=="}"#,
        b"\r\n\t {\n\"image\"\t:\r\"YQ==\" }\n",
        b"{\"image\": \"YR==\"}", // whose last bits belong to no byte
    ] {
        assert_eq!(items(&predict(body, JSON).unwrap()), [b"a"]);
    }
    let slashes = br#"{"image": "\/\/\/\/"}"#;
    assert_eq!(items(&predict(slashes, JSON).unwrap()), [b"\xff\xff\xff"]);
}

#[test]
fn only_strict_base64_is_taken() {
    for text in [
        "YQ", "YQ=", "Y", "YQ==\\n", "Y===", "YQ==YQ==", "\u{e9}", "=", "====", "YQ=a", "YQ__", " YQ==",
    ] {
        let body = format!(r#"{{"image": "{text}"}}"#);
        assert!(
            refused(body.as_bytes(), JSON).starts_with("the image is not base64 ("),
            "{text}"
        );
    }
    let long = format!(r#"{{"image": "{}*AAA"}}"#, "A".repeat(400_000));
    assert!(refused(long.as_bytes(), JSON).starts_with("the image is not base64 ("));
    for length in 0..200_u8 {
        let content: Vec<u8> = (0..=length).collect();
        let body = format!(r#"{{"image": "{}"}}"#, base64(&content));
        assert_eq!(items(&predict(body.as_bytes(), JSON).unwrap()), [content]);
    }
}
