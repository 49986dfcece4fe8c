use std::cell::RefCell;
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::numbers::{real, whole};
use super::shown::quoted;
use super::*;

fn read(given: &[(&str, &str)]) -> Result<Settings, StartError> {
    Settings::read(&|name| {
        let set = given
            .iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| (*value).to_owned());
        set.or_else(|| (name == MODEL_URI_VARIABLE).then(|| "gs://a/b".to_owned()))
    })
}

fn refusal(given: &[(&str, &str)]) -> String {
    let StartError(text) = read(given).expect_err("these settings are wrong");
    assert!(!text.contains('\n'), "{text}");
    text
}

#[test]
#[expect(clippy::float_cmp, reason = "these numbers are exact")]
fn without_any_setting_the_defaults_are_those_of_the_other_services() {
    let made = read(&[]).unwrap();
    assert_eq!(made.models, [(None, "gs://a/b".to_owned())]);
    assert_eq!((made.host.as_str(), made.port), ("127.0.0.1", 8080));
    assert_eq!((made.max_model_bytes, made.max_body_bytes), (8 << 30, 16 << 20));
    assert_eq!(
        (made.max_pixels, made.max_request_pixels),
        (50_000_000, 800_000_000)
    );
    assert_eq!((made.max_items, made.max_connections), (64, 1024));
    assert_eq!(
        (made.queue_limit, made.queue_bytes, made.request_timeout_ms),
        (256, 512 << 20, 30_000)
    );
    let seconds = [
        made.store_timeout_s,
        made.header_timeout_s,
        made.body_timeout_s,
        made.drain_linger_s,
    ];
    assert_eq!(seconds, [30.0, 10.0, 10.0, 0.5]);
    assert_eq!([made.grace_s, made.push_interval_s], [8.0, 15.0]);
    assert_eq!(
        (made.local_store, made.pushgateway, made.log_level),
        (None, None, LogLevel::Info)
    );
    assert_eq!(made.threads, usable_cores().min(32));
    assert!(made.decode_bytes >= MIB);
    assert!(made.manifests.is_empty());
}

