//! `apply` and `diff`: the directory becomes, or would become, what files say. The server decides what is allowed and what
//! differs; everything is applied in one call, all of it or nothing. Deletions follow one by one.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::{ApplyOutcome, ApplyResourcesRequest, ApplyResourcesResponse, Finding};
use roamline_proto::refusal::Refusal;
use serde_json::{Value, json};
use tonic::Status;

use super::documents::{self, Document, refused};
use super::kinds::{self, Kind};
use super::plan::{self, Change, Outcome};
use super::shown;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::{Out, remark};

/// What a server takes in one call.
const LARGEST: usize = 4 * 1024 * 1024;
/// Questions that are asked of the server at a time.
const AT_A_TIME: usize = 16;
/// Users before what they use: the order in which nothing stands in the way of a deletion.
const DELETED: [Kind; 6] = [
    Kind::User,
    Kind::Phone,
    Kind::UserDeviceProfile,
    Kind::DefaultDeviceProfile,
    Kind::LogoutProfile,
    Kind::Line,
];

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
        changes.extend(deletions);
        return tell(&changes, &declared.notes(), true, out);
    }
    if !deletions.is_empty() && !args.yes && !confirmed(&deletions)? {
        return Err(Failure::new(Exit::Conflict, "nothing was deleted, and nothing was changed"));
    }
    declared.send(false, client).await?;
    let kept = delete(deletions, &mut changes, client).await;
    tell(&changes, &declared.notes(), false, out)?;
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

/// Resources that are declared, and what the server says of them.
struct Declared {
    documents: Vec<Document>,
    answer: ApplyResourcesResponse,
}

impl Declared {
    /// Reads the files and has the server check them.
    async fn check(source: &Source, client: &Client) -> Result<Self, Failure> {
        let mut documents = documents::read(&source.files)?;
        over_present_parameters(&mut documents, client).await?;
        let mut declared = Self { documents, answer: ApplyResourcesResponse::default() };
        declared.answer = declared.send(true, client).await?;
        if declared.answer.outcomes.len() != declared.documents.len() {
            return Err(Failure::other("the server did not say what becomes of each resource"));
        }
        Ok(declared)
    }

    /// Has the server check everything, or do it.
    async fn send(&self, validate_only: bool, client: &Client) -> Result<ApplyResourcesResponse, Failure> {
        let resources = self.documents.iter().map(Document::resource).collect::<Result<_, _>>()?;
        let request = ApplyResourcesRequest { resources, validate_only };
        let size = request.encoded_len();
        if size > LARGEST {
            let told =
                format!("they are {size} bytes together, more than the {LARGEST} that one apply may carry");
            return Err(refused(vec![told]));
        }
        let apply = |service| {
            let request = request.clone();
            async move { DirectoryServiceClient::new(service).apply_resources(request).await }
        };
        client.try_call(apply).await?.map_err(|status| self.refusal(&status, client))
    }

