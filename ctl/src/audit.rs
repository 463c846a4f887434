//! `audit`: the trail of logins and logouts, and whether it is whole.

mod chain;
mod line;
mod verify;
mod when;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use roamline_proto::session::audit_service_client::AuditServiceClient;
use roamline_proto::session::{
    AuditFilter, AuditKind, AuditRecord, ExportAuditRecordsRequest, ExportAuditRecordsResponse,
    ListAuditRecordsRequest, ListAuditRecordsResponse,
};
use tonic::Streaming;

use crate::client::Client;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Out, remark, table};
use crate::whole::Place;
use crate::words::{instant, of_enum};

/// Commands about the audit trail.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Records, the oldest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// Records at most
        #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// All records as JSON Lines, with the text and the hash that `verify` checks
    Export {
        #[command(flatten)]
        filter: Filter,
        /// Where to, `-` for standard output
        #[arg(long = "file", short = 'f', value_name = "FILE", default_value = "-")]
        file: PathBuf,
    },
    /// Check that no record was changed, removed, added or moved; ends with 9 where one was
    Verify(verify::Verify),
}

/// Which records.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only those about this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only those about this phone, in any spelling of its MAC
    #[arg(long, value_name = "NAME")]
    phone: Option<String>,
    /// Only those of these kinds: login, logout, login-refused, logout-refused, logout-pending, refresh, store-cut,
    /// store-rebuilt, rebuild-begun, pruned, login-kept, refresh-token-reused, peer-refused, peer-changed,
    /// sign-in-refused
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = line::read_kind)]
    kinds: Vec<AuditKind>,
    /// Only those since then: 2026-11-01, `2026-11-01 08:00`, 2026-11-01T08:00:00Z, or `4h` for the last four hours
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only those before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Filter {
    fn read(&self) -> Result<AuditFilter, Failure> {
        let now = clock::now();
        let when = |text: &Option<String>| text.as_deref().map(|text| when::read(text, now)).transpose();
        Ok(AuditFilter {
            user_id: self.user.clone().unwrap_or_default(),
            phone: self.phone.clone().unwrap_or_default(),
            kinds: self.kinds.iter().map(|kind| (*kind).into()).collect(),
            from: when(&self.from).map_err(Failure::usage)?,
            until: when(&self.until).map_err(Failure::usage)?,
        })
    }
}

pub(crate) async fn run(command: Audit, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Audit::List { filter, limit } => list(filter.read()?, limit, client, out).await,
        Audit::Export { filter, file } => export(filter.read()?, &file, client, out).await,
        Audit::Verify(args) => verify::run(args, client, out).await,
    }
}

async fn list(filter: AuditFilter, limit: u32, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let mut all = ListAuditRecordsResponse::default();
    loop {
        let left = limit - u32::try_from(all.records.len()).unwrap_or(limit);
        let request = ListAuditRecordsRequest {
            filter: Some(filter.clone()),
            page_size: left.min(1000),
            page_token: all.next_page_token.clone(),
        };
        let page = client
            .call(|service| {
                let request = request.clone();
                async move { AuditServiceClient::new(service).list_audit_records(request).await }
            })
            .await?;
        all.records.extend(page.records);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
        if all.records.len() >= limit as usize {
            remark("there are more records; narrow them with --from, or raise --limit");
            break;
        }
    }
    let header = ["NUMBER", "TIME", "WHAT", "USER", "PHONE", "PROFILE", "WHY", "BY", "FROM", "WITH"];
    out.message(&all, |all| table(&header, all.records.iter().map(row)))
}

fn row(record: &AuditRecord) -> Vec<String> {
    let actor = record.actor.clone().unwrap_or_default();
    vec![
        record.number.to_string(),
        instant(record.time.as_ref()),
        of_enum(record.kind().as_str_name(), line::KIND),
        record.user_id.clone(),
        record.phone.clone(),
        record.profile.clone(),
        of_enum(&record.reason, ""),
        actor.name,
        actor.source_address,
        actor.application,
    ]
}

async fn export(filter: AuditFilter, file: &Path, client: &Client, out: &mut Out) -> Result<(), Failure> {
    if filter != AuditFilter::default() {
        remark(
            "an export of some records cannot be verified, since the hash of each record depends on all before it",
        );
    }
    if file == Path::new("-") {
        return write(filter, client, out).await;
    }
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Other, format!("cannot write {}: {error}", file.display()))
    };
    let place = Place::new(file).map_err(failed)?;
    let begun = place.begin().map_err(failed)?;
    let mut to = out.with_file(begun.reopen().map_err(failed)?);
    write(filter, client, &mut to).await?;
    place.put(begun).map_err(failed)
}

async fn write(filter: AuditFilter, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let mut pages = all(filter, client).await?;
    while let Some(page) = pages.message().await.map_err(|status| client.failure(&status))? {
        for record in page.records {
            out.part(&line::write(&record)?)?;
        }
    }
    out.flush()
}

/// All records that match, a page at a time.
async fn all(filter: AuditFilter, client: &Client) -> Result<Streaming<ExportAuditRecordsResponse>, Failure> {
    let request = ExportAuditRecordsRequest { filter: Some(filter), after: 0 };
    client
        .call(|service| {
            let request = request.clone();
            async move { AuditServiceClient::new(service).export_audit_records(request).await }
        })
        .await
}
