//! The page of all commands, made from what can be typed.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;

/// What stands before the commands.
const HEAD: &str = "\
# roamctl

Written by `cargo xtask gen` from the command line itself; `roamctl COMMAND --help` says the same. Options of every command
stand at the top.
";

fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut page = HEAD.to_owned();
    options(&root, |_| true, &mut page);
    let after = root.get_after_help().map(ToString::to_string).unwrap_or_default();
    write!(page, "\n```text\n{after}\n```\n").unwrap();
    commands(&root, "roamctl", &mut page);
    page
}

/// Every command below one, with what it takes beside the options of all.
fn commands(above: &Command, path: &str, page: &mut String) {
    for command in
        above.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
    {
        let path = format!("{path} {}", command.get_name());
        let about = command.get_long_about().or(command.get_about()).map(ToString::to_string);
        write!(page, "\n## `{path}`\n\n{}\n", about.unwrap_or_default().trim()).unwrap();
        if !command.has_subcommands() || command.get_positionals().next().is_some() {
            options(command, |arg| !arg.is_global_set(), page);
        }
        commands(command, &path, page);
    }
}

fn options(command: &Command, counts: impl Fn(&Arg) -> bool, page: &mut String) {
    let shown = |arg: &&Arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str());
    let rows: Vec<_> = command.get_arguments().filter(shown).filter(|arg| counts(arg)).map(row).collect();
    if !rows.is_empty() {
        write!(page, "\n| argument | what it is |\n| --- | --- |\n{}", rows.concat()).unwrap();
    }
}

fn row(arg: &Arg) -> String {
    let takes = arg.get_action().takes_values();
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let value = value.unwrap_or_else(|| arg.get_id().as_str().to_uppercase());
    let name = match (arg.get_long(), arg.get_short()) {
        (Some(long), short) => {
            let short = short.map(|short| format!(", -{short}")).unwrap_or_default();
            format!("--{long}{short}{}", if takes { format!(" {value}") } else { String::new() })
        }
        (None, _) => value,
    };
    let mut said = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let words: Vec<_> =
        arg.get_possible_values().iter().map(|word| format!("`{}`", word.get_name())).collect();
    if takes && !words.is_empty() {
        write!(said, ": {}", words.join(", ")).unwrap();
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes && defaults.iter().any(|default| !default.is_empty()) {
        write!(said, " (default `{}`)", defaults.join(" ")).unwrap();
    }
    if let Some(variable) = arg.get_env() {
        write!(said, "; in the environment `{}`", variable.to_string_lossy()).unwrap();
    }
    format!("| `{name}` | {} |\n", said.replace('\n', " ").replace('|', "\\|"))
}

/// `cargo xtask gen` sets the variable, and has the page written instead.
#[test]
fn the_page_of_commands_is_the_one_that_is_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/cli.md");
    if std::env::var_os("ROAMLINE_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page(), "{} is out of date: run `cargo xtask gen`", path.display());
}
