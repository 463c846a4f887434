//! `roamctl support-bundle`: it has what helps, and none of the secrets and names that are planted.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use crate::canaries::planted::{Written, found, planted, written};
use crate::process::{Site, text};
use crate::redis::starter::Redis;

const PHONE: &str = "SEP02005E005302";
const SECRET: &str = "cAnArY-bundle-6e21";

/// Every file of a bundle.
fn unpacked(path: &Path) -> Vec<Written> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).unwrap()));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        written(entry.path().unwrap().display().to_string(), &bytes)
    });
    entries.collect()
}

fn text_of<'a>(bundle: &'a [Written], name: &str) -> &'a str {
    let file = bundle.iter().find(|(place, _)| place.ends_with(name));
    &file
        .unwrap_or_else(|| {
            panic!("no {name} in {:?}", bundle.iter().map(|(name, _)| name).collect::<Vec<_>>())
        })
        .1
}

#[test]
fn a_bundle_has_what_helps_and_no_secret_and_no_name() {
    let redis = Redis::start(&[&format!("requirepass {SECRET}"), "appendonly yes"]);
    let site = Site::new().with(&["--demo"]).set("REDIS__URL", &redis.url()).set("REDIS__PASSWORD", SECRET);
    let server = site.start();
    site.json(&["login", "1001", "--phone", PHONE, "--with-token"]);
    let config = site.home().join("roamline.toml");
    let settings = format!(
        "[redis]\nurl = \"redis://x:{SECRET}@redis\"\npasswrod = \"{SECRET}\"\n[store]\nmax_connections = 7\n[services]\nsecret = \"{SECRET}\"\n"
    );
    std::fs::write(&config, settings).unwrap();
    let make = |name: &str, more: &[&str]| {
        let file = site.home().join(name);
        let words = [
            "support-bundle",
            file.to_str().unwrap(),
            "--admin",
            &server.admin,
            "--config",
            config.to_str().unwrap(),
        ];
        let output = site.roamctl(&[&words, more].concat());
        assert!(output.status.success(), "{}", text(&output));
        unpacked(&file)
    };

    let bundle = make("bundle.tar.gz", &[]);
    for (name, has) in [
        ("README.txt", "support bundle"),
        ("doctor.txt", "redis"),
        ("doctor.json", "\"checks\""),
        ("versions.json", env!("CARGO_PKG_VERSION")),
        ("processes/1/metrics", "roamline_session_logins_total"),
        ("processes/1/readyz", "ok"),
        ("processes/1/about", "appendOnly"),
        ("parameters.json", "serviceParameters"),
        ("peers.json", "clusterId"),
        ("audit.json", "\"number\": 1"),
        ("sessions.json", "user-"),
        ("configuration/1.toml", "max_connections = 7"),
    ] {
        assert!(text_of(&bundle, name).contains(has), "{name}: {}", text_of(&bundle, name));
    }
    assert_eq!(text_of(&bundle, "errors.txt"), "");
    let own = std::fs::read_to_string(site.data().join("admin.toml")).unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("password = ")).unwrap().trim_matches('"');
    let all = [
        planted("a secret", SECRET),
        planted("the administrator's password", own),
        planted("a phone", PHONE),
    ];
    let told = found(&all, &bundle);
    assert!(told.is_empty(), "{told:#?}");
    let sessions = text_of(&bundle, "sessions.json");
    assert!(!sessions.contains("1001"), "{sessions}");

    let named = make("named.tar.gz", &["--with-names"]);
    assert!(text_of(&named, "sessions.json").contains(PHONE));
}

#[test]
fn a_bundle_of_a_site_that_does_not_answer_says_what_is_missing() {
    let site = Site::new();
    let file = site.home().join("bundle.tar.gz");
    let output = site.roamctl(&["--server", "http://127.0.0.1:1", "support-bundle", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output));
    let bundle = unpacked(&file);
    assert!(text_of(&bundle, "errors.txt").contains("sessions.json"), "{bundle:?}");
    assert!(text_of(&bundle, "doctor.txt").contains("failed"));
}
