//! `export csv`: every resource of a kind as a row that `import csv` reads back. The resources lie in a file while the
//! columns are found that they need, so that nothing is held whole.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use ::csv::Writer;
use clap::{Args, Subcommand};
use prost_reflect::DynamicMessage;

use super::columns::{Column, Kind};
use super::list;
use crate::client::Client;
use crate::exit::Failure;
use crate::output::{Out, remark};
use crate::whole::Place;

/// What else an export writes.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCsv {
    /// Write every resource of a kind as CSV that `import csv --action put` takes
    Csv(Csv),
}

/// Arguments of `export csv`.
#[derive(Debug, Args)]
pub(crate) struct Csv {
    /// What rows are: line, user-device-profile, phone, user, logout-profile, default-device-profile, device-pool,
    /// phone-template, line-template, presence-group, phone-service-definition
    kind: Kind,
    /// Where to, `-` for standard output
    file: PathBuf,
    /// Only those that the filter lets through: `model = "8851" AND NOT extension_mobility_enabled`
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
}

pub(crate) async fn run(command: ExportCsv, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let ExportCsv::Csv(args) = command;
    // A file is there whole or not at all.
    let failed = |error: io::Error| {
        Failure::usage(format!("cannot write {}: {error}", args.file.display()))
            .hint("`-` is standard output")
    };
    let to_stdout = args.file == Path::new("-");
    let place = if to_stdout { None } else { Some(Place::new(&args.file).map_err(failed)?) };
    let mut spool = Spool::new(&args.kind)?;
    list::for_each(&args.kind, &args.filter, client, |message| spool.add(&message)).await?;
    let rows = spool.rows;
    let Some(place) = place else {
        let mut writer = Writer::from_writer(io::stdout().lock());
        spool.write(&mut writer)?;
        return Ok(());
    };
    let mut writer = Writer::from_writer(place.begin().map_err(failed)?);
    spool.write(&mut writer)?;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    place.put(file).map_err(failed)?;
    if !out.is_json() {
        remark(&format!("{rows} rows written to {}", args.file.display()));
    }
    Ok(())
}

/// Resources in a file without a name, and what columns they need.
struct Spool<'a> {
    kind: &'a Kind,
    file: BufWriter<File>,
    rows: u64,
    /// The numbers of each list's entries.
    numbers: Vec<BTreeSet<u32>>,
}

impl<'a> Spool<'a> {
    fn new(kind: &'a Kind) -> Result<Self, Failure> {
        let file = BufWriter::new(tempfile::tempfile()?);
        Ok(Self { kind, file, rows: 0, numbers: vec![BTreeSet::new(); kind.lists().len()] })
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let message = self.kind.decode(bytes)?;
        for (numbers, list) in self.numbers.iter_mut().zip(self.kind.lists()) {
            numbers.extend(list.numbers(&message));
        }
        let length = u32::try_from(bytes.len()).map_err(|_| Failure::other("a resource is too long"))?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(bytes)?;
        self.rows += 1;
        Ok(())
    }

    fn columns(&self) -> Vec<Column> {
        let mut columns = self.kind.flat();
        columns.retain(|column| !column.is_secret());
        for (numbers, list) in self.numbers.iter().zip(self.kind.lists()) {
            columns.extend(numbers.iter().flat_map(|number| list.columns(*number)));
        }
        columns
    }

    fn write<W: Write>(self, writer: &mut Writer<W>) -> Result<(), Failure> {
        let failed = |error: csv::Error| Failure::from(io::Error::from(error));
        let columns = self.columns();
        writer.write_record(columns.iter().map(|column| &column.name)).map_err(failed)?;
        let mut file = self.file.into_inner().map_err(|error| Failure::from(error.into_error()))?;
        file.rewind()?;
        let mut file = BufReader::new(file);
        let mut bytes = Vec::new();
        for _ in 0..self.rows {
            let mut length = [0; 4];
            file.read_exact(&mut length)?;
            bytes.resize(u32::from_le_bytes(length) as usize, 0);
            file.read_exact(&mut bytes)?;
            let message = self.kind.decode(&bytes)?;
            writer.write_record(cells(&columns, &message)).map_err(failed)?;
        }
        Ok(writer.flush()?)
    }
}

fn cells(columns: &[Column], message: &DynamicMessage) -> Vec<String> {
    columns.iter().map(|column| column.cell(message)).collect()
}
