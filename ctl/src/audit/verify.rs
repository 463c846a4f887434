//! `audit verify`: whether the trail is whole, from the server or from an export.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use roamline_proto::session::AuditFilter;
use serde_json::json;

use super::chain::{Anchor, Chain, How};
use super::line::Line;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::Out;
use crate::whole::Place;

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Verify an export, `-` for standard input, and ask no server
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where number and hash of the last verified record are kept: the trail must still have that record. Keep it where
    /// nobody who can write the trail can
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

pub(crate) async fn run(args: Verify, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let anchor = args.anchor.as_deref().map(read_anchor).transpose()?.flatten();
    let anchored = anchor.is_some();
    let mut chain = Chain::new(anchor);
    match args.file.as_deref() {
        Some(file) => of_file(file, &mut chain)?,
        None => of_server(client, &mut chain).await?,
    }
    chain.finish();
    let end = chain.end();
    if out.is_json() {
        out.value(&json!({
            "records": chain.records,
            "first": (chain.records > 0).then_some(chain.first),
            "pruned": chain.pruned,
            "last": end,
            "anchored": anchored,
            "breaks": chain.breaks,
            "breakCount": chain.broken,
        }))?;
    } else {
        out.text(&told(&chain, end.as_ref()))?;
    }
    if chain.broken > 0 {
        return Err(broken(&chain, args.file.is_some()));
    }
    match (&args.anchor, &end) {
        (Some(file), Some(end)) => write_anchor(file, end),
        _ => Ok(()),
    }
}

fn told(chain: &Chain, end: Option<&Anchor>) -> String {
    let mut text: String = chain.breaks.iter().map(|found| format!("{}\n", found.message)).collect();
    let untold = chain.broken.saturating_sub(chain.breaks.len() as u64);
    if untold > 0 {
        text.push_str(&format!("and {untold} more\n"));
    }
    match end {
        _ if chain.broken > 0 => {}
        None => text.push_str("the trail is empty"),
        Some(Anchor { number, hash }) => {
            let from = match &chain.pruned {
                None if chain.first > 1 => format!(", from record {} on", chain.first),
                None => String::new(),
                Some(pruned) => format!(
                    ", from record {} on; those before it were deleted as older than {}",
                    chain.first, pruned.older_than
                ),
            };
            text.push_str(&format!(
                "{} records are whole{from}; the last is record {number}, with hash {hash}",
                chain.records
            ));
        }
    }
    text
}

fn broken(chain: &Chain, is_file: bool) -> Failure {
    let message = match chain.broken {
        1 => "the audit trail is broken at 1 place".to_owned(),
        count => format!("the audit trail is broken at {count} places"),
    };
    let failure = Failure::new(Exit::Findings, message);
    let missing = chain.breaks.first().is_some_and(|first| first.how == How::Missing);
    match is_file && missing {
        true => failure.hint("an export of some records cannot be verified: make it without --user, --phone, --kind, --from and --until"),
        false => failure,
    }
}

async fn of_server(client: &Client, chain: &mut Chain) -> Result<(), Failure> {
    let mut pages = super::all(AuditFilter::default(), client).await?;
    while let Some(page) = pages.message().await.map_err(|status| client.failure(&status))? {
        for record in page.records {
            let number = record.number;
            match Line::of(record) {
                Some(line) => chain.follow(&line),
                None => chain.unreadable(&format!("record {number}"), "its time cannot be"),
            }
        }
    }
    Ok(())
}

fn of_file(file: &Path, chain: &mut Chain) -> Result<(), Failure> {
    if file == Path::new("-") {
        return of_lines(io::stdin().lock(), chain);
    }
    let opened = File::open(file).map_err(|error| cannot("read", file, &error))?;
    of_lines(BufReader::new(opened), chain)
}

fn of_lines(lines: impl BufRead, chain: &mut Chain) -> Result<(), Failure> {
    for (number, line) in (1_u64..).zip(lines.split(b'\n')) {
        let line = line?;
        match serde_json::from_slice::<Line>(&line) {
            Ok(line) => chain.follow(&line),
            Err(error) => chain.unreadable(&format!("line {number}"), &error.to_string()),
        }
    }
    Ok(())
}

/// The anchor of the last time; `None` at the first.
fn read_anchor(file: &Path) -> Result<Option<Anchor>, Failure> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot("read", file, &error)),
    };
    let anchor = serde_json::from_str(&text);
    anchor.map(Some).map_err(|error| Failure::usage(format!("{} is no anchor: {error}", file.display())))
}

fn write_anchor(file: &Path, end: &Anchor) -> Result<(), Failure> {
    let failed = |error: io::Error| cannot("write", file, &error);
    let json = serde_json::to_string(end).map_err(|error| Failure::other(error.to_string()))?;
    let place = Place::new(file).map_err(failed)?;
    let begun = place.begin().map_err(failed)?;
    writeln!(begun.as_file(), "{json}").map_err(failed)?;
    place.put(begun).map_err(failed)
}

fn cannot(what: &str, file: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot {what} {}: {error}", file.display()))
}
