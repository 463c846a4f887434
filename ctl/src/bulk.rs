//! The client's side of an import (DP-19): begun or found again, staged chunk by chunk, committed or discarded. Whatever
//! is lost on the way is repeated until it is known to have happened once.

mod progress;

use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::import_service_client::ImportServiceClient;
use roamline_proto::profile::{
    CommitImportRequest, CommitImportResponse, DiscardImportRequest, Import, ImportProblem, ImportRow,
    StageImportRequest, StartImportRequest,
};
use roamline_proto::refusal::Refusal;
use tokio::time::{Instant, sleep_until};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::client::{Client, Service};
use crate::exit::{Exit, Failure};
use crate::output::remark;

pub(crate) use progress::Progress;

/// Rows and bytes from which on a request is sent. No row is longer than 1 MiB, so that none weighs more than 2 MiB.
const MANY_ROWS: usize = 500;
const MANY_BYTES: usize = 1024 * 1024;
/// Rows that a request may have.
pub(crate) const MOST_ROWS: usize = 1_000;
/// How long a server that cannot be reached is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// A commit of half a million changes takes its time.
const LONGEST_CALL: Duration = Duration::from_secs(30 * 60);

/// Rows that are staged together.
#[derive(Default)]
pub(crate) struct Chunk {
    pub(crate) rows: Vec<ImportRow>,
    weight: usize,
    bytes: usize,
}

impl Chunk {
    /// Adds a row; up to so many rows may join it.
    pub(crate) fn push(&mut self, row: ImportRow, joined_by: usize) {
        self.bytes += row.encoded_len();
        self.weight += 1 + joined_by;
        self.rows.push(row);
    }

    /// Whether another row that so many may join goes into the same request.
    pub(crate) fn has_room(&self, joined_by: usize) -> bool {
        self.rows.is_empty() || self.weight + 1 + joined_by <= MOST_ROWS
    }

    /// Whether it is time to stage it.
    pub(crate) fn is_full(&self) -> bool {
        self.weight >= MANY_ROWS || self.bytes >= MANY_BYTES
    }
}

/// What came of staging a chunk.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// Whether the import has gone on; not where a row was refused.
    pub(crate) advanced: bool,
    pub(crate) problems: Vec<ImportProblem>,
    pub(crate) warnings: Vec<ImportProblem>,
    pub(crate) unchanged: u64,
}

/// An import that is open.
pub(crate) struct Bulk<'a> {
    client: &'a Client,
    channel: Channel,
    import: Import,
    is_restore: bool,
}

impl<'a> Bulk<'a> {
    /// Begins the import of that token, or finds it where it stands.
    pub(crate) async fn start(client: &'a Client, token: &str) -> Result<Self, Failure> {
        let channel = client.patient(LONGEST_CALL);
        let mut bulk = Self { client, channel, import: Import::default(), is_restore: false };
        let request = StartImportRequest { token: token.to_owned() };
        let (answer, _) = bulk
            .ask(|service| {
                let request = request.clone();
                async move { ImportServiceClient::new(service).start_import(request).await }
            })
            .await?;
        let answer = answer.map_err(|status| client.failure(&status))?;
        bulk.import =
            answer.import.ok_or_else(|| Failure::other("the server did not say how the import stands"))?;
        Ok(bulk)
    }

    /// As [`Bulk::start`]; what was staged before is forgotten.
    pub(crate) async fn start_anew(client: &'a Client, token: &str) -> Result<Self, Failure> {
        let found = Self::start(client, token).await?;
        if found.next_row() == 1 {
            return Ok(found);
        }
        found.discard().await?;
        Self::start(client, token).await
    }

    /// Takes resources as they were kept, whatever has changed since then by which they would be judged.
    pub(crate) fn for_restore(self) -> Self {
        Self { is_restore: true, ..self }
    }

    /// The row that comes next.
    pub(crate) fn next_row(&self) -> u64 {
        self.import.next_row.max(1)
    }

    /// Stages rows, all of them or none; `next_row` comes next then.
    pub(crate) async fn stage(&mut self, rows: Vec<ImportRow>, next_row: u64) -> Result<Staged, Failure> {
        let request = StageImportRequest {
            import_id: self.import.import_id.clone(),
            from_row: self.next_row(),
            rows,
            next_row,
            all_or_none: true,
            restore: self.is_restore,
        };
        let (answer, repeated) = self
            .ask(|service| {
                let request = request.clone();
                async move { ImportServiceClient::new(service).stage_import(request).await }
            })
            .await?;
        let answer = match answer {
            Ok(answer) => answer,
            // The answer to the first try was lost on the way; what it was about has happened.
            Err(status) if repeated && unexpected(&status) == Some(next_row) => {
                self.import.next_row = next_row;
                return Ok(Staged { advanced: true, ..Staged::default() });
            }
            Err(status) => return Err(self.refused(&status)),
        };
        if let Some(import) = answer.import {
            self.import = import;
        }
        Ok(Staged {
            advanced: self.next_row() > request.from_row,
            problems: answer.problems,
            warnings: answer.warnings,
            unchanged: answer.unchanged_count,
        })
    }

