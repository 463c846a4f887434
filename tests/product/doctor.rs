//! `roamctl doctor` as an operator meets it: a sound site is all well, and what is not is told with what to do.

use std::fs;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::process::{Server, Site, WITHIN, start, text};
use crate::redis::starter::Redis;

/// The exit code of findings.
const FINDINGS: i32 = 9;

/// What the doctor finds, and with which code he ends.
fn examined(site: &Site, more: &[&str], servers: &[&Server]) -> (Option<i32>, Value) {
    let mut words = vec!["-o", "json"];
    words.extend(more);
    words.push("doctor");
    words.extend(servers.iter().flat_map(|server| ["--admin", &server.admin]));
    let output = site.roamctl(&words);
    let found = serde_json::from_slice(&output.stdout);
    (output.status.code(), found.unwrap_or_else(|error| panic!("no JSON ({error}): {}", text(&output))))
}

/// The state of each check of a thing, with what was found and what to do.
fn of<'a>(found: &'a Value, what: &str) -> Vec<[&'a str; 3]> {
    let checks = found["checks"].as_array().expect("checks").iter().filter(|check| check["what"] == what);
    let text = |check: &'a Value, key: &str| check[key].as_str().expect("a text");
    checks.map(|check| [text(check, "state"), text(check, "found"), text(check, "todo")]).collect()
}

/// Examines again until a thing is in that state.
fn until(site: &Site, servers: &[&Server], what: &str, state: &str) -> (Option<i32>, Value) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let (code, found) = examined(site, &[], servers);
        if of(&found, what).iter().any(|check| check[0] == state) {
            return (code, found);
        }
        assert!(Instant::now() < deadline, "no {what} is {state}: {found:#}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

#[test]
fn a_sound_site_is_all_well_and_a_dead_redis_is_told_with_what_to_do() {
    let mut redis = Redis::start(&["appendonly yes"]);
    let site = Site::new().with(&["--demo"]).set("REDIS__URL", &redis.url());
    let server = site.start();
    site.json(&["login", "1001", "--phone", "SEP02005E005302", "--with-token"]);
    until(&site, &[&server], "audit", "ok");
    let (code, found) = until(&site, &[&server], "redis", "ok");
    assert_eq!((code, found["state"].as_str()), (Some(0), Some("not-checked")), "{found:#}");
    let checks = found["checks"].as_array().expect("checks");
    // Plain text on loopback is all that nobody could look at.
    assert!(checks.iter().all(|check| check["state"] == "ok" || check["what"] == "tls"), "{found:#}");
    for what in ["service", "keys", "clock", "process", "store", "redis", "audit", "release"] {
        assert!(!of(&found, what).is_empty(), "nothing about {what}: {found:#}");
    }
    let keys = of(&found, "keys");
    assert!(keys.iter().any(|[_, said, _]| said.starts_with("rotated next at 20")), "{found:#}");
    let [_, redis_is, _] = of(&found, "redis")[0];
    assert!(redis_is.contains("standalone") && redis_is.contains("append-only file"), "{redis_is}");

    redis.kill();
    let (code, found) = until(&site, &[&server], "redis", "failed");
    assert_eq!((code, found["state"].as_str()), (Some(FINDINGS), Some("failed")), "{found:#}");
    let told = of(&found, "redis");
    assert!(
        told.iter()
            .any(|[_, said, todo]| said.contains("session store") && todo.contains("see that Redis runs")),
        "{found:#}"
    );
    assert!(
        of(&found, "service").iter().any(|[state, ..]| *state == "failed"),
        "the session service is told: {found:#}"
    );
}

#[test]
fn a_redis_that_would_lose_what_it_has_acknowledged_is_a_warning() {
    let redis = Redis::start(&[]);
    let site = Site::new().with(&["--demo"]).set("REDIS__URL", &redis.url());
    let server = site.start();
    let (code, found) = until(&site, &[&server], "redis", "warning");
    assert_eq!((code, found["state"].as_str()), (Some(FINDINGS), Some("warning")), "{found:#}");
    assert!(of(&found, "redis")[0][2].contains("appendonly"), "{found:#}");
}

#[test]
fn keys_in_files_are_said_to_be_rotated_by_hand() {
    let site = Site::new().with(&["--demo"]);
    let files = ["one.pem", "two.pem"].map(|name| site.home().join(name).to_str().unwrap().to_owned());
    for file in &files {
        fs::write(file, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    }
    let site = site.set("AUTH__TOKENS__KEY_FILES", &format!("{files:?}"));
    let server = site.start();
    let (code, found) = examined(&site, &[], &[&server]);
    let by_hand = ["ok", "in files, rotated by hand", ""];
    assert!(of(&found, "keys").contains(&by_hand), "{found:#}");
    assert_eq!(code, Some(0), "{found:#}");
}

#[allow(clippy::disallowed_methods, reason = "a certificate is good from now on")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A certificate for this machine that is good for some days, and the file of its authority.
fn certificate(site: &Site, days: i64) -> [String; 3] {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "authority");
    let ca = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let seconds = now().as_second() + days * 24 * 3600;
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.unsigned_abs());
    let own = KeyPair::generate().unwrap();
    let pem = params.signed_by(&own, &issuer).unwrap().pem();
    [("ca.crt", ca), ("server.crt", pem), ("server.key", own.serialize_pem())].map(|(name, text)| {
        let path = site.home().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

#[test]
fn a_certificate_that_ends_soon_is_told_with_its_day() {
    let site = Site::new().with(&["--demo"]);
    let [ca, crt, key] = certificate(&site, 5);
    let mut up = site.up();
    up.env("ROAMLINE_SERVER__TLS__CERTIFICATE_FILE", crt).env("ROAMLINE_SERVER__TLS__KEY_FILE", key);
    let server = start(up).expect("it starts");
    let (code, found) = examined(&site, &["--ca", &ca], &[&server]);
    assert_eq!(code, Some(FINDINGS), "{found:#}");
    let [state, _, todo] = of(&found, "certificate")[0];
    assert!(state == "warning" && todo.contains("renew"), "{found:#}");
    assert_eq!(of(&found, "tls")[0][0], "ok", "{found:#}");
}

#[test]
fn xc_9_a_peer_that_has_stopped_is_told_with_how_to_test_it() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    let address = "https://127.0.0.1:1";
    let id = "spiffe://example.org/roamline/paris";
    let made = site.roamctl(&[
        "peer",
        "create",
        "paris",
        "--address",
        address,
        "--spiffe-id",
        id,
        "--service",
        "emcc",
    ]);
    assert!(made.status.success(), "{}", text(&made));
    let (code, found) = until(&site, &[&server], "peer", "failed");
    assert_eq!(code, Some(FINDINGS));
    assert!(of(&found, "peer")[0][2].contains("roamctl peer test paris"), "{found:#}");
}

#[test]
fn what_nobody_could_be_asked_is_said_to_be_unchecked() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    let (code, found) = examined(&site, &[], &[]);
    assert_eq!(code, Some(0), "{found:#}");
    let [state, _, todo] = of(&found, "process")[0];
    assert!(state == "not-checked" && todo.contains("--admin"), "{found:#}");
    server.kill();
    let (code, found) = examined(&site, &[], &[]);
    assert_eq!(code, Some(FINDINGS), "{found:#}");
    assert!(of(&found, "service").iter().filter(|check| check[0] == "failed").count() >= 3, "{found:#}");
    let wrong = site.roamctl(&["doctor", "--admin", "127.0.0.1:7401"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong));
}
