//! `--create-lines`: lines that rows name and that are not there are created by the same import, each with the first
//! row that names it.

use std::collections::{BTreeSet, HashSet};

use roamline_proto::profile::line_service_client::LineServiceClient;
use roamline_proto::profile::{
    BatchGetLinesRequest, DeviceSettings, ImportAction, ImportRow, Line, Resource, resource::Kind,
};

use crate::bulk::MOST_ROWS;
use crate::client::Client;
use crate::directory::ask;
use crate::exit::Failure;

/// The lines that are there, as far as is known.
#[derive(Default)]
pub(super) struct Lines {
    known: HashSet<String>,
}

impl Lines {
    /// How many lines the resource may need.
    pub(super) fn needed(&self, resource: &Resource) -> usize {
        named(resource).filter(|name| !self.known.contains(*name)).count()
    }

    /// Takes the lines that a staged row names for there.
    pub(super) fn know(&mut self, resource: &Resource) {
        self.known.extend(named(resource).map(ToOwned::to_owned));
    }

    /// Puts the lines that are missing before the rows that name them. A row that would have more of them than a request
    /// holds is taken out; the numbers of such rows.
    pub(super) async fn add_missing(
        &mut self,
        rows: &mut Vec<ImportRow>,
        client: &Client,
    ) -> Result<Vec<u64>, Failure> {
        let resources = rows.iter().filter_map(|row| row.resource.as_ref());
        let names: BTreeSet<&str> =
            resources.flat_map(named).filter(|name| !self.known.contains(*name)).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> = names.into_iter().map(ToOwned::to_owned).collect();
        self.known.extend(names.iter().cloned());
        let mut missing = BTreeSet::new();
        for names in names.chunks(MOST_ROWS) {
            let request = BatchGetLinesRequest { names: names.to_vec() };
            let answer = ask!(client, LineServiceClient::batch_get_lines, request)?;
            missing.extend(answer.not_found);
        }
        let mut crowded = Vec::new();
        for row in std::mem::take(rows) {
            let wanted: Vec<String> =
                row.resource.iter().flat_map(named).filter_map(|name| missing.take(name)).collect();
            if wanted.len() >= MOST_ROWS {
                for name in &wanted {
                    self.known.remove(name);
                }
                missing.extend(wanted);
                crowded.push(row.row);
                continue;
            }
            rows.extend(wanted.into_iter().map(|name| new_line(row.row, name)));
            rows.push(row);
        }
        Ok(crowded)
    }
}

/// Whether a row creates a line for others.
pub(super) fn is_line(row: &ImportRow) -> bool {
    matches!(&row.resource, Some(Resource { kind: Some(Kind::Line(_)) }))
}

fn new_line(row: u64, name: String) -> ImportRow {
    let line = Line { name, ..Line::default() };
    let resource = Some(Resource { kind: Some(Kind::Line(line)) });
    ImportRow { row, action: ImportAction::Add.into(), resource, update_mask: None }
}

/// The names of lines in a resource, those alone that can be names: the others are for the server to refuse.
fn named(resource: &Resource) -> impl Iterator<Item = &str> {
    let (settings, extension): (Option<&DeviceSettings>, &str) = match &resource.kind {
        Some(Kind::UserDeviceProfile(profile)) => (profile.settings.as_ref(), ""),
        Some(Kind::Phone(phone)) => (phone.settings.as_ref(), ""),
        Some(Kind::LogoutProfile(profile)) => (profile.settings.as_ref(), ""),
        Some(Kind::User(user)) => (None, &user.primary_extension),
        _ => (None, ""),
    };
    let lines = settings.into_iter().flat_map(|settings| &settings.lines).flat_map(|entry| &entry.lines);
    lines.map(String::as_str).chain([extension]).filter(|name| is_name(name))
}

fn is_name(text: &str) -> bool {
    let (number, partition) = text.split_once('@').unwrap_or((text, "-"));
    let number_fits = |c: char| c.is_ascii_digit() || "*#+".contains(c);
    let partition_fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=32).contains(&number.len())
        && number.chars().all(number_fits)
        && (1..=50).contains(&partition.len())
        && partition.chars().all(partition_fits)
}

#[cfg(test)]
mod tests {
    use roamline_proto::profile::User;

    use super::*;

    #[test]
    fn ll_8_only_what_can_be_a_line_is_created() {
        for (text, fits) in
            [("1001", true), ("+41*1@Agents", true), ("", false), ("1001@", false), ("10 01", false)]
        {
            assert_eq!(is_name(text), fits, "{text}");
        }
        let user = User { primary_extension: "1001".into(), ..User::default() };
        let resource = Resource { kind: Some(Kind::User(user)) };
        let mut lines = Lines::default();
        assert_eq!(lines.needed(&resource), 1);
        lines.know(&resource);
        assert_eq!(lines.needed(&resource), 0);
    }
}
