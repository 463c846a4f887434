//! The resources that files declare, each with its place, so that whatever is said about one can be said with file and
//! line.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use roamline_proto::profile::Resource;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::yaml::{Content, Entry, Node, Problem};
use super::{files, typed, yaml};
use crate::exit::{Exit, Failure};
use crate::wrong_words::{or_nearest, quoted};

/// What one apply may declare: as many changes as one import takes.
const MOST_RESOURCES: usize = 1_000_000;

/// A resource and where it is declared.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) kind: Kind,
    /// Its name, as the file spells it.
    pub(super) key: String,
    /// Its fields as proto JSON; only what is given.
    pub(super) value: Value,
    /// The file's name, as it was given or found.
    pub(super) file: String,
    pub(super) line: usize,
    entries: Vec<Entry>,
}

impl Document {
    /// `FILE:LINE` of its beginning.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }

    /// The line of a field (`settings.lines[2].max_calls`), or of the nearest around it that is given.
    pub(super) fn line_of(&self, path: &str) -> usize {
        let mut line = self.line;
        let mut content: Option<&Content> = None;
        for step in steps(path) {
            let next = match (step, content) {
                (Step::Field(name), None) => entry(&self.entries, name),
                (Step::Field(name), Some(Content::Mapping(entries))) => entry(entries, name),
                (Step::Item(index), Some(Content::Sequence(items))) => {
                    items.get(index).map(|item: &Node| (item.line, &item.content))
                }
                _ => None,
            };
            let Some((at, found)) = next else { break };
            (line, content) = (at, Some(found));
        }
        line
    }

    /// `FILE:LINE: TITLE: FIELD: TEXT`, at the line of the field; without one, at that of the resource.
    pub(super) fn told(&self, path: &str, text: &str) -> String {
        let (file, line, title) = (&self.file, self.line_of(path), self.kind.title(&self.key));
        if path.is_empty() {
            format!("{file}:{line}: {title}: {text}")
        } else {
            format!("{file}:{line}: {title}: {path}: {text}")
        }
    }

    /// As the server takes it.
    pub(super) fn resource(&self) -> Result<Resource, Failure> {
        let text = json!({ self.kind.carrier(): self.value }).to_string();
        roamline_proto::json::from_str(&text).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            refused(vec![format!("{}: {cause}", self.place())])
        })
    }
}

/// A step of a field's path.
enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let mut pieces = part.split('[');
        steps.extend(pieces.next().map(Step::Field));
        let items = pieces.filter_map(|piece| piece.strip_suffix(']')?.parse().ok());
        steps.extend(items.map(Step::Item));
    }
    steps
}

/// The entry of a field, by either of the field's spellings.
fn entry<'a>(entries: &'a [Entry], name: &str) -> Option<(usize, &'a Content)> {
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let found = entries.iter().find(|entry| entry.key == name || plain(&entry.key) == plain(name))?;
    Some((found.line, &found.value.content))
}

/// A refusal of everything, with all that is wrong.
pub(super) fn refused(problems: Vec<String>) -> Failure {
    let failure = Failure::new(Exit::Invalid, "the resources are refused; nothing was changed");
    problems.into_iter().fold(failure, Failure::detail)
}

/// All resources that the files and directories declare.
///
/// # Errors
/// Everything that is wrong with them, each with its place.
pub(super) fn read(named: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for path in files::find(named)? {
        let name = if path == Path::new("-") { "(stdin)".to_owned() } else { path.display().to_string() };
        let mut found = Vec::new();
        let trees = files::read(&path)?
            .and_then(|bytes| files::text(&path, bytes))
            .and_then(|text| yaml::read(&text))
            .unwrap_or_else(|problem| {
                found.push(problem);
                Vec::new()
            });
        for tree in trees.into_iter().flat_map(members) {
            documents.extend(document(&name, tree, &mut found));
        }
        problems.extend(found.into_iter().map(|(line, text)| format!("{name}:{line}: {text}")));
    }
    problems.extend(repeats(&documents));
    if !problems.is_empty() {
        return Err(refused(problems));
    }
    match documents.len() {
        0 => Err(refused(vec!["no resource is declared".to_owned()])),
        1..=MOST_RESOURCES => Ok(documents),
        number => {
            Err(refused(vec![format!("{number} resources are more than {MOST_RESOURCES}, the most at once")]))
        }
    }
}

/// A list of resources is as good as one resource after the other: JSON knows no other way.
fn members(tree: Node) -> Vec<Node> {
    match tree.content {
        Content::Sequence(items) => items,
        content => vec![Node { line: tree.line, content }],
    }
}

