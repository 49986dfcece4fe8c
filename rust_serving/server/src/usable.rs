//! What this process may use: cores by its affinity and its control groups, and memory.

mod control_groups;

use std::fs;
use std::path::Path;

use control_groups::{ControlGroups, Version};

/// The memory of a machine that does not say how much it has, in bytes.
const UNKNOWN_BYTES: u64 = 4 << 30;
/// What follows from a quota of this many cores or more is the affinity.
const MOST_CORES: u64 = 1 << 20;

/// Returns the number of cores in the affinity or the CPU quota rounded up, the smaller; at least 1.
#[must_use]
pub fn usable_cores() -> usize {
    cores_of(&ControlGroups::of_this_process(), affinity())
}

/// Returns the lowest memory limit of the control groups in bytes; without one, the memory that the machine has left.
#[must_use]
pub fn usable_memory_bytes() -> u64 {
    memory_of(&ControlGroups::of_this_process(), Path::new("/proc/meminfo"))
}

/// Returns the seconds since the kernel started this process, to a hundredth; 0 if it does not say.
#[must_use]
pub fn process_age_s() -> f64 {
    let began = procfs::process::Process::myself().and_then(|process| process.stat());
    let uptime_s = text(Path::new("/proc/uptime"))
        .split_whitespace()
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    match (began, uptime_s) {
        (Ok(stat), Some(uptime_s)) => {
            #[expect(
                clippy::cast_precision_loss,
                reason = "hundredths of seconds since the machine started"
            )]
            let began_s = stat.starttime as f64 / procfs::ticks_per_second() as f64;
            (uptime_s - began_s).max(0.0)
        }
        _ => 0.0,
    }
}

/// Returns how many cores the scheduler lets this process use.
fn affinity() -> usize {
    let status = text(Path::new("/proc/self/status"));
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.and_then(count_listed)
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Returns how many numbers a list such as "0-3,8" has; None if it is not such a list.
fn count_listed(list: &str) -> Option<usize> {
    list.trim()
        .split(',')
        .map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = (from.parse::<usize>().ok()?, to.parse::<usize>().ok()?);
            to.checked_sub(from)?.checked_add(1)
        })
        .sum()
}

fn cores_of(groups: &ControlGroups, affinity: usize) -> usize {
    let quotas = groups
        .folders("cpu")
        .into_iter()
        .filter_map(|(version, folder)| match version {
            Version::One => quota(
                &text(&folder.join("cpu.cfs_quota_us")),
                &text(&folder.join("cpu.cfs_period_us")),
            ),
            Version::Two => {
                let limit = text(&folder.join("cpu.max"));
                let (quota_us, period_us) = limit.split_once(' ')?;
                quota(quota_us, period_us)
            }
        });
    quotas.fold(affinity, usize::min).max(1)
}

/// Returns a quota in whole cores, rounded up; None if there is none.
fn quota(quota_us: &str, period_us: &str) -> Option<usize> {
    let (quota_us, period_us) = (quota_us.parse::<u64>().ok()?, period_us.parse::<u64>().ok()?);
    if quota_us == 0 || period_us == 0 {
        return None;
    }
    usize::try_from(quota_us.div_ceil(period_us).min(MOST_CORES)).ok()
}

fn memory_of(groups: &ControlGroups, meminfo: &Path) -> u64 {
    let machine = text(meminfo);
    let total = memory_row(&machine, "MemTotal:").unwrap_or(UNKNOWN_BYTES);
    let limits = groups
        .folders("memory")
        .into_iter()
        .filter_map(|(version, folder)| {
            let file = match version {
                Version::One => "memory.limit_in_bytes",
                Version::Two => "memory.max",
            };
            text(&folder.join(file))
                .parse::<u64>()
                .ok()
                .filter(|&limit| 0 < limit && limit < total)
        });
    limits
        .min()
        .unwrap_or_else(|| memory_row(&machine, "MemAvailable:").unwrap_or(total))
}

