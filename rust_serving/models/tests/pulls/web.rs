//! A model at a web address, or in a folder of this machine.

use std::fs;
use std::time::Duration;

use crate::store::{Reply, Store, left_in, settings};
use models::{PullSettings, pull, pull_file};

const ENOUGH_S: f64 = 20.0;
/// Nobody is there: it is kept for documentation.
const ELSEWHERE: &str = "192.0.2.1";

fn graph() -> Vec<u8> {
    (0..=255).cycle().take(100_000).collect()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn to(location: &str) -> Reply {
    Reply::new(302, "").header("Location", location)
}

/// The one line of a refusal, which leaves nothing behind.
fn refused(uri: &str, settings: &PullSettings) -> String {
    let said = pull_file(uri, settings).unwrap_err().0;
    assert!(!said.contains('\n'), "{said}");
    assert!(left_in(&settings.cache).is_empty());
    said
}

#[test]
fn an_address_is_pulled_with_one_get_and_kept_by_its_version() {
    let (web, cache) = (Store::start(), folder());
    let settings = settings(cache.path(), &web, ENOUGH_S);
    web.on("/weights", [Reply::new(200, graph()).header("ETag", "\"1\"")]);
    let uri = format!("{}/weights?signature=abc", web.url);
    let first = pull_file(&uri, &settings).unwrap();
    assert_eq!(fs::read(&first.path).unwrap(), graph());
    let seen = web.seen();
    assert!(
        seen.len() == 1 && seen[0].starts_with("GET /weights?signature=abc HTTP/1.1"),
        "{seen:?}"
    );
    assert!(pull_file(&uri, &settings).unwrap().cached);
    web.on("/weights", [Reply::new(200, graph()).header("ETag", "\"2\"")]);
    assert!(!pull_file(&uri, &settings).unwrap().cached);
}

#[test]
fn an_answer_that_is_not_the_whole_file_is_refused() {
    let (web, cache) = (Store::start(), folder());
    let settings = settings(cache.path(), &web, 0.3);
    let uri = format!("{}/weights", web.url);
    let whole = "give an address that answers a GET with the whole file";
    for status in [202, 206, 300, 400, 405, 416, 451] {
        web.on("/weights", [Reply::new(status, graph())]);
        let expected = format!("{uri} may not be read (HTTP status {status}): {whole}");
        assert_eq!(refused(&uri, &settings), expected);
    }
    for status in [401, 403] {
        web.on("/weights", [Reply::new(status, "")]);
        let said = refused(&uri, &settings);
        assert!(
            said.contains(&format!(
                "(HTTP status {status}): give an address that may be read; if"
            )),
            "{said}"
        );
    }
    for status in [408, 425, 429, 500, 503] {
        web.on("/weights", [Reply::new(status, "")]);
        let said = refused(&uri, &settings);
        assert!(
            said.contains(&format!("could not be reached for 0.3 s (HTTP status {status})")),
            "{said}"
        );
    }
    for length in [
        "\u{b2}",
        "99999999999999999999",
        "1234567890123456789",
        "-1",
        "1_0",
        "+5",
        "0x10",
    ] {
        web.on(
            "/weights",
            [Reply {
                length: Some(length.to_owned()),
                ..Reply::new(200, graph())
            }],
        );
        let expected = format!("{uri} may not be read (its Content-Length is malformed): {whole}");
        assert_eq!(refused(&uri, &settings), expected, "{length}");
    }
    web.on(
        "/weights",
        [Reply::new(200, graph()).header("Content-Encoding", "GZIP")],
    );
    assert!(
        refused(&uri, &settings)
            .contains("(it is sent with Content-Encoding gzip): store it without an encoding")
    );
}

#[test]
fn redirects_are_followed_to_where_an_address_may_lead() {
    let (web, other, cache) = (Store::start(), Store::start(), folder());
    let settings = settings(cache.path(), &web, ENOUGH_S);
    web.on("/a", [to("b?x=1")]);
    web.on("/b", [to(&format!("{}/c", other.url))]);
    other.on("/c", [to(&format!("{}/d", web.url))]);
    web.on("/d", [Reply::new(200, graph())]);
    let host = web.url.trim_start_matches("http://");
    let uri = format!("http://name:p%40ss@{host}/a");
    assert_eq!(
        fs::read(pull_file(&uri, &settings).unwrap().path).unwrap(),
        graph()
    );
    // what the address holds is for its own host alone
    let given = |head: &String| {
        head.lines()
            .find(|line| line.starts_with("authorization"))
            .map(str::to_owned)
    };
    let basic = Some("authorization: Basic bmFtZTpwQHNz".to_owned());
    assert_eq!(
        web.seen().iter().map(given).collect::<Vec<_>>(),
        [basic.clone(), basic.clone(), basic]
    );
    assert_eq!(other.seen().iter().map(given).collect::<Vec<_>>(), [None]);
}

#[test]
fn a_redirect_leads_nowhere_that_an_address_may_not() {
    let (web, cache) = (Store::start(), folder());
    let settings = settings(cache.path(), &web, ENOUGH_S);
    for target in [
        format!("http://{ELSEWHERE}/weights"),
        format!("//{ELSEWHERE}/weights"),
        "http://169.254.169.254/computeMetadata/v1/".to_owned(),
        "http://metadata.google.internal/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gs://models/weights".to_owned(),
        "ftp://127.0.0.1/weights".to_owned(),
        format!("http://{ELSEWHERE}\\@127.0.0.1/weights"),
        format!("http://127.0.0.1:80@{ELSEWHERE}/weights"),
        "http://[::ffff:192.0.2.1]/weights".to_owned(),
        "http://[".to_owned(),
        "https:///weights".to_owned(),
        "https:weights".to_owned(),
    ] {
        web.on("/a", [to("/b")]);
        web.on("/b", [to(&target)]);
        let before = web.seen().len();
        let said = refused(&format!("{}/a", web.url), &settings);
        let redirected = said.ends_with("which is not https: give the address of the file itself");
        assert!(redirected || said.contains("is malformed"), "{target}: {said}");
        assert_eq!(web.seen().len(), before + 2);
    }
    web.on("/a", [to("/a")]);
    let uri = format!("{}/a", web.url);
    assert_eq!(
        refused(&uri, &settings),
        format!("{uri} redirects more than 5 times: give the address of the file itself")
    );
}

#[test]
fn an_address_is_judged_by_the_host_that_would_be_called() {
    let (web, cache) = (Store::start(), folder());
    let settings = settings(cache.path(), &web, ENOUGH_S);
    let said = refused(&format!("http://{ELSEWHERE}\\@127.0.0.1/weights"), &settings);
    assert!(
        said.ends_with("is not a model address: give https://host/path"),
        "{said}"
    );
    for uri in [
        "weights",
        "gs://",
        "gs://bucket",
        "ftp://host/x",
        "http://example.com/x",
        "https:///x",
    ] {
        let expected =
            format!("{uri} is not a model address: give gs://bucket/name, file:///path or https://host/path");
        assert_eq!(refused(uri, &settings), expected);
    }
    assert_eq!(
        refused("https://u:p@[host/x", &settings),
        "https://[host/x is malformed: give gs://bucket/name, file:///path or https://host/path"
    );
}

#[test]
fn what_declares_no_length_is_bounded_by_the_setting() {
    let (web, cache) = (Store::start(), folder());
    let few = PullSettings {
        max_model_bytes: 1000,
        ..settings(cache.path(), &web, ENOUGH_S)
    };
    let uri = format!("{}/weights", web.url);
    for length in [None, Some(String::new())] {
        web.on(
            "/weights",
            [Reply {
                length,
                ..Reply::new(200, graph())
            }],
        );
        assert!(refused(&uri, &few).contains("is longer than MAX_MODEL_BYTES=1000 bytes"));
    }
}

#[test]
fn secrets_are_used_and_never_shown() {
    let (web, cache) = (Store::start(), folder());
    let settings = settings(cache.path(), &web, 0.1);
    let host = web.url.trim_start_matches("http://");
    let uri = format!("http://name:pass@{host}/weather/weights?key=a/b#part");
    for status in [403, 404, 503] {
        web.on("/weather/weights", [Reply::new(status, "")]);
        let said = pull(&uri, None, &settings).unwrap_err().0;
        assert!(
            said.starts_with(&format!("{}/weather/weights ", web.url)),
            "{said}"
        );
        assert!(
            !["name", "pass", "key=", "#part"]
                .iter()
                .any(|secret| said.contains(secret)),
            "{said}"
        );
    }
}

#[test]
fn a_manifest_may_have_an_address_of_its_own() {
    let (web, cache) = (Store::start(), folder());
    let settings = settings(cache.path(), &web, ENOUGH_S);
    web.on("/weights", [Reply::new(200, graph())]);
    // sha256 of the bytes 0 to 255, again and again, up to 100,000
    let digest = "db8f1d69251d95e2c88268d3c540533cc5182e0e33065a6f3f322f606a574489";
    let text = format!(
        r#"{{"name": "w", "files": {{"weights": {{"sha256": "{digest}"}}}}, "labels": ["a", "b"], "softmax": true,
        "transform": {{"resize": 9, "crop": 8, "interpolation": "bicubic", "antialias": true,
        "mean": [0, 0, 0], "std": [1, 1, 1]}}}}"#
    );
    web.on("/elsewhere", [Reply::new(200, text)]);
    let manifest = format!("{}/elsewhere?signature=2", web.url);
    let model = pull(
        &format!("{}/weights?signature=1", web.url),
        Some(&manifest),
        &settings,
    )
    .unwrap();
    assert!(model.manifest.softmax && model.manifest.version.is_none());
    let said = pull(&format!("{}/weights?signature=1", web.url), None, &settings)
        .unwrap_err()
        .0;
    assert!(said.contains("/model.json does not exist"), "{said}");
}