fn document(file: &str, tree: Node, problems: &mut Vec<Problem>) -> Option<Document> {
    let line = tree.line;
    let Content::Mapping(mut entries) = tree.content else {
        problems.push((line, "is no resource: it has no `kind`".to_owned()));
        return None;
    };
    let kind = kind(line, &mut entries).map_err(|problem| problems.push(problem)).ok()?;
    let Ok(message) = kind.message() else { return None };
    let before = problems.len();
    let value = typed::fields(&entries, &message, problems);
    let key = kind.key(&value);
    if let Some(field) = kind.key_field()
        && key.is_empty()
        && problems.len() == before
    {
        problems.push((line, format!("the {kind} has no {field}")));
    }
    Some(Document { kind, key, value, file: file.to_owned(), line, entries })
}

/// Takes the kind out of the entries.
fn kind(line: usize, entries: &mut Vec<Entry>) -> Result<Kind, Problem> {
    let Some(at) = entries.iter().position(|entry| entry.key == "kind") else {
        let kinds = Kind::ALL.map(Kind::name).join(", ");
        return Err((line, format!("is no resource: it has no `kind`, one of {kinds}")));
    };
    let entry = entries.remove(at);
    if let Some(second) = entries.iter().find(|entry| entry.key == "kind") {
        return Err((second.line, "kind is given again: is a line `---` missing before it?".to_owned()));
    }
    let Content::Scalar { text, .. } = &entry.value.content else {
        return Err((entry.line, "kind must be a word".to_owned()));
    };
    let exact = Kind::ALL.into_iter().find(|kind| kind.name() == text);
    exact.ok_or_else(|| {
        let told = match text.parse::<Kind>() {
            Ok(meant) => format!("{}; did you mean `{meant}`?", quoted(text)),
            Err(_) => or_nearest(text, Kind::ALL.map(Kind::name)),
        };
        (entry.line, format!("there is no kind {told}"))
    })
}

/// Resources that are declared a second time.
fn repeats(documents: &[Document]) -> Vec<String> {
    let mut first: HashMap<(Kind, &str), &Document> = HashMap::new();
    let mut problems = Vec::new();
    for document in documents {
        let name = (document.kind, document.key.as_str());
        match first.get(&name) {
            // One without a name is refused for that.
            Some(_) if document.key.is_empty() && document.kind.key_field().is_some() => {}
            Some(other) => {
                let title = document.kind.title(&document.key);
                problems.push(format!(
                    "{}: {title} is declared in {} already",
                    document.place(),
                    other.place()
                ));
            }
            None => {
                first.insert(name, document);
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Document>, Vec<String>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.yaml");
        std::fs::write(&path, text).unwrap();
        read(&[path]).map_err(|failure| failure.details().to_vec())
    }

    #[test]
    fn a_field_of_the_server_is_found_in_the_file() {
        let documents = read_text(
            "kind: UserDeviceProfile\nname: a\nsettings:\n  lines:\n  - lines: ['1']\n  - lines: ['2']\n    maxCalls: 3\n",
        )
        .unwrap();
        let line = |path: &str| documents[0].line_of(path);
        assert_eq!(line("name"), 2);
        assert_eq!(line("settings.lines[1].max_calls"), 7);
        assert_eq!(line("settings.lines[1].lines[0]"), 6);
        assert_eq!(line("settings.lines[0].busy_trigger"), 5);
        assert_eq!(line("model"), 1);
        assert_eq!(line(""), 1);
    }

    #[test]
    fn a_resource_that_is_declared_twice_is_told_with_both_places() {
        let problems = read_text("kind: Line\nname: '1'\n---\nkind: Line\nname: '1'\n").unwrap_err();
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("a.yaml:4: Line 1") && problems[0].ends_with("a.yaml:1 already"),
            "{problems:?}"
        );
    }

    #[test]
    fn every_problem_of_every_document_is_told_at_once() {
        let text = "kind: Lines\nname: '1'\n---\nname: x\n---\n- 1\n---\nkind: User\n---\nkind: LogoutProfile\ntag: x\n";
        let problems = read_text(text).unwrap_err();
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert!(problems[0].contains("a.yaml:1:") && problems[0].contains("did you mean `Line`?"));
        assert!(problems[3].contains("has no userId"));
        assert!(problems[4].contains("a.yaml:11:"));
    }

    #[test]
    fn a_missing_line_between_two_resources_is_guessed() {
        let problems = read_text("kind: Line\nname: '1'\nkind: Line\nname: '2'\n").unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains("a.yaml:3:"), "{problems:?}");
    }

    #[test]
    fn a_list_is_as_good_as_documents_and_nothing_is_a_mistake() {
        assert_eq!(read_text("- {kind: Line, name: '1'}\n- {kind: Line, name: '2'}\n").unwrap().len(), 2);
        assert!(read_text("# nothing\n").is_err());
    }
}