    /// How many changes are staged, those included that ask for what is there already.
    pub(crate) fn staged_count(&self) -> u64 {
        self.import.staged_count
    }

    /// Makes it hold; `None` where an answer was lost and the import is there no more: it holds, unless somebody has
    /// discarded it.
    pub(crate) async fn commit(
        &self,
        how: CommitImportRequest,
    ) -> Result<Option<CommitImportResponse>, Failure> {
        let import_id = self.import.import_id.clone();
        let request = CommitImportRequest { import_id, restore: self.is_restore, ..how };
        let (answer, repeated) = self
            .ask(|service| {
                let request = request.clone();
                async move { ImportServiceClient::new(service).commit_import(request).await }
            })
            .await?;
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(status) if repeated && reason(&status) == Some(ErrorReason::ImportNotFound) => Ok(None),
            Err(status) => Err(self.refused(&status)),
        }
    }

    /// Forgets it.
    pub(crate) async fn discard(&self) -> Result<(), Failure> {
        let request = DiscardImportRequest { import_id: self.import.import_id.clone() };
        let (answer, _) = self
            .ask(|service| {
                let request = request.clone();
                async move { ImportServiceClient::new(service).discard_import(request).await }
            })
            .await?;
        answer.map(|_| ()).map_err(|status| self.client.failure(&status))
    }

    fn refused(&self, status: &Status) -> Failure {
        let mut failure = self.client.failure(status);
        match reason(status) {
            Some(ErrorReason::ImportRowUnexpected) => {
                failure.hint("somebody else goes on with the same import")
            }
            Some(ErrorReason::ImportNotFound) => {
                failure.exit = Exit::Conflict;
                failure.hint("somebody has ended or discarded it; the same command begins again")
            }
            _ => failure,
        }
    }

    /// Asks until there is an answer, for a while; the answer, and whether an earlier try may have happened as well.
    async fn ask<T, F, R>(&self, request: F) -> Result<(Result<T, Status>, bool), Failure>
    where
        F: Fn(Service) -> R,
        R: Future<Output = Result<Response<T>, Status>>,
    {
        let mut pause = Duration::from_millis(100);
        let mut until = None;
        loop {
            let answer = self.client.try_call_on(&self.channel, &request).await;
            let told = match answer {
                Ok(Err(status)) if is_lost(&status) => self.client.failure(&status),
                Ok(answer) => return Ok((answer, until.is_some())),
                // To ask for a token may fail as well.
                Err(failure) if failure.exit == Exit::Unavailable => failure,
                Err(failure) => return Err(failure),
            };
            let now = Instant::now();
            if until.is_none() {
                remark(&format!("{told}; trying again for a minute"));
            }
            if now >= *until.get_or_insert(now + PATIENCE) {
                return Err(told.hint("the same command goes on where this one stopped"));
            }
            sleep_until(now + pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
}

/// Rows that a commit has refused and that its problems have no room for.
pub(crate) fn unlisted(done: &CommitImportResponse) -> u64 {
    let rows: BTreeSet<u64> =
        done.problems.iter().map(|problem| problem.row).filter(|row| *row > 0).collect();
    done.refused_count.saturating_sub(rows.len() as u64)
}

/// An import that has ended, and nobody has heard how; `telling` is how one sees it where it may hold.
pub(crate) fn unheard(may_hold: bool, telling: &str) -> Failure {
    match may_hold {
        true => {
            let told = "the import has ended, and the answer was lost that says what of it holds";
            Failure::new(Exit::Conflict, told).hint(telling)
        }
        false => Failure::new(Exit::Conflict, "somebody has discarded the import; nothing was changed"),
    }
}

/// Ctrl-C after the last row was staged; `telling` is how one sees what has become of it where it may hold.
pub(crate) fn interrupted(may_hold: bool, telling: &str) -> Failure {
    match may_hold {
        true => Failure::other("interrupted at the commit: it has happened, or it has not").hint(telling),
        false => Failure::other("interrupted; nothing was changed"),
    }
}

/// A digest as text.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether nobody has answered, or only that it cannot be done now.
fn is_lost(status: &Status) -> bool {
    let broken = std::error::Error::source(status).is_some();
    match status.code() {
        Code::Unavailable => true,
        Code::Unknown | Code::Internal | Code::Cancelled | Code::DeadlineExceeded => {
            broken && Refusal::from_status(status).is_none()
        }
        _ => false,
    }
}

fn reason(status: &Status) -> Option<ErrorReason> {
    Refusal::from_status(status).map(|refusal| refusal.reason)
}

/// The row that the server expects instead.
fn unexpected(status: &Status) -> Option<u64> {
    let refusal = Refusal::from_status(status)?;
    let row =
        refusal.metadata.get("nextRow").filter(|_| refusal.reason == ErrorReason::ImportRowUnexpected)?;
    row.parse().ok()
}
