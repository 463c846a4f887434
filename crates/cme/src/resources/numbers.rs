//! Directory numbers into lines.

use roamline_proto::profile::{Line, LineCapacity, resource::Kind};

use super::Labels;
use crate::model::{At, Config, DirectoryNumber};
use crate::site::{Site, Sourced};

/// Adds a line for every number, once; a number that several directory numbers share holds as many calls as the
/// largest of them. Returns the texts beside buttons.
pub(super) fn translate(config: &Config, site: &mut Site) -> Labels {
    let mut lines: Vec<Sourced<Line>> = Vec::new();
    let mut labels = Labels::new();
    for dn in &config.directory_numbers {
        for number in [&dn.number, &dn.secondary].into_iter().flatten() {
            if let Some(label) = &dn.label {
                labels.entry(number.value.clone()).or_insert_with(|| label.clone());
            }
            match lines.iter_mut().find(|line| line.value.name == number.value) {
                Some(known) => {
                    known.value.capacity = larger(known.value.capacity, dn.capacity);
                    let text =
                        format!("number {} is also on line {}: both are one line", number.value, known.line);
                    site.note(number.line, text);
                }
                None => lines.push(line(dn, number)),
            }
        }
    }
    for line in lines {
        site.push(line.map(Kind::Line));
    }
    labels
}

fn line(dn: &DirectoryNumber, number: &At<String>) -> Sourced<Line> {
    let text = dn.description.as_ref().or(dn.name.as_ref()).or(dn.label.as_ref());
    let line = Line {
        name: number.value.clone(),
        description: text.map(|text| text.value.clone()).unwrap_or_default(),
        capacity: dn.capacity.into(),
        ..Line::default()
    };
    let mut source = Sourced::new(dn.tag.line, line);
    source.field("name", number.line);
    if let Some(text) = text {
        source.field("description", text.line);
    }
    source
}

/// Capacities are numbered by their size.
fn larger(known: i32, other: LineCapacity) -> i32 {
    known.max(other.into())
}
