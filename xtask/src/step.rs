//! One step of a chore: said before it runs, timed, and the end of the chore when it fails.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The steps done so far, with the time each took.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Runs `work` under a name.
    pub(crate) fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("==> {name}");
        let start = Instant::now();
        work().with_context(|| format!("{name} failed after {}", seconds(start.elapsed())))?;
        let took = start.elapsed();
        println!("    {name}: {}", seconds(took));
        self.done.push((name, took));
        Ok(())
    }

    /// Prints the time of each step and of all.
    pub(crate) fn summary(&self) {
        println!("==> passed");
        let all = self.done.iter().map(|(_, took)| *took).sum();
        for (name, took) in self.done.iter().chain(std::iter::once(&("all", all))) {
            println!("    {name:<14} {:>9}", seconds(*took));
        }
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// Runs a command to its end, without input; what it prints is passed on.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    println!("    {line}");
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!("`{line}`: {status}");
    }
    Ok(())
}

/// What a command writes that succeeds; what it says otherwise is the error.
pub(crate) fn answer(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}`: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a command can be run and succeeds; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_named_with_its_status() {
        let refused = run(Command::new("false").arg("--loudly")).unwrap_err();
        assert_eq!(refused.to_string(), "`false --loudly`: exit status: 1");
    }

    #[test]
    fn a_failed_step_is_named_and_not_counted_as_done() {
        let mut steps = Steps::default();
        let refused = steps.run("format", || bail!("two files differ")).unwrap_err();
        assert!(format!("{refused:#}").starts_with("format failed after 0.0 s: two files differ"));
        assert!(steps.done.is_empty());
    }
}
