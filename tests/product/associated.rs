//! A call control or recording application that is associated with a profile follows it from phone to phone, and controls
//! the phone on which it is worn, without having any phone itself (EV-4).

use std::time::{Duration, Instant};

use futures::StreamExt;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{NewCredential, PrincipalKind, Role, SetCredentialsRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::user_device_profile_service_client::UserDeviceProfileServiceClient;
use roamline_proto::profile::{UpdateUserDeviceProfileRequest, UserDeviceProfile};
use roamline_proto::session::audit_service_client::AuditServiceClient;
use roamline_proto::session::refresh_session_request::Target;
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{
    AuditFilter, AuditKind, AuditRecord, ListAuditRecordsRequest, ListSessionsRequest, LogoutReason,
    RefreshSessionRequest, WatchSessionsRequest, WatchSessionsResponse,
};
use tokio::time::timeout;
use tonic::Streaming;

use crate::clients::{
    Sessions, administrator, furnish, link, live, login, logout, password, phone_name, reason, sessions,
    sign_in, user,
};
use crate::process::{Server, Site, WITHIN, text};

const SECRET: &str = "a passphrase of 27 letters";
/// How long the directory is believed, and then some for the machine that the test runs on.
const OBEYED_WITHIN: Duration = Duration::from_secs(10);

struct Running {
    server: Server,
    admin: String,
    recorder: Sessions,
    site: Site,
}

impl Running {
    /// Three agents, and an application that has the role for associated ones.
    async fn start() -> Self {
        let site = Site::new();
        let server = site.start();
        let admin = administrator(&site, &server).await;
        furnish(&server, &admin, 3).await;
        let recorder = NewCredential {
            name: "recorder".into(),
            principal_kind: PrincipalKind::Application.into(),
            credential: password(SECRET),
            roles: vec![Role::Cti.into()],
            ..Default::default()
        };
        let request = SetCredentialsRequest { credentials: vec![recorder], validate_only: false };
        AuthServiceClient::new(link(&server, &admin)).set_credentials(request).await.expect("a credential");
        let token = sign_in(&server, "recorder", SECRET).await.expect("the application signs in");
        let recorder = sessions(&server, &token);
        Self { server, admin, recorder, site }
    }

    fn administrator(&self) -> Sessions {
        sessions(&self.server, &self.admin)
    }

    async fn update(&self, profile: UserDeviceProfile, field: &str) {
        let update_mask = Some(prost_types::FieldMask { paths: vec![field.into()] });
        let request = UpdateUserDeviceProfileRequest {
            user_device_profile: Some(profile),
            update_mask,
            validate_only: false,
        };
        let mut client = UserDeviceProfileServiceClient::new(link(&self.server, &self.admin));
        client.update_user_device_profile(request).await.expect("the profile is changed");
    }

    async fn associate(&self, profile: &str, applications: &[&str]) {
        let applications = applications.iter().map(|name| (*name).to_owned()).collect();
        let profile = UserDeviceProfile { name: profile.into(), applications, ..Default::default() };
        self.update(profile, "applications").await;
    }

    /// Waits until the application sees sessions of these users and no others.
    async fn sees(&self, expected: &[String]) {
        let begun = Instant::now();
        loop {
            let seen = live(&mut self.recorder.clone()).await;
            let seen: Vec<_> = seen.into_iter().map(|session| session.user_id).collect();
            if seen == expected {
                return;
            }
            assert!(begun.elapsed() < OBEYED_WITHIN, "it sees {seen:?}, not {expected:?}");
        }
    }

    /// The first record of a refresh.
    async fn refreshed(&self) -> AuditRecord {
        let begun = Instant::now();
        loop {
            let filter = AuditFilter { kinds: vec![AuditKind::Refresh.into()], ..Default::default() };
            let request = ListAuditRecordsRequest { filter: Some(filter), ..Default::default() };
            let mut client = AuditServiceClient::new(link(&self.server, &self.admin));
            let found = client.list_audit_records(request).await.expect("the trail").into_inner().records;
            if let Some(told) = found.into_iter().next() {
                return told;
            }
            assert!(begun.elapsed() < WITHIN, "no refresh in the trail");
        }
    }
}

async fn told(watching: &mut Streaming<WatchSessionsResponse>) -> Message {
    loop {
        let next = timeout(WITHIN, watching.next()).await.expect("in time").expect("the watch goes on");
        match next.expect("no refusal").message.expect("a message") {
            Message::Heartbeat(_) => {}
            message => return message,
        }
    }
}

#[tokio::test]
async fn ev_4_an_associated_application_follows_its_profile_and_controls_the_phone_where_it_is_worn() {
    let running = Running::start().await;
    running.associate("agent0", &["recorder"]).await;
    let (mut admin, mut recorder) = (running.administrator(), running.recorder.clone());
    let mut watching =
        recorder.watch_sessions(WatchSessionsRequest::default()).await.expect("a watch").into_inner();
    assert!(matches!(told(&mut watching).await, Message::SnapshotDone(_)));
    for n in [1, 0] {
        admin.login(login(&user(n), &phone_name(n))).await.expect("a login");
    }
    let Message::LoggedIn(session) = told(&mut watching).await else { panic!("no login") };
    assert_eq!((session.user_id, session.phone), (user(0), phone_name(0)));
    running.sees(&[user(0)]).await;

    let others = recorder.logout(logout(&phone_name(1))).await.expect_err("another's phone");
    assert_eq!(reason(&others), ErrorReason::ScopeMissing);
    let proxied = recorder.login(login(&user(0), &phone_name(2))).await.expect_err("no proxy right");
    assert_eq!(reason(&proxied), ErrorReason::ScopeMissing);
    let out = recorder.logout(logout(&phone_name(0))).await.expect("its profile is worn there").into_inner();
    assert_eq!(out.ended_session.expect("a session").reason(), LogoutReason::Application);
    assert!(matches!(told(&mut watching).await, Message::LoggedOut(_)));
    running.sees(&[]).await;

    admin.login(login(&user(0), &phone_name(2))).await.expect("a login");
    let Message::LoggedIn(session) = told(&mut watching).await else { panic!("no login") };
    assert_eq!(session.phone, phone_name(2), "the profile has gone to another phone, and the right with it");
    let changed = UserDeviceProfile { name: user(0), ..Default::default() };
    running.update(changed, "settings.lines").await;
    let target = Some(Target::Phone(phone_name(2)));
    let answer = recorder.refresh_session(RefreshSessionRequest { target }).await.expect("a refresh");
    assert!(answer.into_inner().changed);
    let Message::Refreshed(session) = told(&mut watching).await else { panic!("no refresh") };
    assert!(session.lines.is_empty());
    let record = running.refreshed().await;
    assert_eq!((record.user_id, record.actor.expect("an actor").name), (user(0), "recorder".into()), "EV-1");
}

#[tokio::test]
async fn ev_4_the_right_begins_and_ends_with_the_association() {
    let running = Running::start().await;
    let (mut admin, mut recorder) = (running.administrator(), running.recorder.clone());
    for n in 0..3 {
        admin.login(login(&user(n), &phone_name(n))).await.expect("a login");
    }
    running.sees(&[]).await;
    running.associate("agent0", &["dialler", "recorder"]).await;
    running.sees(&[user(0)]).await;
    running.associate("agent2", &["recorder"]).await;
    running.sees(&[user(0), user(2)]).await;
    let request = ListSessionsRequest { profile: "agent2".into(), ..Default::default() };
    let of_one = recorder.list_sessions(request).await.expect("a list").into_inner().sessions;
    assert_eq!(of_one.len(), 1);

    running.associate("agent0", &["dialler"]).await;
    running.sees(&[user(2)]).await;
    let refused = recorder.logout(logout(&phone_name(0))).await.expect_err("it is associated no more");
    assert_eq!(reason(&refused), ErrorReason::ScopeMissing);
    recorder.logout(logout(&phone_name(2))).await.expect("it still is");
    assert_eq!(live(&mut admin).await.len(), 2);
}

#[tokio::test]
async fn ev_4_associations_are_imported_and_exported_with_the_profiles() {
    let running = Running::start().await;
    let site = &running.site;
    let file = site.home().join("profiles.csv");
    std::fs::write(&file, "name,applications\nagent1,recorder;dialler\n").expect("a file");
    let file = file.to_str().expect("a plain path");
    let imported = site.roamctl(&["import", "csv", "user-device-profile", file, "--action", "update"]);
    assert!(imported.status.success(), "{}", text(&imported));
    running.administrator().login(login(&user(1), &phone_name(1))).await.expect("a login");
    running.sees(&[user(1)]).await;
    let exported = text(&site.roamctl(&["export", "csv", "user-device-profile", "-"]));
    assert!(exported.contains("recorder;dialler"), "{exported}");
}
