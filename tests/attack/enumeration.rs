//! Whether a user exists, asked of the answers and of the clock (LI-2). The answers are compared to the byte; the times
//! are measured and printed, for no machine that has other work to do measures them well enough to judge.

use std::time::Instant;

use futures::future::join_all;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{
    ChangeCredentialRequest, Credential, NewCredential, PrincipalKind, SetCredentialsRequest, SignInRequest,
};
use roamline_proto::session::LoginRequest;
use tonic::Status;

use crate::clients::{link, login, password, phone_name, pin, sessions, user};
use crate::number;
use crate::victim::Victim;

/// A PIN that nobody has.
const WRONG: &str = "99887766";

/// Everything of a refusal that its receiver can see, but for the time of day.
fn visible(status: &Status) -> (i32, String, Vec<u8>, Vec<String>) {
    let headers = status.metadata().clone().into_headers();
    let mut headers: Vec<_> = headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    (status.code().into(), status.message().to_owned(), status.details().to_vec(), headers)
}

async fn sign_in(victim: &Victim, name: &str, credential: Option<Credential>) -> Status {
    let request = SignInRequest { name: name.into(), credential };
    AuthServiceClient::new(link(&victim.server, "")).sign_in(request).await.expect_err(name)
}

async fn log_in(victim: &Victim, name: &str, credential: Option<Credential>) -> Status {
    let request = LoginRequest { credential, ..login(name, &phone_name(0)) };
    sessions(&victim.server, "").login(request).await.expect_err(name)
}

