//! Secrets that are planted, and then looked for in everything that was written: logs of every level, reports, errors,
//! answers, metrics, and what the stores keep; as they are, and in the spellings in which bytes are written.

pub(crate) mod planted;
mod settings;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{
    ChangeCredentialRequest, Credential, NewCredential, PrincipalKind, SetCredentialsRequest, SignInRequest,
};
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::{ApplyResourcesRequest, DeviceSettings, Resource, UserDeviceProfile, resource};
use roamline_proto::session::{ListSessionsRequest, LoginRequest};
use tonic::Status;

use self::planted::{Planted, Written, found, planted, written};
use crate::clients::{
    administrator, furnish, link, login, password, phone_name, pin, sessions, sign_in, user,
};
use crate::postgres::starter::Server as Database;
use crate::process::{Server, Site, WITHIN, start, text};
use crate::redis::starter::Redis;

/// A server whose every word goes to files, too.
fn listened_to(
    site: &Site,
    name: &str,
    settings: &[(&str, &str)],
    environment: &[(&str, &Path)],
) -> (Server, [PathBuf; 2]) {
    let files = ["out", "err"].map(|end| site.home().join(format!("{name}.{end}")));
    let up = site.up();
    let mut shell = Command::new("bash");
    shell.env_clear().current_dir(site.home());
    shell.args(["-c", "exec \"${@:3}\" 2>\"$2\" > >(tee \"$1\")", "bash"]).args(&files);
    shell.arg(up.get_program()).args(up.get_args());
    shell.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", site.home());
    for (key, value) in up.get_envs() {
        if let Some(value) = value {
            shell.env(key, value);
        }
    }
    for (key, value) in settings {
        shell.env(format!("ROAMLINE_{key}"), value);
    }
    shell.env("RUST_BACKTRACE", "full").envs(environment.iter().copied());
    (start(shell).unwrap_or_else(|said| panic!("the server did not start: {said}")), files)
}

fn of_file(path: &Path) -> Written {
    written(path.display().to_string(), &fs::read(path).unwrap())
}

/// Everything below a folder.
fn of_folder(folder: &Path) -> Vec<Written> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => all.extend(of_folder(&entry.path())),
            kind if kind.is_file() => all.push(of_file(&entry.path())),
            _ => {}
        }
    }
    all
}

