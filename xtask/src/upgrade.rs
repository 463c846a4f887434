//! `cargo xtask upgrade`: the last release is built from its tag, in a worktree of its own below the target directory, and
//! the tests upgrade from it to this build. Without a release there is nothing to upgrade from, which is said.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::step::{answer, run as step};
use crate::workspace::Workspace;

/// Tests look at this variable: the `roamline` of the release before.
pub(crate) const PREVIOUS: &str = "ROAMLINE_PREVIOUS";

/// Builds the last release, and upgrades from it.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut test = workspace.cargo();
    test.args(["test", "--package", "roamline-tests", "--test", "product", "upgrade::", "--", "--nocapture"]);
    if let Some(previous) = previous(workspace)? {
        test.env(PREVIOUS, previous);
    }
    step(&mut test)
}

/// The `roamline` of the last release, built if it has not been; nothing where there is no release.
pub(crate) fn previous(workspace: &Workspace) -> Result<Option<PathBuf>> {
    let Some(tag) = last_release(&workspace.root) else {
        println!("    there is no release yet: this build is upgraded to itself");
        return Ok(None);
    };
    let folder = workspace.target()?.join("previous");
    let (sources, target) = (folder.join(&tag), folder.join("target"));
    let program = folder.join(format!("roamline-{tag}"));
    if !program.is_file() {
        if !sources.join("Cargo.toml").is_file() {
            let mut add = git(&workspace.root);
            step(add.args(["worktree", "add", "--force", "--detach"]).arg(&sources).arg(&tag))?;
        }
        let mut build = workspace.cargo();
        build.current_dir(&sources).env("CARGO_TARGET_DIR", &target).env_remove("CARGO_MANIFEST_DIR");
        step(build.args(["build", "--locked", "--package", "roamline"]))?;
        std::fs::copy(target.join("debug/roamline"), &program)
            .context("the release has built no roamline")?;
        step(git(&workspace.root).args(["worktree", "remove", "--force"]).arg(&sources))?;
    }
    let said = answer(Command::new(&program).arg("--version"))?;
    ensure!(said.starts_with("roamline "), "{} says {said:?}", program.display());
    println!("    {tag}: {}", said.trim());
    Ok(Some(program))
}

/// The tag of the last release before what is checked out, else of what is checked out.
fn last_release(root: &Path) -> Option<String> {
    let of = |commit: &str| {
        let words = ["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", commit];
        answer(git(root).args(words)).ok().map(|tag| tag.trim().to_owned())
    };
    of("HEAD^").or_else(|| of("HEAD"))
}

fn git(root: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(root);
    git
}
