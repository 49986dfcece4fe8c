//! A panic as an exception that a server answers with a status of 500: `PyO3`'s own would end the whole server.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Compute with the interpreter's lock released.
///
/// # Errors
/// `RuntimeError`, in one line that says where, if the computation panics.
pub fn computed<T: Send>(py: Python<'_>, compute: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| guarded(compute)).map_err(PyRuntimeError::new_err)
}

/// Compute with the lock held: what ends within a millisecond, which a thread that gives the lock away may wait longer for.
///
/// # Errors
/// As [`computed`].
pub fn computed_at_once<T>(compute: impl FnOnce() -> T) -> PyResult<T> {
    guarded(compute).map_err(PyRuntimeError::new_err)
}

fn guarded<T>(compute: impl FnOnce() -> T) -> Result<T, String> {
    GUARDED.set(true);
    // what a panic leaves behind is dropped, and nobody sees it
    let done = panic::catch_unwind(AssertUnwindSafe(compute));
    GUARDED.set(false);
    done.map_err(|_| LAST.take())
}

/// Panic with this reason; only in builds for tests, because no call of the others is known to panic.
#[cfg(debug_assertions)]
#[pyfunction]
pub fn _panic(py: Python<'_>, reason: &str) -> PyResult<()> {
    computed(py, || panic!("{reason}"))
}

/// Have panics of guarded computations written down for their callers, and not on the standard error output.
pub fn keep_panics_for_their_callers() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if GUARDED.get() {
            LAST.set(in_one_line(info));
        } else {
            usual(info);
        }
    }));
}

fn in_one_line(info: &PanicHookInfo<'_>) -> String {
    let place = info
        .location()
        .map_or_else(String::new, |place| format!(" at {place}"));
    let reason = info.payload_as_str().unwrap_or("no reason is given");
    let words: Vec<&str> = reason.split_whitespace().collect();
    format!("native_pixels failed{place}: {}", words.join(" "))
}
