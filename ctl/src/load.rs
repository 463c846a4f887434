//! `load`: logins and logouts at a given rate of arrivals, whether or not those before are done (an open model). A
//! login's time runs from the instant it was meant to begin, so that waiting counts. Beside them, where they are asked
//! for: watchers who note how late events come, and a storm of logins by PIN.

mod measure;
mod site;
mod storm;
mod watch;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use clap::Args;
use roamline_proto::auth::{Credential, credential::Kind};
use roamline_proto::refusal::Refusal;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{LoginRequest, LogoutRequest, logout_request::Target};
use tokio::sync::Mutex;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use self::measure::{Measured, What};
use self::watch::Watches;
use crate::client::{Client, Service};
use crate::exit::Failure;
use crate::output::{Out, remark};
use crate::words;

/// Arrivals that find more logins than this under way are not started, and counted as an error.
const MOST_UNDER_WAY: usize = 50_000;

/// Arguments of `load`.
#[derive(Debug, Args)]
#[command(after_help = "\
Lines, profiles, users and phones named after `load` are created first. Each arrival logs a user in at his phone and\n\
then out again. Without --pin the caller's token proves the login. What begins in the warm-up is not counted. An event's\n\
time runs from its instant by the server's clock to its receipt by this machine's.")]
pub(crate) struct Load {
    /// Arrivals a second
    #[arg(long, default_value_t = 50.0, value_parser = rate)]
    rate: f64,
    /// For how long before that without counting: 5s, 1m
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = words::read_duration)]
    warm_up: prost_types::Duration,
    /// For how long: 30s, 5m
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = words::read_duration)]
    duration: prost_types::Duration,
    /// Phones, and as many users
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    phones: u32,
    /// Connections to the server
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,
    /// Log in with PINs, which are set first
    #[arg(long)]
    pin: bool,
    /// Watchers of all events, spread over the connections
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    watchers: u32,
    /// So many logins by PIN at once beside the others, over as many phones of their own
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    storm: u32,
    /// Delete what was created, at the end
    #[arg(long)]
    cleanup: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1_000_000.0 => Ok(rate),
        _ => Err("a rate is a number above 0 and up to 1000000".into()),
    }
}

pub(crate) async fn run(args: Load, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let phones = args.phones.saturating_add(args.storm);
    site::create(phones, args.pin || args.storm > 0, client).await?;
    let connections = client.connections(usize::from(args.connections)).await?;
    let measured = Box::pin(measure(&args, connections, client)).await?;
    if args.cleanup {
        site::delete(phones, usize::from(args.connections), client).await?;
    }
    if out.is_json() { out.value(&measured.json()) } else { out.text(&measured.text()) }
}

/// Takes in what was measured, from everywhere.
type Notes = Arc<std::sync::Mutex<Measured>>;

/// Everything that one login needs.
struct Work {
    connections: Vec<(Service, Service)>,
    /// A phone takes one login at a time: the next one on it waits, and its waiting counts.
    phones: Vec<Mutex<()>>,
    pin: bool,
    notes: Notes,
}

async fn measure(
    args: &Load,
    connections: Vec<(Service, Service)>,
    client: &Client,
) -> Result<Measured, Failure> {
    let (warm_up, length) = (seconds(&args.warm_up), seconds(&args.duration));
    let notes = Arc::new(std::sync::Mutex::new(Measured::new(args.rate)?));
    let watches = if args.watchers == 0 {
        None
    } else {
        Some(Watches::open(args.watchers, &connections, &notes, client).await?)
    };
    let begin = Instant::now() + Duration::from_millis(100);
    let counted_from = begin + warm_up;
    let end = counted_from + length;
    notes.lock().unwrap_or_else(PoisonError::into_inner).count_from(counted_from);
    let storm = storm::begin(args.phones..args.phones.saturating_add(args.storm), &connections, end, &notes);
    let phones = (0..args.phones).map(|_| Mutex::new(())).collect();
    let work = Arc::new(Work { connections, phones, pin: args.pin, notes: Arc::clone(&notes) });
    arrive(&work, args, begin, end).await;
    let took = counted_from.elapsed();
    storm.join_all().await;
    if let Some(watches) = watches {
        watches.close().await;
    }
    let empty = Measured::new(args.rate)?;
    let mut measured = std::mem::replace(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner), empty);
    measured.ended(took);
    Ok(measured)
}

