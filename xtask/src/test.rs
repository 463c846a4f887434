//! `cargo xtask test`: everything that a change must pass, in one order, up to the first failure.

use std::process::Command;

use anyhow::Result;

use crate::step::{self, Steps};
use crate::workspace::Workspace;
use crate::{chart, deny, layers, prerequisites, reference, upgrade};

/// The file that `buf breaking` compares with, below `proto/`.
pub(crate) const BASELINE: &str = "baseline.binpb";

/// Tests look at this variable: set, property tests take their long runs.
const FULL: &str = "ROAMLINE_TEST_FULL";

/// Runs all steps.
pub(crate) fn run(workspace: &Workspace, full: bool) -> Result<()> {
    let mut steps = Steps::default();
    let cargo = |words: &[&str]| step::run(workspace.cargo().args(words));

    let mut tools = None;
    steps.run("prerequisites", || {
        tools = Some(prerequisites::install(workspace)?);
        Ok(())
    })?;
    steps.run("format", || cargo(&["fmt", "--all", "--check"]))?;
    steps.run("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    steps.run("layers", || layers::run(workspace))?;
    if let Some(tools) = tools {
        steps.run("deny", || deny::run(workspace, &tools.deny))?;
        steps.run("chart", || chart::run(workspace, &tools.chart))?;
        let proto = workspace.root.join("proto");
        let buf = |words: &[&str]| step::run(Command::new(&tools.buf).current_dir(&proto).args(words));
        steps.run("buf format", || buf(&["format", "-d", "--exit-code"]))?;
        steps.run("buf lint", || buf(&["lint"]))?;
        if proto.join(BASELINE).is_file() {
            // The baseline carries the imported google protos as protox knows them; those of buf are newer.
            let breaking = ["breaking", "--against", BASELINE, "--exclude-imports"];
            steps.run("buf breaking", || buf(&breaking))?;
        }
    }
    steps.run("check", || reference::check(workspace))?;
    steps.run("test", || {
        let mut test = workspace.cargo();
        test.args(["test", "--workspace"]);
        if full {
            test.env(FULL, "1");
            if let Some(previous) = upgrade::previous(workspace)? {
                test.env(upgrade::PREVIOUS, previous);
            }
        }
        step::run(&mut test)
    })?;
    steps.summary();
    Ok(())
}
