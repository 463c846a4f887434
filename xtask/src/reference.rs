//! The references that are made from the protos and the sources: `cargo xtask gen` writes them, `cargo xtask check` compares.

pub(crate) mod chart;
mod configuration;
pub(crate) mod dashboards;
mod errors;
mod rights;
mod rpcs;
mod rules;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use self::rules::Reference;
use crate::step;
use crate::workspace::Workspace;

/// Every generated file with its text.
fn files(workspace: &Workspace, rules: &Reference) -> Result<Vec<(&'static str, String)>> {
    let mut files = chart::files(workspace)?;
    files.extend(dashboards::files(workspace)?);
    files.extend([
        ("docs/reference/configuration.md", configuration::page(workspace)?),
        ("docs/reference/errors.md", errors::page()?),
        ("docs/reference/rights.md", rights::page()),
        ("docs/reference/rpcs.md", rpcs::page()),
        ("docs/reference/rules.md", rules.page.clone()),
    ]);
    Ok(files)
}

/// Has the server write the schema of its configuration, and the list of its metrics, which tests of it compare.
fn write_of_server(workspace: &Workspace) -> Result<()> {
    let tests = [
        ["-p", "roamline", "--bin", "roamline", "the_schema_is_the_one_that_is_kept"].as_slice(),
        &["-p", "roamline-serve", "--lib", "the_page_of_metrics_is_the_one_that_is_kept"],
    ];
    for test in tests {
        let mut cargo = workspace.cargo();
        step::run(cargo.args(["test", "--quiet"]).args(test).env("ROAMLINE_WRITE_REFERENCE", "1"))?;
    }
    Ok(())
}

/// Has roamctl write the page of its commands, which a test of it compares.
fn write_command_line(workspace: &Workspace) -> Result<()> {
    let test = [
        "test",
        "--quiet",
        "-p",
        "roamctl",
        "--bin",
        "roamctl",
        "the_page_of_commands_is_the_one_that_is_kept",
    ];
    step::run(workspace.cargo().args(test).env("ROAMLINE_WRITE_REFERENCE", "1"))
}

/// Writes every generated file.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    write_of_server(workspace)?;
    for (name, text) in files(workspace, &rules::make(workspace)?)? {
        let path = workspace.root.join(name);
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("    {name}");
    }
    write_command_line(workspace)
}

/// Compares every generated file with what would be written now, and prints each breach of the table of rules.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let rules = rules::make(workspace)?;
    for breach in &rules.breaches {
        println!("    {breach}");
    }
    let mut wrong = Vec::new();
    let files = files(workspace, &rules)?;
    let stale = stale(&workspace.root, &files);
    if !stale.is_empty() {
        wrong.push(format!("out of date: {}; run `cargo xtask gen`", stale.join(", ")));
    }
    match rules.breaches.len() {
        0 => {}
        1 => wrong.push("1 breach of the table of rules".to_owned()),
        count => wrong.push(format!("{count} breaches of the table of rules")),
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

fn stale<'a>(root: &Path, files: &[(&'a str, String)]) -> Vec<&'a str> {
    let current = |name: &str| std::fs::read_to_string(root.join(name)).unwrap_or_default();
    files.iter().filter(|(name, text)| current(name) != *text).map(|(name, _)| *name).collect()
}

/// `/roamline.auth.v1.AuthService/SignIn` as `AuthService.SignIn`.
fn short(path: &str) -> String {
    path.rsplit('.').next().unwrap_or(path).replace('/', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_and_a_missing_file_are_stale() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let own = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let files = [("Cargo.toml", own.clone()), ("Cargo.toml", own + "#"), ("none.md", "text".to_owned())];
        assert_eq!(stale(root, &files), ["Cargo.toml", "none.md"]);
    }

    #[test]
    fn an_rpc_is_shortened_to_service_and_method() {
        assert_eq!(short("/roamline.auth.v1.AuthService/SignIn"), "AuthService.SignIn");
    }
}
