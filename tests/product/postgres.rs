//! The product on PostgreSQL: what an operator relies on when servers and databases come and go.

#[allow(dead_code, reason = "the tests of the stores use the rest")]
#[path = "../../crates/store-sql/tests/postgres/starter.rs"]
pub(crate) mod starter;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use roamline_proto::error::ErrorReason;
use roamline_proto::session::session_service_client::SessionServiceClient;
use serde_json::Value;
use tonic::Code;
use tonic::transport::Endpoint;

use self::starter::Server as Database;
use crate::clients::{administrator, furnish, live, login, logout, phone_name, reason, sessions, user};
use crate::process::{Site, WITHIN, errors, roamline, text};

/// Agent and phone of the demo site.
const LOGIN: [&str; 6] = ["login", "1001", "--phone", "SEP02005E005302", "--secret-file", "-"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_site_outlives_its_server_and_its_database() {
    let mut database = Database::start();
    let url = database.url("postgres");
    let site = Site::on_postgres(&url).with(&["--demo"]);
    let server = site.start();
    assert!(
        server.report.contains("store") && !server.report.contains(starter::PASSWORD),
        "{}",
        server.report
    );
    let session = site.json_with_input(&LOGIN, "41001")["session"]["sessionId"].clone();

    server.kill();
    let server = site.start();
    let admin = administrator(&site, &server).await;
    let mut client = sessions(&server, &admin);
    let found = live(&mut client).await;
    assert_eq!(
        found.iter().map(|found| found.session_id.as_str()).collect::<Vec<_>>(),
        [session.as_str().unwrap()]
    );

    database.kill();
    let refused = client.logout(logout("SEP02005E005302")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let refused = client.list_sessions(roamline_proto::session::ListSessionsRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    assert!(!site.roamctl_with_input(&LOGIN, "41001").status.success());

    database.start_again();
    assert_eq!(live(&mut client).await, found, "nothing is lost, and nothing was done");
    client.logout(logout("SEP02005E005302")).await.unwrap();
    assert_ne!(site.json_with_input(&LOGIN, "41001")["session"]["sessionId"], session);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sp_21_a_parameter_changed_through_one_server_is_in_force_on_the_other() {
    Database::of_all().create("two_servers");
    let url = Database::of_all().url("two_servers");
    let (here, there) = (Site::on_postgres(&url), Site::on_postgres(&url));
    let (one, two) = (here.start(), there.start());
    assert!(!there.data().join("admin.toml").exists(), "the first server made the administrator");
    let admin = administrator(&here, &one).await;
    furnish(&one, &admin, 2).await;
    sessions(&one, &admin).login(login(&user(0), &phone_name(0))).await.unwrap();

    let mut client = sessions(&two, &admin);
    let refused = client.login(login(&user(0), &phone_name(1))).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::LoggedInElsewhere);
    here.json(&["parameters", "set", "multiple_login_behavior=allowed"]);
    let changed = Instant::now();
    while let Err(refused) = client.login(login(&user(0), &phone_name(1))).await {
        assert_eq!(reason(&refused), ErrorReason::LoggedInElsewhere);
        assert!(changed.elapsed() < Duration::from_secs(20), "not in force after {:?}", changed.elapsed());
    }
    assert_eq!(live(&mut sessions(&one, &admin)).await.len(), 2);
}

/// A server that may not be ready for a while. It is killed when the value is dropped.
pub(crate) struct Waiting {
    child: Child,
    said: Receiver<String>,
    api: String,
    admin: String,
}

impl Waiting {
    /// Starts it, and waits until it has said that it waits for `what`.
    pub(crate) fn start(mut up: Command, what: &str) -> Self {
        up.env("ROAMLINE_LOG__FORMAT", "json").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = up.spawn().unwrap();
        let (sender, said) = channel();
        follow(child.stderr.take().unwrap(), sender.clone());
        follow(child.stdout.take().unwrap(), sender);
        let mut waiting = Self { child, said, api: String::new(), admin: String::new() };
        let serving = waiting.wait_for("\"serving\"");
        let serving: Value = serde_json::from_str(&serving).unwrap();
        waiting.api = format!("http://{}", serving["api"].as_str().unwrap());
        waiting.admin = serving["admin"].as_str().unwrap().to_owned();
        waiting.wait_for(what);
        waiting
    }

    pub(crate) fn wait_for(&self, what: &str) -> String {
        let until = Instant::now() + WITHIN;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.said.recv_timeout(left).unwrap_or_else(|error| panic!("no {what} ({error})"));
            if line.contains(what) {
                return line;
            }
        }
    }

    fn probe(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        stream.set_read_timeout(Some(WITHIN)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Alive, not ready because of `why`, and refusing calls as unavailable.
    pub(crate) async fn assert_waits(&self, why: &[&str]) {
        assert!(self.probe("/livez").starts_with("HTTP/1.1 200"));
        let ready = self.probe("/readyz");
        assert!(ready.starts_with("HTTP/1.1 503") && why.iter().all(|why| ready.contains(why)), "{ready}");
        let channel = Endpoint::from_shared(self.api.clone()).unwrap().timeout(WITHIN).connect_lazy();
        let refused = SessionServiceClient::new(channel).login(login("1001", "SEP02005E005302")).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    }

    pub(crate) fn assert_becomes_ready(&self) {
        self.wait_for("Roamline is up.");
        assert!(self.probe("/readyz").starts_with("HTTP/1.1 200"));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(stream: impl Read + Send + 'static, sender: std::sync::mpsc::Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // That nobody listens any more is no reason to let the pipe fill up.
            let _ = sender.send(line);
        }
    });
}

/// `roamline migrate` with these settings.
fn migrate(site: &Site, settings: &[(&str, &str)], more: &[&str]) -> Command {
    let mut command = roamline(site.home());
    command.arg("migrate").args(more).arg("--data").arg(site.data()).envs(settings.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A server waits for migrations; of eight who migrate at once one does it; the server goes on by itself.
async fn waits_until_somebody_migrates(settings: &[(&str, &str)]) {
    let site = Site::new();
    let check = || migrate(&site, settings, &["--check"]).output().unwrap();
    let pending = check();
    assert_eq!(pending.status.code(), Some(3), "{}", text(&pending));
    assert!(text(&pending).contains("pending: m0001_first"), "{}", text(&pending));

    let mut up = site.up();
    up.envs(settings.iter().copied());
    let server = Waiting::start(up, "roamline migrate");
    server.assert_waits(&["m0001_first", "`roamline migrate`"]).await;

    let started: Vec<_> = (0..8).map(|_| migrate(&site, settings, &[]).spawn().unwrap()).collect();
    let ended: Vec<Output> = started.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    assert!(
        ended.iter().all(|ended| ended.status.success()),
        "{:?}",
        ended.iter().map(text).collect::<Vec<_>>()
    );
    let applied = ended.iter().filter(|ended| text(ended).contains("applied: m0001_first")).count();
    assert_eq!(applied, 1, "{:?}", ended.iter().map(text).collect::<Vec<_>>());

    server.assert_becomes_ready();
    let up_to_date = check();
    assert!(up_to_date.status.success(), "{}", text(&up_to_date));
}

#[tokio::test]
async fn pending_migrations_hold_readiness_until_they_are_applied_on_postgresql() {
    Database::of_all().create("pending");
    let url = Database::of_all().url("pending");
    waits_until_somebody_migrates(&[("ROAMLINE_STORE__URL", &url)]).await;
}

#[tokio::test]
async fn pending_migrations_hold_readiness_until_they_are_applied_on_sqlite() {
    waits_until_somebody_migrates(&[("ROAMLINE_STORE__MIGRATE", "manual")]).await;
}

#[tokio::test]
async fn a_database_that_is_not_there_yet_is_waited_for() {
    let mut database = Database::start();
    database.kill();
    let site = Site::new();
    let file = site.home().join("url");
    std::fs::write(&file, database.url("postgres")).unwrap();
    let settings =
        [("ROAMLINE_STORE__URL_FILE", file.to_str().unwrap()), ("ROAMLINE_STORE__MIGRATE", "auto")];
    let mut up = site.up();
    up.envs(settings);
    let server = Waiting::start(up, "cannot reach the database");
    server.assert_waits(&["cannot reach the database"]).await;
    let refused = migrate(&site, &settings, &[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(!text(&refused).contains(starter::PASSWORD), "{}", text(&refused));
    database.start_again();
    server.assert_becomes_ready();
}

#[test]
fn a_wrong_address_ends_the_server_at_once_and_is_not_repeated() {
    let site = Site::new();
    let mut up = site.up();
    let refused = up.env("ROAMLINE_STORE__URL", "mysql://roamline:s3cret@db/roamline").output().unwrap();
    assert_eq!(refused.status.code(), Some(78), "{}", text(&refused));
    let said = errors(&refused);
    assert!(said.contains("store.url") && !said.contains("s3cret"), "{said}");

    let mut up = site.up();
    let refused = up.env("ROAMLINE_STORE__URL", Database::of_all().url("nowhere")).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let said = errors(&refused);
    assert!(said.contains("nowhere") && !said.contains(starter::PASSWORD), "{said}");
}
