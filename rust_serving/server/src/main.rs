//! The service: ONNX Runtime behind hyper, with the contract of its Python siblings.

mod admission;
mod commands;
mod engine;
mod faults;
mod http;
mod lifecycle;
mod listener;
mod loading;
mod logging;
mod memory;
mod metrics;
mod native;
mod pipeline;
mod push;
mod refusals;
mod server;
mod service;
mod settings;
mod signals;
mod start_error;
mod usable;
mod workers;

use std::io::{Read as _, Write as _};

use crate::commands::{healthcheck, in_process_loop};
use crate::settings::{LogLevel, Settings, state_settings};
use crate::start_error::StartError;

fn main() {
    native::switch_telemetry_off();
    native::keep_freed_memory();
    logging::configure(LogLevel::Info);
    faults::log_panics();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match *arguments.as_slice() {
        [] => serve(),
        ["settings"] => answer(state_settings),
        ["loop"] => {
            load_settings().and_then(|settings| answer(|asked| in_process_loop::run(&settings, asked)))
        }
        ["healthcheck"] => {
            load_settings().map(|settings| u8::from(!healthcheck::is_ready(&settings.host, settings.port)))
        }
        _ => {
            eprintln!("usage: rust_serving [loop | settings | healthcheck]");
            Ok(2)
        }
    };
    let status = ended.unwrap_or_else(|error| {
        log::error!("cannot start: {error}");
        1
    });
    // at once: a thread inside native code must not delay the end
    std::process::exit(status.into());
}

fn load_settings() -> Result<Settings, StartError> {
    let settings = Settings::load()?;
    logging::configure(settings.log_level);
    Ok(settings)
}

fn serve() -> Result<u8, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| StartError(format!("there is no event loop: {error}")))?;
    runtime.block_on(async {
        let stopping =
            signals::handle().map_err(|error| StartError(format!("signals cannot be handled: {error}")))?;
        server::serve(load_settings()?, &stopping).await
    })
}

/// Writes the answer to what stands in standard input.
fn answer(make: impl FnOnce(&[u8]) -> Result<Vec<u8>, StartError>) -> Result<u8, StartError> {
    let mut asked = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut asked);
    read.map_err(|error| StartError(format!("standard input cannot be read: {error}")))?;
    let answered = make(&asked)?;
    let mut out = std::io::stdout().lock();
    let written = out.write_all(&answered).and_then(|()| out.flush());
    written.map_err(|error| StartError(format!("standard output cannot be written: {error}")))?;
    Ok(0)
}
