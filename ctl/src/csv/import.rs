//! `import csv` (DP-19): the file is read twice, first to see that it is sound, then to send it chunk by chunk. Nothing
//! holds before the commit, and whatever is interrupted, the same command goes on where it stopped.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::pin;

use clap::Args;
use prost_types::FieldMask;
use roamline_proto::profile::{CommitImportRequest, CommitImportResponse, ImportProblem, ImportRow};
use serde_json::json;

use super::columns::Kind;
use super::layout::{Action, Layout};
use super::lines::{self, Lines};
use super::reader::{Reader, Record};
use super::report::{self, Entry, Report, Status};
use super::survey::{self, Digesting, Next, Survey, Unfit};
use crate::bulk::{Bulk, Chunk, Progress, interrupted, unheard, unlisted};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::{Out, remark};
use crate::whole;

/// Times that a commit is asked for that leaves rows out.
const MOST_COMMITS: usize = 20;

/// Arguments of `import csv`.
#[derive(Debug, Args)]
pub(crate) struct ImportCsv {
    /// What rows are: line, user-device-profile, phone, user, logout-profile, default-device-profile, device-pool,
    /// phone-template, line-template, presence-group, phone-service-definition
    kind: Kind,
    /// The file; its first row names the columns, ours or those of Cisco's Bulk Administration Tool
    file: PathBuf,
    /// What rows ask for
    #[arg(long, value_enum, default_value_t = Action::Add)]
    action: Action,
    /// Check every row, tell about every bad one, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Make good rows hold even where others are bad; without it, one bad row and nothing is changed
    #[arg(long, conflicts_with = "dry_run")]
    continue_on_error: bool,
    /// Write each problem and each warning to this CSV file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Begin again, whatever an interrupted import has staged
    #[arg(long)]
    restart: bool,
    /// Create the lines that rows name and that are not there
    #[arg(long)]
    create_lines: bool,
}

pub(crate) async fn run(args: ImportCsv, client: &Client, out: &mut Out) -> Result<(), Failure> {
    if args.report.as_ref().is_some_and(|report| whole::is_same(report, &args.file)) {
        return Err(Failure::usage("--report would write over the file that is imported"));
    }
    let survey = look(&args)?;
    if !survey.layout.ignored().is_empty() {
        remark(&format!("ignored columns: {}", survey.layout.ignored().join(", ")));
    }
    if survey.has_secret {
        remark("PINs and passwords are not imported: set them with `roamctl credential set`");
    }
    let token = token(&args, &survey.digest);
    let bulk = begin(&args, client, &token).await?;
    let mut run = Run::new(&args, client, bulk, survey)?;
    // Once it was asked for, an interrupt ends nothing by itself any more.
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let staged = tokio::select! {
        biased;
        _ = &mut interrupt => {
            run.progress.end();
            return Err(run.interrupted());
        }
        staged = run.stage_all() => staged,
    };
    run.progress.end();
    let may_hold = staged.is_ok() && !args.dry_run;
    tokio::select! {
        biased;
        _ = &mut interrupt => Err(interrupted(may_hold, telling(args.action))),
        ended = run.end(staged, out) => ended,
    }
}

/// Begins the import, or finds it where it was interrupted.
async fn begin<'a>(args: &ImportCsv, client: &'a Client, token: &str) -> Result<Bulk<'a>, Failure> {
    // A dry run tells about every row, so it always begins with the first.
    if args.dry_run || args.restart {
        return Bulk::start_anew(client, token).await;
    }
    let bulk = Bulk::start(client, token).await?;
    // Created lines are staged as well, so that the number of what is staged does not say how many rows were refused.
    let is_unknown = args.continue_on_error
        && args.create_lines
        && bulk.next_row() > 1
        && !args.report.as_deref().is_some_and(report::is_report);
    if !is_unknown {
        return Ok(bulk);
    }
    remark("no report says which rows the interrupted import has refused: it begins again");
    Bulk::start_anew(client, token).await
}

/// How one sees what has become of an import.
fn telling(action: Action) -> &'static str {
    match action {
        Action::Add | Action::Put => "`--action put --dry-run` tells: what holds is unchanged there",
        Action::Update => "`--dry-run` tells: what holds is unchanged there",
        Action::Delete => "`--dry-run` tells: what is deleted is not there",
    }
}

/// The same for the same file and the same wishes, so that an interrupted import is found again.
fn token(args: &ImportCsv, digest: &str) -> String {
    let mode = if args.dry_run {
        "d"
    } else if args.continue_on_error {
        "c"
    } else {
        "a"
    };
    let lines = if args.create_lines { "l" } else { "" };
    format!("csv:{}:{}:{mode}{lines}:{digest}", args.kind, args.action.word())
}

