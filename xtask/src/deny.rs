//! `cargo xtask deny` and `cargo xtask advisories`: cargo-deny on licences, bans and sources of what we depend on, as
//! `deny.toml` has them, and, apart, on known vulnerabilities, whose database not every machine reaches. Each check is
//! first given something that it must refuse, so that one which sees nothing is not taken for one that found nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::step::{run as step, succeeds};
use crate::workspace::Workspace;

/// The checks that need nothing but our sources and those of our dependencies.
const CHECKS: [&str; 3] = ["bans", "licenses", "sources"];

/// A check, a configuration under which it must refuse what we depend on, and what it must say.
const CONTROLS: [(&str, &str, &str); 3] = [
    ("bans", "[bans]\ndeny = [{ crate = \"tonic\" }]\n", "banned"),
    ("licenses", "[licenses]\nallow = [\"0BSD\"]\nprivate.ignore = true\n", "rejected"),
    ("sources", "[sources]\nunknown-registry = \"deny\"\nallow-registry = []\n", "source-not-allowed"),
];

/// Where the advisories are.
const DATABASE: &str = "https://github.com/RustSec/advisory-db";

/// What cargo-deny says when they cannot be had.
const UNREACHABLE: &str = "failed to fetch advisory database";

/// An advisory about something that we depend on.
const MADE_UP: &str = r#"```toml
[advisory]
id = "RUSTSEC-2020-9999"
package = "tonic"
date = "2020-01-01"
categories = ["denial-of-service"]

[versions]
patched = [">= 999.0.0"]
```

# Made up, to see that it is found

It says nothing.
"#;

/// Checks bans, licences and sources; the check on vulnerabilities has to find one that is made up.
pub(crate) fn run(workspace: &Workspace, program: &Path) -> Result<()> {
    let folder = folder(workspace)?;
    for (check, config, code) in CONTROLS {
        let path = folder.join(format!("{check}.toml"));
        write(&path, config)?;
        must_find(check, code, deny(workspace, program).args(["--format", "json", "--config"]).arg(&path))?;
    }
    finds_what_is_made_up(workspace, program, &folder)?;
    println!("    each check refuses what it must");
    step(deny(workspace, program).arg("check").args(CHECKS))
}

/// Checks for known vulnerabilities.
///
/// # Errors
/// There is one, or the database cannot be reached and nothing was checked.
pub(crate) fn advisories(workspace: &Workspace, program: &Path) -> Result<()> {
    finds_what_is_made_up(workspace, program, &folder(workspace)?)?;
    let output = answer(deny(workspace, program).args(["check", "--hide-inclusion-graph", "advisories"]))?;
    let said = said(&output);
    if output.status.success() {
        println!("    no advisory is about anything that we depend on");
        return Ok(());
    }
    ensure!(!said.contains(UNREACHABLE), "{DATABASE} cannot be reached from here: nothing was checked");
    bail!("there are advisories about what we depend on:\n{said}")
}

/// The database is a folder here; git is told to look there instead.
fn finds_what_is_made_up(workspace: &Workspace, program: &Path, folder: &Path) -> Result<()> {
    let (database, known) = (folder.join("made-up"), folder.join("known"));
    for old in [&database, &known] {
        if old.exists() {
            std::fs::remove_dir_all(old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
    }
    write(&database.join("crates/tonic/RUSTSEC-2020-9999.md"), MADE_UP)?;
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        let done = succeeds(git.current_dir(&database).args(words));
        ensure!(done, "git {} failed", words.join(" "));
        Ok(())
    };
    git(&["init", "--initial-branch", "main", "."])?;
    git(&["add", "--all"])?;
    let nobody = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"];
    git(&[&nobody[..], &["commit", "--message", "Made up"]].concat())?;

    let path = folder.join("advisories.toml");
    write(&path, &format!("[advisories]\ndb-path = {:?}\n", known.display().to_string()))?;
    let mut deny = deny(workspace, program);
    deny.env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", format!("url.file://{}.insteadOf", database.display()))
        .env("GIT_CONFIG_VALUE_0", DATABASE)
        .args(["--format", "json", "--config"])
        .arg(&path);
    must_find("advisories", "vulnerability", &mut deny)
}

/// That the check fails, and for that reason.
fn must_find(check: &str, code: &str, deny: &mut Command) -> Result<()> {
    let output = answer(deny.args(["check", "--hide-inclusion-graph", check]))?;
    let said = said(&output);
    ensure!(
        !output.status.success() && finds(&said, code),
        "the check of {check} does not see what it must refuse ({code}): {}",
        said.lines().last().unwrap_or_default()
    );
    Ok(())
}

/// Whether cargo-deny tells an error of that name among what it writes, which is JSON by the line.
fn finds(said: &str, code: &str) -> bool {
    said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(|line| {
        let field = |name: &str| line.get("fields")?.get(name)?.as_str();
        field("code") == Some(code) && field("severity") == Some("error")
    })
}

fn deny(workspace: &Workspace, program: &Path) -> Command {
    let mut deny = Command::new(program);
    deny.current_dir(&workspace.root).args(["--locked", "--log-level", "error", "--color", "never"]);
    deny
}

fn answer(deny: &mut Command) -> Result<Output> {
    deny.output().context("cannot run cargo-deny")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

fn folder(workspace: &Workspace) -> Result<PathBuf> {
    Ok(workspace.target()?.join("tools/deny"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a path without a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_of_that_name_is_a_finding() {
        let line = |code: &str, severity: &str| {
            format!(
                "{{\"type\":\"diagnostic\",\"fields\":{{\"code\":{code:?},\"severity\":{severity:?}}}}}\n"
            )
        };
        assert!(finds(&(line("duplicate", "warning") + &line("banned", "error")), "banned"));
        assert!(!finds(&line("banned", "warning"), "banned"));
        assert!(!finds(&line("rejected", "error"), "banned"));
        assert!(!finds("error[banned]: not JSON\n", "banned"));
    }
}
