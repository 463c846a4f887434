//! Credentials that are guessed: all of one user, and one of all users (SP-14).

use futures::future::join_all;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{NewCredential, PrincipalKind, SetCredentialsRequest, SignInRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::session::LoginRequest;
use tonic::Status;

use crate::clients::{link, login, phone_name, pin, reason, sessions, user};
use crate::number;
use crate::victim::Victim;

/// Guesses at once.
const AT_ONCE: usize = 16;

async fn sign_in(victim: &Victim, name: &str, guess: &str) -> Result<(), Status> {
    let request = SignInRequest { name: name.into(), credential: pin(guess) };
    AuthServiceClient::new(link(&victim.server, "")).sign_in(request).await.map(|_| ())
}

async fn log_in(victim: &Victim, name: &str, guess: &str) -> Result<(), Status> {
    let request = LoginRequest { credential: pin(guess), ..login(name, &phone_name(1)) };
    sessions(&victim.server, "").login(request).await.map(|_| ())
}

/// That a guess was refused, in one of the two ways that say nothing.
fn is_refused(guess: &str, answer: Result<(), Status>) {
    let status = answer.expect_err(guess);
    let reason = reason(&status);
    let dull = [ErrorReason::CredentialRefused, ErrorReason::TooManyRequests];
    assert!(dull.contains(&reason), "{guess}: {status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sp_14_all_pins_of_one_user_are_tried_and_the_right_one_does_not_help() {
    let victim = Victim::new(2).await;
    for guess in ["00001", "00002", "00003", "00004", "00005"] {
        is_refused(guess, sign_in(&victim, &user(1), guess).await);
    }
    let guesses: Vec<_> = (9_900..).take(number(200, 10_000)).map(|guess| format!("{guess:05}")).collect();
    assert!(guesses.contains(&"10001".to_owned()), "the right one is among them");
    for (batch, guesses) in guesses.chunks(AT_ONCE).enumerate() {
        let answers = join_all(guesses.iter().map(async |guess| match batch % 2 {
            0 => sign_in(&victim, &user(1), guess).await,
            _ => log_in(&victim, &user(1), guess).await,
        }));
        for (guess, answer) in guesses.iter().zip(answers.await) {
            is_refused(guess, answer);
        }
        if batch % 8 == 0 {
            victim.serves().await;
        }
    }
    victim.survives(&format!("{} guesses at one user", guesses.len())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sp_14_one_pin_is_tried_on_all_users_and_the_careful_ones_stay_in() {
    const POPULAR: &str = "246810";
    let victim = Victim::new(1).await;
    let users = number(60, 2_000);
    let name = |n: usize| format!("sprayed{n}");
    let own = |n: usize| if n == 37 { POPULAR.to_owned() } else { format!("71{n:06}") };
    let credentials = (0..users).map(|n| NewCredential {
        name: name(n),
        principal_kind: PrincipalKind::User.into(),
        credential: pin(&own(n)),
        ..Default::default()
    });
    let request = SetCredentialsRequest { credentials: credentials.collect(), validate_only: false };
    AuthServiceClient::new(link(&victim.server, &victim.admin)).set_credentials(request).await.unwrap();

    let names: Vec<_> = (0..users).flat_map(|n| [name(n), format!("ghost{n}")]).collect();
    let (mut inside, mut told) = (Vec::new(), Vec::new());
    for names in names.chunks(AT_ONCE) {
        let answers = join_all(names.iter().map(|name| sign_in(&victim, name, POPULAR)));
        for (name, answer) in names.iter().zip(answers.await) {
            match answer {
                Ok(()) => inside.push(name.clone()),
                Err(status) => {
                    let seen = (status.code(), status.message().to_owned(), status.details().to_vec());
                    told.push(seen);
                }
            }
        }
    }
    told.sort_by_key(|(code, ..)| *code as i32);
    told.dedup();
    // At most one of each: refused, and too many at once.
    assert!(told.len() <= 2, "{told:?}");
    assert!(told.iter().any(|(code, ..)| *code == tonic::Code::Unauthenticated), "{told:?}");
    assert!(inside.iter().all(|inside| *inside == name(37)), "{inside:?}");
    victim.survives(&format!("one PIN at {} names", names.len())).await;
    for n in [0, 1, users - 1] {
        sign_in(&victim, &name(n), &own(n)).await.expect("one failure locks nobody");
    }
}
