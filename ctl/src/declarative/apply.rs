//! `apply` and `diff`: the directory becomes, or would become, what files say. The server decides what is allowed and what
//! differs; everything is applied at once, all of it or nothing: in one call, or where it is too much for one, by an
//! import. Deletions follow one by one.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::{ApplyOutcome, ApplyResourcesRequest, ApplyResourcesResponse, Finding};
use roamline_proto::refusal::Refusal;
use serde_json::{Value, json};
use tonic::Status;

use super::bulk::{self, Checked};
use super::documents::{self, Document, refused};
use super::kinds::{self, Kind};
use super::plan::{self, Change, Outcome};
use super::{AT_A_TIME, prune, shown};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::{Out, remark};

/// What a server takes in one call.
const MOST_RESOURCES: usize = 10_000;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Where resources are declared.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// YAML or JSON, a directory of them, or `-` for standard input; can be given several times
    #[arg(long = "file", short = 'f', value_name = "FILE|DIR", required = true)]
    files: Vec<PathBuf>,
    /// Delete what is stored and not declared, of the kinds that are declared
    #[arg(long)]
    prune: bool,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    from: Source,
    /// Check everything, say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete without asking
    #[arg(long, requires = "prune")]
    yes: bool,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    from: Source,
}

pub(crate) async fn run(args: Apply, client: &Client, out: &mut Out) -> Result<(), Failure> {
    if args.from.prune && !args.dry_run && !args.yes && !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "--prune deletes: say --yes where nobody can be asked; nothing was changed",
        ));
    }
    let declared = Declared::check(&args.from, client).await?;
    let mut changes = declared.changes(client).await?;
    let deletions = if args.from.prune { declared.deletions(client).await? } else { Vec::new() };
    if args.dry_run {
        declared.forget().await?;
        changes.extend(deletions);
        return tell(&changes, &declared.notes, true, out);
    }
    if !deletions.is_empty() && !args.yes && !prune::confirmed(&deletions)? {
        declared.forget().await?;
        return Err(Failure::new(Exit::Conflict, "nothing was deleted, and nothing was changed"));
    }
    declared.hold(client).await?;
    let kept = prune::delete(deletions, &mut changes, client).await;
    tell(&changes, &declared.notes, false, out)?;
    if kept.is_empty() {
        return Ok(());
    }
    let failure = Failure::new(Exit::Conflict, "everything is applied, but not everything could be deleted");
    Err(kept.into_iter().fold(failure, Failure::detail))
}

pub(crate) async fn diff(args: Diff, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let declared = Declared::check(&args.from, client).await?;
    let mut changes = declared.changes(client).await?;
    if args.from.prune {
        changes.extend(declared.deletions(client).await?);
    }
    declared.forget().await?;
    changes.retain(|change| change.outcome != Outcome::Unchanged);
    if out.is_json() {
        let resources: Vec<Value> = changes.iter().map(Change::json).collect();
        out.value(&json!({ "differs": !changes.is_empty(), "resources": resources }))?;
    } else {
        for change in &changes {
            out.part(&change.diff()?)?;
        }
        out.flush()?;
    }
    if changes.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Differs, String::new())) }
}

/// How the server is asked.
enum Way<'a> {
    /// In one call.
    Call(ApplyResourcesRequest),
    /// By an import, which is open.
    Import(Checked<'a>),
}

/// Resources that are declared, and what the server says of them.
struct Declared<'a> {
    documents: Vec<Document>,
    way: Way<'a>,
    /// One for each document.
    outcomes: Vec<Outcome>,
    /// Rules that they bend without being refused, each with its place.
    notes: Vec<String>,
}

impl<'a> Declared<'a> {
    /// Reads the files and has the server check them.
    async fn check(source: &Source, client: &'a Client) -> Result<Self, Failure> {
        let mut documents = documents::read(&source.files)?;
        over_present_parameters(&mut documents, client).await?;
        let Some(request) = one_call(&documents)? else {
            let mut checked = bulk::check(&documents, client).await?;
            let (outcomes, notes) =
                (std::mem::take(&mut checked.outcomes), std::mem::take(&mut checked.notes));
            return Ok(Self { documents, way: Way::Import(checked), outcomes, notes });
        };
        let answer = send(&documents, &request, true, client).await?;
        if answer.outcomes.len() != documents.len() {
            return Err(Failure::other("the server did not say what becomes of each resource"));
        }
        let outcomes = answer.outcomes().map(outcome).collect();
        let notes = answer.findings.iter().map(|finding| note(&documents, finding)).collect();
        Ok(Self { documents, way: Way::Call(request), outcomes, notes })
    }

    /// Makes it hold, unless it does.
    async fn hold(&self, client: &Client) -> Result<(), Failure> {
        if self.outcomes.iter().all(|outcome| *outcome == Outcome::Unchanged) {
            return self.forget().await;
        }
        match &self.way {
            Way::Call(request) => send(&self.documents, request, false, client).await.map(drop),
            Way::Import(checked) => checked.hold(&self.documents).await,
        }
    }

    /// Leaves everything as it is.
    async fn forget(&self) -> Result<(), Failure> {
        match &self.way {
            Way::Call(_) => Ok(()),
            Way::Import(checked) => checked.forget().await,
        }
    }

