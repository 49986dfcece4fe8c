//! A model in a bucket of a stand-in that fails in the ways that stores do.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::store::{Reply, Store, left_in, settings};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use models::{PullSettings, pull, pull_file};

const URI: &str = "gs://models/weather/network.onnx";
const METADATA: &str = "/storage/v1/b/models/o/weather%2Fnetwork.onnx";
const MEDIA: &str = "/download/storage/v1/b/models/o/weather%2Fnetwork.onnx";
const PROMPT_S: f64 = 0.9;
const ENOUGH_S: f64 = 20.0;

fn graph() -> Vec<u8> {
    (0..=255).cycle().take(300_000).collect()
}

fn manifest(files: &str) -> String {
    format!(
        r#"{{"name": "weather", "version": "1", "kind": "image", "files": {files}, "labels": ["rain", "snow"],
        "transform": {{"resize": 256, "crop": 224, "interpolation": "bilinear", "antialias": true,
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}}}"#
    )
}

fn described(body: &[u8], generation: &str) -> Reply {
    let crc = STANDARD.encode(crc32c::crc32c(body).to_be_bytes());
    let size = body.len();
    let facts = format!(r#"{{"generation": "{generation}", "size": "{size}", "crc32c": "{crc}"}}"#);
    Reply::new(200, facts)
}

/// A store with the graph and its manifest.
fn published() -> Store {
    let store = Store::start();
    store.on(METADATA, [described(&graph(), "7")]);
    store.on(MEDIA, [Reply::new(200, graph())]);
    let manifest = manifest("{}").into_bytes();
    store.on(
        "/storage/v1/b/models/o/weather%2Fmodel.json",
        [described(&manifest, "8")],
    );
    store.on(
        "/download/storage/v1/b/models/o/weather%2Fmodel.json",
        [Reply::new(200, manifest)],
    );
    store
}

/// The one line of a refusal, which leaves nothing behind.
fn refused(settings: &PullSettings) -> String {
    let said = pull_file(URI, settings).unwrap_err().0;
    assert!(said.starts_with(URI) && !said.contains('\n'), "{said}");
    assert!(left_in(&settings.cache).is_empty());
    said
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_model_arrives_whole_and_a_second_start_downloads_nothing() {
    let (store, cache) = (published(), folder());
    let settings = settings(cache.path(), &store, ENOUGH_S);
    let first = pull(URI, None, &settings).unwrap();
    assert_eq!(fs::read(&first.path).unwrap(), graph());
    assert_eq!(
        (&*first.manifest.name, first.manifest.labels.len()),
        ("weather", 2)
    );
    assert_eq!((first.manifest.transform.crop, first.cached), (224, false));
    assert_eq!(store.downloads(), 2);
    let second = pull(URI, None, &settings).unwrap();
    assert_eq!((second.path, second.cached), (first.path, true));
    assert_eq!(store.downloads(), 2);
    assert!(
        store
            .seen()
            .iter()
            .all(|request| !request.to_lowercase().contains("authorization"))
    );
}

#[test]
fn a_new_version_and_a_damaged_copy_are_downloaded() {
    let (store, cache) = (published(), folder());
    let settings = settings(cache.path(), &store, ENOUGH_S);
    let first = pull_file(URI, &settings).unwrap();
    for damaged in [&graph()[1..], b"", &[&b"x"[..], &graph()[1..]].concat()] {
        fs::write(&first.path, damaged).unwrap();
        let again = pull_file(URI, &settings).unwrap();
        assert_eq!((again.cached, fs::read(again.path).unwrap()), (false, graph()));
    }
    let reversed: Vec<u8> = graph().into_iter().rev().collect();
    store.on(METADATA, [described(&reversed, "9")]);
    store.on(MEDIA, [Reply::new(200, &*reversed)]);
    let newer = pull_file(URI, &settings).unwrap();
    assert_eq!(fs::read(&newer.path).unwrap(), reversed);
    assert_ne!(newer.path, first.path);
}

#[test]
fn a_passing_fault_is_retried() {
    for status in [408, 429, 500, 503] {
        let (store, cache) = (published(), folder());
        store.on(METADATA, [Reply::new(status, ""), described(&graph(), "7")]);
        store.on(MEDIA, [Reply::new(status, "busy"), Reply::new(200, graph())]);
        let pulled = pull_file(URI, &settings(cache.path(), &store, ENOUGH_S)).unwrap();
        assert_eq!(fs::read(pulled.path).unwrap(), graph());
    }
}

#[test]
fn a_transfer_that_breaks_off_once_is_repeated() {
    let (store, cache) = (published(), folder());
    let cut = Reply {
        length: Some(graph().len().to_string()),
        ..Reply::new(200, &graph()[1000..])
    };
    store.on(MEDIA, [cut, Reply::new(200, graph())]);
    let pulled = pull_file(URI, &settings(cache.path(), &store, ENOUGH_S)).unwrap();
    assert_eq!(fs::read(pulled.path).unwrap(), graph());
    assert_eq!(store.downloads(), 2);
}

#[test]
fn a_lasting_fault_is_named_in_one_line() {
    let whole = graph().len();
    let cut = Reply {
        length: Some(whole.to_string()),
        ..Reply::new(200, &graph()[1000..])
    };
    let reversed: Vec<u8> = graph().into_iter().rev().collect();
    let short = format!(
        "arrived damaged ({} bytes of {whole}): publish it again",
        whole - 7
    );
    let long = format!("arrived damaged (more than its {whole} bytes were sent): publish it again");
    let cases: [(Reply, &str); 8] = [
        (
            Reply::new(404, ""),
            "does not exist: publish the model or correct the address",
        ),
        (Reply::new(403, "no"), "may not be read (403 GET "),
        (Reply::new(401, "no"), "may not be read (401 GET "),
        (Reply::new(200, &graph()[7..]), &short),
        (Reply::new(200, [graph(), vec![1]].concat()), &long),
        (cut, "arrived damaged (the transfer ended early, "),
        (
            Reply::new(200, reversed),
            "arrived damaged (its crc32c differs): publish it again",
        ),
        (Reply::new(503, ""), "could not be reached for 0.9 s (503 GET "),
    ];
    for (reply, says) in cases {
        let (store, cache) = (published(), folder());
        store.on(MEDIA, [reply]);
        let said = refused(&settings(cache.path(), &store, PROMPT_S));
        assert!(said.starts_with(&format!("{URI} {says}")), "{said}");
    }
}

#[test]
fn a_refusal_says_the_stores_own_words() {
    let (store, cache) = (published(), folder());
    store.on(
        METADATA,
        [Reply::new(403, r#"{"error": {"message": "no such\n luck"}}"#)],
    );
    let said = refused(&settings(cache.path(), &store, PROMPT_S));
    let address = format!("{}{METADATA}", store.url);
    let expected = format!(
        "{URI} may not be read (403 GET {address}: no such luck): grant this service's account read access"
    );
    assert_eq!(said, expected);
}

#[test]
fn a_missing_object_is_not_asked_for_again() {
    let (store, cache) = (Store::start(), folder());
    assert!(refused(&settings(cache.path(), &store, ENOUGH_S)).contains("does not exist"));
    assert_eq!(store.seen().len(), 1);
}

#[test]
fn a_store_that_is_down_is_named_when_the_time_is_over() {
    let (store, cache) = (Store::start(), folder());
    let mut settings = settings(cache.path(), &store, PROMPT_S);
    settings.local_store = Some(("models".to_owned(), "http://127.0.0.1:9".to_owned()));
    assert_eq!(
        refused(&settings),
        format!(
            "{URI} could not be reached for 0.9 s (Connection refused): check its address and that it is up"
        )
    );
}

#[test]
fn a_slow_store_is_given_the_time_there_is_and_no_more() {
    let trickle = Duration::from_millis(50);
    let silent = || Reply {
        silent: true,
        ..Reply::default()
    };
    for (path, reply) in [
        (METADATA, silent()),
        (
            METADATA,
            Reply {
                pause: trickle,
                ..Reply::new(200, "{}".repeat(5000))
            },
        ),
        (MEDIA, silent()),
        (
            MEDIA,
            Reply {
                pause: trickle,
                ..Reply::new(200, graph())
            },
        ),
    ] {
        let (store, cache) = (published(), folder());
        store.on(path, [reply]);
        assert_eq!(
            refused(&settings(cache.path(), &store, 0.6)),
            format!(
                "{URI} did not arrive within STORE_TIMEOUT_S=0.6: raise it, or use a store that answers faster"
            )
        );
    }
}

#[test]
fn a_description_without_end_and_a_model_too_long_are_refused() {
    let (store, cache) = (published(), folder());
    store.on(METADATA, [Reply::new(200, "1".repeat(300_000))]);
    let said = refused(&settings(cache.path(), &store, ENOUGH_S));
    assert!(
        said.contains("arrived damaged (its description is longer than 262144 bytes)"),
        "{said}"
    );
    let store = published();
    let few = PullSettings {
        max_model_bytes: 1000,
        ..settings(cache.path(), &store, ENOUGH_S)
    };
    assert_eq!(
        refused(&few),
        format!("{URI} is longer than MAX_MODEL_BYTES=1000 bytes: correct the address, or raise the setting")
    );
    assert_eq!(store.downloads(), 0);
}

#[test]
fn a_redirect_and_an_encoding_are_refused() {
    for path in [METADATA, MEDIA] {
        let (store, cache) = (published(), folder());
        store.on(
            path,
            [Reply::new(302, "").header("Location", "http://other/?secret=1")],
        );
        assert_eq!(
            refused(&settings(cache.path(), &store, ENOUGH_S)),
            format!(
                "{URI} may not be read (the store redirects to http://other/): \
                 give the address of the store itself"
            )
        );
    }
    let (store, cache) = (published(), folder());
    store.on(
        METADATA,
        [Reply::new(
            200,
            r#"{"generation": "1", "contentEncoding": "gzip"}"#,
        )],
    );
    let said = refused(&settings(cache.path(), &store, ENOUGH_S));
    assert!(said.contains("(it is stored with Content-Encoding gzip): publish it without an encoding"));
}

#[test]
fn the_manifest_decides_about_the_file() {
    let place = Path::new("weather")
        .join("model.json")
        .to_string_lossy()
        .replace('/', "%2F");
    let zeros = "0".repeat(64);
    for (files, says) in [
        (
            format!(r#"{{"network.onnx": {{"sha256": "{zeros}"}}}}"#),
            "is not the file that gs://models/weather/model.json lists (sha256 differs): publish both again",
        ),
        (
            format!(r#"{{"z.onnx": {{"sha256": "{zeros}"}}, "a.onnx": {{"sha256": "{zeros}"}}}}"#),
            "is none of the files that gs://models/weather/model.json lists (z.onnx, a.onnx): \
             give the address of one of them, or publish the model in this form",
        ),
    ] {
        let (store, cache) = (published(), folder());
        let text = manifest(&files).into_bytes();
        store.on(
            &format!("/storage/v1/b/models/o/{place}"),
            [described(&text, "9")],
        );
        store.on(
            &format!("/download/storage/v1/b/models/o/{place}"),
            [Reply::new(200, text)],
        );
        let said = pull(URI, None, &settings(cache.path(), &store, ENOUGH_S))
            .unwrap_err()
            .0;
        assert_eq!(said, format!("{URI} {says}"));
    }
}

#[test]
fn what_killed_starts_left_is_removed_once_it_is_old() {
    let (store, cache) = (published(), folder());
    let (old, young) = (cache.path().join(".pull-old"), cache.path().join(".pull-young"));
    fs::write(&young, "half").unwrap();
    let file = fs::File::create(&old).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    pull_file(URI, &settings(cache.path(), &store, ENOUGH_S)).unwrap();
    assert!(young.exists() && !old.exists());
    assert_eq!(left_in(cache.path()).len(), 2);
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let (store, folder) = (published(), folder());
    let blocked = folder.path().join("cache");
    fs::write(&blocked, "a file in the folder's place").unwrap();
    let said = pull_file(URI, &settings(&blocked, &store, ENOUGH_S))
        .unwrap_err()
        .0;
    let expected = format!("{URI} cannot be kept in MODEL_CACHE_DIR={} (", blocked.display());
    assert!(
        said.starts_with(&expected) && said.ends_with("): make room or grant access"),
        "{said}"
    );
}