/// Reads the file for the first time. One bad row is enough to send nothing, unless others are to hold or to be told of.
fn look(args: &ImportCsv) -> Result<Survey, Failure> {
    let mut report = None;
    let all_or_nothing = !args.dry_run && !args.continue_on_error;
    let surveyed = survey::survey(&args.file, &args.kind, args.action, |entry| {
        if all_or_nothing { add(&mut report, args, entry) } else { Ok(()) }
    });
    let unfit = match surveyed {
        Ok(survey) if !all_or_nothing || survey.bad_rows == 0 => return Ok(survey),
        Ok(_) => Vec::new(),
        Err(unfit) => unfit,
    };
    for unfit in unfit {
        match unfit {
            Unfit::Failure(failure) => return Err(failure),
            Unfit::Entry(entry) => add(&mut report, args, entry)?,
        }
    }
    let report = report.map_or_else(|| Report::open(None, 1), Ok)?;
    Err(refused(args, &report, "the file is refused; nothing was sent"))
}

fn add(report: &mut Option<Report>, args: &ImportCsv, entry: Entry) -> Result<(), Failure> {
    if report.is_none() {
        *report = Some(Report::open(args.report.as_deref(), 1)?);
    }
    report.as_mut().map_or(Ok(()), |report| report.add([entry]))
}

/// The first problems, and where the others stand.
fn refused(args: &ImportCsv, report: &Report, what: &str) -> Failure {
    let file = args.file.display().to_string();
    let shown = report.first.iter().filter(|entry| entry.status == Status::Refused);
    let failure = shown
        .clone()
        .map(|entry| entry.shown(&file))
        .fold(Failure::new(Exit::Invalid, what), Failure::detail);
    match &args.report {
        Some(path) => failure.hint(format!("{} lists every problem", path.display())),
        None if report.refused > shown.count() as u64 => failure.hint("--report FILE lists every problem"),
        None => failure,
    }
}

/// Where rows begin in the file: only where the distance between row and line changes.
#[derive(Default)]
struct Places(Vec<(u64, u64)>);

impl Places {
    fn note(&mut self, row: u64, line: u64) {
        let off = line.saturating_sub(row);
        if self.0.last().is_none_or(|(_, last)| *last != off) {
            self.0.push((row, off));
        }
    }

    fn line(&self, row: u64) -> u64 {
        let after = self.0.partition_point(|(first, _)| *first <= row);
        row + after.checked_sub(1).and_then(|at| self.0.get(at)).map_or(0, |(_, off)| *off)
    }
}

/// Why staging ended early.
enum Stop {
    /// The import is to be forgotten: a row is bad.
    Refused(&'static str),
    /// The import stays open.
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// An import under way.
struct Run<'a> {
    args: &'a ImportCsv,
    client: &'a Client,
    bulk: Bulk<'a>,
    layout: Layout,
    digest: String,
    rows: u64,
    resumed_at: u64,
    report: Report,
    places: Places,
    lines: Option<Lines>,
    progress: Progress,
    unchanged: u64,
    /// Rows that an earlier run has refused and the report does not have.
    untold: u64,
}

impl<'a> Run<'a> {
    fn new(args: &'a ImportCsv, client: &'a Client, bulk: Bulk<'a>, survey: Survey) -> Result<Self, Failure> {
        let resumed_at = bulk.next_row();
        if resumed_at > 1 {
            remark(&format!("an interrupted import goes on with row {resumed_at} of {}", survey.rows));
        }
        let report = Report::open(args.report.as_deref(), resumed_at)?;
        let not_staged = (resumed_at - 1).saturating_sub(bulk.staged_count());
        Ok(Self {
            args,
            client,
            bulk,
            layout: survey.layout,
            digest: survey.digest,
            rows: survey.rows,
            resumed_at,
            untold: not_staged.saturating_sub(report.refused),
            report,
            places: Places::default(),
            lines: args.create_lines.then(Lines::default),
            progress: Progress::new(survey.rows, resumed_at - 1),
            unchanged: 0,
        })
    }

    fn interrupted(&self) -> Failure {
        let told =
            format!("interrupted before row {} of {}; nothing was changed", self.bulk.next_row(), self.rows);
        Failure::other(told).hint("the same command goes on there; --restart begins again")
    }