/// Returns the bytes of a kind of memory in the text of /proc/meminfo.
fn memory_row(meminfo: &str, name: &str) -> Option<u64> {
    let row = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    row.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

/// Returns a file's text without blanks at its ends; "" if the file cannot be read.
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const MIB: u64 = 1 << 20;
    const MACHINE: &str =
        "MemTotal:       8000000 kB\nMemFree: 1 kB\nMemAvailable:   3000000 kB\nHugePages_Total:       0\n";

    /// Control groups of a process whose membership is `membership`, with `files` under their root.
    fn groups(membership: &str, files: &[(&str, &str)]) -> (TempDir, ControlGroups) {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join("groups").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{content}\n")).unwrap();
        }
        fs::write(folder.path().join("membership"), membership).unwrap();
        fs::write(folder.path().join("meminfo"), MACHINE).unwrap();
        let made = ControlGroups::at(folder.path().join("groups"), folder.path().join("membership"));
        (folder, made)
    }

    fn cores(membership: &str, files: &[(&str, &str)], affinity: usize) -> usize {
        let (_folder, groups) = groups(membership, files);
        cores_of(&groups, affinity)
    }

    fn memory(membership: &str, files: &[(&str, &str)]) -> u64 {
        let (folder, groups) = groups(membership, files);
        memory_of(&groups, &folder.path().join("meminfo"))
    }

    #[test]
    fn cores_are_the_smaller_of_affinity_and_quota() {
        assert_eq!(cores("0::/\n", &[("cpu.max", "250000 100000")], 8), 3);
        assert_eq!(cores("0::/\n", &[("cpu.max", "max 100000")], 8), 8);
        assert_eq!(cores("0::/\n", &[("cpu.max", "900000 100000")], 3), 3);
        assert_eq!(cores("0::/\n", &[("cpu.max", "1000 100000")], 8), 1);
        let nested = [("a/b/cpu.max", "max 100000"), ("a/cpu.max", "200000 100000")];
        assert_eq!(cores("0::/a/b\n", &nested, 8), 2);
        let old = [
            ("cpu/x/cpu.cfs_quota_us", "400000"),
            ("cpu/x/cpu.cfs_period_us", "100000"),
        ];
        assert_eq!(cores("4:cpu,cpuacct:/x\n2:memory:/x\n", &old, 8), 4);
        assert_eq!(cores("0::/../x\n", &[("cpu.max", "100000 100000")], 8), 1);
        let none = [
            ("cpu/cpu.cfs_quota_us", "-1"),
            ("cpu/cpu.cfs_period_us", "100000"),
        ];
        assert_eq!(cores("4:cpu:/\n", &none, 8), 8);
        assert_eq!(cores("", &[], 8), 8);
        assert_eq!(cores("0::/\n", &[("cpu.max", "nonsense")], 8), 8);
        assert_eq!(cores("0::/\n", &[("cpu.max", "5 0")], 0), 1);
    }

    #[test]
    fn a_list_of_cores_is_counted() {
        assert_eq!(count_listed("\t0-3,8\n"), Some(5));
        assert_eq!(count_listed("7"), Some(1));
        for wrong in ["", "3-1", "x", "1-", "0-18446744073709551615"] {
            assert_eq!(count_listed(wrong), None, "{wrong}");
        }
        assert!(usable_cores() >= 1);
    }

    #[test]
    fn a_containers_own_limit_is_the_memory_that_it_may_use() {
        assert_eq!(memory("0::/\n", &[("memory.max", "536870912")]), 512 * MIB);
        let nested = [
            ("a/b/memory.max", "max"),
            ("a/memory.max", "268435456"),
            ("memory.max", "536870912"),
        ];
        assert_eq!(memory("0::/a/b\n", &nested), 256 * MIB);
        let old = [
            ("memory/docker/x/memory.limit_in_bytes", "314572800"),
            ("memory/memory.limit_in_bytes", "9223372036854771712"),
        ];
        assert_eq!(memory("4:memory:/docker/x\n1:cpu:/\n0::/\n", &old), 300 * MIB);
    }

    #[test]
    fn without_a_limit_the_memory_is_what_the_machine_has_left() {
        for limit in ["max", "9223372036854771712", "", "nonsense", "0"] {
            assert_eq!(
                memory("0::/\n", &[("memory.max", limit)]),
                3_000_000 * 1024,
                "{limit}"
            );
        }
        assert!(usable_memory_bytes() > MIB);
    }

    #[test]
    fn this_process_is_young() {
        assert!((0.0..86_400.0).contains(&process_age_s()));
    }
}
