//! Where the project stands, and what cargo says about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Folders that hold nothing of ours.
const FOREIGN: [&str; 3] = [".git", "target", "node_modules"];

/// A checkout of the project.
pub(crate) struct Workspace {
    /// Its top folder.
    pub(crate) root: PathBuf,
}

impl Workspace {
    /// The checkout that this run of `cargo xtask` belongs to.
    pub(crate) fn find() -> Result<Self> {
        let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = xtask.parent().context("the xtask folder stands in no workspace")?;
        ensure!(root.join("Cargo.toml").is_file(), "{} holds no workspace", root.display());
        Ok(Self { root: root.to_owned() })
    }

    /// `cargo`, the one that started us, to be run in the top folder.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        cargo
    }

    /// What `cargo metadata` says about our own crates; needs no network.
    pub(crate) fn metadata(&self) -> Result<Value> {
        let output = self
            .cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .context("cannot run cargo metadata")?;
        ensure!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout).context("cargo metadata did not answer in JSON")
    }

    /// Where cargo builds; follows `CARGO_TARGET_DIR`.
    pub(crate) fn target(&self) -> Result<PathBuf> {
        let metadata = self.metadata()?;
        let path = metadata
            .get("target_directory")
            .and_then(Value::as_str)
            .context("cargo metadata names no target directory")?;
        Ok(PathBuf::from(path))
    }

    /// The path as it is written below the top folder.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// Every file of the project, relative to its top folder, in order.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let entries =
                std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
            for entry in entries {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() && !FOREIGN.iter().any(|foreign| entry.file_name() == *foreign) {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    found.push(self.relative(&entry.path()).to_owned());
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_found_and_what_is_built_is_not() {
        let files = Workspace::find().unwrap().files().unwrap();
        assert!(files.contains(&PathBuf::from("xtask/src/layers/rules.rs")));
        assert!(!files.iter().any(|file| file.starts_with("target")));
    }
}
