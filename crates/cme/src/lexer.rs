//! Lines, sections and words. A section is a line that begins at the margin and the indented lines below it; `!`
//! begins a comment; quotes keep spaces together. Nothing here knows what a command means.

use crate::problem::Found;

/// A line of a running-config is never longer than this.
const LONGEST_LINE: usize = 2048;

/// A line with something on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// From 1.
    pub(crate) number: usize,
    /// Without the spaces around it.
    pub(crate) text: &'a str,
}

/// A line at the margin and the indented lines that belong to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section<'a> {
    pub(crate) header: Line<'a>,
    pub(crate) body: Vec<Line<'a>>,
}

/// Splits a file. Comments, empty lines, `exit` and `end` are gone; a banner's text is passed over.
pub(crate) fn sections<'a>(text: &'a str, found: &mut Found) -> Vec<Section<'a>> {
    let mut sections: Vec<Section<'a>> = Vec::new();
    let mut banner_end: Option<&str> = None;
    for (index, raw) in text.lines().enumerate() {
        let line = Line { number: index + 1, text: raw.trim() };
        if !is_printable(line, found) {
            continue;
        }
        if let Some(mark) = banner_end {
            if line.text.contains(mark) {
                banner_end = None;
            }
            continue;
        }
        if line.text.is_empty() || line.text.starts_with('!') || ["exit", "end"].contains(&line.text) {
            continue;
        }
        banner_end = opened_banner(line.text);
        match sections.last_mut() {
            Some(section) if raw.starts_with([' ', '\t']) => section.body.push(line),
            _ => sections.push(Section { header: line, body: Vec::new() }),
        }
    }
    sections
}

fn is_printable(line: Line<'_>, found: &mut Found) -> bool {
    if line.text.len() > LONGEST_LINE {
        found.problem(
            line.number,
            "",
            format!("is longer than {LONGEST_LINE} bytes: this is no running-config"),
        );
        return false;
    }
    // A banner's marks may be printed as the control character that they are.
    let control = line.text.chars().find(|c| c.is_control() && !['\t', '\u{3}'].contains(c));
    if let Some(control) = control {
        found.problem(
            line.number,
            "",
            format!("has the control character {control:?}: this is no running-config"),
        );
        return false;
    }
    true
}

/// The mark that ends a banner which this line begins and does not end: `banner motd ^C`.
fn opened_banner(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("banner ")?.trim_start();
    let (_kind, text) = rest.split_once(' ')?;
    let text = text.trim_start();
    let length = if text.starts_with('^') { 2 } else { text.chars().next()?.len_utf8() };
    let (mark, body) = text.split_at_checked(length)?;
    (!body.contains(mark)).then_some(mark)
}

/// The words of a line; `None`, and a problem, where a quote is left open.
pub(crate) fn words(line: Line<'_>, found: &mut Found) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.split_once('"') {
                Some(split) => split,
                None => {
                    found.problem(line.number, "", "has a quote that is not closed");
                    return None;
                }
            },
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (Vec<Section<'_>>, Found) {
        let mut found = Found::default();
        (sections(text, &mut found), found)
    }

    #[test]
    fn indented_lines_belong_to_the_line_above_them() {
        let (sections, _) =
            split("ephone  1\r\n mac-address A\r\n!\r\n exit\r\nend\r\nephone 2\n\ttype 7960\n");
        let lines: Vec<_> = sections
            .iter()
            .map(|s| (s.header.number, s.body.iter().map(|l| l.number).collect::<Vec<_>>()))
            .collect();
        assert_eq!(lines, [(1, vec![2]), (6, vec![7])]);
    }

    #[test]
    fn a_banner_is_text() {
        let (sections, _) = split("banner motd ^C\nephone 1\n welcome ^C\nephone 2\n");
        let headers: Vec<_> = sections.iter().map(|s| s.header.text).collect();
        assert_eq!(headers, ["banner motd ^C", "ephone 2"]);
    }

    #[test]
    fn quotes_keep_spaces_together() {
        let mut found = Found::default();
        let line = |text| Line { number: 3, text };
        assert_eq!(
            words(line("label  \"Front Desk\" blf"), &mut found).unwrap(),
            ["label", "Front Desk", "blf"]
        );
        assert_eq!(words(line("label \"Front"), &mut found), None);
        assert_eq!(found.problems[0].line, 3);
    }

    #[test]
    fn lines_that_no_router_prints_are_named() {
        let long = "x".repeat(LONGEST_LINE + 1);
        let (_, found) = split(&format!("hostname a\n{long}\nbell \u{7}\n"));
        let lines: Vec<_> = found.problems.iter().map(|p| p.line).collect();
        assert_eq!(lines, [2, 3]);
    }
}
