//! YAML as a tree that knows the line of everything in it. Scalars stay text: which type they have is for the field to
//! say, so that `0012`, `no` and `1:30` are what they look like. Depth, values and what aliases repeat are limited.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::files::SPLIT;
use crate::wrong_words::quoted;

/// Nothing that a resource says lies deeper.
const DEEPEST: usize = 32;
/// Values in a file: 10,000 resources of a hundred. Files together may have more.
const MOST_VALUES: usize = 1_000_000;
/// Values in a file that anchors name, and that aliases repeat.
const MOST_REPEATED: usize = 100_000;

/// A value and the line where it begins, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Text, and whether it stood there without quotes.
    Scalar { text: String, plain: bool },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in their order; a key may stand there twice.
    Mapping(Vec<Entry>),
}

/// A key of a mapping and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Node,
}

impl Node {
    /// Whether nothing is said.
    pub(super) fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar { text, plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }
}

/// A line and what is wrong there.
pub(super) type Problem = (usize, String);

/// The documents of a file; those that say nothing are left out.
///
/// # Errors
/// The first thing that is wrong with the text.
pub(super) fn read(text: &str) -> Result<Vec<Node>, Problem> {
    read_at_most(text, MOST_VALUES)
}

fn read_at_most(text: &str, most: usize) -> Result<Vec<Node>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parser = Parser::new_from_str_with_options(text, granit_parser::options! { emit_comments: false });
    let mut reader =
        Reader { text, parser, anchors: HashMap::new(), most, values: 0, kept: 0, repeated: 0, line: 1 };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart | Event::DocumentEnd | Event::StreamEnd => {}
            Event::DocumentStart(..) => reader.anchors.clear(),
            event => {
                let document = reader.node(event, span, 0)?;
                if !document.is_null() {
                    documents.push(document);
                }
            }
        }
    }
    Ok(documents)
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    /// What an alias can repeat, and how many values that are.
    anchors: HashMap<usize, (Node, usize)>,
    most: usize,
    values: usize,
    kept: usize,
    repeated: usize,
    line: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Problem> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(Some((event, span)))
            }
            Some(Err(error)) => {
                let info = error.info();
                Err((self.place(error.marker().line(), &info), format!("no YAML: {info}")))
            }
        }
    }

    /// A tab is told where it stands; the parser says where that begins which it breaks.
    fn place(&self, line: usize, info: &str) -> usize {
        let indent = |line: &str| line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
        let after = || self.text.lines().skip(line.saturating_sub(1)).position(indent);
        if info.contains("tab") { line + after().unwrap_or_default() } else { line }
    }

    fn must(&mut self) -> Result<(Event<'a>, Span), Problem> {
        self.next()?.ok_or_else(|| (self.line, "no YAML: it ends in the middle".to_owned()))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        let line = span.start.line();
        if depth > DEEPEST {
            return Err((line, format!("is nested deeper than {DEEPEST} levels")));
        }
        if let Some(tag) = event.tag() {
            return Err((
                line,
                format!("carries the tag {}, which means nothing here", quoted(&tag.original())),
            ));
        }
        if let Event::Alias(anchor) = event {
            return self.repeat(anchor, line);
        }
        let before = self.values;
        self.values += 1;
        if self.values > self.most {
            let told =
                format!("the file holds more than {} values up to here, and may be no larger", self.most);
            return Err((line, format!("{told}: {SPLIT}")));
        }
        let anchor = event.anchor_id();
        let content = match event {
            Event::Scalar(text, style, ..) => {
                Content::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }
            }
            Event::SequenceStart(..) => Content::Sequence(self.sequence(depth)?),
            Event::MappingStart(..) => Content::Mapping(self.mapping(depth)?),
            _ => return Err((line, "no YAML: a value is missing".to_owned())),
        };
        let node = Node { line, content };
        if let Some(anchor) = anchor {
            let values = self.values - before;
            self.kept += values;
            if self.kept > MOST_REPEATED {
                return Err((line, format!("anchors name more than {MOST_REPEATED} values")));
            }
            self.anchors.insert(anchor, (node.clone(), values));
        }
        Ok(node)
    }

    /// What an alias stands for. An alias within what it repeats has nothing to repeat yet.
    fn repeat(&mut self, anchor: usize, line: usize) -> Result<Node, Problem> {
        let Some((node, values)) = self.anchors.get(&anchor) else {
            return Err((line, "an alias repeats itself".to_owned()));
        };
        self.repeated += values;
        self.values += values;
        if self.repeated > MOST_REPEATED {
            return Err((line, format!("aliases repeat more than {MOST_REPEATED} values")));
        }
        Ok(node.clone())
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Node>, Problem> {
        let mut items = Vec::new();
        loop {
            match self.must()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<Entry>, Problem> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = match self.must()? {
                (Event::MappingEnd, _) => return Ok(entries),
                key => key,
            };
            let key = self.node(event, span, depth + 1)?;
            let Content::Scalar { text, .. } = key.content else {
                return Err((key.line, "a key must be a word".to_owned()));
            };
            let (event, span) = self.must()?;
            let value = self.node(event, span, depth + 1)?;
            entries.push(Entry { key: text, line: key.line, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn refused(text: &str) -> Problem {
        read(text).expect_err("a problem")
    }

    #[test]
    fn everything_knows_its_line_and_scalars_stay_text() {
        let documents =
            read("# first\nkind: Line\nname: 0012\n---\n---\nkind: \"Phone\"\nlist:\n- no\n").unwrap();
        assert_eq!(documents.len(), 2);
        let Content::Mapping(line) = &documents[0].content else { panic!("a mapping") };
        assert_eq!((line[1].key.as_str(), line[1].line), ("name", 3));
        assert_eq!(line[1].value.content, Content::Scalar { text: "0012".into(), plain: true });
        let Content::Mapping(phone) = &documents[1].content else { panic!("a mapping") };
        assert_eq!((documents[1].line, phone[1].line, phone[1].value.line), (6, 7, 8));
    }

    #[test]
    fn json_is_read_as_well() {
        let documents = read("{\n  \"kind\": \"Line\",\n  \"name\":\"1\\u00e9\"\n}\n").unwrap();
        let Content::Mapping(line) = &documents[0].content else { panic!("a mapping") };
        assert_eq!(
            (line[1].line, &line[1].value.content),
            (3, &Content::Scalar { text: "1é".into(), plain: false })
        );
    }

    #[test]
    fn an_alias_repeats_a_value() {
        let documents = read("a: &x [1, 2]\nb: *x\n").unwrap();
        let Content::Mapping(entries) = &documents[0].content else { panic!("a mapping") };
        assert_eq!(entries[0].value.content, entries[1].value.content);
    }

    #[test]
    fn a_bomb_of_aliases_is_refused_where_it_goes_off() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..20 {
            let of = vec![format!("*a{}", n - 1); 10].join(", ");
            writeln!(bomb, "a{n}: &a{n} [{of}]").unwrap();
        }
        let (line, text) = refused(&bomb);
        assert!((4..=6).contains(&line) && text.contains("aliases"), "{line}: {text}");
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_line() {
        for (text, at) in [
            ("a: 1\nb: [1, 2\n", 2..=3),
            ("a: 1\nb: \"open\n", 2..=3),
            ("a: 1\n\tb: 2\n", 2..=2),
            ("a:\n\t- b\n", 2..=2),
            ("a: 1\n  b: 2\n", 2..=2),
            ("a: *nothing\n", 1..=1),
            ("a: &a [*a]\n", 1..=1),
            ("a: 1\nb: !include x\n", 2..=2),
            ("a: 1\n? [x]\n: 2\n", 2..=2),
            ("a: \u{0}\n", 1..=1),
        ] {
            let (line, said) = refused(text);
            assert!(at.contains(&line) && !said.is_empty(), "{text:?}: {line}: {said}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_in_both_styles() {
        let flow = "[".repeat(100_000);
        let mut block = String::new();
        for depth in 0..1000 {
            writeln!(block, "{}a:", " ".repeat(depth)).unwrap();
        }
        for text in [flow, "- ".repeat(10_000), block] {
            let (line, _) = refused(&text);
            assert!(line <= DEEPEST + 2, "{line}");
        }
    }

    #[test]
    fn more_values_than_a_directory_has_are_refused() {
        let (line, text) = read_at_most(&"- a\n".repeat(100), 50).unwrap_err();
        assert!(line == 50 && text.contains("more than 50"), "{line}: {text}");
    }
}
