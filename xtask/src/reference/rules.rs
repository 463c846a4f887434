//! The reference of rules: for each its title, where it is decided and which tests prove it. It is made of
//! `docs/rules.toml` and of the sources; what is missing or out of place there is a breach.

mod id;
mod list;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::id::{FAMILIES, Id};
use self::list::Rule;
use self::source::{CASES, Role, Source};
use crate::workspace::Workspace;

/// The list of rules, below the top folder.
const LIST: &str = "docs/rules.toml";
/// The chores, which speak of rules and keep none.
const CHORES: &str = "xtask";
/// The crate of the rules; what is decided there need not be looked for elsewhere.
const DOMAIN: &str = "crates/domain";
/// Folders whose sources are no part of the product.
const TESTS: [&str; 3] = ["tests", "benches", "examples"];

const HEAD: &str = "\
# Rules

Made from `docs/rules.toml`, the docs of the sources and the names of the tests by `cargo xtask gen`; do not edit.

A rule is decided where the docs of an item name its id. A test proves the rule that its name begins with (`dp_8_...`)
or that its docs name. Places outside `crates/domain` are given for rules that it does not decide. A *planned* rule is
not there yet, or not whole.
";

/// Names by file.
type Names = BTreeMap<PathBuf, Vec<String>>;

/// Where one rule is found.
#[derive(Default)]
struct Found {
    places: Names,
    tests: Names,
}

/// The page, and what is wrong with what it is made of.
pub(super) struct Reference {
    /// The text of the page.
    pub(super) page: String,
    /// One line for each.
    pub(super) breaches: Vec<String>,
}

/// Makes the page from the files of the project.
pub(super) fn make(workspace: &Workspace) -> Result<Reference> {
    let read = |path: &Path| {
        std::fs::read_to_string(workspace.root.join(path))
            .with_context(|| format!("cannot read {}", path.display()))
    };
    let list = list::parse(&read(Path::new(LIST))?).context(LIST)?;
    let mut sources = Vec::new();
    for path in workspace.files()? {
        if path.extension().is_some_and(|e| e == "rs") && !path.starts_with(CHORES) {
            sources.push(source::read(&path, &read(&path)?)?);
        }
    }
    Ok(judge(&list, &sources))
}

fn judge(list: &BTreeMap<Id, Rule>, sources: &[Source]) -> Reference {
    let mut breaches = Vec::new();
    let found = find(list, sources, &mut breaches);
    let none = Found::default();
    for (id, rule) in list {
        let Found { places, tests } = found.get(id).unwrap_or(&none);
        if rule.planned {
            if list::is_due(*id) && !tests.is_empty() {
                breaches.push(format!("{id} is planned in {LIST} and has a test"));
            }
            continue;
        }
        if places.is_empty() {
            breaches.push(format!("{id} is decided nowhere: no docs of an item of the product name it"));
        }
        if tests.is_empty() {
            let name = id.to_string().to_lowercase().replace('-', "_");
            breaches.push(format!("{id} has no test: none is called {name}_... or names it in its docs"));
        }
    }
    Reference { page: page(list, &found), breaches }
}

/// Where each rule is found; ids that are not in the list are breaches.
fn find(list: &BTreeMap<Id, Rule>, sources: &[Source], breaches: &mut Vec<String>) -> BTreeMap<Id, Found> {
    let suite: BTreeSet<&str> = match sources.iter().any(|source| source.runs_suite) {
        true => sources.iter().flat_map(|source| &source.listed).map(String::as_str).collect(),
        false => BTreeSet::new(),
    };
    let test_files: BTreeSet<&Path> =
        sources.iter().flat_map(|source| &source.test_files).map(PathBuf::as_path).collect();
    let mut found: BTreeMap<Id, Found> = BTreeMap::new();
    for source in sources {
        let is_product = !is_for_tests(&source.path, &test_files);
        for note in &source.notes {
            for id in note.ids.iter().filter(|id| !list.contains_key(id)) {
                let path = source.path.display();
                breaches.push(format!("{path}: {} names {id}, which is not in {LIST}", note.name));
            }
            let is_test =
                note.role == Role::Test || note.role == Role::Case && suite.contains(note.name.as_str());
            for id in &note.ids {
                let found = found.entry(*id).or_default();
                let names = match note.role {
                    _ if is_test => &mut found.tests,
                    Role::Place if is_product => &mut found.places,
                    _ => continue,
                };
                names.entry(source.path.clone()).or_default().push(note.name.clone());
            }
        }
    }
    found
}

/// Whether no part of the product stands in the file: it is in a folder of tests, a case of the stores' suite, or is
/// brought in, itself or by way of others, by a module that is for tests alone.
fn is_for_tests(path: &Path, test_files: &BTreeSet<&Path>) -> bool {
    let in_folder = path.iter().any(|part| TESTS.iter().any(|folder| part == *folder));
    let brought_in = test_files.iter().any(|file| path == *file || path.starts_with(file.with_extension("")));
    in_folder || brought_in || path.starts_with(CASES)
}

fn page(list: &BTreeMap<Id, Rule>, found: &BTreeMap<Id, Found>) -> String {
    let mut page = HEAD.to_owned();
    for (family, about) in FAMILIES {
        let rules: Vec<_> = list.iter().filter(|(id, _)| id.family() == family).collect();
        if rules.is_empty() {
            continue;
        }
        let _ = write!(
            page,
            "\n## {family}: {about}\n\n| rule | what it says | where it is decided | tests |\n| --- | --- | --- | --- |\n"
        );
        let none = Found::default();
        for (id, rule) in rules {
            let found = found.get(id).unwrap_or(&none);
            let planned = if rule.planned { " (planned)" } else { "" };
            let title = rule.title.replace('|', "\\|");
            let places = cell(&decided(&found.places));
            let tests = cell(&found.tests.iter().collect::<Vec<_>>());
            let _ = writeln!(page, "| {id} | {title}{planned} | {places} | {tests} |");
        }
    }
    page
}

/// The places in the crate of the rules; where it has none, all.
fn decided(places: &Names) -> Vec<(&PathBuf, &Vec<String>)> {
    let in_domain: Vec<_> = places.iter().filter(|(path, _)| path.starts_with(DOMAIN)).collect();
    if in_domain.is_empty() { places.iter().collect() } else { in_domain }
}

/// One line for each file, with its names in order.
fn cell(names: &[(&PathBuf, &Vec<String>)]) -> String {
    let lines = names.iter().map(|(path, names)| {
        let named: Vec<_> = names
            .iter()
            .map(|name| if name.contains(' ') { name.clone() } else { format!("`{name}`") })
            .collect();
        format!("{}: {}", path.display(), named.join(", "))
    });
    lines.collect::<Vec<_>>().join("<br>")
}

#[cfg(test)]
#[path = "rules/tests.rs"]
mod tests;