    /// What becomes of each resource.
    async fn changes(&self, client: &Client) -> Result<Vec<Change>, Failure> {
        let changes = self.documents.iter().zip(&self.outcomes).map(|(document, outcome)| async move {
            let (kind, key, outcome) = (document.kind, document.key.clone(), *outcome);
            let stored = match outcome {
                Outcome::Updated => Box::pin(kinds::get(kind, &key, client)).await?,
                _ => None,
            };
            let stored = stored.map(|stored| shown::plain(kind, &stored)).transpose()?;
            let wanted = Some(shown::plain(kind, &document.value)?);
            Ok(Change { kind, key, outcome, place: Some(document.place()), stored, wanted })
        });
        stream::iter(changes).buffered(AT_A_TIME).try_collect().await
    }

    /// What is stored and not declared, of the kinds that are declared.
    async fn deletions(&self, client: &Client) -> Result<Vec<Change>, Failure> {
        prune::deletions(&self.documents, &self.outcomes, client).await
    }
}

/// The request that carries all of them; `None` where one cannot.
fn one_call(documents: &[Document]) -> Result<Option<ApplyResourcesRequest>, Failure> {
    if documents.len() > MOST_RESOURCES {
        return Ok(None);
    }
    let resources = documents.iter().map(Document::resource).collect::<Result<_, _>>()?;
    let request = ApplyResourcesRequest { resources, validate_only: true };
    Ok((request.encoded_len() <= MOST_BYTES).then_some(request))
}

/// Has the server check everything, or do it.
async fn send(
    documents: &[Document],
    request: &ApplyResourcesRequest,
    validate_only: bool,
    client: &Client,
) -> Result<ApplyResourcesResponse, Failure> {
    let apply = |service| {
        let request = ApplyResourcesRequest { validate_only, ..request.clone() };
        async move { DirectoryServiceClient::new(service).apply_resources(request).await }
    };
    client.try_call(apply).await?.map_err(|status| refusal(documents, &status, client))
}

fn outcome(outcome: ApplyOutcome) -> Outcome {
    match outcome {
        ApplyOutcome::Created => Outcome::Created,
        ApplyOutcome::Updated => Outcome::Updated,
        ApplyOutcome::Unchanged | ApplyOutcome::Unspecified => Outcome::Unchanged,
    }
}

/// A refusal of the server, with the place of everything that it is about.
fn refusal(documents: &[Document], status: &Status, client: &Client) -> Failure {
    let Some(refusal) = Refusal::from_status(status).filter(|refusal| !refusal.violations.is_empty()) else {
        return client.failure(status).detail("nothing was changed");
    };
    let mut told: Vec<String> =
        refusal.violations.iter().map(|(field, text)| placed(documents, field, text)).collect();
    let all = refusal.metadata.get("violations").and_then(|number| number.parse::<usize>().ok());
    let more = all.unwrap_or_default().saturating_sub(told.len());
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    refused(told)
}

/// `FILE:LINE: field: text`; resources that the text names are named by their place.
fn placed(documents: &[Document], field: &str, text: &str) -> String {
    let mut text = text.to_owned();
    for (index, document) in documents.iter().enumerate() {
        let named = format!("resources[{index}]");
        let Some(at) = text.find(&named) else { continue };
        let rest = text.get(at + named.len()..).unwrap_or_default();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
        text.replace_range(at..at + named.len() + end, &document.place());
    }
    match named(documents, field) {
        Some((document, path)) => document.told(path, &text),
        None => format!("{field}: {text}"),
    }
}

/// The resource and its field that `resources[3].phone.model` names.
fn named<'a, 'b>(documents: &'a [Document], field: &'b str) -> Option<(&'a Document, &'b str)> {
    let (index, rest) = field.strip_prefix("resources[")?.split_once(']')?;
    let document = documents.get(index.parse::<usize>().ok()?)?;
    let path = rest.strip_prefix('.').and_then(|rest| rest.split_once('.')).map_or("", |(_, path)| path);
    Some((document, path))
}

fn note(documents: &[Document], finding: &Finding) -> String {
    placed(documents, &finding.field, &format!("note: {} ({})", finding.message, finding.rule))
}

/// Lays the service parameters that are given over those in force.
async fn over_present_parameters(documents: &mut [Document], client: &Client) -> Result<(), Failure> {
    for document in documents.iter_mut().filter(|document| document.kind == Kind::ServiceParameters) {
        let present = kinds::get(Kind::ServiceParameters, "", client).await?.unwrap_or_default();
        let mut merged = shown::plain(Kind::ServiceParameters, &present)?;
        if let (Value::Object(merged), Value::Object(given)) = (&mut merged, &document.value) {
            merged.extend(given.clone());
        }
        if merged.is_object() {
            document.value = merged;
        }
    }
    Ok(())
}

fn tell(changes: &[Change], notes: &[String], dry_run: bool, out: &mut Out) -> Result<(), Failure> {
    if out.is_json() {
        let resources: Vec<Value> = changes.iter().map(Change::json).collect();
        return out.value(&json!({ "dryRun": dry_run, "resources": resources, "notes": notes }));
    }
    for note in notes {
        remark(note);
    }
    out.text(&plan::report(changes, dry_run))
}
