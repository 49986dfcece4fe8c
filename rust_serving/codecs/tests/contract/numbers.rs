//! Numbers from outside: whatever their length or script, they are read or refused, and nothing fails.

use codecs::{choose_infer, whole_number};

use crate::requests::{LENGTH, PICTURE, headers, message, predict_with, signature};

const WRONG: [&str; 12] = [
    "", "-1", "+5", " 5", "5 ", "5_000", "1e3", "1.0", "0x10", "five", "5,5", "\u{663}",
];

#[test]
fn what_is_not_a_number_within_bounds_is_none() {
    for text in WRONG {
        assert_eq!(whole_number(text.as_bytes(), Some(8)), None, "{text}");
    }
    let long = "0".repeat(5000) + "3";
    assert_eq!(whole_number(long.as_bytes(), None), None);
    assert_eq!(whole_number(b"\xb2", None), None);
}

#[test]
fn digits_are_counted_before_they_are_read() {
    assert_eq!(whole_number(&b"9".repeat(18), None), Some(10_u64.pow(18) - 1));
    assert_eq!(whole_number(b"007", None), Some(7));
    assert_eq!(whole_number(b"0", None), Some(0));
    assert_eq!(whole_number(&b"1".repeat(19), None), None);
    assert_eq!(whole_number(&b"9".repeat(5000), Some(8)), Some(8));
    assert_eq!(
        whole_number(&[&b"9".repeat(5000)[..], b"x"].concat(), Some(8)),
        None
    );
}

#[test]
fn a_wrong_length_of_the_json_is_refused() {
    let says = "Inference-Header-Content-Length is wrong: send the length of the JSON in bytes, or 0";
    let long = "9".repeat(5000);
    for text in WRONG.into_iter().chain([long.as_str()]) {
        let headers = headers(&[(LENGTH, text.as_bytes())]);
        assert_eq!(message(choose_infer(&headers, &signature()), 400), says, "{text}");
    }
}

#[test]
fn a_wrong_top_k_is_refused_and_a_long_one_taken() {
    let zeros = "0".repeat(5000) + "3";
    for text in WRONG.into_iter().chain(["0", "03", zeros.as_str()]) {
        let query = format!("top_k={}", text.replace('+', "%2b"));
        let refused = message(predict_with(PICTURE, "image/png", &query), 400);
        assert_eq!(refused, "top_k is wrong: send a whole number from 1", "{text}");
    }
    assert!(predict_with(PICTURE, "image/png", &format!("top_k={}", "9".repeat(9000))).is_ok());
}
