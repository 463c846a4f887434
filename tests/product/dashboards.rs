//! What dashboards and alerts ask for is what a running site shows, by the very names.

use std::collections::BTreeSet;

use crate::ports::http;
use crate::process::{Site, text};

const ASKED: [&str; 2] = [
    include_str!("../../helm/roamline/dashboards/boards.toml"),
    include_str!("../../helm/roamline/templates/monitoring.yaml"),
];
const METRICS: &str = include_str!("../../docs/reference/metrics.md");
/// What a site shows only once it has had trouble, another cluster, TLS, a Redis, or much time.
const LATER: [&str; 16] = [
    "roamline_auth_hashing_shed_total",
    "roamline_auth_throttled_total",
    "roamline_connections_accept_failures_total",
    "roamline_connections_closed_total",
    "roamline_emcc_invitations_total",
    "roamline_emcc_peer_",
    "roamline_emcc_trust_not_after_seconds",
    "roamline_redis",
    "roamline_session_audit_pruned_total",
    "roamline_session_deadline_lateness_seconds",
    "roamline_session_phones_watched",
    "roamline_session_rebuilt_total",
    "roamline_session_slow_readers_total",
    "roamline_session_store_rebuilt_total",
    "roamline_session_watchers",
    "roamline_tls_",
];
/// The series of the reference: a histogram has three.
fn listed() -> BTreeSet<String> {
    let rows = METRICS.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.flat_map(|(name, rest)| match rest.starts_with("histogram ") {
        true => ["_bucket", "_count", "_sum"].map(|ending| format!("{name}{ending}")).to_vec(),
        false => vec![name.to_owned()],
    })
    .collect()
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').collect()
}

#[test]
fn what_dashboards_and_alerts_ask_for_is_what_a_running_site_shows() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    let login = ["login", "1001", "--phone", "SEP02005E005302", "--secret-file", "-"];
    for secret in ["wrong\n", "41001\n"] {
        let output = site.roamctl_with_input(&login, secret);
        assert_eq!(output.status.success(), secret.starts_with('4'), "{}", text(&output));
    }
    site.json(&["logout", "--phone", "SEP02005E005302"]);
    let page = http(&server.admin, "GET /metrics HTTP/1.1\r\n", b"");
    let shown: BTreeSet<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let listed = listed();
    let asked: BTreeSet<&str> =
        ASKED.iter().flat_map(|text| words(text)).filter(|word| listed.contains(*word)).collect();
    assert!(asked.len() > 30, "{asked:?}");
    let comes_later = |name: &&&str| LATER.iter().any(|beginning| name.starts_with(beginning));
    let missing: Vec<_> = asked.difference(&shown).filter(|name| !comes_later(name)).collect();
    assert!(missing.is_empty(), "nothing shows {missing:?}: {shown:?}");
}