    /// Reads the file for the second time and stages it.
    async fn stage_all(&mut self) -> Result<(), Stop> {
        let path = &self.args.file;
        let mut reader = survey::open(path)?;
        let kind = &self.args.kind;
        survey::header(&mut reader, path, kind, self.args.action).map_err(|_| self.changed())?;
        let mask = (self.args.action == Action::Update).then(|| FieldMask { paths: self.layout.mask() });
        let mut chunk = Chunk::default();
        let mut bad = Vec::new();
        let mut next_row = 1;
        loop {
            match survey::next(&mut reader, path).map_err(|_| self.changed())? {
                Next::End => break,
                Next::Bad(entry) => {
                    next_row = entry.row + 1;
                    self.places.note(entry.row, entry.line);
                    bad.extend((entry.row >= self.resumed_at).then_some(entry));
                }
                Next::Record(record) => {
                    next_row = record.row + 1;
                    self.places.note(record.row, record.line);
                    if let Some((row, joined_by)) = self.take(&record, mask.as_ref(), &mut bad)? {
                        if !chunk.has_room(joined_by) {
                            let rows = std::mem::take(&mut chunk).rows;
                            self.stage(rows, record.row, std::mem::take(&mut bad)).await?;
                        }
                        chunk.push(row, joined_by);
                    }
                }
            }
            if chunk.is_full() {
                self.stage(std::mem::take(&mut chunk).rows, next_row, std::mem::take(&mut bad)).await?;
            }
        }
        self.stage(chunk.rows, next_row, bad).await?;
        self.same_file(reader)
    }

    /// A row to stage and how many lines may join it, or what is wrong with it added to what is bad; rows that are staged
    /// already are passed over.
    fn take(
        &mut self,
        record: &Record,
        mask: Option<&FieldMask>,
        bad: &mut Vec<Entry>,
    ) -> Result<Option<(ImportRow, usize)>, Failure> {
        let staged = record.row < self.resumed_at;
        if staged && self.lines.is_none() {
            return Ok(None);
        }
        let message = match survey::row(&self.layout, record) {
            Ok(message) => message,
            Err(entries) => {
                bad.extend(entries.into_iter().filter(|_| !staged));
                return Ok(None);
            }
        };
        let resource = self.args.kind.resource(message)?;
        if let Some(lines) = self.lines.as_mut().filter(|_| staged) {
            lines.know(&resource);
            return Ok(None);
        }
        let joined_by = self.lines.as_ref().map_or(0, |lines| lines.needed(&resource));
        let (row, action) = (record.row, self.args.action.wire().into());
        let row = ImportRow { row, action, resource: Some(resource), update_mask: mask.cloned() };
        Ok(Some((row, joined_by)))
    }

    /// Stages a chunk. Bad rows are reported before the import goes on without them.
    async fn stage(&mut self, mut rows: Vec<ImportRow>, next_row: u64, bad: Vec<Entry>) -> Result<(), Stop> {
        self.report.add(bad)?;
        if let Some(lines) = &mut self.lines {
            let crowded = lines.add_missing(&mut rows, self.client).await?;
            let text = "names more lines that are not there than can be created with it: create them first";
            let crowded: Vec<Entry> = crowded
                .into_iter()
                .map(|row| Entry::refused(row, self.places.line(row), "settings.lines", text))
                .collect();
            let stops = !crowded.is_empty() && !self.args.dry_run && !self.args.continue_on_error;
            self.report.add(crowded)?;
            if stops {
                return Err(Stop::Refused("rows are refused; nothing was changed"));
            }
        }
        let mut dropped = BTreeSet::new();
        while !rows.is_empty() {
            let staged = self.bulk.stage(rows.clone(), next_row).await?;
            let again = |problem: &&ImportProblem| !dropped.contains(&problem.row);
            let told: Vec<Entry> = staged
                .problems
                .iter()
                .filter(again)
                .map(|problem| self.entry(problem, Status::Refused))
                .collect();
            self.report.add(told)?;
            if staged.advanced {
                self.unchanged += staged.unchanged;
                let warnings: Vec<Entry> =
                    staged.warnings.iter().map(|warning| self.entry(warning, Status::Warning)).collect();
                self.report.add(warnings)?;
            }
            if !staged.problems.is_empty() && !self.args.dry_run && !self.args.continue_on_error {
                return Err(Stop::Refused("rows are refused; nothing was changed"));
            }
            if staged.advanced {
                break;
            }
            if staged.problems.is_empty() {
                return Err(Failure::other("the server neither staged rows nor said why").into());
            }
            // A line that a bad row needed stays: another row may need it, too. Unless it is bad itself.
            let is_bad: BTreeSet<u64> = staged.problems.iter().map(|problem| problem.row).collect();
            rows.retain(|row| {
                !is_bad.contains(&row.row)
                    || (lines::is_line(row) && self.lines.is_some() && !dropped.contains(&row.row))
            });
            dropped.extend(is_bad);
        }
        self.progress.at(next_row - 1);
        Ok(())
    }

    fn entry(&self, problem: &ImportProblem, status: Status) -> Entry {
        let ImportProblem { row, field, rule, message } = problem.clone();
        Entry { row, line: self.places.line(row), status, field, rule, message }
    }

