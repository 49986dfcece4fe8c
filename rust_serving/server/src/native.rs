//! The calls of C libraries that no crate makes safe: all unsafe code of the service.
#![expect(unsafe_code, reason = "each call is of a C library, and says why it is sound")]

use std::ffi::CStr;
use std::ptr;

use ort::AsPointer;
use ort::session::Session;
use ort::value::{TensorRef, TensorRefMut};

/// glibc's limits, in bytes: a block from this size is mapped alone, the most that glibc accepts;
const MMAP_THRESHOLD: libc::c_int = 32 << 20;
/// this much free memory at the end of the heap is kept.
const TRIM_THRESHOLD: libc::c_int = 64 << 20;

/// Computes one output of a session from one input, into memory of the caller. Several threads may do so at once.
///
/// # Errors
/// If ONNX Runtime refuses the input, or the output's shape, or cannot compute.
pub fn run(
    session: &Session,
    (input_name, input): (&CStr, &TensorRef<'_, f32>),
    (output_name, output): (&CStr, &mut TensorRefMut<'_, f32>),
) -> ort::Result<()> {
    let (input_name, output_name) = (input_name.as_ptr(), output_name.as_ptr());
    let input = input.ptr();
    let mut written = output.ptr().cast_mut();
    // SAFETY: All pointers are valid during the call: they come from borrows that outlive it, and there is one of
    // each, as the lengths say. ONNX Runtime documents that threads may run one session at once, and its CPU provider,
    // the only one here, keeps to that: the same library serves the Python services in this way. `ort` takes the
    // session exclusively only because other providers do not. The output is allocated already, so that Run replaces
    // no pointer.
    unsafe {
        let status = (ort::api().Run)(
            session.ptr().cast_mut(),
            ptr::null(),
            &raw const input_name,
            &raw const input,
            1,
            &raw const output_name,
            1,
            &raw mut written,
        );
        ort::Error::result_from_status(status)
    }
}

/// Switches ONNX Runtime's telemetry off. Call it first of all in `main`, while there is only one thread.
///
/// It reads the variable when it is loaded, before anything could be said to it.
pub fn switch_telemetry_off() {
    // SAFETY: no other thread runs yet that could read the environment.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

/// Tells glibc not to return image-sized buffers to the system after each request; does nothing with another C library.
///
/// By default each of these buffers is mapped, zeroed page by page, and unmapped again. What is kept is returned by
/// [`trim`].
pub fn keep_freed_memory() {
    let set_by_user = std::env::vars_os().any(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("MALLOC_") || name == "GLIBC_TUNABLES"
    });
    if set_by_user {
        return;
    }
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt may be called at any time; it changes only how later blocks are allocated and freed.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    }
}

/// Returns freed memory to the system, if the C library can.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes the allocator's own locks, and touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}