fn seconds(length: &prost_types::Duration) -> Duration {
    Duration::try_from(*length).unwrap_or_default()
}

/// All arrivals, to the end of the last one.
async fn arrive(work: &Arc<Work>, args: &Load, begin: Instant, end: Instant) {
    let arrivals = (end.duration_since(begin).as_secs_f64() * args.rate).ceil() as u64;
    let mut under_way: JoinSet<()> = JoinSet::new();
    remark(&format!("{arrivals} arrivals at {}/s over {} phones", args.rate, args.phones));
    for number in 0..arrivals {
        let at = begin + Duration::from_secs_f64(number as f64 / args.rate);
        sleep_until(at).await;
        while let Some(done) = under_way.try_join_next() {
            note_failure(&done, work, at);
        }
        if under_way.len() >= MOST_UNDER_WAY {
            note(&work.notes, What::Login, at, Err("NOT_STARTED".into()));
            continue;
        }
        let work = Arc::clone(work);
        under_way.spawn(async move { Box::pin(arrival(&work, number, at)).await });
    }
    while let Some(done) = under_way.join_next().await {
        note_failure(&done, work, end);
    }
}

/// A task that failed is an error like others.
fn note_failure(done: &Result<(), JoinError>, work: &Work, at: Instant) {
    if done.is_err() {
        note(&work.notes, What::Login, at, Err("TASK_FAILED".into()));
    }
}

/// One login and logout, meant to begin at `at`.
async fn arrival(work: &Work, number: u64, at: Instant) {
    let index = usize::try_from(number).unwrap_or_default();
    let phone = index % work.phones.len().max(1);
    let lock = work.phones.get(phone);
    let connection = work.connections.get(index % work.connections.len().max(1));
    let (Some(lock), Some(connection)) = (lock, connection) else {
        return note(&work.notes, What::Login, at, Err("NO_CONNECTION".into()));
    };
    let _held = lock.lock().await;
    let login = log_in(phone, connection, work.pin).await;
    let logged_in = login.is_ok();
    note(&work.notes, What::Login, at, login.map(|()| at.elapsed()));
    if logged_in {
        let begun = Instant::now();
        let ended = log_out(phone, connection).await;
        // It belongs to its login: both are counted, or none.
        note(&work.notes, What::Logout, at, ended.map(|()| begun.elapsed()));
    }
}

/// Logs the user of a phone in at it; why not, if not.
async fn log_in(phone: usize, connection: &(Service, Service), pin: bool) -> Result<(), String> {
    let (with_token, as_nobody) = connection;
    let login = LoginRequest {
        phone: site::phone(phone),
        user_id: site::user(phone),
        credential: pin.then(|| Credential { kind: Some(Kind::Pin(site::PIN.into())) }),
        ..LoginRequest::default()
    };
    let service = if pin { as_nobody } else { with_token };
    let answer = SessionServiceClient::new(service.clone()).login(login).await;
    answer.map(drop).map_err(|status| reason(&status))
}

async fn log_out(phone: usize, (with_token, _): &(Service, Service)) -> Result<(), String> {
    let logout =
        LogoutRequest { target: Some(Target::Phone(site::phone(phone))), ..LogoutRequest::default() };
    let answer = SessionServiceClient::new(with_token.clone()).logout(logout).await;
    answer.map(drop).map_err(|status| reason(&status))
}

fn note(notes: &Notes, what: What, at: Instant, outcome: Result<Duration, String>) {
    notes.lock().unwrap_or_else(PoisonError::into_inner).note(what, at, outcome);
}

fn reason(status: &Status) -> String {
    match Refusal::from_status(status) {
        Some(refusal) => Refusal::reason_name(refusal.reason).to_owned(),
        None => format!("{:?}", status.code()),
    }
}
