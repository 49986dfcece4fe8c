//! The control groups of this process: what limits a container, or anything else that a system confines.

use std::path::{Path, PathBuf};

use super::text;

/// The version of a control group's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// A tree for each controller.
    One,
    /// One tree.
    Two,
}

/// Where the groups' files are, and the file that names this process's groups.
pub(super) struct ControlGroups {
    root: PathBuf,
    membership: PathBuf,
}

impl ControlGroups {
    /// The groups of this process.
    pub(super) fn of_this_process() -> Self {
        Self::at(
            PathBuf::from("/sys/fs/cgroup"),
            PathBuf::from("/proc/self/cgroup"),
        )
    }

    pub(super) fn at(root: PathBuf, membership: PathBuf) -> Self {
        Self { root, membership }
    }

    /// Returns the version and the folder of each group that this process is in, inner groups first.
    ///
    /// `controller` is the name of what limits, such as "cpu", in version 1.
    pub(super) fn folders(&self, controller: &str) -> Vec<(Version, PathBuf)> {
        let mut found = Vec::new();
        for line in text(&self.membership).lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
                continue;
            };
            if controllers.is_empty() {
                found.extend(
                    ancestry(&self.root, path)
                        .into_iter()
                        .map(|folder| (Version::Two, folder)),
                );
            } else if controllers.split(',').any(|name| name == controller) {
                let tree = self.root.join(controller);
                found.extend(
                    ancestry(&tree, path)
                        .into_iter()
                        .map(|folder| (Version::One, folder)),
                );
            }
        }
        found
    }
}

/// Returns the folder `path` under `root` and its parents up to `root`: a container may see only `root`.
fn ancestry(root: &Path, path: &str) -> Vec<PathBuf> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != "..")
        .collect();
    (0..=parts.len())
        .rev()
        .map(|depth| {
            parts
                .iter()
                .take(depth)
                .fold(root.to_owned(), |folder, part| folder.join(part))
        })
        .collect()
}
