//! `import cme`: takes over the site of a router. Everything is checked first; if anything is refused, nothing is
//! changed, and each refusal names the line that it is about.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use roamline_cme::Site;
use roamline_proto::auth::SetCredentialsRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::service_parameters_service_client::ServiceParametersServiceClient;
use roamline_proto::profile::{
    ApplyOutcome, ApplyResourcesRequest, ApplyResourcesResponse, Finding, GetServiceParametersRequest,
    Resource, ServiceParameters, resource::Kind,
};
use roamline_proto::refusal::Refusal;
use serde_json::{Value, json};
use tonic::Status;

use crate::client::Client;
use crate::directory::ask;
use crate::exit::{Exit, Failure};
use crate::output::{Out, remark, table};

/// No running-config is longer.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Arguments of `import cme`.
#[derive(Debug, Args)]
pub(crate) struct Cme {
    /// The running-config
    file: PathBuf,
    /// Check everything and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(args: Cme, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let name = args.file.display().to_string();
    let bytes = read(&args.file).map_err(|error| Failure::usage(format!("cannot read {name}: {error}")))?;
    let site = roamline_cme::read_bytes(&bytes).map_err(|problems| {
        let lines = problems.iter().map(|problem| format!("{name}:{problem}")).collect();
        refused(lines)
    })?;
    let resources = with_present_parameters(&site, client).await?;
    check(&site, &resources, &name, client).await?;
    let done = apply(&resources, args.dry_run, client).await?.map_err(|status| client.failure(&status))?;
    if !args.dry_run {
        let set = set_credentials(&site, false, client).await?;
        set.map_err(|status| {
            client
                .failure(&status)
                .hint("the directory is imported, passwords are not: the same command finishes it")
        })?;
    }
    report(&site, &done, &name, args.dry_run, out)
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(std::io::Error::other("it is larger than 16 MiB: this is no running-config"));
    }
    Ok(bytes)
}

fn refused(lines: Vec<String>) -> Failure {
    let failure = Failure::new(Exit::Invalid, "the file is refused; nothing was changed");
    lines.into_iter().fold(failure, Failure::detail)
}

/// The resources of the site; its service parameters over those in force, so that others stay as they are.
async fn with_present_parameters(site: &Site, client: &Client) -> Result<Vec<Resource>, Failure> {
    let mut resources: Vec<Resource> = site.resources.iter().map(|resource| resource.value.clone()).collect();
    let given = resources.iter_mut().find_map(|resource| match &mut resource.kind {
        Some(Kind::ServiceParameters(parameters)) => Some(parameters),
        _ => None,
    });
    if let Some(given) = given {
        let request = GetServiceParametersRequest {};
        let answer = ask!(client, ServiceParametersServiceClient::get_service_parameters, request)?;
        let present = answer.service_parameters.unwrap_or_default();
        *given = ServiceParameters {
            multiple_login_behavior: given.multiple_login_behavior,
            clear_call_logs: given.clear_call_logs,
            daily_logout_times: std::mem::take(&mut given.daily_logout_times),
            default_user_locale: match given.default_user_locale.is_empty() {
                true => present.default_user_locale.clone(),
                false => std::mem::take(&mut given.default_user_locale),
            },
            etag: String::new(),
            ..present
        };
    }
    Ok(resources)
}

/// Has the server check everything, and gathers all that it refuses.
async fn check(site: &Site, resources: &[Resource], name: &str, client: &Client) -> Result<(), Failure> {
    let checks =
        [set_credentials(site, true, client).await?.err(), apply(resources, true, client).await?.err()];
    let mut found = Vec::new();
    for status in checks.into_iter().flatten() {
        let violations = violations(site, &status, name);
        if violations.is_empty() {
            return Err(client.failure(&status).detail("nothing was changed"));
        }
        found.extend(violations);
    }
    found.sort_by_key(|(line, _)| *line);
    found.dedup();
    if found.is_empty() { Ok(()) } else { Err(refused(found.into_iter().map(|(_, text)| text).collect())) }
}

/// The line and `FILE:LINE: what is wrong`, for every violation; a field that belongs to no line is named itself.
fn violations(site: &Site, status: &Status, name: &str) -> Vec<(usize, String)> {
    let refusal = Refusal::from_status(status);
    let violations = refusal.map(|refusal| refusal.violations).unwrap_or_default();
    violations.into_iter().map(|(field, text)| place(site, name, &field, &text)).collect()
}

fn place(site: &Site, name: &str, field: &str, text: &str) -> (usize, String) {
    match site.problem_at(field) {
        Some(line) => (line, format!("{name}:{line}: {text}")),
        None => (usize::MAX, format!("{name}: {field}: {text}")),
    }
}

async fn set_credentials(
    site: &Site,
    validate_only: bool,
    client: &Client,
) -> Result<Result<(), Status>, Failure> {
    if site.credentials.is_empty() {
        return Ok(Ok(()));
    }
    let credentials = site.credentials.iter().map(|credential| credential.value.clone()).collect();
    let request = SetCredentialsRequest { credentials, validate_only };
    let set = |service| {
        let request = request.clone();
        async move { AuthServiceClient::new(service).set_credentials(request).await }
    };
    Ok(client.try_call(set).await?.map(|_| ()))
}

