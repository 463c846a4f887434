//! A copy of an import whose changes were judged again: against the directory as it is now and the import as a whole,
//! without rows that are left out, and with the deletions of a `prune`. The import itself stays as it is, so that
//! nothing is lost if the copy cannot be committed.

use std::collections::BTreeSet;

use roamline_domain::Violations;
use roamline_domain::directory::{Key, Kind, Resource};
use roamline_proto::profile::{CommitImportRequest, ImportProblem};
use roamline_proto::refusal::Refusal;
use roamline_store::{Change, Import, StageError};
use tokio_stream::StreamExt;

use super::chunk::Chunk;
use super::{MOST_PROBLEMS, PRUNED};
use crate::dependents::{Coming, Revision, present};
use crate::{Profile, refusal};

/// Rows that are read at once.
const PAGE: u32 = 500;
/// Resources of an import that may use one whose change has to be weighed against them.
const MOST_USERS: usize = 5_000;

/// What a review came to.
pub(super) struct Reviewed {
    /// The copy.
    pub(super) id: String,
    /// What is wrong with rows, which are not in the copy.
    pub(super) problems: Vec<ImportProblem>,
    /// The rows.
    pub(super) refused: BTreeSet<u64>,
}

/// The import as a whole.
struct Whole<'a> {
    id: &'a str,
    /// Rows that are left out.
    left_out: &'a BTreeSet<u64>,
    /// Whether it deletes what it does not name.
    prune: bool,
    /// Whether it takes resources as they were kept.
    restore: bool,
}

impl Profile {
    /// Reviews an import; the caller sees to it that the copy ends.
    ///
    /// # Errors
    /// `IMPORT_NOT_FOUND` where it has ended meanwhile, or a store's failure.
    pub(super) async fn reviewed(
        &self,
        import: &Import,
        left_out: &BTreeSet<u64>,
        asked: &CommitImportRequest,
    ) -> Result<Reviewed, Refusal> {
        let mut copy = self.empty_copy(&import.id).await?;
        let mut reviewed = Reviewed { id: copy.id.clone(), problems: Vec::new(), refused: BTreeSet::new() };
        let mut after = 0;
        loop {
            let page = self.imports.staged(&import.id, after, PAGE).await.map_err(refusal::store)?;
            let Some(last) = page.last() else { break };
            after = last.row;
            let mut chunk = self.review(&import.id, &page, left_out, asked.restore).await?;
            let whole = Whole { id: &import.id, left_out, prune: asked.prune, restore: asked.restore };
            self.weigh_dependents(&whole, &mut chunk).await?;
            self.add_to_copy(&mut copy, chunk.changes(true)).await?;
            reviewed.refused.extend(chunk.refused);
            let room = MOST_PROBLEMS.saturating_sub(reviewed.problems.len());
            reviewed.problems.extend(chunk.problems.finish().into_iter().take(room));
        }
        if asked.prune {
            self.prune(&import.id, &mut copy).await?;
        }
        // All that was read of the import was its own only if it is open still, and none came to it meanwhile.
        let still = self.imports.find_import(&import.id).await.map_err(refusal::store)?;
        if still.as_ref() == Some(import) {
            return Ok(reviewed);
        }
        self.discard_import(&copy.id).await?;
        Err(if still.is_some() { refusal::contended() } else { refusal::import_not_found() })
    }

    /// A new copy; one that a commit has left that was cut short is discarded.
    async fn empty_copy(&self, id: &str) -> Result<Import, Refusal> {
        // No client's token has a control character.
        let token = format!("\u{1}{id}");
        let open = async || self.imports.open_import(&token, &self.ids.opaque(), self.clock.now()).await;
        let left = open().await.map_err(refusal::store)?;
        self.imports.discard_import(&left.id).await.map_err(refusal::store)?;
        open().await.map_err(refusal::store)
    }

