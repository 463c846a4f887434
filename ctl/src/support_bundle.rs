//! `support-bundle`: what whoever is to help wants to see, in one file: what the doctor found, the pages of the admin
//! ports, parameters, other clusters, live sessions and the configuration. No secret is in it, and no user's, phone's or
//! profile's name unless that is asked for.

mod pseudonym;
mod redact;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use prost::{Message, Name};
use roamline_proto::profile::GetServiceParametersRequest;
use roamline_proto::profile::service_parameters_service_client::ServiceParametersServiceClient;
use roamline_proto::session::audit_service_client::AuditServiceClient;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{AuditFilter, ListAuditRecordsRequest, ListSessionsRequest};
use serde_json::{Value, json};

use self::pseudonym::Pseudonyms;
use crate::client::Client;
use crate::directory::ask;
use crate::exit::Failure;
use crate::output::{self, Out, remark};
use crate::whole::Place;
use crate::{clock, doctor, peer, words};

/// Begins the bundle.
const README: &str = "\
A support bundle of Roamline.

doctor.txt, doctor.json   what `roamctl doctor` found
versions.json             roamctl, the server that was asked, and when
processes/N/              the pages of each admin port: livez, readyz, about, metrics
parameters.json           service parameters
peers.json                other clusters and how they are
federation.json           how this cluster takes part
sessions.json             live sessions, at most 1000
audit.json                numbers of the records of the last hour
configuration/N.toml      configuration files, secrets left out
errors.txt                what could not be asked, and why

Secrets are not in it. Users, phones and profiles have made-up names, the same one throughout, unless --with-names was
given. Logs are not in it: add those of the time in question.
";
/// Records of the audit trail that are counted.
const AUDITED: SignedDuration = SignedDuration::from_hours(1);

/// Arguments of `support-bundle`.
#[derive(Debug, Args)]
pub(crate) struct SupportBundle {
    /// The file, `NAME.tar.gz`
    file: PathBuf,
    /// Admin port of a process, `http://HOST:7401`; once for each process
    #[arg(long, value_name = "URL")]
    admin: Vec<String>,
    /// Configuration file to put in without its secrets; once for each
    #[arg(long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Leave the names of users, phones and profiles as they are
    #[arg(long)]
    with_names: bool,
}

/// What goes into the bundle.
#[derive(Default)]
struct Bundle {
    files: Vec<(String, String)>,
    errors: String,
}

impl Bundle {
    fn add(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.files.push((name.into(), text.into()));
    }

    fn value(&mut self, name: &str, value: &Value) {
        self.add(name, format!("{value:#}\n"));
    }

    /// An answer, or the note that there was none.
    fn answer<M: Message + Name>(&mut self, name: &str, answer: Result<M, Failure>) {
        match answer.and_then(|answer| output::json(&answer)) {
            Ok(value) => self.value(name, &value),
            Err(failure) => self.missing(name, &failure),
        }
    }

    fn missing(&mut self, name: &str, why: &Failure) {
        self.errors.push_str(&format!("{name}: {}\n", why.said()));
    }

    /// All of it as gzip of tar.
    fn write(self, to: impl Write, now: Timestamp) -> io::Result<()> {
        let mut archive = tar::Builder::new(GzEncoder::new(to, Compression::default()));
        for (name, text) in self.files.iter().chain([&("errors.txt".to_owned(), self.errors)]) {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(now.as_second().unsigned_abs());
            archive.append_data(&mut header, format!("roamline-support/{name}"), text.as_bytes())?;
        }
        archive.into_inner()?.finish().map(drop)
    }
}