async fn apply(
    resources: &[Resource],
    validate_only: bool,
    client: &Client,
) -> Result<Result<ApplyResourcesResponse, Status>, Failure> {
    let request = ApplyResourcesRequest { resources: resources.to_vec(), validate_only };
    let apply = |service| {
        let request = request.clone();
        async move { DirectoryServiceClient::new(service).apply_resources(request).await }
    };
    client.try_call(apply).await
}

/// How many of a kind were created, updated, left as they were.
type Counts = BTreeMap<&'static str, [u32; 3]>;

fn counts(site: &Site, outcomes: impl Iterator<Item = ApplyOutcome>) -> Counts {
    let mut counts = Counts::new();
    for (resource, outcome) in site.resources.iter().zip(outcomes) {
        let [created, updated, unchanged] = counts.entry(kind(&resource.value)).or_default();
        match outcome {
            ApplyOutcome::Created => *created += 1,
            ApplyOutcome::Updated => *updated += 1,
            ApplyOutcome::Unchanged | ApplyOutcome::Unspecified => *unchanged += 1,
        }
    }
    counts
}

fn kind(resource: &Resource) -> &'static str {
    match &resource.kind {
        Some(Kind::DevicePool(_)) => "devicePools",
        Some(Kind::PhoneTemplate(_)) => "phoneTemplates",
        Some(Kind::LineTemplate(_)) => "lineTemplates",
        Some(Kind::PresenceGroup(_)) => "presenceGroups",
        Some(Kind::PhoneServiceDefinition(_)) => "phoneServiceDefinitions",
        Some(Kind::Line(_)) => "lines",
        Some(Kind::UserDeviceProfile(_)) => "userDeviceProfiles",
        Some(Kind::DefaultDeviceProfile(_)) => "defaultDeviceProfiles",
        Some(Kind::LogoutProfile(_)) => "logoutProfiles",
        Some(Kind::Phone(_)) => "phones",
        Some(Kind::User(_)) => "users",
        Some(Kind::ServiceParameters(_)) => "serviceParameters",
        None => "others",
    }
}

fn report(
    site: &Site,
    done: &ApplyResourcesResponse,
    name: &str,
    dry_run: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    let counts = counts(site, done.outcomes());
    let notes = notes(site, &done.findings, name);
    if out.is_json() {
        let resources: BTreeMap<&str, Value> = counts
            .iter()
            .map(|(kind, [c, u, s])| (*kind, json!({"created": c, "updated": u, "unchanged": s})))
            .collect();
        let passed_over: Vec<Value> =
            site.not_understood.iter().map(|(line, text)| json!({"line": line, "text": text})).collect();
        return out.value(&json!({
            "dryRun": dry_run,
            "resources": resources,
            "credentials": site.credentials.len(),
            "notUnderstood": passed_over,
            "notes": notes,
        }));
    }
    for (line, text) in &site.not_understood {
        remark(&format!("{name}:{line}: not understood: {text}"));
    }
    for note in &notes {
        remark(note);
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (kind, numbers) in &counts {
        let mut row = vec![spaced(kind)];
        row.extend(numbers.iter().map(ToString::to_string));
        rows.push(row);
    }
    out.text(&table(&["KIND", "CREATED", "UPDATED", "UNCHANGED"], rows))?;
    let credentials = site.credentials.len();
    let end = if dry_run { "a dry run: nothing was changed" } else { "done" };
    out.text(&format!(
        "credentials: {credentials}; lines not understood: {}; {end}",
        site.not_understood.len()
    ))
}

fn notes(site: &Site, findings: &[Finding], name: &str) -> Vec<String> {
    let own = site.notes.iter().map(|note| match note.line {
        Some(line) => format!("{name}:{line}: note: {}", note.text),
        None => format!("{name}: note: {}", note.text),
    });
    let findings = findings.iter().map(|finding| {
        place(site, name, &finding.field, &format!("note: {} ({})", finding.message, finding.rule)).1
    });
    own.chain(findings).collect()
}

/// `userDeviceProfiles` as `user device profiles`.
fn spaced(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
        text
    })
}

#[cfg(test)]
mod tests {
    use roamline_proto::error::ErrorReason;

    use super::*;

    fn site() -> Site {
        roamline_cme::read(include_str!("../../testdata/cme-small.cfg")).unwrap()
    }

    #[test]
    fn a_refusal_of_the_server_names_the_line() {
        let site = site();
        let phone = site.resources.iter().position(|resource| kind(&resource.value) == "phones").unwrap();
        let refusal = Refusal::new(ErrorReason::ResourceInvalid, "refused")
            .violation("elsewhere", "is wrong")
            .violation(format!("resources[{phone}].model"), "is unknown (DP-17)");
        let lines = violations(&site, &refusal.into(), "site.cfg");
        let told = |line, text: &str| (line, text.to_owned());
        let expected =
            [told(usize::MAX, "site.cfg: elsewhere: is wrong"), told(20, "site.cfg:20: is unknown (DP-17)")];
        assert_eq!(lines, expected);
    }

    #[test]
    fn outcomes_are_counted_by_kind() {
        let site = site();
        let counts = counts(&site, site.resources.iter().map(|_| ApplyOutcome::Created));
        assert_eq!(counts.get("phones"), Some(&[4, 0, 0]));
        assert_eq!(counts.get("lines"), Some(&[18, 0, 0]));
        assert_eq!(counts.get("users"), Some(&[2, 0, 0]));
        assert_eq!(spaced("userDeviceProfiles"), "user device profiles");
    }
}