    fn same_file(&self, reader: Reader<Digesting>) -> Result<(), Stop> {
        if reader.into_inner().digest() == self.digest { Ok(()) } else { Err(self.changed()) }
    }

    fn changed(&self) -> Stop {
        Stop::Refused("the file changed while it was read; nothing was changed in the directory")
    }

    async fn end(self, staged: Result<(), Stop>, out: &mut Out) -> Result<(), Failure> {
        match staged {
            Ok(()) => self.finish(out).await,
            Err(stop) => self.stopped(stop).await,
        }
    }

    /// Ends an import that did not come to its commit.
    async fn stopped(self, stop: Stop) -> Result<(), Failure> {
        match stop {
            Stop::Failure(failure) => Err(failure),
            Stop::Refused(what) => {
                self.bulk.discard().await?;
                let failure = refused(self.args, &self.report, what);
                Err(match self.report.refused {
                    0 => failure,
                    _ => failure.detail("the rows after these were not looked at: --dry-run tells about all"),
                })
            }
        }
    }

    /// Commits, or only says what would be.
    async fn finish(mut self, out: &mut Out) -> Result<(), Failure> {
        self.progress.then("all rows are staged; they are made to hold now");
        let how = CommitImportRequest {
            skip_refused: self.args.continue_on_error,
            validate_only: self.args.dry_run,
            ..CommitImportRequest::default()
        };
        for _ in 0..MOST_COMMITS {
            let Some(done) = self.bulk.commit(how.clone()).await? else {
                return Err(unheard(!self.args.dry_run, telling(self.args.action)));
            };
            let told: Vec<Entry> =
                done.problems.iter().map(|problem| self.entry(problem, Status::Refused)).collect();
            // Where others change the directory meanwhile, other rows stand in the way the next time.
            let left_out = how.skip_refused && !told.is_empty() && told.iter().all(|entry| entry.row > 0);
            self.report.add(told)?;
            if done.committed || !left_out {
                if !done.committed {
                    self.bulk.discard().await?;
                }
                return self.tell(&done, out);
            }
        }
        Err(Failure::new(Exit::Conflict, "the directory changes faster than the import can be made to hold")
            .hint("the same command tries again"))
    }

    /// Says what was done, and fails where rows were refused.
    fn tell(&self, done: &CommitImportResponse, out: &mut Out) -> Result<(), Failure> {
        let unlisted = unlisted(done);
        let (bad, warnings) = (self.report.refused + self.untold + unlisted, self.report.warnings);
        let dry_run = self.args.dry_run;
        let CommitImportResponse { committed, created_count, updated_count, deleted_count, .. } = *done;
        if out.is_json() {
            out.value(&json!({
                "kind": self.args.kind.word(),
                "action": self.args.action.word(),
                "dryRun": dry_run,
                "committed": committed,
                "rows": self.rows,
                "resumedAtRow": self.resumed_at,
                "created": created_count,
                "updated": updated_count,
                "deleted": deleted_count,
                "unchanged": self.unchanged,
                "refused": bad,
                "warnings": warnings,
            }))?;
        } else {
            let changes =
                format!("{created_count} created, {updated_count} updated, {deleted_count} deleted");
            let end = match (dry_run, committed) {
                (true, _) => "a dry run: nothing was changed",
                (false, true) => "done",
                (false, false) => "nothing was changed",
            };
            let (rows, unchanged) = (self.rows, self.unchanged);
            out.text(&format!(
                "{rows} rows: {changes}, {unchanged} unchanged, {bad} refused, {warnings} warnings; {end}"
            ))?;
        }
        if bad == 0 && (committed || dry_run) {
            return Ok(());
        }
        let what = match (dry_run, committed) {
            (true, _) => format!("{bad} of {} rows would be refused", self.rows),
            (false, true) => format!("{bad} of {} rows were refused; the others hold", self.rows),
            (false, false) => format!("{bad} of {} rows are refused; nothing was changed", self.rows),
        };
        let mut failure = refused(self.args, &self.report, &what);
        if self.untold > 0 {
            let (rows, before) = (self.untold, self.resumed_at);
            failure = failure.detail(format!(
                "{rows} rows before row {before} were refused before the interruption: no report lists them"
            ));
        }
        if unlisted > 0 {
            failure = failure.detail(format!("{unlisted} rows more than the server lists in an answer"));
        }
        Err(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dp_19_a_row_is_found_in_the_file_wherever_records_span_lines() {
        let mut places = Places::default();
        let told = [(1, 2), (2, 3), (3, 6), (4, 7), (9, 12), (10, 20)];
        for (row, line) in told {
            places.note(row, line);
        }
        for (row, line) in told {
            assert_eq!(places.line(row), line);
        }
        assert_eq!((places.0.len(), places.line(5)), (3, 8));
    }
}
