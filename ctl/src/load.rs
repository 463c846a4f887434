//! `load`: logins and logouts at a given rate of arrivals, whether or not those before are done (an open model). A
//! login's time runs from the instant it was meant to begin, so that waiting counts.

mod measure;
mod site;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use roamline_proto::auth::{Credential, credential::Kind};
use roamline_proto::refusal::Refusal;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{LoginRequest, LogoutRequest, logout_request::Target};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use self::measure::Measured;
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
then out again. Without --pin the caller's token proves the login.")]
pub(crate) struct Load {
    /// Arrivals a second
    #[arg(long, default_value_t = 50.0, value_parser = rate)]
    rate: f64,
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
    site::create(args.phones, args.pin, client).await?;
    let connections = client.connections(usize::from(args.connections)).await?;
    let measured = Box::pin(measure(&args, connections)).await?;
    if args.cleanup {
        site::delete(args.phones, usize::from(args.connections), client).await?;
    }
    if out.is_json() { out.value(&measured.json()) } else { out.text(&measured.text()) }
}

/// Everything that one login needs.
struct Work {
    connections: Vec<(Service, Service)>,
    /// A phone takes one login at a time: the next one on it waits, and its waiting counts.
    phones: Vec<Mutex<()>>,
    pin: bool,
}

/// How an arrival went.
struct Outcome {
    login: Result<Duration, String>,
    logout: Option<Result<Duration, String>>,
}

async fn measure(args: &Load, connections: Vec<(Service, Service)>) -> Result<Measured, Failure> {
    let phones = (0..args.phones).map(|_| Mutex::new(())).collect();
    let work = Arc::new(Work { connections, phones, pin: args.pin });
    let length = Duration::from_secs(u64::try_from(args.duration.seconds).unwrap_or_default());
    let arrivals = (length.as_secs_f64() * args.rate).ceil() as u64;
    let begin = Instant::now() + Duration::from_millis(100);
    let mut measured = Measured::new(args.rate)?;
    let mut under_way: JoinSet<Outcome> = JoinSet::new();
    remark(&format!("{arrivals} arrivals at {}/s over {} phones", args.rate, args.phones));
    for number in 0..arrivals {
        let at = begin + Duration::from_secs_f64(number as f64 / args.rate);
        sleep_until(at).await;
        while let Some(done) = under_way.try_join_next() {
            measured.note(done.ok());
        }
        if under_way.len() >= MOST_UNDER_WAY {
            measured.not_started();
            continue;
        }
        let work = Arc::clone(&work);
        under_way.spawn(async move { Box::pin(arrival(&work, number, at)).await });
    }
    while let Some(done) = under_way.join_next().await {
        measured.note(done.ok());
    }
    measured.ended(begin.elapsed());
    Ok(measured)
}

/// One login and logout, meant to begin at `at`.
async fn arrival(work: &Work, number: u64, at: Instant) -> Outcome {
    let index = usize::try_from(number).unwrap_or_default();
    let phone = index % work.phones.len().max(1);
    let lock = work.phones.get(phone);
    let connection = work.connections.get(index % work.connections.len().max(1));
    let (Some(lock), Some((with_token, as_nobody))) = (lock, connection) else {
        return Outcome { login: Err("NO_CONNECTION".into()), logout: None };
    };
    let _held = lock.lock().await;
    let login = LoginRequest {
        phone: site::phone(phone),
        user_id: site::user(phone),
        credential: work.pin.then(|| Credential { kind: Some(Kind::Pin(site::PIN.into())) }),
        ..LoginRequest::default()
    };
    let service = if work.pin { as_nobody.clone() } else { with_token.clone() };
    if let Err(status) = SessionServiceClient::new(service).login(login).await {
        return Outcome { login: Err(reason(&status)), logout: None };
    }
    let login = Ok(at.elapsed());
    let begun = Instant::now();
    let logout =
        LogoutRequest { target: Some(Target::Phone(site::phone(phone))), ..LogoutRequest::default() };
    let ended = SessionServiceClient::new(with_token.clone()).logout(logout).await;
    Outcome { login, logout: Some(ended.map(|_| begun.elapsed()).map_err(|status| reason(&status))) }
}

fn reason(status: &Status) -> String {
    match Refusal::from_status(status) {
        Some(refusal) => Refusal::reason_name(refusal.reason).to_owned(),
        None => format!("{:?}", status.code()),
    }
}
