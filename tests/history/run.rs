//! One run: three servers, 64 clients, faults, and in the end the check.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roamline_proto::session::WatchSessionsRequest;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_serve::Clock;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use crate::check::{Event, History, Report, check};
use crate::client::{Client, LONGEST, PHONES, USERS, ended, seen};
use crate::clients::{Sessions, administrator, furnish, live, login, phone_name, sessions, user};
use crate::faults::{Done, Faults, Member};
use crate::postgres::Server as Database;
use crate::process::{Site, WITHIN, text};

const CLIENTS: usize = 64;
const MEMBERS: usize = 3;

/// What is run.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) database: &'static str,
    /// Of the servers, beside the database.
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) length: Duration,
}

pub(crate) async fn run(run: Run, mut faults: Faults) -> Report {
    // One at a time: each has a machine's work.
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let database = Database::of_all();
    database.create(run.database);
    let site = || {
        let site = Site::on_postgres(&database.url(run.database)).with(&["--cluster-id", run.database]);
        run.settings.iter().fold(site, |site, (key, value)| site.set(key, value))
    };
    let mut members: Vec<_> = (0..MEMBERS).map(|_| Member::start(site())).collect();
    let admin = administrator(members[0].site(), members[0].server()).await;
    // One user and one phone more: theirs is the last event.
    furnish(members[0].server(), &admin, USERS.max(PHONES) + 1).await;
    let set = ["parameters", "set", "multiple_login_behavior=auto-logout"];
    let output = members[0].site().roamctl(&set);
    assert!(output.status.success(), "{}", text(&output));
    let servers: Arc<Vec<_>> =
        Arc::new(members.iter().map(|member| sessions(member.server(), &admin)).collect());
    let beginning = beginning(&mut servers[0].clone()).await;

    let (stop, stopped) = watch::channel(false);
    let began = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let client = Client { number, servers: Arc::clone(&servers), began, stop: stopped.clone() };
        clients.spawn(client.work());
    }
    let length = run.length;
    let faulty = tokio::task::spawn_blocking(move || {
        let mut done = Done::new();
        for n in 0.. {
            if began.elapsed() > length {
                break;
            }
            let at = began.elapsed();
            let what = faults.make(n, &mut members);
            *done.entry(what).or_default() += 1;
            eprintln!("{at:6.1?} to {:6.1?}: {what}", began.elapsed());
        }
        (members, faults, done)
    });
    let (members, faults, done) = faulty.await.expect("the faults are made and healed");
    stop.send_replace(true);
    let operations = clients.join_all().await.into_iter().flatten().collect();

    // Everybody whose time was limited is out by then.
    let mut pace = tokio::time::interval(Duration::from_secs(LONGEST + 3));
    pace.tick().await;
    pace.tick().await;
    let mut server = sessions(members[0].server(), &admin);
    let left = live(&mut server).await;
    let now = Clock::system().now();
    let log = log(&mut server, &beginning).await;
    let history =
        History { operations, log, live: left.into_iter().map(seen).collect(), now, several_phones: false };
    let report = check(&history);
    let all = history.operations.len();
    let made: Vec<_> = done.iter().map(|(what, times)| format!("{times} x {what}")).collect();
    eprintln!(
        "{}: {all} operations of {CLIENTS} clients in {:.0?}: {} logins and {} logouts acknowledged, {} refused, \
         {} without an answer; {} sessions ended by the clock, the latest {:#} after its instant; {} violations; \
         faults: {}",
        run.name,
        began.elapsed(),
        report.logins,
        report.logouts,
        report.refused,
        report.unknown,
        report.by_clock,
        report.latest,
        report.violations.len(),
        made.join(", ")
    );
    for violation in report.violations.iter().take(20) {
        eprintln!("{violation}");
        history.about(violation).iter().for_each(|line| eprintln!("    {line}"));
    }
    drop((faults, members));
    report
}

/// The place before everything.
async fn beginning(server: &mut Sessions) -> String {
    let mut stream =
        server.watch_sessions(WatchSessionsRequest::default()).await.expect("a watch").into_inner();
    let first = stream.message().await.expect("a message").expect("a message");
    assert!(matches!(first.message, Some(Message::SnapshotDone(_))), "nobody is logged in");
    first.resume_token
}

/// The log from there to a login that is made now.
async fn log(server: &mut Sessions, from: &str) -> Vec<Event> {
    let last = user(USERS);
    server.login(login(&last, &phone_name(USERS))).await.expect("all is well again");
    let request = WatchSessionsRequest { resume_token: from.into(), ..Default::default() };
    let mut stream = server.watch_sessions(request).await.expect("a watch").into_inner();
    let mut events = Vec::new();
    loop {
        let message = timeout(WITHIN, stream.message()).await.expect("in time").expect("a message");
        match message.expect("a message").message.expect("a message") {
            Message::LoggedIn(session) if session.user_id == last => return events,
            Message::LoggedIn(session) => events.push(Event::LoggedIn(seen(session))),
            Message::LoggedOut(out) => events.push(Event::LoggedOut(ended(out))),
            _ => {}
        }
    }
}
