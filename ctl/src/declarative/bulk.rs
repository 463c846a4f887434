//! Resources that are too many for one call: they are staged as an import (DP-19), which holds as a whole or not at all.
//! An import counts what is there already and does not say which that is; so resources that look alike in this are staged
//! together, and alone where the count of a chunk leaves it open.

use std::collections::{BTreeSet, HashMap};

use futures::{StreamExt, TryStreamExt, stream};
use roamline_proto::profile::{CommitImportRequest, ImportAction, ImportProblem, ImportRow};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::AT_A_TIME;
use super::documents::{Document, refused};
use super::kinds::{self, Kind};
use super::plan::Outcome;
use super::shown;
use crate::bulk::{Bulk, Chunk, Progress, hexadecimal, unheard};
use crate::client::Client;
use crate::exit::{Exit, Failure};

/// Problems that are told.
const MOST_TOLD: usize = 60;
/// How often everything is staged because others change the directory meanwhile, or an answer was lost.
const ATTEMPTS: usize = 3;

/// An import that is checked and open, and what it would do.
pub(super) struct Checked<'a> {
    import: Bulk<'a>,
    rows: Rows,
    /// One for each document.
    pub(super) outcomes: Vec<Outcome>,
    /// Rules that resources bend without being refused.
    pub(super) notes: Vec<String>,
}

/// Stages all documents and has the server check them as a whole.
///
/// # Errors
/// Everything that is wrong with them, each with its place.
pub(super) async fn check<'a>(documents: &[Document], client: &'a Client) -> Result<Checked<'a>, Failure> {
    let token = token(documents);
    for _ in 0..ATTEMPTS {
        let likely = likely(documents, client).await?;
        let rows = Rows::new(documents, &likely);
        let mut alone = BTreeSet::new();
        let staged = loop {
            let import = Bulk::start_anew(client, &token).await.map_err(from_the_start)?;
            let mut staging = Staging::new(documents, &rows, &likely, import);
            staging.run(&alone).await?;
            if staging.unclear.is_empty() {
                break staging;
            }
            alone.append(&mut staging.unclear);
        };
        let Staging { import, outcomes, notes, .. } = staged;
        let checked = Checked { import, rows, outcomes, notes };
        if checked.agrees(documents).await? {
            return Ok(checked);
        }
        checked.forget().await?;
    }
    Err(Failure::new(Exit::Conflict, "the directory changes while it is compared; nothing was changed"))
}

impl Checked<'_> {
    /// Whether the server counts the same changes; there is nothing to count where everything is there already.
    async fn agrees(&self, documents: &[Document]) -> Result<bool, Failure> {
        let changes = self.outcomes.iter().filter(|outcome| **outcome != Outcome::Unchanged).count();
        if changes == 0 {
            return Ok(true);
        }
        let how = CommitImportRequest { validate_only: true, ..CommitImportRequest::default() };
        let Some(done) = self.import.commit(how).await.map_err(from_the_start)? else { return Ok(false) };
        if !done.problems.is_empty() {
            self.forget().await?;
            return Err(self.rows.refused(documents, &done.problems, false));
        }
        Ok(done.created_count + done.updated_count == changes as u64)
    }

    /// Makes it hold.
    pub(super) async fn hold(&self, documents: &[Document]) -> Result<(), Failure> {
        let Some(done) = self.import.commit(CommitImportRequest::default()).await? else {
            return Err(unheard(true, "`roamctl diff` with the same files says what does"));
        };
        if done.committed {
            return Ok(());
        }
        self.forget().await?;
        Err(self.rows.refused(documents, &done.problems, false))
    }

    /// Leaves everything as it is.
    pub(super) async fn forget(&self) -> Result<(), Failure> {
        self.import.discard().await
    }
}

/// Of what is declared, so that what an apply has left behind that was cut short is forgotten by the next.
fn token(documents: &[Document]) -> String {
    let mut digest = Sha256::new();
    for document in documents {
        digest.update(format!("{} {}\n", document.kind, document.value));
    }
    format!("apply:{}", hexadecimal(&digest.finalize()))
}

/// What will probably become of a resource. The server decides: it knows what is only another spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likely {
    Updated,
    Unchanged,
    Created,
}