    async fn add_to_copy(&self, copy: &mut Import, changes: Vec<(u64, Change)>) -> Result<(), Refusal> {
        if changes.is_empty() {
            return Ok(());
        }
        let (row, now) = (copy.next_row, self.clock.now());
        self.imports.stage(&copy.id, row, changes, row + 1, now).await.map_err(|error| match error {
            StageError::Store(error) => refusal::store(error),
            // Somebody else commits the same import at this moment.
            _ => refusal::contended(),
        })?;
        copy.next_row += 1;
        Ok(())
    }

    /// Stages the deletion of every resource that the import does not name.
    async fn prune(&self, id: &str, copy: &mut Import) -> Result<(), Refusal> {
        let mut pages = self.store.snapshot();
        while let Some(page) = pages.next().await {
            let page = page.map_err(refusal::store)?;
            let keys: Vec<Key> = page.iter().map(|stored| stored.resource.key()).collect();
            let named = self.imports.find_staged(id, &keys).await.map_err(refusal::store)?;
            let unnamed = keys
                .into_iter()
                .zip(named)
                .zip(&page)
                .filter(|((key, named), _)| named.is_none() && key.kind != Kind::ServiceParameters);
            let deletions = unnamed
                .map(|((key, _), stored)| (PRUNED, Change::Delete { key, version: stored.version }))
                .collect();
            self.add_to_copy(copy, deletions).await?;
        }
        Ok(())
    }

    /// Refuses rows under which stored resources would break a rule that are not in the import.
    async fn weigh_dependents(&self, whole: &Whole<'_>, chunk: &mut Chunk) -> Result<(), Refusal> {
        let decisive = chunk.accepted.values().filter(|accepted| accepted.decisive && !accepted.unchanged);
        let decisive: Vec<(u64, Resource)> = decisive
            .filter_map(|accepted| match &accepted.change {
                Change::Put { resource, .. } => Some((accepted.row, resource.clone())),
                Change::Delete { .. } | Change::Keep { .. } => None,
            })
            .collect();
        for (row, wanted) in decisive {
            let found = self.store.find(&[wanted.key()]).await.map_err(refusal::store)?;
            let found = found.into_iter().next().flatten().map(|stored| stored.resource);
            let Some(stored) = present(&wanted.key(), found.as_ref()) else { continue };
            let Some(coming) = self.coming_users(whole, &wanted).await? else {
                let problem =
                    format!("more than {MOST_USERS} resources of the import use it: change it on its own");
                chunk.refuse(row, one("", &problem));
                continue;
            };
            let revision = Revision { stored: &stored, wanted: &wanted };
            if let Err(refused) = self.keep_dependents(&[revision], &coming).await {
                if refused.violations.is_empty() {
                    return Err(refused);
                }
                chunk.refuse(row, one("", &refused.message));
            }
        }
        Ok(())
    }

    /// What the import makes of those that a change of the resource may break; `None` where they are very many. What it
    /// leaves as it is was not judged again and counts as stored.
    async fn coming_users(&self, whole: &Whole<'_>, wanted: &Resource) -> Result<Option<Coming>, Refusal> {
        let mut coming = Coming { as_kept: whole.restore, ..Coming::of(vec![wanted.clone()]) };
        let mut after: Option<Key> = None;
        loop {
            let page = self.dependents(&wanted.key(), after.as_ref()).await?;
            let keys: Vec<Key> = page.iter().map(Resource::key).collect();
            let Some(last) = keys.last() else { return Ok(Some(coming)) };
            after = Some(last.clone());
            let staged = self.imports.find_staged(whole.id, &keys).await.map_err(refusal::store)?;
            for ((key, stored), staged) in keys.into_iter().zip(page).zip(staged) {
                match staged
                    .filter(|staged| !whole.left_out.contains(&staged.row))
                    .map(|staged| staged.change)
                {
                    Some(Change::Put { resource, .. }) if resource != stored => coming.puts.push(resource),
                    Some(Change::Delete { .. }) => drop(coming.gone.insert(key)),
                    None if whole.prune => drop(coming.gone.insert(key)),
                    _ => {}
                }
            }
            if coming.puts.len() > MOST_USERS {
                return Ok(None);
            }
        }
    }
}

fn one(rule: &'static str, message: &str) -> Violations {
    let mut found = Violations::new();
    found.add("", rule, message);
    found
}
