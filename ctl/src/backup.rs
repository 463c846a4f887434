//! `backup create` and `backup restore`: the whole directory in one file, as of one instant, and back. A restore reads
//! the file to its end before it sends anything, and is one import: all of it holds, or nothing.

mod archive;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;

use clap::{Args, Subcommand};
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::{
    CommitImportRequest, ExportResourcesRequest, ImportAction, ImportProblem, ImportRow, Resource,
    resource::Kind,
};
use serde_json::json;

use crate::bulk::{Bulk, Chunk, Progress, interrupted, unheard, unlisted};
use crate::client::Client;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Out, table};
use crate::whole::Place;
use archive::{Counts, Header, Reader, Writer};

/// Problems that are told.
const MOST_TOLD: usize = 50;
/// How one sees what has become of a restore.
const TELLING: &str = "--dry-run tells what a restore would still change";
/// What an archive does not have.
const WITHOUT: &str = "without PINs and passwords of users, logout profiles, applications and administrators";

/// What is done with the directory as a whole.
#[derive(Debug, Subcommand)]
pub(crate) enum Backup {
    /// Write it to a file that only its owner can read
    ///
    /// In the file are all resources with their call-blocking PINs, and the service parameters. Not in it are credentials
    /// (PINs and passwords to log in and sign in with), live sessions and the audit trail.
    Create {
        /// The file
        file: PathBuf,
    },
    /// Make it what a file says, all of it or nothing
    Restore(Restore),
}

/// Arguments of `backup restore`.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The file
    file: PathBuf,
    /// Delete what the file does not have
    #[arg(long)]
    prune: bool,
    /// Check everything, say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(command: Backup, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Backup::Create { file } => create(&file, client, out).await,
        Backup::Restore(args) => restore(&args, client, out).await,
    }
}

async fn create(path: &Path, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::usage(format!("cannot write {}: {error}", path.display()));
    // It is readable by its owner alone from its first byte on, and there whole or not at all.
    let place = Place::new(path).map_err(failed)?;
    let file = place.begin().map_err(failed)?;
    let header = Header::new(client.server(), clock::now());
    let mut writer = Writer::new(file, &header).map_err(failed)?;
    let request = ExportResourcesRequest::default();
    let mut stream = client
        .call(|service| {
            let request = request.clone();
            async move { DirectoryServiceClient::new(service).export_resources(request).await }
        })
        .await?;
    while let Some(answer) = stream.message().await.map_err(|status| client.failure(&status))? {
        for resource in &answer.resources {
            writer.add(word(resource), resource).map_err(failed)?;
        }
    }
    let (file, counts) = writer.end().map_err(failed)?;
    place.put(file).map_err(failed)?;
    tell(&counts, &[], out, &format!("written to {}, {WITHOUT}", path.display()))
}

async fn restore(args: &Restore, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let (counts, digest) = verify(&args.file)?;
    let token = format!("backup:{}:{digest}", if args.dry_run { "d" } else { "r" });
    let mut bulk = match args.dry_run {
        true => Bulk::start_anew(client, &token).await?,
        false => Bulk::start(client, &token).await?,
    }
    .for_restore();
    let rows = counts.values().sum();
    let mut progress = Progress::new(rows, bulk.next_row() - 1);
    // Once it was asked for, an interrupt ends nothing by itself any more.
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let staged = tokio::select! {
        biased;
        _ = &mut interrupt => {
            progress.end();
            return Err(Failure::other("interrupted; nothing was changed")
                .hint("the same command goes on where this one stopped"));
        }
        staged = stage(&args.file, &digest, &mut bulk, &mut progress) => staged,
    };
    progress.end();
    let problems = staged?;
    let may_hold = problems.is_empty() && !args.dry_run;
    tokio::select! {
        biased;
        _ = &mut interrupt => Err(interrupted(may_hold, TELLING)),
        done = finish(args, &counts, &problems, &bulk, &progress, out) => done,
    }
}

/// Commits what is staged, or only says what would be; discards it where resources were refused.
async fn finish(
    args: &Restore,
    counts: &Counts,
    problems: &[ImportProblem],
    bulk: &Bulk<'_>,
    progress: &Progress,
    out: &mut Out,
) -> Result<(), Failure> {
    if !problems.is_empty() {
        bulk.discard().await?;
        return Err(refused(&args.file, problems, 0));
    }
    progress.then("all resources are staged; they are made to hold now");
    let how = CommitImportRequest {
        validate_only: args.dry_run,
        prune: args.prune,
        ..CommitImportRequest::default()
    };
    let Some(done) = bulk.commit(how).await? else {
        return Err(unheard(!args.dry_run, TELLING));
    };
    if !done.committed {
        bulk.discard().await?;
    }
    if !done.problems.is_empty() {
        return Err(refused(&args.file, &done.problems, unlisted(&done)));
    }
    let changes =
        [("created", done.created_count), ("updated", done.updated_count), ("deleted", done.deleted_count)];
    let end = if args.dry_run { "a dry run: nothing was changed" } else { "restored" };
    tell(counts, &changes, out, &format!("{end}, {WITHOUT}"))
}