pub(crate) async fn run(args: SupportBundle, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::usage(format!("cannot write {}: {error}", args.file.display()));
    let place = Place::new(&args.file).map_err(failed)?;
    let file = place.begin().map_err(failed)?;
    let mut bundle = Bundle::default();
    bundle.add("README.txt", README);
    for (number, path) in args.config.iter().enumerate() {
        bundle.add(format!("configuration/{}.toml", number + 1), redact::file(path)?);
    }
    let now = clock::now();
    bundle.value(
        "versions.json",
        &json!({ "roamctl": env!("CARGO_PKG_VERSION"), "server": client.server(), "at": now }),
    );
    diagnosed(&args, client, &mut bundle).await?;
    asked(args.with_names, client, now, &mut bundle).await;
    let (count, errors) = (bundle.files.len() + 1, bundle.errors.lines().count());
    bundle.write(file.as_file(), now).map_err(failed)?;
    place.put(file).map_err(failed)?;
    if errors > 0 {
        remark(&format!("{errors} parts are missing; errors.txt says why"));
    }
    if out.is_json() {
        return out.value(&json!({ "file": args.file, "files": count, "missing": errors }));
    }
    out.text(&format!(
        "{} has {count} files; look through them before you give them away",
        args.file.display()
    ))
}

/// What the doctor found, and the pages that he read.
async fn diagnosed(args: &SupportBundle, client: &Client, bundle: &mut Bundle) -> Result<(), Failure> {
    let processes = doctor::ask_all(&args.admin).await?;
    let checks = doctor::examine(client, &processes).await;
    bundle.add("doctor.txt", doctor::shown(&checks) + "\n");
    bundle.value("doctor.json", &doctor::report(client.server(), &checks));
    for (number, process) in processes.iter().enumerate() {
        let folder = format!("processes/{}", number + 1);
        bundle.add(format!("{folder}/address"), process.address.clone() + "\n");
        for (path, page) in &process.pages {
            match page {
                Ok((status, text)) => {
                    bundle.add(format!("{folder}{path}"), format!("# status {status}\n{text}"));
                }
                Err(problem) => bundle.errors.push_str(&format!("{folder}{path}: {problem}\n")),
            }
        }
    }
    Ok(())
}

/// What the API tells.
async fn asked(with_names: bool, client: &Client, now: Timestamp, bundle: &mut Bundle) {
    let request = GetServiceParametersRequest {};
    bundle.answer(
        "parameters.json",
        ask!(client, ServiceParametersServiceClient::get_service_parameters, request),
    );
    bundle.answer("peers.json", peer::listed(client).await);
    bundle.answer("federation.json", peer::taking_part(client).await);
    match sessions(client).await {
        Ok(mut sessions) => {
            if !with_names {
                Pseudonyms::default().replace(&mut sessions);
            }
            bundle.value("sessions.json", &sessions);
        }
        Err(failure) => bundle.missing("sessions.json", &failure),
    }
    match audited(client, now).await {
        Ok(value) => bundle.value("audit.json", &value),
        Err(failure) => bundle.missing("audit.json", &failure),
    }
}

async fn sessions(client: &Client) -> Result<Value, Failure> {
    let request = ListSessionsRequest { page_size: 1000, ..ListSessionsRequest::default() };
    output::json(&ask!(client, SessionServiceClient::list_sessions, request)?)
}

/// Which records there are, and nothing of what is in them.
async fn audited(client: &Client, now: Timestamp) -> Result<Value, Failure> {
    let from = now - AUDITED;
    let from = prost_types::Timestamp { seconds: from.as_second(), nanos: 0 };
    let filter = AuditFilter { from: Some(from), ..AuditFilter::default() };
    let request =
        ListAuditRecordsRequest { filter: Some(filter), page_size: 1000, page_token: String::new() };
    let page = ask!(client, AuditServiceClient::list_audit_records, request)?;
    let of = |record: Option<&roamline_proto::session::AuditRecord>| {
        record.map(|record| json!({ "number": record.number, "at": words::timestamp(record.time.as_ref()) }))
    };
    Ok(json!({
        "first": of(page.records.first()),
        "last": of(page.records.last()),
        "records": page.records.len(),
        "more": !page.next_page_token.is_empty(),
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn a_bundle_is_a_tar_that_says_what_is_missing() {
        let mut bundle = Bundle::default();
        bundle.add("README.txt", README);
        bundle.missing("peers.json", &Failure::other("no answer"));
        let mut bytes = Vec::new();
        bundle.write(&mut bytes, Timestamp::UNIX_EPOCH).unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((entry.path().unwrap().display().to_string(), text));
        }
        assert_eq!(found[0].0, "roamline-support/README.txt");
        assert_eq!(
            found[1],
            ("roamline-support/errors.txt".to_owned(), "peers.json: no answer\n".to_owned())
        );
    }
}