/// Compares what is declared with what is stored, page by page.
async fn likely(documents: &[Document], client: &Client) -> Result<Vec<Likely>, Failure> {
    let mut found = vec![Likely::Created; documents.len()];
    for kind in Kind::ALL {
        let of_kind = || documents.iter().enumerate().filter(|(_, document)| document.kind == kind);
        let mut missing: HashMap<&str, usize> =
            of_kind().map(|(index, document)| (document.key.as_str(), index)).collect();
        if missing.is_empty() {
            continue;
        }
        let mut others = false;
        let mut compare = |index: usize, stored: &Value| {
            if let (Some(found), Some(document)) = (found.get_mut(index), documents.get(index)) {
                let same = shown::plain(kind, stored)? == shown::plain(kind, &document.value)?;
                *found = if same { Likely::Unchanged } else { Likely::Updated };
            }
            Ok::<(), Failure>(())
        };
        kinds::for_each(kind, client, |stored| match missing.remove(kind.key(&stored).as_str()) {
            Some(index) => compare(index, &stored),
            None => {
                others = true;
                Ok(())
            }
        })
        .await?;
        // What nobody has asked for may be what is declared under another spelling of its name.
        if others {
            let asked = missing.into_iter().map(|(key, index)| async move {
                Ok::<_, Failure>((index, Box::pin(kinds::get(kind, key, client)).await?))
            });
            let answers: Vec<_> = stream::iter(asked).buffered(AT_A_TIME).try_collect().await?;
            for (index, stored) in answers {
                stored.iter().try_for_each(|stored| compare(index, stored))?;
            }
        }
    }
    Ok(found)
}

/// The documents in the order of rows: the service parameters, by which others are judged, then kind by kind, those
/// first that others refer to; within a kind those first that may give up names which others take.
struct Rows(Vec<usize>);

impl Rows {
    fn new(documents: &[Document], likely: &[Likely]) -> Self {
        let mut rows: Vec<(bool, Kind, Likely, usize)> = documents
            .iter()
            .zip(likely)
            .enumerate()
            .map(|(index, (document, likely))| {
                (document.kind != Kind::ServiceParameters, document.kind, *likely, index)
            })
            .collect();
        rows.sort_unstable();
        Self(rows.into_iter().map(|(.., index)| index).collect())
    }

    /// The index of the document in that row, counted from 1.
    fn document(&self, row: u64) -> Option<usize> {
        let at = usize::try_from(row.checked_sub(1)?).ok()?;
        self.0.get(at).copied()
    }

    /// A refusal of everything, with the problems by their places; `more` where not everything was looked at.
    fn refused(&self, documents: &[Document], problems: &[ImportProblem], more: bool) -> Failure {
        let mut placed: Vec<(Option<usize>, String)> = problems
            .iter()
            .map(|problem| (self.document(problem.row), self.told(documents, problem)))
            .collect();
        placed.sort_by_key(|(index, _)| *index);
        let number = placed.len();
        let mut told: Vec<String> = placed.into_iter().map(|(_, text)| text).take(MOST_TOLD).collect();
        let rest = number - told.len();
        match (rest, more) {
            (0, false) => {}
            (0, true) => told.push("not everything was looked at".to_owned()),
            (rest, false) => told.push(format!("and {rest} more")),
            (rest, true) => told.push(format!("and {rest} more; not everything was looked at")),
        }
        refused(told)
    }

    /// `FILE:LINE: TITLE: FIELD: TEXT (RULE)`; another row that the text names is named by its place.
    fn told(&self, documents: &[Document], problem: &ImportProblem) -> String {
        let ImportProblem { row, field, rule, message } = problem;
        let document = |row| documents.get(self.document(row)?);
        let mut text = message.clone();
        if let Some((before, after)) = message.rsplit_once("by row ") {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (number, rest) = after.split_at(end);
            if let Some(other) = number.parse().ok().and_then(document) {
                text = format!("{before}by {}{rest}", other.place());
            }
        }
        if !rule.is_empty() && !text.contains(rule.as_str()) {
            text = format!("{text} ({rule})");
        }
        document(*row).map_or_else(|| text.clone(), |document| document.told(field, &text))
    }
}

/// Documents on their way into an import.
struct Staging<'a, 'b> {
    documents: &'b [Document],
    rows: &'b Rows,
    likely: &'b [Likely],
    import: Bulk<'a>,
    outcomes: Vec<Outcome>,
    notes: Vec<String>,
    problems: Vec<ImportProblem>,
    /// Documents of chunks of which some are there already and some are not.
    unclear: BTreeSet<usize>,
}