/// Reads the file to its end: it is whole, and nobody has changed it.
fn verify(path: &Path) -> Result<(Counts, String), Failure> {
    let mut reader = open(path)?;
    while reader.next().map_err(|problem| unfit(path, &problem))?.is_some() {}
    reader.end().map_err(|problem| unfit(path, &problem))
}

/// Stages all resources; what stands in the way of the first ones that are refused.
async fn stage(
    path: &Path,
    digest: &str,
    bulk: &mut Bulk<'_>,
    progress: &mut Progress,
) -> Result<Vec<ImportProblem>, Failure> {
    let mut reader = open(path)?;
    let mut row = 0;
    let mut chunk = Chunk::default();
    loop {
        let resource = reader.next().map_err(|problem| unfit(path, &problem))?;
        let is_last = resource.is_none();
        if let Some(resource) = resource {
            row += 1;
            if row >= bulk.next_row() {
                let action = ImportAction::Put.into();
                chunk.push(ImportRow { row, action, resource: Some(resource), update_mask: None }, 0);
            }
        }
        if !chunk.rows.is_empty() && (is_last || chunk.is_full()) {
            let staged = bulk.stage(std::mem::take(&mut chunk).rows, row + 1).await?;
            if !staged.problems.is_empty() {
                return Ok(staged.problems);
            }
            if !staged.advanced {
                return Err(Failure::other("the server neither staged resources nor said why"));
            }
            progress.at(row);
        }
        if is_last {
            let (_, now) = reader.end().map_err(|problem| unfit(path, &problem))?;
            let changed =
                || Failure::new(Exit::Conflict, format!("{} changed while it was read", path.display()));
            return if now == digest { Ok(Vec::new()) } else { Err(changed()) };
        }
    }
}

fn open(path: &Path) -> Result<Reader<File>, Failure> {
    let file = File::open(path).map_err(|error| unfit(path, &error.to_string()))?;
    Reader::new(file).map_err(|problem| unfit(path, &problem))
}

fn unfit(path: &Path, problem: &str) -> Failure {
    Failure::new(Exit::Invalid, format!("{}: {problem}; nothing was sent", path.display()))
}

/// The first problems, each with the place of its resource in the archive, and how many more there are.
fn refused(path: &Path, problems: &[ImportProblem], unlisted: u64) -> Failure {
    let failure = Failure::new(Exit::Invalid, format!("{} is refused; nothing was changed", path.display()));
    let told = problems.iter().take(MOST_TOLD).map(|problem| {
        let ImportProblem { row, field, rule, message } = problem;
        let rule = if rule.is_empty() { String::new() } else { format!(" ({rule})") };
        format!("resource {row}: {field}: {message}{rule}")
    });
    let failure = told.fold(failure, Failure::detail);
    match problems.len().saturating_sub(MOST_TOLD) as u64 + unlisted {
        0 => failure,
        more => failure.detail(format!("and {more} more")),
    }
}

/// The kind of a resource, as refusals say it.
fn word(resource: &Resource) -> &'static str {
    match &resource.kind {
        Some(Kind::Line(_)) => "line",
        Some(Kind::UserDeviceProfile(_)) => "user-device-profile",
        Some(Kind::DefaultDeviceProfile(_)) => "default-device-profile",
        Some(Kind::LogoutProfile(_)) => "logout-profile",
        Some(Kind::Phone(_)) => "phone",
        Some(Kind::User(_)) => "user",
        Some(Kind::ServiceParameters(_)) => "service-parameters",
        Some(Kind::DevicePool(_)) => "device-pool",
        Some(Kind::PhoneTemplate(_)) => "phone-template",
        Some(Kind::LineTemplate(_)) => "line-template",
        Some(Kind::PresenceGroup(_)) => "presence-group",
        Some(Kind::PhoneServiceDefinition(_)) => "phone-service-definition",
        None => "other",
    }
}

fn tell(counts: &Counts, changes: &[(&str, u64)], out: &mut Out, end: &str) -> Result<(), Failure> {
    if out.is_json() {
        let changes: BTreeMap<&str, u64> = changes.iter().copied().collect();
        let value = json!({ "resources": counts, "changes": changes });
        return out.value(&value);
    }
    out.text(&table(
        &["KIND", "RESOURCES"],
        counts.iter().map(|(kind, count)| vec![kind.clone(), count.to_string()]),
    ))?;
    let changes: Vec<String> = changes.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let changes = if changes.is_empty() { String::new() } else { changes.join(", ") + "; " };
    out.text(&format!("{changes}{end}"))
}
