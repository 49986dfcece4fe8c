//! Pulls a model as the service does, and says what came: for tests and for a look at a store.
//!
//! `pull ADDRESS CACHE TIMEOUT_S [LOCAL_STORE [MANIFEST_URI [MAX_MODEL_BYTES]]]`, with `-` for what is not set.
//! `MANIFEST_URI` is `none` if only the file is wanted. Exit status 1 and one line if it cannot be had.

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use models::{PullSettings, local_store, pull, pull_file};

fn main() -> ExitCode {
    let given: Vec<String> = env::args().skip(1).collect();
    let argument = |at: usize| given.get(at).map(String::as_str).filter(|text| *text != "-");
    let Some(uri) = argument(0) else {
        eprintln!("usage: pull ADDRESS CACHE TIMEOUT_S [LOCAL_STORE [MANIFEST_URI [MAX_MODEL_BYTES]]]");
        return ExitCode::from(2);
    };
    let number = |at: usize| argument(at).and_then(|text| text.parse().ok());
    let settings = PullSettings {
        cache: PathBuf::from(argument(1).unwrap_or("cache")),
        timeout_s: argument(2).and_then(|text| text.parse().ok()).unwrap_or(30.0),
        local_store: argument(3).and_then(local_store),
        max_model_bytes: number(5).unwrap_or(PullSettings::MOST_MODEL_BYTES),
    };
    let outcome = if argument(4) == Some("none") {
        pull_file(uri, &settings).map(|pulled| format!("{} {}", pulled.cached, pulled.path.display()))
    } else {
        pull(uri, argument(4), &settings)
            .map(|model| format!("{} {}\n{:?}", model.cached, model.path.display(), model.manifest))
    };
    match outcome {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}