impl<'a, 'b> Staging<'a, 'b> {
    fn new(documents: &'b [Document], rows: &'b Rows, likely: &'b [Likely], import: Bulk<'a>) -> Self {
        let outcomes = vec![Outcome::Unchanged; documents.len()];
        let (notes, problems, unclear) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { documents, rows, likely, import, outcomes, notes, problems, unclear }
    }

    /// Stages everything, those in `alone` one by one.
    ///
    /// # Errors
    /// What is wrong with the documents; the import is discarded then.
    async fn run(&mut self, alone: &BTreeSet<usize>) -> Result<(), Failure> {
        let mut progress = Progress::new(self.documents.len() as u64, 0);
        let staged = self.stage_all(alone, &mut progress).await;
        progress.end();
        let looked_at_all = staged.map_err(from_the_start)?;
        if self.problems.is_empty() {
            return Ok(());
        }
        self.import.discard().await?;
        Err(self.rows.refused(self.documents, &self.problems, !looked_at_all))
    }

    /// Whether all documents were looked at; not where very many are refused.
    async fn stage_all(&mut self, alone: &BTreeSet<usize>, progress: &mut Progress) -> Result<bool, Failure> {
        let group = |index: &usize| (self.likely.get(*index).copied(), alone.get(index).copied());
        let order = self.rows.0.iter().copied();
        let groups: Vec<Vec<usize>> = order.fold(Vec::new(), |mut groups: Vec<Vec<usize>>, index| {
            match groups.last_mut() {
                Some(last) if last.first().map(group) == Some(group(&index)) => last.push(index),
                _ => groups.push(vec![index]),
            }
            groups
        });
        let mut row = 0;
        for group in groups {
            let (mut chunk, mut members) = (Chunk::default(), Vec::new());
            let last = group.last().copied();
            for index in group {
                let Some(document) = self.documents.get(index) else { continue };
                row += 1;
                let (resource, action) = (Some(document.resource()?), ImportAction::Put.into());
                chunk.push(ImportRow { row, action, resource, update_mask: None }, 0);
                members.push(index);
                if chunk.is_full() || last == Some(index) {
                    let rows = std::mem::take(&mut chunk).rows;
                    self.stage(rows, &std::mem::take(&mut members), row + 1).await?;
                    progress.at(row);
                }
                if self.problems.len() > MOST_TOLD {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Stages a chunk; without what is refused, so that what comes after it can be looked at.
    async fn stage(
        &mut self,
        mut rows: Vec<ImportRow>,
        members: &[usize],
        next_row: u64,
    ) -> Result<(), Failure> {
        while !rows.is_empty() {
            let staged = self.import.stage(rows.clone(), next_row).await?;
            let notes = staged.warnings.into_iter().map(|mut warning| {
                warning.message = format!("note: {}", warning.message);
                self.rows.told(self.documents, &warning)
            });
            if staged.advanced {
                self.notes.extend(notes);
                self.settle(members, staged.unchanged);
                return Ok(());
            }
            if staged.problems.is_empty() {
                return Err(Failure::other("the server neither staged resources nor said why"));
            }
            let bad: BTreeSet<u64> = staged.problems.iter().map(|problem| problem.row).collect();
            rows.retain(|row| !bad.contains(&row.row));
            self.problems.extend(staged.problems);
        }
        Ok(())
    }

    /// Notes what becomes of a chunk of which so many are there already.
    fn settle(&mut self, members: &[usize], unchanged: u64) {
        if unchanged == members.len() as u64 {
            return;
        }
        if unchanged > 0 {
            self.unclear.extend(members);
        }
        for index in members {
            if let Some(outcome) = self.outcomes.get_mut(*index) {
                let created = self.likely.get(*index) == Some(&Likely::Created);
                *outcome = if created { Outcome::Created } else { Outcome::Updated };
            }
        }
    }
}

/// An apply that was cut short begins again: what was staged of it is not gone on with.
fn from_the_start(failure: Failure) -> Failure {
    match failure.exit {
        Exit::Unavailable => failure.hint("nothing was changed; the same command begins again"),
        _ => failure,
    }
}
