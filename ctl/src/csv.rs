//! Bulk work with CSV files (DP-19): `import csv` and `export csv`. The columns are our own, or those of Cisco's Bulk
//! Administration Tool; files are never held whole.

mod bat;
mod cells;
mod columns;
mod export;
mod import;
mod layout;
mod lines;
mod list;
mod locale;
mod reader;
mod report;
mod survey;

pub(crate) use export::{ExportCsv, run as export};
pub(crate) use import::{ImportCsv, run as import};
