//! Numbers in the text format of Prometheus, as the admin port has them.

use std::collections::BTreeMap;

/// The samples of one process.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<Sample>);

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Sample {
    /// The value of a label; empty where it has none of that name.
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

impl Samples {
    /// Reads an exposition; a line that is none of it is passed over.
    pub(super) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(sample).collect())
    }

    /// All of one name.
    pub(super) fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The greatest of one name.
    pub(super) fn greatest(&self, name: &str) -> Option<f64> {
        self.of(name).map(|sample| sample.value).reduce(f64::max)
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (head, value) = line.rsplit_once(' ')?;
    let (name, labels) = match head.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (head, ""),
    };
    Some(Sample { name: name.to_owned(), labels: pairs(labels), value: value.parse().ok()? })
}

/// `a="x",b="y"`; no label of ours has a quote or a comma in its value.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    text.split(',').filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_their_names_and_have_labels() {
        let samples = Samples::read("# TYPE a gauge\na{x=\"y\",z=\"1\"} 3\na 7\nab 9\nnonsense\n");
        assert_eq!(samples.greatest("a"), Some(7.0));
        assert_eq!(samples.of("a").next().unwrap().label("x"), "y");
        assert_eq!(samples.greatest("none"), None);
    }
}
