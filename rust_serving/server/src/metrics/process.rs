//! What the system says of this process, read whenever metrics are written.

use procfs::process::{LimitValue, Process};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::collector::write;

/// Writes the metrics of the process; those that the system does not tell are left out.
pub(super) fn write_all(to: &mut DescriptorEncoder) -> std::fmt::Result {
    let Ok(process) = Process::myself() else {
        return Ok(());
    };
    if let Ok(stat) = process.stat() {
        let page = procfs::page_size();
        write(
            to,
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            &ConstGauge::new(stat.vsize),
        )?;
        let resident = ConstGauge::new(stat.rss.saturating_mul(page));
        write(
            to,
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            &resident,
        )?;
        if let Ok(booted_s) = procfs::boot_time_secs() {
            let started = ConstGauge::new(real(booted_s) + seconds(stat.starttime));
            let help = "Start time of the process since unix epoch in seconds.";
            write(to, "process_start_time_seconds", help, &started)?;
        }
        let used = ConstCounter::new(seconds(stat.utime.saturating_add(stat.stime)));
        write(
            to,
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds.",
            &used,
        )?;
    }
    if let Ok(open) = process.fd_count() {
        let open = ConstGauge::new(u64::try_from(open).unwrap_or(u64::MAX));
        write(to, "process_open_fds", "Number of open file descriptors.", &open)?;
    }
    if let Ok(limits) = process.limits() {
        let most = match limits.max_open_files.soft_limit {
            LimitValue::Value(most) => real(most),
            LimitValue::Unlimited => f64::INFINITY,
        };
        write(
            to,
            "process_max_fds",
            "Maximum number of open file descriptors.",
            &ConstGauge::new(most),
        )?;
    }
    Ok(())
}

/// Returns the seconds of a number of the kernel's ticks.
fn seconds(ticks: u64) -> f64 {
    real(ticks) / real(procfs::ticks_per_second())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds and descriptors are far below 2^52"
)]
fn real(value: u64) -> f64 {
    value as f64
}