    /// What becomes of each resource.
    async fn changes(&self, client: &Client) -> Result<Vec<Change>, Failure> {
        let changes =
            self.documents.iter().zip(self.answer.outcomes()).map(|(document, outcome)| async move {
                let outcome = match outcome {
                    ApplyOutcome::Created => Outcome::Created,
                    ApplyOutcome::Updated => Outcome::Updated,
                    ApplyOutcome::Unchanged | ApplyOutcome::Unspecified => Outcome::Unchanged,
                };
                let (kind, key) = (document.kind, document.key.clone());
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

    /// What is stored and not declared, of the kinds that are declared, in the order in which it can be deleted.
    async fn deletions(&self, client: &Client) -> Result<Vec<Change>, Failure> {
        let mut deletions = Vec::new();
        for kind in DELETED {
            if !self.documents.iter().any(|document| document.kind == kind) {
                continue;
            }
            let declared = self.stored_names(kind, client).await?;
            kinds::for_each(kind, client, |resource| {
                let key = kind.key(&resource);
                if !declared.contains(&key) {
                    let stored = Some(shown::plain(kind, &resource)?);
                    let (outcome, place, wanted) = (Outcome::Deleted, None, None);
                    deletions.push(Change { kind, key, outcome, place, stored, wanted });
                }
                Ok(())
            })
            .await?;
        }
        Ok(deletions)
    }

    /// The names under which what is declared is stored: the server knows several spellings, and keeps one.
    async fn stored_names(&self, kind: Kind, client: &Client) -> Result<BTreeSet<String>, Failure> {
        let there = self.documents.iter().zip(self.answer.outcomes());
        let there =
            there.filter(|(document, outcome)| document.kind == kind && *outcome != ApplyOutcome::Created);
        let names = there.map(|(document, _)| async move {
            let stored = Box::pin(kinds::get(kind, &document.key, client)).await?;
            Ok(stored.map(|stored| kind.key(&stored)).unwrap_or_else(|| document.key.clone()))
        });
        stream::iter(names).buffered(AT_A_TIME).try_collect().await
    }

    /// A refusal of the server, with the place of everything that it is about.
    fn refusal(&self, status: &Status, client: &Client) -> Failure {
        let Some(refusal) = Refusal::from_status(status).filter(|refusal| !refusal.violations.is_empty())
        else {
            return client.failure(status).detail("nothing was changed");
        };
        let mut told: Vec<String> =
            refusal.violations.iter().map(|(field, text)| self.placed(field, text)).collect();
        let all = refusal.metadata.get("violations").and_then(|number| number.parse::<usize>().ok());
        let more = all.unwrap_or_default().saturating_sub(told.len());
        if more > 0 {
            told.push(format!("and {more} more"));
        }
        refused(told)
    }

    /// `FILE:LINE: field: text`; resources that the text names are named by their place.
    fn placed(&self, field: &str, text: &str) -> String {
        let mut text = text.to_owned();
        for (index, document) in self.documents.iter().enumerate() {
            let named = format!("resources[{index}]");
            let Some(at) = text.find(&named) else { continue };
            let rest = text.get(at + named.len()..).unwrap_or_default();
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
            text.replace_range(at..at + named.len() + end, &document.place());
        }
        let Some((document, path)) = self.named(field) else { return format!("{field}: {text}") };
        let place = format!("{}:{}", document.file, document.line_of(path));
        let title = document.kind.title(&document.key);
        if path.is_empty() {
            format!("{place}: {title}: {text}")
        } else {
            format!("{place}: {title}: {path}: {text}")
        }
    }

    /// The resource and its field that `resources[3].phone.model` names.
    fn named<'a>(&self, field: &'a str) -> Option<(&Document, &'a str)> {
        let (index, rest) = field.strip_prefix("resources[")?.split_once(']')?;
        let document = self.documents.get(index.parse::<usize>().ok()?)?;
        let path = rest.strip_prefix('.').and_then(|rest| rest.split_once('.')).map_or("", |(_, path)| path);
        Some((document, path))
    }

    fn notes(&self) -> Vec<String> {
        let note = |finding: &Finding| {
            self.placed(&finding.field, &format!("note: {} ({})", finding.message, finding.rule))
        };
        self.answer.findings.iter().map(note).collect()
    }
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

/// Deletes one after the other and adds what is deleted to the changes; what could not be deleted, and why.
async fn delete(deletions: Vec<Change>, changes: &mut Vec<Change>, client: &Client) -> Vec<String> {
    let mut kept = Vec::new();
    for deletion in deletions {
        match Box::pin(kinds::delete(deletion.kind, &deletion.key, client)).await {
            Ok(Ok(())) => changes.push(deletion),
            Ok(Err(status)) => kept.push(format!("{}: {}", deletion.title(), client.failure(&status))),
            Err(failure) => kept.push(format!("{}: {failure}", deletion.title())),
        }
    }
    kept
}

/// Asks whether to delete.
fn confirmed(deletions: &[Change]) -> Result<bool, Failure> {
    for deletion in deletions {
        remark(&format!("to be deleted: {}", deletion.title()));
    }
    write!(io::stderr(), "Apply, and delete these {}? [y/N] ", deletions.len())?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
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
