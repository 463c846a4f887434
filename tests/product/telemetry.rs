//! What operators see of a login: a trace over all processes, lines of the log that belong to it, metrics. And that
//! nobody waits for a collector.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rcgen::CertificateParams;
use roamline_serve::Tasks;

use crate::collector::{Collector, Seen};
use crate::ports::http;
use crate::process::{Site, WITHIN, text};
use crate::redis::starter::Redis;
use crate::serve_role::{Apart, front, wait_for};
use crate::tls::{Authority, local};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const LOGIN: &str = "roamline.session.v1.SessionService/Login";
const PREPARE: &str = "PrepareLogin";

/// Spans of server and client, by OTLP's numbers.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

fn find<'a>(spans: &'a [Seen], service: &str, kind: i32, name: &str) -> Option<&'a Seen> {
    spans.iter().find(|span| span.service == service && span.kind == kind && span.name.contains(name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_one_trace_over_client_services_and_stores() {
    let (redis, tasks, collector) = (Redis::start(&[]), Tasks::new(), Collector::default());
    let endpoint = collector.start(&tasks).await;
    let mut apart = Apart::new("traced", &redis);
    apart.environment.push(("TELEMETRY__ENDPOINT", format!("http://{endpoint}")));
    apart.environment.push(("TELEMETRY__METRICS_EVERY", "200ms".into()));
    let [one, _] = apart.sessions;
    apart.environment.push(("SERVICES__SESSION", format!("http://{one}")));
    let session = apart.start("session", one);
    let profile = apart.start("profile", apart.profile);
    let auth = apart.start("auth", apart.auth).ready();
    let (profile, session) = (profile.ready(), session.ready());
    let front = front(&apart, &redis, &tasks).await;
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cme-small.cfg");
    apart.json(&front, &["import", "cme", example], "");

    let phone = "SEP000DEDAB3566";
    let login = ["--server", &front, "login", "me", "--phone", phone, "--secret-file", "-"];
    let mut roamctl = apart.site.roamctl_command(&login);
    roamctl.env("TRACEPARENT", format!("00-{TRACE}-{PARENT}-01"));
    let output = tokio::task::block_in_place(|| {
        let mut child =
            roamctl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"pass123\n")?;
        child.wait_with_output()
    });
    let output = output.unwrap();
    assert!(output.status.success(), "{}", text(&output));

    let line = wait_for(&session.said, "\"logged in\"");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(line["trace_id"] == TRACE && line["span_id"].as_str().unwrap().len() == 16, "{line}");

    let whole = |spans: &[Seen]| {
        find(spans, "roamline-session", SERVER, LOGIN).is_some()
            && find(spans, "roamline-profile", SERVER, PREPARE).is_some()
            && find(spans, "roamline-profile", CLIENT, "directory.").is_some()
            && find(spans, "roamline-auth", SERVER, "AuthService/").is_some()
            && find(spans, "roamline-auth", CLIENT, "credential.").is_some()
    };
    let spans = collector.spans_of(TRACE, whole).await;
    let child = |service: &str, kind: i32, name: &str, of: &Seen| {
        let found = spans.iter().find(|span| {
            span.service == service && span.kind == kind && span.name.contains(name) && span.parent == of.id
        });
        found.unwrap_or_else(|| panic!("no {name} of {service} below {of:?} in {spans:#?}")).clone()
    };
    let login = find(&spans, "roamline-session", SERVER, LOGIN).unwrap();
    assert_eq!((login.parent.as_str(), login.cluster.as_str()), (PARENT, "traced"));
    let asked = child("roamline-session", CLIENT, PREPARE, login);
    let prepared = child("roamline-profile", SERVER, PREPARE, &asked);
    child("roamline-profile", CLIENT, "directory.", &prepared);
    let asked = child("roamline-session", CLIENT, "AuthService/", login);
    let proven = child("roamline-auth", SERVER, "AuthService/", &asked);
    child("roamline-auth", CLIENT, "credential.", &proven);
    for operation in ["session.load", "session.commit"] {
        let script = child("roamline-session", CLIENT, operation, login);
        assert!(script.attributes.contains(&("db.system.name".into(), "redis".into())), "{script:?}");
    }
    for caller in [&session, &profile] {
        let shown = http(&caller.admin, "GET /metrics HTTP/1.1\r\n", b"");
        for rpc in ["GetJsonWebKeySet", "IssueServiceToken", "ListRevocations"] {
            let named = format!("rpc_method=\"roamline.auth.v1.AuthService/{rpc}\"");
            let is_it = |line: &str| line.starts_with("rpc_client_call_duration") && line.contains(&named);
            assert!(shown.lines().any(is_it), "{rpc} is measured: {shown}");
        }
    }
    for running in [session, profile, auth] {
        assert!(running.stop().success(), "what is left is sent, and the process ends");
    }
    let lines = collector.lines.lock().unwrap().clone();
    let told = |line: &(String, String, String)| line.1 == TRACE && line.2.contains("logged in");
    assert!(lines.iter().any(told), "{lines:#?}");
    let metrics = collector.metrics.lock().unwrap().clone();
    for (service, metric) in [
        ("roamline-session", "roamline.session.logins"),
        ("roamline-session", "db.client.operation.duration"),
        ("roamline-session", "rpc.client.call.duration"),
        ("roamline-auth", "rpc.server.call.duration"),
    ] {
        assert!(metrics.contains(&(service.into(), metric.into())), "{service} {metric}");
    }
    let all = collector.all.lock().unwrap().clone();
    assert!(!all.contains("pass123") && !all.contains("s3cret-of-services"), "no secret is sent");
    tasks.stop(WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_with_another_authority_is_sent_to_once_the_files_say_so() {
    let (files, other) = (Authority::new(), Authority::new());
    let client = CertificateParams::new(["roamline".to_owned()]).unwrap();
    for authority in [&files, &other] {
        authority.give(authority, "server", &local());
    }
    files.give(&files, "client", &client);
    std::fs::write(files.file("headers"), "authorization: Bearer first\n").unwrap();
    // It stays bound while the collector changes.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (first, until_first) = (Collector::default(), Tasks::new());
    first.start_secure(&listener, files.mutual(), &until_first);
    let site = Site::new()
        .set("TELEMETRY__ENDPOINT", &format!("https://{}", listener.local_addr().unwrap()))
        .set("TELEMETRY__METRICS_EVERY", "200ms")
        .set("TELEMETRY__HEADERS_FILE", &files.file("headers"))
        .set("TELEMETRY__TLS__CA_FILE", &files.file("ca.crt"))
        .set("TELEMETRY__TLS__CERTIFICATE_FILE", &files.file("client.crt"))
        .set("TELEMETRY__TLS__KEY_FILE", &files.file("client.key"));
    let server = tokio::task::block_in_place(|| site.start());
    first.until_shown("Bearer first").await;
    until_first.stop(WITHIN).await;

    let (second, tasks) = (Collector::default(), Tasks::new());
    second.start_secure(&listener, other.mutual(), &tasks);
    std::fs::write(files.file("ca.crt"), "none").unwrap();
    other.give(&files, "client", &client);
    std::fs::write(files.file("headers"), "authorization: Bearer second\n").unwrap();
    std::fs::copy(other.file("ca.crt"), files.file("ca.crt")).unwrap();
    second.until_shown("Bearer second").await;
    assert!(server.stop().success());
    tasks.stop(WITHIN).await;
}

#[test]
fn nobody_waits_for_a_collector_that_takes_nothing() {
    // It accepts connections, and says nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", mute.local_addr().unwrap());
    let site = Site::new().with(&["--demo"]).set("TELEMETRY__ENDPOINT", &endpoint);
    let server = site.start();
    let metrics = http(&server.admin, "GET /metrics HTTP/1.1\r\n", b"");
    assert!(metrics.contains("roamline_ready 1"), "{metrics}");
    let told = Instant::now();
    assert!(server.stop().success());
    assert!(told.elapsed() < Duration::from_secs(20), "{:?}", told.elapsed());
}

#[test]
fn each_metric_that_is_shown_is_listed_with_its_labels() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    let text = http(&server.admin, "GET /metrics HTTP/1.1\r\n", b"");
    let shown = text.lines().filter(|line| line.starts_with("roamline_") || line.starts_with("rpc_"));
    let listed: Vec<_> = roamline_serve::inventory::ALL.iter().map(|entry| entry.exposed()).collect();
    let mut number = 0;
    for line in shown {
        let name = line.split(['{', ' ']).next().unwrap();
        let bare = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
        let known = |name: &str| listed.iter().any(|one| one == name);
        assert!(known(name) || bare.is_some_and(known), "{line}");
        number += 1;
    }
    assert!(number > 20, "{text}");
}
