//! Where the project stands, and what cargo says about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

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
}
