//! Panics: each is one line of the log, and ends nothing but what it happened in.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    /// Where this thread panicked and why, if [`caught`] is to tell; None if nothing here catches panics.
    static TOLD: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Lets a panic that nothing catches be a line of the log, and one that [`caught`] catches say where it happened.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        let catches = TOLD.with_borrow_mut(|told| {
            let catches = told.is_some();
            if catches {
                *told = Some(text.clone());
            }
            catches
        });
        if !catches {
            log::error!(trace = text.as_str(); "a thread failed");
        }
    }));
}

/// Does `work`.
///
/// # Errors
/// If `work` panics: the text, for the log, says where and why.
pub fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    TOLD.with_borrow_mut(|told| *told = Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let told = TOLD.with_borrow_mut(Option::take).unwrap_or_default();
    result.map_err(|payload| {
        if told.is_empty() {
            said(payload.as_ref())
        } else {
            told
        }
    })
}

fn said(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::caught;

    #[test]
    fn a_panic_ends_only_the_work() {
        assert_eq!(caught(|| 7), Ok(7));
        let failed = caught(|| -> u8 { panic!("a secret of ours") });
        assert!(failed.is_err_and(|text| text.contains("secret")));
    }
}