async fn change(victim: &Victim, name: &str, current: Option<Credential>) -> Status {
    let replacement = match &current {
        Some(Credential { kind: Some(roamline_proto::auth::credential::Kind::Password(_)) }) => {
            password("another password of his")
        }
        _ => pin("31415926"),
    };
    let request = ChangeCredentialRequest { name: name.into(), current, replacement };
    AuthServiceClient::new(link(&victim.server, "")).change_credential(request).await.expect_err(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn li_2_no_answer_tells_who_exists_who_is_locked_and_who_is_something_else() {
    let victim = Victim::new(3).await;
    let credential = |name: &str, kind: PrincipalKind, credential| NewCredential {
        name: name.into(),
        principal_kind: kind.into(),
        credential,
        ..Default::default()
    };
    let credentials = vec![
        credential("application", PrincipalKind::Application, password("a password of its own")),
        credential("phones", PrincipalKind::PhoneLink, password("a password of theirs")),
        credential("emptydesk", PrincipalKind::LogoutProfile, pin("55443322")),
    ];
    let request = SetCredentialsRequest { credentials, validate_only: false };
    AuthServiceClient::new(link(&victim.server, &victim.admin)).set_credentials(request).await.unwrap();
    for _ in 0..5 {
        sign_in(&victim, &user(2), pin(WRONG)).await;
    }
    let tries = [
        (user(1), pin(WRONG)),
        (user(1), password("10001")),
        (user(2), pin("10002")),
        ("nobody".into(), pin(WRONG)),
        ("nobody".into(), password("x")),
        ("application".into(), pin(WRONG)),
        ("application".into(), password("x")),
        ("phones".into(), password("x")),
        ("emptydesk".into(), pin(WRONG)),
        ("admin".into(), password("x")),
    ];
    for way in ["sign in", "log in", "change"] {
        let mut told = Vec::new();
        for (name, credential) in tries.clone() {
            let status = match way {
                "sign in" => sign_in(&victim, &name, credential).await,
                "log in" => log_in(&victim, &name, credential).await,
                _ => change(&victim, &name, credential).await,
            };
            told.push((visible(&status), name));
        }
        let (first, _) = told[0].clone();
        for (seen, name) in told {
            assert_eq!(seen, first, "{way} as {name}");
        }
    }
    victim.survives("names that are tried").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn li_2_the_time_of_an_answer_is_measured_and_printed() {
    let victim = Victim::new(1).await;
    measure(&victim, "alone").await;
    victim.survives("refusals that are timed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn li_2_the_time_of_an_answer_beside_another_attack_is_measured_and_printed() {
    let victim = Victim::new(1).await;
    let stormed = number(20, 200);
    let known = (0..stormed).map(|n| (format!("stormed{n}"), format!("62{n:06}")));
    set(&victim, known.collect()).await;
    let storm = join_all((0..4).map(async |guesser| {
        for n in 0.. {
            let kind = if n % 2 == 0 { "stormed" } else { "gale" };
            let name = format!("{kind}{}", (n / 2 * 4 + guesser) % stormed);
            let request = SignInRequest { name, credential: pin(WRONG) };
            let _ = AuthServiceClient::new(link(&victim.server, "")).sign_in(request).await;
        }
    }));
    tokio::select! {
        () = measure(&victim, "beside another attack") => {}
        _ = storm => {}
    }
    victim.survives("refusals that are timed beside another attack").await;
}

async fn set(victim: &Victim, users: Vec<(String, String)>) {
    let credentials = users.into_iter().map(|(name, secret)| NewCredential {
        name,
        principal_kind: PrincipalKind::User.into(),
        credential: pin(&secret),
        ..Default::default()
    });
    let request = SetCredentialsRequest { credentials: credentials.collect(), validate_only: false };
    AuthServiceClient::new(link(&victim.server, &victim.admin)).set_credentials(request).await.unwrap();
}

/// Refusals of users and of names that nobody has, timed beside each other, and how well the times tell them apart.
async fn measure(victim: &Victim, how: &str) {
    let (users, tries) = (number(50, 500), number(150, 10_000));
    let known = (0..users).map(|n| (format!("known{n}"), format!("62{n:06}")));
    set(victim, known.collect()).await;

    let timed = async |name: String| {
        let began = Instant::now();
        let status = sign_in(victim, &name, pin(WRONG)).await;
        (began.elapsed().as_secs_f64(), visible(&status))
    };
    let (mut known, mut unknown, mut told) = (Vec::new(), Vec::new(), Vec::new());
    let all: Vec<_> = (0..tries).collect();
    for n in all.chunks(2) {
        // Two pairs at once, in turned order, so that neither kind is always the first.
        let answers = join_all(n.iter().map(async |n| {
            let (here, there) = (format!("known{}", n % users), format!("ghost{n}"));
            if n % 2 == 0 {
                (timed(here).await, timed(there).await)
            } else {
                let there = timed(there).await;
                (timed(here).await, there)
            }
        }));
        for (here, there) in answers.await {
            known.push(here.0);
            unknown.push(there.0);
            told.extend([here.1, there.1]);
            told.dedup();
        }
    }
    assert_eq!(told.len(), 1, "{told:?}");
    let (a, b) = (median(&mut known), median(&mut unknown));
    eprintln!(
        "{tries} refusals of each, {how}: median of a known user {:.2} ms, of an unknown one {:.2} ms, {:.2} % apart; AUC {:.3}",
        a * 1e3,
        b * 1e3,
        (a - b).abs() / a * 100.0,
        auc(&known, &unknown)
    );
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// How well the better of the two simplest classifiers tells one kind from the other by a threshold: 0.5 is not at all.
fn auc(sorted: &[f64], others: &[f64]) -> f64 {
    let wins: f64 = others
        .iter()
        .map(|time| {
            let below = sorted.partition_point(|known| known < time);
            let not_above = sorted.partition_point(|known| known <= time);
            f64::midpoint(below as f64, not_above as f64)
        })
        .sum();
    let auc = wins / (sorted.len() * others.len()) as f64;
    auc.max(1.0 - auc)
}

#[test]
fn a_classifier_that_knows_is_told_from_one_that_guesses() {
    assert!((auc(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]) - 1.0).abs() < 1e-9);
    assert!((auc(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]) - 1.0).abs() < 1e-9);
    assert!((auc(&[1.0, 1.0], &[1.0, 1.0]) - 0.5).abs() < 1e-9);
}
