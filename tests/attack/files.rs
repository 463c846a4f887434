//! Files that somebody hands to an operator: an import, a backup, a list of resources, an audit trail, a configuration.
//! Each is a good one with something done to it, and is taken or refused with a reason: nothing panics, nothing hangs.

use std::fs;
use std::path::Path;
use std::process::Output;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::number;
use crate::process::{Site, roamline, text};

/// What is done to a file.
#[derive(Clone, Debug)]
enum Harm {
    Cut(Index),
    Change(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    Repeat(Index, Index),
    Swap(Index, Index),
}

fn harm() -> impl Strategy<Value = Harm> {
    let odd: Vec<&[u8]> = vec![
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\"",
        b"'",
        b"\\",
        b",",
        b"\r",
        b"\n\n",
        b"{",
        b"[[",
        b"}}}}",
        b"&a [*a]",
        b"!!binary x",
        b"---\n",
        b"99999999999999999999",
        b"-1",
        b"\xf0\x9f\x98\x80",
        b"\xe2\x80\xae",
        b": ",
        b"# ",
        b"null",
    ];
    prop_oneof![
        any::<Index>().prop_map(Harm::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Harm::Change(at, byte)),
        (any::<Index>(), prop::sample::select(odd)).prop_map(|(at, bytes)| Harm::Insert(at, bytes.to_vec())),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, bytes)| Harm::Remove(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Harm::Repeat(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Harm::Swap(from, to)),
    ]
}

fn harmed(good: &[u8], harms: &[Harm]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for harm in harms {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match harm {
            Harm::Cut(at) => bytes.truncate(place(at, &bytes)),
            Harm::Change(at, byte) => {
                let at = place(at, &bytes);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Harm::Insert(at, new) => {
                let at = place(at, &bytes);
                bytes.splice(at..at, new.iter().copied());
            }
            Harm::Remove(at, length) => {
                let at = place(at, &bytes);
                bytes.drain(at..(at + usize::from(*length)).min(bytes.len()));
            }
            Harm::Repeat(from, to) => {
                let (from, to) = (place(from, &bytes), place(to, &bytes));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(to..to, part);
            }
            Harm::Swap(from, to) => {
                let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                let (from, to) = (from.index(lines.len()), to.index(lines.len()));
                lines.swap(from, to);
                bytes = lines.join(&b'\n');
            }
        }
    }
    bytes
}

/// Gives harmed files to a command; a failing one is made as small as possible and printed. The same ones every time.
fn every(good: &[u8], path: &Path, cases: usize, run: impl Fn() -> Output) {
    let config =
        Config { cases: u32::try_from(cases).unwrap(), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner
        .run(&prop::collection::vec(harm(), 1..4), |harms| {
            fs::write(path, harmed(good, &harms)).unwrap();
            let output = run();
            let said = text(&output);
            prop_assert!(output.status.code().is_some_and(|code| code < 100), "{said}");
            prop_assert!(!said.contains("panicked"), "{said}");
            prop_assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "no reason: {said}");
            Ok(())
        })
        .unwrap();
}

fn written(site: &Site, arguments: &[&str], file: &Path) -> Vec<u8> {
    let output = site.roamctl(arguments);
    assert!(output.status.success(), "{}", text(&output));
    if file.exists() { fs::read(file).unwrap() } else { output.stdout }
}

#[test]
fn a_harmed_file_is_taken_or_refused_with_a_reason() {
    let site = Site::new().with(&["--demo"]);
    let server = site.start();
    site.json(&["login", "1001", "--phone", "SEP02005E005302", "--with-token"]);
    let path = |name: &str| site.home().join(name);
    let (archive, cases) = (path("good.backup"), number(10, 400));

    let good = written(&site, &["export"], &path("none"));
    let file = path("site.yaml");
    every(&good, &file, cases, || site.roamctl(&["apply", "--dry-run", "-f", file.to_str().unwrap()]));

    let json = written(&site, &["-o", "json", "export"], &path("none"));
    let file = path("site.json");
    every(&json, &file, cases, || site.roamctl(&["diff", "-f", file.to_str().unwrap()]));

    let good = written(&site, &["export", "csv", "phone", "-"], &path("none"));
    let file = path("phones.csv");
    every(&good, &file, cases, || {
        site.roamctl(&["import", "csv", "phone", file.to_str().unwrap(), "--dry-run"])
    });

    let good = written(&site, &["backup", "create", archive.to_str().unwrap()], &archive);
    let file = path("site.backup");
    every(&good, &file, cases, || site.roamctl(&["backup", "restore", file.to_str().unwrap(), "--dry-run"]));

    let good = written(&site, &["audit", "export"], &path("none"));
    let file = path("site.trail");
    every(&good, &file, cases, || site.roamctl(&["audit", "verify", "--file", file.to_str().unwrap()]));

    let good = include_bytes!("../data/cme-small.cfg");
    let file = path("router.cfg");
    every(good, &file, cases, || site.roamctl(&["import", "cme", file.to_str().unwrap(), "--dry-run"]));
    assert!(server.stop().success());
}

#[test]
fn a_harmed_configuration_is_taken_or_refused_with_a_reason() {
    let site = Site::new();
    let good = "[server]\ndrain_for = \"1s\"\nmax_connections = 100\ncors_origins = [\"https://x.example.org\"]\n\n\
                [server.tls]\nclient_certificate = \"optional\"\n\n[store]\nurl = \"\"\nmax_connections = 10\n\n\
                [redis]\nurl = \"\"\ncluster = []\n[redis.sentinel]\nurls = []\nmaster = \"x\"\n\n\
                [auth.hashing]\nmemory_kib = 19456\n\n[log]\nfilter = \"warn,roamline=info\"\nformat = \"json\"\n";
    let file = site.home().join("roamline.toml");
    every(good.as_bytes(), &file, number(60, 2_000), || {
        let mut migrate = roamline(site.home());
        migrate.args(["migrate", "--check", "--config"]).arg(&file).arg("--data").arg(site.data());
        migrate.output().expect("roamline runs")
    });
}
