//! What is stored and not declared: found kind by kind, and deleted one by one once everything else holds.

use std::collections::BTreeSet;
use std::io::{self, Write};

use futures::{StreamExt, TryStreamExt, stream};

use super::AT_A_TIME;
use super::documents::Document;
use super::kinds::{self, Kind};
use super::plan::{Change, Outcome};
use super::shown;
use crate::client::Client;
use crate::exit::Failure;
use crate::output::remark;

/// The kinds that can be deleted, what refers to others before what it refers to.
const DELETED: [Kind; 11] = [
    Kind::Phone,
    Kind::User,
    Kind::LogoutProfile,
    Kind::DefaultDeviceProfile,
    Kind::UserDeviceProfile,
    Kind::Line,
    Kind::PhoneServiceDefinition,
    Kind::PresenceGroup,
    Kind::LineTemplate,
    Kind::PhoneTemplate,
    Kind::DevicePool,
];

/// What is stored and not declared, of the kinds that are declared, in the order in which it can be deleted. `outcomes`
/// says of each document what becomes of it.
pub(super) async fn deletions(
    documents: &[Document],
    outcomes: &[Outcome],
    client: &Client,
) -> Result<Vec<Change>, Failure> {
    let mut all = Vec::new();
    for kind in DELETED {
        let of_kind = || documents.iter().zip(outcomes).filter(|(document, _)| document.kind == kind);
        let declared: BTreeSet<&str> = of_kind().map(|(document, _)| document.key.as_str()).collect();
        if declared.is_empty() {
            continue;
        }
        let (mut found, mut others) = (BTreeSet::new(), Vec::new());
        kinds::for_each(kind, client, |resource| {
            let key = kind.key(&resource);
            if declared.contains(key.as_str()) {
                found.insert(key);
            } else {
                let stored = Some(shown::plain(kind, &resource)?);
                let (outcome, place, wanted) = (Outcome::Deleted, None, None);
                others.push(Change { kind, key, outcome, place, stored, wanted });
            }
            Ok(())
        })
        .await?;
        if others.is_empty() {
            continue;
        }
        // What is there and not found under its name is stored in another spelling of it.
        let respelt = of_kind()
            .filter(|(document, outcome)| **outcome != Outcome::Created && !found.contains(&document.key))
            .map(|(document, _)| document.key.as_str());
        let respelt = stored_names(kind, respelt.collect(), client).await?;
        all.extend(others.into_iter().filter(|change| !respelt.contains(&change.key)));
    }
    Ok(all)
}

/// The names under which resources are stored: the server knows several spellings, and keeps one.
async fn stored_names(kind: Kind, names: Vec<&str>, client: &Client) -> Result<BTreeSet<String>, Failure> {
    let stored = names.into_iter().map(|name| async move {
        let stored = Box::pin(kinds::get(kind, name, client)).await?;
        Ok(stored.map_or_else(|| name.to_owned(), |stored| kind.key(&stored)))
    });
    stream::iter(stored).buffered(AT_A_TIME).try_collect().await
}

/// Deletes one after the other and adds what is deleted to the changes; what could not be deleted, and why. What stood in
/// the way of another of its kind, or of one before it, may be gone by the end: so what is left is tried again as long
/// as that helps.
pub(super) async fn delete(
    mut deletions: Vec<Change>,
    changes: &mut Vec<Change>,
    client: &Client,
) -> Vec<String> {
    loop {
        let (before, mut left, mut told) = (changes.len(), Vec::new(), Vec::new());
        for deletion in deletions {
            let refused = match Box::pin(kinds::delete(deletion.kind, &deletion.key, client)).await {
                Ok(Ok(())) => {
                    changes.push(deletion);
                    continue;
                }
                Ok(Err(status)) => client.failure(&status),
                Err(failure) => failure,
            };
            told.push(format!("{}: {refused}", deletion.title()));
            left.push(deletion);
        }
        if left.is_empty() || changes.len() == before {
            return told;
        }
        deletions = left;
    }
}

/// Asks whether to delete.
pub(super) fn confirmed(deletions: &[Change]) -> Result<bool, Failure> {
    for deletion in deletions {
        remark(&format!("to be deleted: {}", deletion.title()));
    }
    write!(io::stderr(), "Apply, and delete these {}? [y/N] ", deletions.len())?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_place_among_the_deletions_but_that_of_which_there_is_always_one() {
        let places: BTreeSet<Kind> = DELETED.into_iter().collect();
        let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::ServiceParameters);
        assert_eq!(places, kinds.collect());
        assert_eq!(places.len(), DELETED.len());
    }
}
