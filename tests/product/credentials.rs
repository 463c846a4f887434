//! What a stranger learns from a refused credential: nothing (LI-2, SP-14).

use std::time::{Duration, Instant};

use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{ChangeCredentialRequest, RefreshTokenRequest, SignInRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::profile::{CreateUserRequest, DeleteUserRequest, GetUserRequest, User};
use roamline_proto::session::LoginRequest;
use tonic::Status;

use crate::clients::{
    Sessions, administrator, furnish, link, login, phone_name, pin, reason, sessions, sign_in, user,
};
use crate::process::Site;

/// Everything of a status that a client can see.
fn visible(status: &Status) -> (tonic::Code, String, Vec<u8>) {
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

async fn attempt(client: &mut Sessions, name: &str, secret: &str) -> (Status, Duration) {
    let request = LoginRequest { credential: pin(secret), ..login(name, &phone_name(0)) };
    let begun = Instant::now();
    let status = client.login(request).await.expect_err("a refusal");
    (status, begun.elapsed())
}

#[tokio::test]
async fn li_2_unknown_user_wrong_pin_and_locked_user_are_one_answer() {
    let site = Site::new();
    let server = site.start();
    let admin = administrator(&site, &server).await;
    furnish(&server, &admin, 30).await;
    let mut client = sessions(&server, "");
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let mut answers = Vec::new();
    for n in 0..30 {
        let (status, time) = attempt(&mut client, &user(n), "987654").await;
        answers.push(visible(&status));
        known.push(time);
        let (status, time) = attempt(&mut client, &format!("ghost{n}"), "987654").await;
        answers.push(visible(&status));
        unknown.push(time);
    }
    for _ in 0..3 {
        attempt(&mut client, &user(0), "987654").await;
    }
    let (locked, _) = attempt(&mut client, &user(0), "10000").await;
    assert_eq!(reason(&locked), ErrorReason::CredentialRefused, "the right PIN, but locked (SP-14)");
    answers.push(visible(&locked));
    answers.dedup();
    assert_eq!(answers.len(), 1, "all answers are the same to the byte: {answers:?}");
    known.sort();
    unknown.sort();
    let (a, b) = (known[15].as_secs_f64(), unknown[15].as_secs_f64());
    eprintln!(
        "median refusal: wrong PIN {:.1} ms, unknown user {:.1} ms, ratio {:.3}",
        a * 1e3,
        b * 1e3,
        a / b
    );
}

#[tokio::test]
async fn a_changed_pin_is_refused_at_once_and_lockouts_survive_a_restart() {
    let site = Site::new();
    let server = site.start();
    let admin = administrator(&site, &server).await;
    furnish(&server, &admin, 2).await;
    let change =
        ChangeCredentialRequest { name: user(0), current: pin("10000"), replacement: pin("27182818") };
    AuthServiceClient::new(link(&server, "")).change_credential(change).await.unwrap();
    let old = SignInRequest { name: user(0), credential: pin("10000") };
    let status = AuthServiceClient::new(link(&server, "")).sign_in(old).await.unwrap_err();
    assert_eq!(reason(&status), ErrorReason::CredentialRefused);
    let new = SignInRequest { name: user(0), credential: pin("27182818") };
    AuthServiceClient::new(link(&server, "")).sign_in(new).await.unwrap();

    let mut client = sessions(&server, "");
    for _ in 0..3 {
        attempt(&mut client, &user(1), "987654").await;
    }
    server.kill();
    let server = site.start();
    let right = SignInRequest { name: user(1), credential: pin("10001") };
    let status = AuthServiceClient::new(link(&server, "")).sign_in(right).await.unwrap_err();
    assert_eq!(reason(&status), ErrorReason::CredentialRefused, "kill -9 lifts no lockout");
    assert!(sign_in(&server, "admin", "wrong").await.is_err());
}

#[tokio::test]
async fn sp_14_who_is_created_again_under_the_id_of_a_deleted_user_has_none_of_his_pin_and_tokens() {
    let site = Site::new();
    let server = site.start();
    let admin = administrator(&site, &server).await;
    furnish(&server, &admin, 1).await;
    let auth = || AuthServiceClient::new(link(&server, ""));
    let old = || SignInRequest { name: user(0), credential: pin("10000") };
    let before = auth().sign_in(old()).await.unwrap().into_inner();

    let mut users = UserServiceClient::new(link(&server, &admin));
    let known = users.get_user(GetUserRequest { user_id: user(0) }).await.unwrap().into_inner().user;
    users.delete_user(DeleteUserRequest { user_id: user(0), ..Default::default() }).await.unwrap();
    let refused = auth().sign_in(old()).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::CredentialRefused);
    let again = known.map(|known| User { etag: String::new(), ..known });
    users.create_user(CreateUserRequest { user: again, validate_only: false }).await.unwrap();

    let refused = auth().sign_in(old()).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::CredentialRefused);
    let mut client = sessions(&server, "");
    let (refused, _) = attempt(&mut client, &user(0), "10000").await;
    assert_eq!(reason(&refused), ErrorReason::CredentialRefused);
    let refresh = RefreshTokenRequest { refresh_token: before.refresh_token };
    let refused = auth().refresh_token(refresh).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::RefreshTokenRefused);
    let stale = sessions(&server, &before.access_token).login(login(&user(0), &phone_name(0))).await;
    assert_eq!(reason(&stale.unwrap_err()), ErrorReason::TokenInvalid);
}
