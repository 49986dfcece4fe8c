//! What a body may grow into: hostile ones are refused before they do, honest ones are taken however large.

use crate::requests::{JSON, MSGPACK, base64, infer, items, message, predict, refused};

const MIB: usize = 1024 * 1024;

/// Return some two MiB of the same again and again.
fn filled(head: &[u8], unit: &[u8], tail: &[u8]) -> Vec<u8> {
    [head, &unit.repeat(2 * MIB / unit.len()), tail].concat()
}

#[test]
fn json_of_many_parts_is_refused_before_it_is_parsed() {
    for (unit, what) in [
        (&b"[],"[..], "65540 lists and objects"),
        (b"{},", "65540 lists and objects"),
        (br#"{"a":[]},"#, "65544 strings"),
        (br#""ab","#, "65544 strings"),
        (br#""\"\\","#, "65544 strings"),
        (b"1,", "65544 elements"),
    ] {
        let body = filled(br#"{"inputs":["#, unit, b"1]}");
        let says = format!("the JSON has more than {what}: send 1 to 4 items and nothing else");
        assert_eq!(refused(&body, JSON), says);
        assert_eq!(message(infer(&body, None), 400), says);
        assert_eq!(
            message(infer(&[&body[..], b"binary"].concat(), Some(body.len())), 400),
            says
        );
    }
}

#[test]
fn a_string_that_does_not_end_is_not_json() {
    for quotes in [&b"\""[..], b"\"\\\"", b"\"\" \""] {
        let body = filled(&[br#"{"image": "#, quotes].concat(), b"a", b"");
        assert!(refused(&body, JSON).starts_with("the body is not JSON ("));
    }
}

#[test]
fn what_stands_within_strings_is_not_counted() {
    let plain = "[,{".repeat(300_000);
    let escaped = r#"[{,\"\\"#.repeat(300_000);
    for text in [plain, escaped] {
        let body = format!(r#"{{"images": ["{text}"]}}"#);
        let call = predict(body.as_bytes(), JSON).unwrap();
        assert!(
            call.items[0]
                .as_ref()
                .unwrap_err()
                .message
                .contains("is not base64")
        );
    }
}

#[test]
fn honest_bodies_are_taken_however_large() {
    let image = vec![7; 2_000_000];
    let encoded = base64(&image);
    let one = format!(r#"{{"image": "{encoded}"}}"#);
    assert_eq!(items(&predict(one.as_bytes(), JSON).unwrap()), [&image[..]]);
    let texts = vec![format!("\"{encoded}\""); 4].join(",\n        ");
    let several = format!("{{\n        \"images\": [\n        {texts}]\n}}");
    assert_eq!(
        items(&predict(several.as_bytes(), JSON).unwrap()),
        [&image[..]; 4]
    );
    let bin = [b"\xc6\x00\x1e\x84\x80".as_slice(), &image].concat();
    let packed = [b"\x81\xa6images\x94".as_slice(), &bin.repeat(4)].concat();
    assert_eq!(items(&predict(&packed, MSGPACK).unwrap()), [&image[..]; 4]);
}

/// Return a msgpack list of so many that two MiB are full.
fn listed(unit: &[u8]) -> Vec<u8> {
    let count = 2 * MIB / unit.len();
    [
        b"\xdd".as_slice(),
        &u32::try_from(count).unwrap().to_be_bytes(),
        &unit.repeat(count),
    ]
    .concat()
}

#[test]
fn msgpack_of_many_parts_is_refused_before_it_grows() {
    for unit in [
        &b"\x90"[..],
        b"\x80",
        b"\xd4\x01x",
        b"\xd6\xff\x00\x00\x00\x01",
        b"\xa2xy",
    ] {
        let body = listed(unit);
        let count = 2 * MIB / unit.len();
        let says = format!("the msgpack has a list of {count} items: send 1 to 4");
        assert_eq!(refused(&body, MSGPACK), says);
        assert_eq!(refused(&[b"\x81\xa5image", &body[..]].concat(), MSGPACK), says);
    }
}

#[test]
fn msgpack_in_short_lists_within_lists_is_refused_before_it_grows() {
    let inner = [b"\xdc\x00\xc8".as_slice(), &b"\xa2xy".repeat(200)].concat();
    let middle = [b"\xdc\x00\xc8".as_slice(), &inner.repeat(200)].concat();
    let body = [b"\x81\xa5image\xdc\x00\xc8".as_slice(), &middle.repeat(200)].concat();
    let says = "the body is not msgpack (it has more than 65544 elements): send {\"image\": <bytes>}";
    assert_eq!(refused(&body, MSGPACK), says);
    let lists = [b"\xdc\x00\xc8".as_slice(), &b"\x90".repeat(200)].concat();
    let nested = [b"\xdc\x00\xc8".as_slice(), &lists.repeat(200)].concat();
    let body = [b"\x92".as_slice(), &nested.repeat(2)].concat();
    assert!(refused(&body, MSGPACK).contains("it has more than 65540 lists and maps"));
}

#[test]
fn a_msgpack_map_of_many_keys_is_refused_before_it_grows() {
    let body = [
        b"\xdf\x00\x03\x0d\x40".as_slice(),
        &b"\xc4\x01a\xc0".repeat(200_000),
    ]
    .concat();
    let says = "the body is not msgpack (200000 exceeds max_map_len(17)): send {\"image\": <bytes>}";
    assert_eq!(refused(&body, MSGPACK), says);
}

#[test]
fn msgpack_that_declares_more_than_it_has_gets_no_room() {
    let body = b"\xdd\x00\x0f\x42\x40".repeat(200_000);
    assert!(refused(&body, MSGPACK).starts_with("the body is not msgpack ("));
}

#[test]
fn a_list_of_far_too_many_is_told_how_many_are_right() {
    for (count, says) in [
        (5, "images has 5 items: send 1 to 4"),
        (5000, "the msgpack has a list of 5000 items: send 1 to 4"),
    ] {
        let head = [b"\x81\xa6images\xdd".as_slice(), &u32::to_be_bytes(count)].concat();
        let body = [head, b"\xc4\x011".repeat(count as usize)].concat();
        assert_eq!(refused(&body, MSGPACK), says);
    }
}