#[test]
fn a_store_that_trickles_redirects_is_given_the_time_there_is() {
    let (web, cache) = (Store::start(), folder());
    let settings = settings(cache.path(), &web, 0.6);
    let slow = Reply {
        pause: Duration::from_millis(20),
        ..Reply::new(200, graph())
    };
    web.on("/a", [slow]);
    let said = refused(&format!("{}/a", web.url), &settings);
    assert!(
        said.contains("did not arrive within STORE_TIMEOUT_S=0.6: "),
        "{said}"
    );
}

#[test]
fn a_local_file_is_used_where_it_lies() {
    let (web, place) = (Store::start(), folder());
    let settings = settings(&place.path().join("cache"), &web, ENOUGH_S);
    let path = place.path().join("a b");
    let uri = format!("file://{}/a%20b", place.path().display());
    let said = |uri: &str| refused(uri, &settings);
    assert_eq!(
        said(&uri),
        format!("{uri} does not exist: correct the address or create the file")
    );
    fs::write(&path, "").unwrap();
    assert_eq!(said(&uri), format!("{uri} is empty: publish it again"));
    fs::write(&path, "x").unwrap();
    assert_eq!(pull_file(&uri, &settings).unwrap().path, path);
    fs::write(place.path().join("model.json"), r#"{"name": "m"}"#).unwrap();
    assert_eq!(
        pull(&uri, None, &settings).unwrap_err().0,
        format!(
            "{uri} cannot be verified: list its sha256 under files in file://{}/model.json",
            place.path().display()
        )
    );
    let folder = format!("file://{}", place.path().display());
    assert_eq!(
        said(&folder),
        format!("{folder} is a folder: give the address of the model's file in it")
    );
    assert_eq!(
        said("file:///weights%00"),
        "file:///weights%00 is malformed: give file:///path"
    );
    assert!(!settings.cache.exists());
}