#[test]
fn what_is_set_is_read_and_an_empty_variable_is_not_set() {
    let made = read(&[
        ("PORT", " 80 "),
        ("THREADS", ""),
        ("MAX_PIXELS", "1_000"),
        ("STORE_TIMEOUT_S", "1e2"),
        ("LOCAL_STORE", "models.local=http://store:9023/"),
        ("PUSHGATEWAY", "https://u:p@h:1/x"),
        ("LOG_LEVEL", "warning"),
        ("QUEUE_LIMIT", "9999999999999999999999999999999999999999"),
        ("MODEL_CACHE_DIR", "~/x"),
    ])
    .unwrap();
    assert_eq!(
        (made.port, made.max_pixels, made.max_request_pixels),
        (80, 1000, 16_000)
    );
    assert_eq!(made.threads, usable_cores().min(32));
    assert!((made.store_timeout_s - 100.0).abs() < f64::EPSILON);
    assert_eq!(
        made.local_store,
        Some(("models.local".to_owned(), "http://store:9023/".to_owned()))
    );
    assert_eq!(made.pushgateway.as_deref(), Some("https://u:p@h:1/x"));
    assert_eq!(
        (made.log_level, made.queue_limit),
        (LogLevel::Warning, usize::MAX)
    );
    assert_eq!(made.model_cache_dir, PathBuf::from("~/x"));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_wrong_setting_is_named_with_what_would_be_right() {
    const NOT_WHOLE: &str = "input should be a valid integer, unable to parse string as an integer";
    const NOT_A_NUMBER: &str = "input should be a valid number, unable to parse string as a number";
    let cases = [
        ("PORT", "http", "'http'", NOT_WHOLE),
        ("PORT", "1.5", "'1.5'", NOT_WHOLE),
        ("PORT", "-5", "'-5'", "input should be greater than or equal to 1"),
        ("PORT", "0", "'0'", "input should be greater than or equal to 1"),
        (
            "PORT",
            "70000",
            "'70000'",
            "input should be less than or equal to 65535",
        ),
        (
            "PORT",
            "99999999999999999999999999999999999999999",
            "",
            "input should be less than or equal to 65535",
        ),
        ("PORT", "a\nb\t\u{e9}\u{1}", r"'a\nb\té\x01'", NOT_WHOLE),
        ("PORT", "it's", "\"it's\"", NOT_WHOLE),
        ("PORT", "it's \"q\"", r#"'it\'s "q"'"#, NOT_WHOLE),
        ("PORT", "\u{200b}\u{1F600}", r"'\u200b😀'", NOT_WHOLE),
        (
            "THREADS",
            "1025",
            "'1025'",
            "input should be less than or equal to 1024",
        ),
        ("STORE_TIMEOUT_S", "x", "'x'", NOT_A_NUMBER),
        (
            "STORE_TIMEOUT_S",
            "nan",
            "'nan'",
            "input should be less than or equal to 3600",
        ),
        ("STORE_TIMEOUT_S", "0", "'0'", "input should be greater than 0"),
        (
            "STORE_TIMEOUT_S",
            "-inf",
            "'-inf'",
            "input should be greater than 0",
        ),
        (
            "DRAIN_LINGER_S",
            "-1",
            "'-1'",
            "input should be greater than or equal to 0",
        ),
        (
            "DRAIN_LINGER_S",
            "61",
            "'61'",
            "input should be less than or equal to 60",
        ),
        (
            "LOG_LEVEL",
            "INFO",
            "'INFO'",
            "input should be 'debug', 'info', 'warning' or 'error'",
        ),
        (
            "DEVICE",
            "gpu",
            "'gpu'",
            "input should be 'auto', 'cpu' or 'cuda'",
        ),
        (
            "WORKERS",
            "65",
            "'65'",
            "input should be less than or equal to 64",
        ),
        (
            "DEVICE_MEMORY_SHARE",
            "2",
            "'2'",
            "input should be less than or equal to 1",
        ),
        (
            "LOCAL_STORE",
            "x",
            "'x'",
            "input should be bucket=http://host:port",
        ),
        (
            "LOCAL_STORE",
            "b=http://h\n",
            r"'b=http://h\n'",
            "input should be bucket=http://host:port",
        ),
        (
            "LOCAL_STORE",
            "b=http://u:pw@h",
            "'b=http://h'",
            "input should be bucket=http://host:port",
        ),
        (
            "LOCAL_STORE",
            "b=http://h?x=s",
            "'b=http://h'",
            "input should be bucket=http://host:port",
        ),
        (
            "PUSHGATEWAY",
            "http://u:p@h:x/",
            "'http://h:x/'",
            "input should be http://host:port or https://name:password@host:port",
        ),
    ];
    for (variable, value, shown, fault) in cases {
        let shown = if shown.is_empty() {
            quoted(value)
        } else {
            shown.to_owned()
        };
        assert_eq!(
            refusal(&[(variable, value)]),
            format!("wrong setting: {variable}={shown}: {fault}")
        );
    }
    let long = refusal(&[("PORT", &"x".repeat(100))]);
    assert!(
        long.starts_with(&format!("wrong setting: PORT='{}...: input", "x".repeat(79))),
        "{long}"
    );
    let endless = refusal(&[("PORT", &"9".repeat(5000))]);
    assert!(
        endless.ends_with("unable to parse input string as an integer, exceeded maximum size"),
        "{endless}"
    );
}

#[test]
fn all_faults_are_told_in_the_order_of_the_settings() {
    let told = refusal(&[("THREADS", "0"), ("MAX_PIXELS", "x"), ("PORT", "0")]);
    let places: Vec<_> = ["PORT=", "MAX_PIXELS=", "THREADS="]
        .iter()
        .map(|name| told.find(name))
        .collect();
    assert!(places.is_sorted() && places.iter().all(Option::is_some), "{told}");
    assert_eq!(told.matches("; ").count(), 2);
}

#[test]
fn a_missing_address_is_named() {
    let StartError(text) = Settings::read(&|_| None).unwrap_err();
    assert_eq!(
        text,
        "ONNX_NETWORK_URI is not set: give the model's address, such as gs://bucket/folder/file"
    );
}

#[test]
fn what_only_other_services_have_is_refused_with_what_to_use() {
    let cases = [
        (
            "WORKERS",
            "2",
            "WORKERS=2: rust_serving is one process",
            "THREADS",
        ),
        (
            "DEVICE",
            "cuda",
            "DEVICE=cuda: rust_serving computes on the processor",
            "batched_serving",
        ),
        (
            "HANDLER",
            "a:B",
            "HANDLER='a:B': rust_serving has no Python",
            "onnx_serving",
        ),
        (
            "MAX_BATCH",
            "8",
            "MAX_BATCH=8: rust_serving computes each image by itself",
            "batched_serving",
        ),
        (
            "MAX_WAIT_MS",
            "2.5",
            "MAX_WAIT_MS=2.5: rust_serving computes each image by itself",
            "batched_serving",
        ),
    ];
    for (variable, value, beginning, remedy) in cases {
        let told = refusal(&[(variable, value)]);
        assert!(told.starts_with(beginning) && told.contains(remedy), "{told}");
    }
    for (variable, value) in [
        ("WORKERS", "1"),
        ("DEVICE", "cpu"),
        ("DEVICE", "auto"),
        ("MAX_BATCH", "1"),
        ("MAX_WAIT_MS", "0"),
    ] {
        assert!(read(&[(variable, value)]).is_ok(), "{variable}={value}");
    }
}

#[test]
fn models_and_manifests_are_read_by_name() {
    let named = |name: &str, address: &str| (Some(name.to_owned()), address.to_owned());
    let several = "a=gs://x?b,c, b=gs://y,z=/p";
    let made = read(&[(MODEL_URI_VARIABLE, several), ("MANIFEST_URI", "b=gs://m")]).unwrap();
    assert_eq!(made.models, [named("a", "gs://x?b,c"), named("b", "gs://y,z=/p")]);
    assert_eq!(made.manifests, [named("b", "gs://m")]);
    let one = read(&[(MODEL_URI_VARIABLE, "a=gs://x"), ("MANIFEST_URI", "gs://m")]).unwrap();
    assert_eq!(one.manifests, [named("a", "gs://m")]);
    let plain = read(&[("MANIFEST_URI", "gs://m")]).unwrap();
    assert_eq!(plain.manifests, [(None, "gs://m".to_owned())]);
}

#[test]
fn a_malformed_address_is_refused() {
    let cases = [
        (
            "/a/b",
            "",
            "ONNX_NETWORK_URI has a path, '/a/b', and no address: write file:///a/b",
        ),
        (
            "m=/a/b",
            "",
            "ONNX_NETWORK_URI has a path, 'm=/a/b', and no address: write m=file:///a/b",
        ),
        (
            "gs://a/b",
            "/q",
            "MANIFEST_URI has a path, '/q', and no address: write file:///q",
        ),
        (
            "gs://a/b",
            "z=gs://m",
            "MANIFEST_URI names 'z': use its models' names",
        ),
        (
            "a=gs://x,b=gs://y",
            "gs://m",
            "MANIFEST_URI is one address for several models: write name=address pairs",
        ),
        (
            "a=gs://x, a=gs://y",
            "",
            "ONNX_NETWORK_URI names 'a' twice: give each model a name of its own",
        ),
        (
            "https://u:secret@h/x?token,b=gs://y",
            "",
            "ONNX_NETWORK_URI has the part 'https://h/x': write name=gs://bucket/folder/file, with commas \
             between pairs",
        ),
    ];
    for (model, manifest, told) in cases {
        assert_eq!(
            refusal(&[(MODEL_URI_VARIABLE, model), ("MANIFEST_URI", manifest)]),
            told
        );
    }
}

#[test]
fn the_cache_is_in_the_users_folder() {
    let folder = |given: &'static [(&str, &str)]| read(given).unwrap().model_cache_dir;
    assert_eq!(
        folder(&[("HOME", "/h")]),
        PathBuf::from("/h/.cache/model-serving")
    );
    assert_eq!(
        folder(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]),
        PathBuf::from("/c/model-serving")
    );
    assert_eq!(
        folder(&[("XDG_CACHE_HOME", "~/c"), ("HOME", "/h")]),
        PathBuf::from("/h/c/model-serving")
    );
}

#[test]
fn a_gateways_address_is_checked() {
    let right = [
        "http://h",
        "http://h/",
        "http://h:99999",
        "https://u:p@h:1/x/y:z",
        "http://[::1]:9091",
        "http://[::1]",
    ];
    for text in right {
        assert_eq!(addresses::pushgateway(text).as_deref(), Some(text));
    }
    let wrong = [
        "x",
        "http://",
        "http://:1",
        "http://h:",
        "http://h:123456",
        "http://h:x",
        "http://@h",
        "http://a@b@h",
        "http://h/?q",
        "http://h/#f",
        "http://h\n",
        "http://h h",
        "http://[]",
        "http://[x]",
        "http://[::1",
        "http://a:b:1",
        "ftp://h",
        "http://h/a@b",
    ];
    for text in wrong {
        assert_eq!(addresses::pushgateway(text), None, "{text:?}");
    }
}

#[test]
fn every_setting_that_is_read_is_named() {
    let asked = RefCell::new(BTreeSet::new());
    let _ = Settings::read(&|name| {
        asked.borrow_mut().insert(name.to_owned());
        (name == MODEL_URI_VARIABLE).then(|| "gs://a/b".to_owned())
    });
    let elsewhere = [
        "HANDLER",
        "WORKERS",
        "DEVICE",
        "DEVICE_MEMORY_SHARE",
        "MAX_BATCH",
        "MAX_WAIT_MS",
        "HOME",
        "XDG_CACHE_HOME",
    ];
    let known: BTreeSet<String> = NAMES.into_iter().chain(elsewhere).map(str::to_owned).collect();
    assert_eq!(asked.into_inner(), known);
}

#[test]
fn each_stated_combination_is_judged_by_itself() {
    let mut environment = HashMap::new();
    set(
        &mut environment,
        MODEL_URI_VARIABLE,
        "file:///model.onnx".to_owned(),
    );
    let asked = br#"[{"THREADS": "2"}, {"threads": "0"}, {"PORT": "9"}, {"WORKERS": "2"}]"#;
    let answer: serde_json::Value =
        serde_json::from_slice(&stated::state(asked, &environment).unwrap()).unwrap();
    assert_eq!(answer["settings"].as_array().unwrap().len(), NAMES.len());
    assert!(answer["faults"][0].is_null() && answer["faults"][2].is_null());
    assert_eq!(
        answer["faults"][1],
        "wrong setting: THREADS='0': input should be greater than or equal to 1"
    );
    assert!(answer["faults"][3].as_str().unwrap().starts_with("WORKERS=2"));
    for wrong in [&b"{"[..], b"[1]", b"[{\"A\": 1}]"] {
        assert!(stated::state(wrong, &environment).is_err());
    }
}

#[test]
fn whole_numbers_are_read_as_the_other_services_read_them() {
    let right = [
        ("1.0", 1),
        ("1.00", 1),
        ("1_000", 1000),
        ("+5", 5),
        ("005", 5),
        ("\t7\n", 7),
        ("1_0.0", 10),
    ];
    for (text, value) in right
        .into_iter()
        .chain([("-0", 0), ("0_1", 1), ("1\u{a0}", 1), ("-12", -12)])
    {
        assert_eq!(whole(text), Ok(value), "{text:?}");
    }
    let wrong = [
        "", "1.", ".0", "1__0", "_1", "1_", "+ 5", "0x10", "1e3", "１２", "true", "nan", "--1", "1.0_0", "-",
    ];
    for text in wrong {
        assert!(whole(text).is_err(), "{text:?}");
    }
}

#[test]
fn numbers_are_read_as_the_other_services_read_them() {
    let right = [
        ("1_0", 10.0),
        (" 3 ", 3.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("+5", 5.0),
        ("1_.5", 1.5),
        ("1e2", 100.0),
    ];
    for (text, value) in right {
        assert_eq!(real(text), Ok(value), "{text:?}");
    }
    for text in ["", "x", "0x1p3", "１", "1__0", "_1", "1d", "1e", "nan(1)"] {
        assert!(real(text).is_err(), "{text:?}");
    }
    assert_eq!(real("Infinity"), Ok(f64::INFINITY));
}

proptest! {
    #[test]
    fn no_value_of_a_setting_panics_or_breaks_the_line(value in any::<String>(), place in 0..NAMES.len()) {
        if let Err(StartError(text)) = read(&[(NAMES[place], &value)]) {
            prop_assert!(!text.contains('\n'), "{text:?}");
        }
    }

    #[test]
    fn a_whole_number_is_read_as_it_is_written(value in 1_u64..) {
        let made = read(&[("MAX_PIXELS", &value.to_string()), ("MAX_REQUEST_PIXELS", &format!("+{value}.0"))]);
        let made = made.unwrap();
        prop_assert_eq!((made.max_pixels, made.max_request_pixels), (value, value));
    }

    #[test]
    fn models_are_split_where_they_were_joined(
        models in proptest::collection::btree_map("[a-z][a-z0-9._-]{0,8}", "gs://[a-zA-Z0-9/?&=]{1,20}", 1..6)
    ) {
        let joined: Vec<String> = models.iter().map(|(name, address)| format!("{name}={address}")).collect();
        let made = read(&[(MODEL_URI_VARIABLE, &joined.join(" , "))]).unwrap();
        let expected: Addresses =
            models.into_iter().map(|(name, address)| (Some(name), address)).collect();
        prop_assert_eq!(made.models, expected);
    }
}