fn metrics(server: &Server) -> String {
    let mut stream = TcpStream::connect(server.admin.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Everything that Redis keeps.
fn of_redis(redis: &Redis, secret: &str) -> Vec<Written> {
    let client = ::redis::Client::open(format!("redis://:{secret}@{}", redis.address())).unwrap();
    let mut connection = client.get_connection().unwrap();
    let keys: Vec<Vec<u8>> = ::redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    assert!(!keys.is_empty(), "something is kept");
    let dump = |key: Vec<u8>| {
        let value: Vec<u8> = ::redis::cmd("DUMP").arg(&key).query(&mut connection).unwrap();
        written(format!("Redis at {}", String::from_utf8_lossy(&key)), &value)
    };
    keys.into_iter().map(dump).collect()
}

/// What the site's users and applications prove themselves with, and what strangers try.
struct Secrets {
    own_pin: Planted,
    next_pin: Planted,
    wrong_pin: Planted,
    application: Planted,
    wrong_password: Planted,
    call_blocking: Planted,
    forged: Planted,
}

impl Secrets {
    fn new() -> Self {
        Self {
            own_pin: planted("a PIN", "73119055284617"),
            next_pin: planted("the PIN after it", "84022166395728"),
            wrong_pin: planted("a wrong PIN", "95133277406839"),
            application: planted("an application's password", "cAnArY-application-7d1f"),
            wrong_password: planted("a wrong password", "cAnArY-wrong-password-93ab"),
            call_blocking: planted("a call-blocking PIN", "61724835"),
            forged: planted("a forged token", "cAnArYheader.cAnArYclaims.cAnArYsignature"),
        }
    }

    async fn plant(&self, server: &Server, admin: &str) {
        let credential = |name: String, kind: PrincipalKind, credential: Option<Credential>| NewCredential {
            name,
            principal_kind: kind.into(),
            credential,
            ..Default::default()
        };
        let credentials = vec![
            credential(user(0), PrincipalKind::User, pin(&self.own_pin.secret)),
            credential("crm".into(), PrincipalKind::Application, password(&self.application.secret)),
        ];
        AuthServiceClient::new(link(server, admin))
            .set_credentials(SetCredentialsRequest { credentials, validate_only: false })
            .await
            .unwrap();
        let profile = UserDeviceProfile {
            name: "blocked".into(),
            settings: Some(DeviceSettings {
                call_blocking_pin: self.call_blocking.secret.clone(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let resources = vec![Resource { kind: Some(resource::Kind::UserDeviceProfile(profile)) }];
        DirectoryServiceClient::new(link(server, admin))
            .apply_resources(ApplyResourcesRequest { resources, validate_only: false })
            .await
            .unwrap();
    }

    /// Uses each of them rightly and wrongly; the refusals.
    async fn use_all(&self, server: &Server) -> Vec<Status> {
        let mut refusals = Vec::new();
        let long = "8402216639572884022166395728".repeat(200);
        let tries = [
            (user(0), pin(&self.wrong_pin.secret)),
            (user(0), password(&self.wrong_password.secret)),
            ("nobody".into(), password(&self.wrong_password.secret)),
            ("crm".into(), password(&self.wrong_password.secret)),
            (String::new(), pin(&self.wrong_pin.secret)),
            (user(0), pin(&long)),
            (user(0), password(&format!("{}\u{0}", self.wrong_password.secret.repeat(9)))),
        ];
        for (name, credential) in tries {
            let request = LoginRequest { credential: credential.clone(), ..login(&name, &phone_name(0)) };
            refusals.push(sessions(server, "").login(request).await.unwrap_err());
            let request = SignInRequest { name, credential };
            refusals.push(AuthServiceClient::new(link(server, "")).sign_in(request).await.unwrap_err());
        }
        for token in [self.forged.secret.clone(), self.forged.secret.repeat(250)] {
            refusals.push(
                sessions(server, &token).list_sessions(ListSessionsRequest::default()).await.unwrap_err(),
            );
        }
        let change = |replacement: &str| ChangeCredentialRequest {
            name: user(1),
            current: pin("10001"),
            replacement: pin(replacement),
        };
        let mut auth = AuthServiceClient::new(link(server, ""));
        refusals.push(auth.change_credential(change("x73119055284617")).await.unwrap_err());
        auth.change_credential(change(&self.next_pin.secret)).await.unwrap();
        refusals
    }

    fn all(self) -> Vec<Planted> {
        let Self { own_pin, next_pin, wrong_pin, application, wrong_password, call_blocking, forged } = self;
        vec![own_pin, next_pin, wrong_pin, application, wrong_password, call_blocking, forged]
    }
}

async fn agent_signs_in(server: &Server, secret: &str) -> String {
    let request = SignInRequest { name: user(0), credential: pin(secret) };
    AuthServiceClient::new(link(server, "")).sign_in(request).await.unwrap().into_inner().access_token
}

/// The tokens that were given out; a log that tells one of them gives its reader the rights of its owner.
fn tokens(given: &[String]) -> Vec<Planted> {
    let parts = given.iter().flat_map(|token| {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        [planted("a token", signed), planted("the signature of a token", signature)]
    });
    parts.collect()
}

fn told(statuses: &[Status]) -> Written {
    let all: String = statuses
        .iter()
        .map(|status| format!("{status:?} {status} {}\n", String::from_utf8_lossy(status.details())))
        .collect();
    ("an answer".to_owned(), all)
}

async fn nothing_is_told(format: &str) {
    let mut database = Database::start();
    database.create("canaries");
    let secret = "cAnArY-redis-2b6e";
    let mut redis = Redis::start(&[&format!("requirepass {secret}"), "rdbcompression no"]);
    let site = Site::on_postgres(&database.url("canaries"))
        .set("REDIS__URL", &redis.url())
        .set("REDIS__PASSWORD", secret)
        .set("LOG__FILTER", "trace")
        .set("LOG__FORMAT", format);
    let (server, files) = listened_to(&site, "first", &[], &[]);
    let admin = administrator(&site, &server).await;
    furnish(&server, &admin, 2).await;
    let secrets = Secrets::new();
    secrets.plant(&server, &admin).await;
    let token = agent_signs_in(&server, &secrets.own_pin.secret).await;
    let application = sign_in(&server, "crm", &secrets.application.secret).await.unwrap();
    let request =
        LoginRequest { credential: pin(&secrets.own_pin.secret), ..login(&user(0), &phone_name(0)) };
    sessions(&server, &application).login(request).await.unwrap();
    let mut refusals = secrets.use_all(&server).await;
    let metrics = metrics(&server);
    let kept = of_redis(&redis, secret);

    redis.kill();
    let request = LoginRequest { credential: pin("10001"), ..login(&user(1), &phone_name(1)) };
    refusals.extend(sessions(&server, &token).login(request).await.err());
    database.kill();
    let request = SignInRequest { name: user(0), credential: pin(&secrets.own_pin.secret) };
    refusals.push(AuthServiceClient::new(link(&server, "")).sign_in(request).await.unwrap_err());
    assert!(server.stop().success(), "SIGTERM ends it");

    let file = fs::read_to_string(site.data().join("admin.toml")).unwrap();
    let own = file.lines().find_map(|line| line.strip_prefix("password = ")).unwrap().trim_matches('"');
    let mut all = secrets.all();
    all.extend([
        planted("the administrator's password", own),
        planted("the password of Redis", secret),
        planted("the password of PostgreSQL", crate::postgres::starter::PASSWORD),
    ]);
    all.extend(tokens(&[admin, token, application]));
    let mut written: Vec<_> = files.iter().map(|file| of_file(file)).collect();
    assert!(written[1].1.contains("TRACE"), "the log has its highest level");
    written.extend([told(&refusals), ("metrics".to_owned(), metrics)]);
    written.extend(kept);
    written.extend(of_folder(&site.data()).into_iter().filter(|(name, _)| !name.ends_with("admin.toml")));
    let found = found(&all, &written);
    assert!(found.is_empty(), "{} places: {:#?}", found.len(), &found[..found.len().min(12)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_at_the_highest_level_for_people() {
    nothing_is_told("pretty").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_at_the_highest_level_for_machines() {
    nothing_is_told("json").await;
}

/// In a file of SQLite are hashes; in an archive are the call-blocking PINs, which it says, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_kept_but_where_it_belongs() {
    let site = Site::new().set("LOG__FILTER", "trace");
    let (server, files) = listened_to(&site, "first", &[], &[]);
    let admin = administrator(&site, &server).await;
    furnish(&server, &admin, 2).await;
    let secrets = Secrets::new();
    secrets.plant(&server, &admin).await;
    let token = agent_signs_in(&server, &secrets.own_pin.secret).await;
    let refusals = secrets.use_all(&server).await;
    let mut outputs = Vec::new();
    for (arguments, input) in [
        (
            &["login", "agent0", "--phone", "SEP020000000000", "--secret-file", "-"][..],
            &secrets.own_pin.secret,
        ),
        (&["login", "agent1", "--phone", "SEP020000000001", "--secret-file", "-"], &secrets.wrong_pin.secret),
        (&["logout", "--phone", &phone_name(0)], &String::new()),
        (&["audit", "export"], &String::new()),
        (&["-o", "json", "export"], &String::new()),
        (&["profile", "get", "blocked"], &String::new()),
        (
            &["credential", "set", "agent1", "--kind", "user", "--pin", "--secret-file", "-"],
            &secrets.next_pin.secret,
        ),
    ] {
        let output = site.roamctl_with_input(arguments, &format!("{input}\n"));
        outputs.push((format!("roamctl {arguments:?}"), text(&output)));
    }
    let archive = site.home().join("archive");
    assert!(site.roamctl(&["backup", "create", archive.to_str().unwrap()]).status.success());
    server.kill();

    let mut all = secrets.all();
    all.extend(tokens(&[admin, token]));
    let mut written: Vec<_> = files.iter().map(|file| of_file(file)).collect();
    written.push(told(&refusals));
    written.extend(outputs);
    let found_told = found(&all, &written);
    assert!(found_told.is_empty(), "{:#?}", &found_told[..found_told.len().min(12)]);

    // What is kept: the call-blocking PIN is a part of the directory.
    all.retain(|planted| planted.what != "a call-blocking PIN");
    let mut kept = of_folder(&site.data());
    kept.retain(|(name, _)| !name.ends_with("admin.toml"));
    kept.push(of_file(&archive));
    let found_kept = found(&all, &kept);
    assert!(found_kept.is_empty(), "{:#?}", &found_kept[..found_kept.len().min(12)]);
}

/// Neither the key of the server's certificate is told, nor those of its connections, whatever the environment asks.
#[test]
fn no_key_of_tls_is_written_at_the_highest_level() {
    let site = Site::new().set("LOG__FILTER", "trace");
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let file = |name: &str, content: &str| {
        let path = site.home().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (authority, pem) = (file("server.crt", &certificate.pem()), key.serialize_pem());
    let keys_of_connections = site.home().join("keys of connections");
    let settings = [
        ("SERVER__TLS__CERTIFICATE_FILE", &*authority),
        ("SERVER__TLS__KEY_FILE", &*file("server.key", &pem)),
    ];
    let (server, files) =
        listened_to(&site, "first", &settings, &[("SSLKEYLOGFILE", keys_of_connections.as_path())]);
    let output = site.roamctl(&["--ca", &authority, "session", "list"]);
    assert!(output.status.success(), "{}", text(&output));
    let mut stream = TcpStream::connect(server.api.trim_start_matches("https://")).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = stream.read(&mut [0; 100]);
    assert!(server.stop().success());
    assert!(!keys_of_connections.exists());
    let lines = pem.lines().filter(|line| !line.starts_with('-'));
    let all: Vec<_> = lines.map(|line| planted("a part of the private key", line)).collect();
    let found = found(&all, &files.map(|file| of_file(&file)));
    assert!(found.is_empty(), "{found:#?}");
}
