//! Forms: which of their parts are files, and what becomes of the parts that are not.

use crate::requests::{FORM, PICTURE, items, predict, refused};

const FILE: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"a.png\"";
const META: &str = "Content-Disposition: form-data; name=\"meta\"";
const BLOB: &str = "Content-Disposition: form-data; name=\"meta\"; filename=\"blob\"";

fn part(lines: &[&str], content: &[u8]) -> Vec<u8> {
    let mut part = b"--b\r\n".to_vec();
    for line in lines {
        part.extend([line.as_bytes(), b"\r\n"].concat());
    }
    part.extend([b"\r\n", content, b"\r\n"].concat());
    part
}

fn form(parts: &[&[u8]]) -> Vec<u8> {
    [&parts.concat()[..], b"--b--\r\n"].concat()
}

#[test]
fn a_field_beside_files_is_refused() {
    for lines in [
        &[META][..],
        &[META, "Content-Type: application/json"],
        &[META, "Content-Type: Application/JSON; charset=utf-8"],
        &[META, "Content-Type: application/ld+json"],
        &[BLOB, "Content-Type: application/json"],
        &[META, "Content-Type: text/plain"],
        &[BLOB, "content-type: text/plain;charset=UTF-8"],
        &[META, "Content-Type: application/xml"],
        &[META, "Content-Type: multipart/mixed; boundary=c"],
        &[BLOB, "Content-Type: application/x-www-form-urlencoded"],
        &[META, "Content-Type: application/pdf"],
    ] {
        let field = part(lines, b"{}");
        let file = part(&[FILE], PICTURE);
        let says = "the form's field 'meta' is not a file: send files only";
        assert_eq!(refused(&form(&[&file, &field]), FORM), says, "{lines:?}");
        assert_eq!(refused(&form(&[&field, &file]), FORM), says, "{lines:?}");
        assert_eq!(refused(&form(&[&field]), FORM), says, "{lines:?}");
    }
    let nameless = form(&[&part(&[], PICTURE)]);
    assert_eq!(
        refused(&nameless, FORM),
        "the form's field '' is not a file: send files only"
    );
}

#[test]
fn a_file_is_an_item() {
    for lines in [
        &[FILE][..],
        &[FILE, "Content-Type: image/webp"],
        &[META, "Content-Type: image/png"],
        &[META, "Content-Type: image/jpg"],
        &[META, "Content-Type: application/octet-stream"],
        &[FILE, "Content-Type: application/x-something"],
        &[FILE, "Content-Type: image/png; charset=binary"],
        &["Content-Disposition: form-data; name=\"f\"; filename=\"\u{fc}\u{4e2d}.png\""],
        &["Content-Disposition: form-data; name=\"f\"; FILENAME=\"\""],
        &["Content-Disposition: form-data; filename=\"f\""],
        &["Content-Disposition: form-data; a=\"\\\";filename\"; filename=x"],
        &["Content-Type: image/png"],
        &[FILE, "Content-Transfer-Encoding: Binary"],
    ] {
        let file = part(lines, PICTURE);
        assert_eq!(
            items(&predict(&form(&[&file]), FORM).unwrap()),
            [PICTURE],
            "{lines:?}"
        );
        assert_eq!(
            items(&predict(&form(&[&file, &file]), FORM).unwrap()),
            [PICTURE; 2],
            "{lines:?}"
        );
    }
}

#[test]
fn encoded_bytes_are_refused() {
    for encoding in ["base64", "quoted-printable", "BASE64 "] {
        let line = format!("Content-Transfer-Encoding: {encoding}");
        let says = "the form's file 'file' has a Content-Transfer-Encoding: send its bytes as they are";
        assert_eq!(refused(&form(&[&part(&[FILE, &line], b"AAEC")]), FORM), says);
    }
}

#[test]
fn bytes_like_a_boundary_belong_to_the_content() {
    for content in [
        "\r\n--bX",
        "--b",
        "\r\n--b-X",
        "\r\n--b\r",
        "\r\n--",
        "\r\n\r\n--b-",
        "\r\n--b\rX",
    ] {
        let body = form(&[&part(&[FILE], content.as_bytes())]);
        assert_eq!(
            items(&predict(&body, FORM).unwrap()),
            [content.as_bytes()],
            "{content:?}"
        );
    }
}

#[test]
fn what_stands_around_the_parts_is_passed() {
    let file = String::from_utf8(part(&[FILE], b"1")).unwrap();
    for body in [
        format!("\r\n{file}--b--"),
        format!("\r\nlines \r\n{file}--b--\r\nan epilogue --b"),
        format!(
            "{}--b--",
            file.replacen(
                "\r\n1\r\n",
                "\r\n1\r\n--b \t\r\nContent-Type: image/x\r\n\r\n2\r\n",
                1
            )
        ),
    ] {
        assert_eq!(items(&predict(body.as_bytes(), FORM).unwrap())[0], b"1", "{body}");
    }
}

#[test]
fn a_form_that_is_not_well_formed_is_refused_with_the_reason() {
    let long = format!("{FILE}\r\nX: {}", "x".repeat(5000));
    let many = format!("{FILE}{}", "\r\nX: y".repeat(8));
    for (lines, why) in [
        ("Bad name: x", "Found invalid character 32 in header at 8"),
        (": x", "Found 0-length header at 5"),
        ("a: b\rc", "Did not find LF character at end of header (found 99)"),
        (long.as_str(), "Maximum header size exceeded"),
        (many.as_str(), "Maximum header count exceeded"),
    ] {
        let says = format!("the body is not a multipart form ({why}): send a form of files");
        assert_eq!(refused(&form(&[&part(&[lines], b"1")]), FORM), says);
    }
    for (body, why) in [
        ("--bX", "Did not find CR at end of boundary (3)"),
        ("--b\rX", "Did not find LF at end of boundary (4)"),
        ("--b-X", "Did not find - at end of boundary (4)"),
        ("--b\r\n\rX", "Did not find LF at end of headers (found 88)"),
        (
            "--b\r\nContent-Type: image/x\r\n\r\n1\r\n--b X",
            "Did not find CRLF after boundary padding at 37",
        ),
    ] {
        let says = format!("the body is not a multipart form ({why}): send a form of files");
        assert_eq!(refused(body.as_bytes(), FORM), says, "{body:?}");
    }
}

#[test]
fn a_form_that_ends_anywhere_is_refused() {
    let whole = form(&[&part(&[FILE, "Content-Type: image/png"], PICTURE)]);
    let end = whole.len() - b"\r\n".len();
    for length in 1..end {
        assert!(refused(&whole[..length], FORM).contains("truncated"), "{length}");
    }
    assert_eq!(items(&predict(&whole[..end], FORM).unwrap()), [PICTURE]);
}
