//! Results on standard output, as a table or as proto JSON; remarks on standard error.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use prost::{Message, Name};
use serde_json::Value;

use crate::exit::Failure;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables, for people
    Table,
    /// Proto JSON, for programs
    Json,
}

/// Where results go.
pub(crate) struct Out {
    format: Format,
    to: Box<dyn Write + Send>,
}

impl Out {
    pub(crate) fn stdout(format: Format) -> Self {
        Self { format, to: Box::new(io::stdout()) }
    }

    /// The same format, into a file.
    pub(crate) fn with_file(&self, file: File) -> Self {
        Self { format: self.format, to: Box::new(BufWriter::new(file)) }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Writes a message: as JSON, or as `text` shows it.
    pub(crate) fn message<M: Message + Name>(
        &mut self,
        message: &M,
        text: impl FnOnce(&M) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.value(&json(message)?),
            Format::Table => self.text(&text(message)),
        }
    }

    /// Writes a message of a stream on one line.
    pub(crate) fn stream_line<M: Message + Name>(
        &mut self,
        message: &M,
        text: impl FnOnce(&M) -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => self.text(&json(message)?.to_string()),
            Format::Table => self.text(&text(message)),
        }
    }

    /// Writes JSON with indentation.
    pub(crate) fn value(&mut self, value: &Value) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|error| Failure::other(error.to_string()))?;
        self.text(&text)
    }

    /// Writes a part of a longer text as it is; [`Out::flush`] ends it.
    pub(crate) fn part(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.to.write_all(text.as_bytes())?)
    }

    /// Writes out what is held back.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.to.flush()?)
    }

    /// Writes text, with one line end.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        writeln!(self.to, "{}", text.trim_end())?;
        self.to.flush()?;
        Ok(())
    }
}

/// The message as proto JSON.
pub(crate) fn json<M: Message + Name>(message: &M) -> Result<Value, Failure> {
    roamline_proto::json::to_value(message).map_err(|error| Failure::other(error.to_string()))
}

/// Says something on standard error.
pub(crate) fn remark(text: &str) {
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// A table without borders, easy to read and to cut.
pub(crate) fn table<H: Into<String> + Clone>(
    header: &[H],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().cloned().map(Into::into).collect::<Vec<String>>());
    for row in rows {
        table.add_row(row);
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table.trim_fmt()
}
