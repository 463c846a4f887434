//! Secrets in settings: in what refuses them, and in what waits for those whom they are for.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::of_file;
use super::planted::{found, planted};
use crate::process::{Site, WITHIN, text};

/// What is refused before anything begins is refused without quoting what may be a secret.
#[test]
fn no_configuration_that_is_refused_is_quoted_with_its_secrets() {
    const CANARY: &str = "cAnArY-settings-41c7";
    const DIGITS: &str = "51906633847205";
    let site = Site::new();
    let file = |name: &str, content: &str| {
        let path = site.home().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64_STANDARD.encode(CANARY)
    );
    let certificate = format!("-----BEGIN CERTIFICATE-----\n{CANARY}\n-----END CERTIFICATE-----\n");
    let (key, certificate) = (file("bad.key", &key), file("bad.crt", &certificate));
    let (url, nothing) = (file("bad.url", &format!("postgres://x:{CANARY}@[:\n")), file("nothing", CANARY));
    let settings = [
        ("STORE__URL", format!("postgres://x:{CANARY}@host:port/name")),
        ("STORE__URL", format!("postgres://x:{CANARY}@[::1/name")),
        ("STORE__URL", format!("mysql://x:{CANARY}@host/name")),
        ("STORE__URL", format!("postgres://x:{CANARY}@host/name?sslmode=sometimes")),
        ("STORE__URL", CANARY.to_owned()),
        ("STORE__URL_FILE", url),
        ("STORE__URL_FILE", nothing),
        ("REDIS__URL", format!("redis://:{CANARY}@host:port")),
        ("REDIS__URL", format!("redis://:{CANARY}@[::1")),
        ("REDIS__URL", format!("redis://host/{CANARY}")),
        ("REDIS__URL", CANARY.to_owned()),
        ("REDIS__SENTINEL__URLS", format!("[\"redis://:{CANARY}@host:port\"]")),
        ("REDIS__CLUSTER", format!("[\"redis://:{CANARY}@host:port\"]")),
        ("REDIS__CLUSTER", format!("redis://:{CANARY}@host")),
        ("REDIS__PASSWORD", CANARY.to_owned()),
        ("REDIS__PASWORD", CANARY.to_owned()),
        ("REDIS__PASSWORD__X", CANARY.to_owned()),
    ];
    let mut said = Vec::new();
    for (key, value) in settings {
        let output = Site::new().set(key, &value).up().stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success(), "{key} {value} is taken");
        said.push((format!("{key}={value}").replace(CANARY, ".."), text(&output)));
    }
    for (certificate, key) in [(&certificate, &key), (&key, &certificate), (&certificate, &certificate)] {
        let tls =
            Site::new().set("SERVER__TLS__CERTIFICATE_FILE", certificate).set("SERVER__TLS__KEY_FILE", key);
        let output = tls.up().stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success(), "{certificate} and {key} are taken");
        said.push(("TLS".to_owned(), text(&output)));
    }
    for content in [
        format!("[redis]\npassword = \"{CANARY}\n"),
        format!("[redis]\npassword = {CANARY}\n"),
        format!("[redis]\npassword = [\"{CANARY}\"]\n"),
        format!("[redis]\npassword = {{ is = \"{CANARY}\" }}\n"),
        format!("[redis]\npassword = {DIGITS}\n"),
        format!("redis = {DIGITS}\n"),
        format!("[redis]\npaswd = \"{CANARY}\"\n"),
        format!("[redis]\nurl = \"redis://host\"\npassword = \"{CANARY}\"\npassword = \"{CANARY}\"\n"),
        format!("[store]\nurl = \"postgres://x:{CANARY}@host/name\" x\n"),
        format!("[store]\nurl = [\"postgres://x:{CANARY}@host/name\"]\n"),
        format!("redis = \"redis://:{CANARY}@host\"\n"),
        format!("password {CANARY}\n"),
    ] {
        let mut command = site.up();
        command.arg("--config").arg(file("roamline.toml", &content));
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(!output.status.success(), "{content} is taken");
        said.push((content.replace(CANARY, ".."), text(&output)));
    }
    for content in [
        format!("name = \"admin\"\npassword = \"{CANARY}\n"),
        format!("name = \"admin\"\npassword = [\"{CANARY}\"]\n"),
        format!("name = \"admin\"\npasword = \"{CANARY}\"\n"),
        format!("{CANARY}\n"),
    ] {
        let credentials = file("who.toml", &content);
        fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
        let output = site.roamctl(&[
            "--credentials",
            &credentials,
            "--server",
            "http://127.0.0.1:1",
            "session",
            "list",
        ]);
        assert!(!output.status.success());
        said.push((format!("roamctl {}", content.replace(CANARY, "..")), text(&output)));
    }
    let found = found(&[planted("a secret of a setting", CANARY), planted("one of digits", DIGITS)], &said);
    assert!(found.is_empty(), "{found:#?}");
}

/// A store that is not there is named in the log again and again, and its password is not.
#[test]
fn a_store_that_is_waited_for_is_told_without_its_password() {
    const CANARY: &str = "cAnArY-waiting-5e90";
    let site = Site::on_postgres(&format!("postgres://x:{CANARY}@127.0.0.1:1/name"))
        .set("REDIS__URL", "redis://127.0.0.1:1")
        .set("REDIS__PASSWORD", CANARY)
        .set("LOG__FILTER", "trace");
    let log = site.home().join("log");
    let mut up = site.up();
    up.stderr(fs::File::create(&log).unwrap());
    up.stdout(fs::File::create(site.home().join("out")).unwrap());
    let mut child = up.stdin(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + WITHIN;
    while !of_file(&log).1.contains("127.0.0.1:1") && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it does not say whom it waits for");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let found = found(&[planted("a password", CANARY)], &[of_file(&log), of_file(&site.home().join("out"))]);
    assert!(found.is_empty(), "{found:#?}");
}
