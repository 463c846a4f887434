//! An attendant console is told when the numbers on its phone have changed (EV-4).

use crate::harness::*;
use crate::watches::told;
use roamline_proto::session as wire;
use roamline_proto::session::refresh_session_request::Target;
use roamline_proto::session::watch_sessions_response::Message;

type Watching = tonic::Streaming<wire::WatchSessionsResponse>;

async fn console(client: &mut Sessions, resume_token: &str) -> Watching {
    let request = wire::WatchSessionsRequest {
        phone: PHONE.into(),
        with_phone_lines: true,
        resume_token: resume_token.into(),
        ..Default::default()
    };
    client.watch_sessions(request).await.unwrap().into_inner()
}

/// The numbers that are told next, and from where the watch resumes then.
async fn numbers(watching: &mut Watching) -> (wire::PhoneLines, String) {
    match told(watching).await {
        (Message::PhoneLines(lines), resume) => (lines, resume),
        (other, _) => panic!("no numbers: {other:?}"),
    }
}

fn refresh() -> wire::RefreshSessionRequest {
    wire::RefreshSessionRequest { target: Some(Target::Phone(PHONE.into())) }
}

/// A phone that rings for 1000 with nobody logged in, and for 2101 and 2102 when `agent7` is.
async fn site() -> Cluster {
    let cluster = cluster().await;
    cluster.say(|script| {
        script.logout_name = "1000";
        script.worn = Some("2101 2102 2101");
    });
    let watch = wire::WatchPhoneRequest { phone: PHONE.into() };
    cluster.phones().watch_phone(watch).await.unwrap();
    cluster
}

#[tokio::test]
async fn ev_4_an_attendant_console_is_told_when_the_numbers_on_its_phone_have_changed() {
    let cluster = site().await;
    let mut admin = cluster.administrator();
    let mut watching = console(&mut admin, "").await;
    assert!(matches!(told(&mut watching).await.0, Message::SnapshotDone(_)));
    let (first, _) = numbers(&mut watching).await;
    assert_eq!(
        (first.phone.as_str(), first.lines.as_slice(), first.generation),
        (PHONE, &["1000".into()][..], 1)
    );

    admin.login(by_token("agent7", PHONE)).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::LoggedIn(_)));
    let (after, _) = numbers(&mut watching).await;
    assert_eq!((after.lines.as_slice(), after.worn), (&["2101".into(), "2102".into()][..], false));
    assert!(after.generation > first.generation);

    cluster.say(|script| script.worn = Some("2103"));
    admin.refresh_session(refresh()).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::Refreshed(_)));
    let (after, resume) = numbers(&mut watching).await;
    assert_eq!(after.lines, ["2103"]);

    drop(watching);
    admin.logout(logout(PHONE)).await.unwrap();
    let mut resumed = console(&mut admin, &resume).await;
    let (after, _) = numbers(&mut resumed).await;
    assert_eq!(after.lines, ["1000"], "the numbers of the logout profile, at once");
    assert!(matches!(told(&mut resumed).await.0, Message::LoggedOut(_)));
}

#[tokio::test]
async fn ev_4_numbers_that_stay_the_same_and_other_phones_are_not_told_of() {
    let cluster = site().await;
    let mut admin = cluster.administrator();
    let mut watching = console(&mut admin, "").await;
    assert!(matches!(told(&mut watching).await.0, Message::SnapshotDone(_)));
    numbers(&mut watching).await;
    admin.login(by_token("agent8", OTHER)).await.unwrap();
    admin.login(by_token("agent7", PHONE)).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::LoggedIn(_)));
    numbers(&mut watching).await;
    cluster.say(|script| script.reset = true);
    cluster.say(|script| script.worn = Some("2101 and 2102"));
    admin.refresh_session(refresh()).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::Refreshed(_)));
    admin.logout(logout(PHONE)).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::LoggedOut(_)), "2101 and 2102 both times");
    assert_eq!(numbers(&mut watching).await.0.lines, ["1000"]);
}

#[tokio::test]
async fn ev_4_an_associated_application_knows_the_numbers_while_its_profile_is_worn() {
    let cluster = site().await;
    cluster.say(|script| script.associated = Some(vec![("console", "agent7")]));
    let mut watching = console(&mut cluster.cti("console"), "").await;
    assert!(matches!(told(&mut watching).await.0, Message::SnapshotDone(_)));
    let (before, _) = numbers(&mut watching).await;
    assert!(before.lines.is_empty() && before.generation == 0);
    cluster.administrator().login(by_token("agent7", PHONE)).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::LoggedIn(_)));
    assert_eq!(numbers(&mut watching).await.0.lines, ["2101", "2102"]);
    let takeover = wire::LoginRequest { take_over: true, ..by_token("agent8", PHONE) };
    cluster.administrator().login(takeover).await.unwrap();
    assert!(matches!(told(&mut watching).await.0, Message::LoggedOut(_)));
    assert!(numbers(&mut watching).await.0.lines.is_empty(), "another's numbers are not its to know");
}

#[tokio::test]
async fn ev_4_the_numbers_of_a_phone_are_asked_for_by_its_name() {
    let cluster = cluster().await;
    let request = wire::WatchSessionsRequest { with_phone_lines: true, ..Default::default() };
    assert_eq!(violations(cluster.administrator().watch_sessions(request).await.map(drop)), ["phone"]);
    let mut watching = console(&mut cluster.administrator(), "").await;
    assert!(matches!(told(&mut watching).await.0, Message::SnapshotDone(_)));
    let (never_told, _) = numbers(&mut watching).await;
    assert!(never_told.lines.is_empty() && never_told.generation == 0);
}
