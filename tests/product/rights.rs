//! Who may do what on the product: each role by a real sign-in, against every RPC, and within those that let it in only
//! as far as was decided. The layer alone is tested with the token crate.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use http::uri::PathAndQuery;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{NewCredential, PrincipalKind, Role, SetCredentialsRequest};
use roamline_proto::contract::{PUBLIC, RPCS};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::personal_service_client::PersonalServiceClient;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::profile::{ListOwnProfilesRequest, UpdateUserRequest, User};
use roamline_proto::refusal::Refusal;
use roamline_proto::session::audit_service_client::AuditServiceClient;
use roamline_proto::session::{
    AuditFilter, AuditKind, AuditRecord, ListAuditRecordsRequest, ListSessionsRequest, LoginRequest,
    LogoutAllRequest,
};
use roamline_token::role;
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::clients::{
    administrator, furnish, link, live, login, logout, password, phone_name, reason, sessions, sign_in, user,
};
use crate::process::{Server, Site};

const SECRET: &str = "a passphrase of 27 letters";
const WITHIN: Duration = Duration::from_secs(20);

/// Who signs in as what. `agent3` looks after the team of `agent0`.
const PEOPLE: [(Role, &str, PrincipalKind); 8] = [
    (Role::Agent, "agent0", PrincipalKind::User),
    (Role::Supervisor, "agent3", PrincipalKind::User),
    (Role::Helpdesk, "helpdesk", PrincipalKind::User),
    (Role::Administrator, "second-admin", PrincipalKind::Administrator),
    (Role::Auditor, "auditor", PrincipalKind::User),
    (Role::Application, "desktop", PrincipalKind::Application),
    (Role::PhoneLink, "link", PrincipalKind::PhoneLink),
    (Role::Cti, "recorder", PrincipalKind::Application),
];

struct Running {
    site: Site,
    server: Server,
    admin: String,
}

impl Running {
    async fn start() -> Self {
        let site = Site::new();
        let server = site.start();
        let admin = administrator(&site, &server).await;
        furnish(&server, &admin, 4).await;
        let running = Self { site, server, admin };
        let credentials = PEOPLE.map(|(role, name, kind)| credential(name, kind, &[role])).to_vec();
        running.set(&running.admin, credentials).await.expect("the credentials are accepted");
        running.team("agent0", &["teams"]).await;
        running.team("agent3", &["supervised_teams"]).await;
        running
    }

    async fn set(&self, token: &str, credentials: Vec<NewCredential>) -> Result<(), Status> {
        let request = SetCredentialsRequest { credentials, validate_only: false };
        AuthServiceClient::new(link(&self.server, token)).set_credentials(request).await.map(|_| ())
    }

    async fn team(&self, user_id: &str, fields: &[&str]) {
        let sales = || vec!["Sales".to_owned()];
        let user =
            User { user_id: user_id.into(), teams: sales(), supervised_teams: sales(), ..Default::default() };
        let paths = fields.iter().map(|field| (*field).to_owned()).collect();
        let update_mask = Some(prost_types::FieldMask { paths });
        let request = UpdateUserRequest { user: Some(user), update_mask, validate_only: false };
        UserServiceClient::new(link(&self.server, &self.admin)).update_user(request).await.expect("a team");
    }

    async fn token(&self, name: &str) -> String {
        sign_in(&self.server, name, SECRET).await.expect("a sign-in")
    }

    /// Three agents and the supervisor are logged in, each at his phone.
    async fn log_all_in(&self) {
        let mut client = sessions(&self.server, &self.admin);
        for n in 0..4 {
            client.login(login(&user(n), &phone_name(n))).await.expect("a login");
        }
    }

    /// The first refused login of that reason, as the trail has it.
    async fn refused_login(&self, token: &str, reason: &str) -> AuditRecord {
        let begun = Instant::now();
        loop {
            let filter = AuditFilter { kinds: vec![AuditKind::LoginRefused.into()], ..Default::default() };
            let request = ListAuditRecordsRequest { filter: Some(filter), ..Default::default() };
            let mut client = AuditServiceClient::new(link(&self.server, token));
            let found = client.list_audit_records(request).await.expect("the trail").into_inner().records;
            if let Some(told) = found.into_iter().find(|record| record.reason == reason) {
                return told;
            }
            assert!(begun.elapsed() < WITHIN, "no {reason} in the trail");
        }
    }
}

fn credential(name: &str, kind: PrincipalKind, roles: &[Role]) -> NewCredential {
    NewCredential {
        name: name.into(),
        principal_kind: kind.into(),
        credential: password(SECRET),
        must_change: false,
        roles: roles.iter().map(|role| (*role).into()).collect(),
    }
}

/// The scope that was missing.
fn missing<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let refusal = Refusal::from_status(&answer.expect_err("a refusal")).expect("one of ours");
    assert_eq!(refusal.reason, ErrorReason::ScopeMissing);
    refusal.metadata["scope"].clone()
}

/// A call without fields, by its path.
async fn call(server: &Server, token: &str, path: &str) -> Result<(), Status> {
    let mut grpc = Grpc::new(link(server, token));
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::try_from(path).expect("a path");
    let answer = grpc.server_streaming(Request::new(()), path, ProstCodec::<(), ()>::default()).await;
    answer.map(|_| ())
}

/// Calls that are let in are not made here: some of them change much.
#[tokio::test]
async fn every_rpc_refuses_every_role_that_it_is_not_for_and_says_which_scope_is_missing() {
    let running = Running::start().await;
    let mut refused = 0;
    for rpc in RPCS.values().filter(|rpc| rpc.required_scope != PUBLIC) {
        let status = call(&running.server, "", &rpc.path).await.expect_err("no token");
        assert_eq!(reason(&status), ErrorReason::TokenMissing, "{}", rpc.path);
    }
    for (of, name, _) in PEOPLE {
        let token = running.token(name).await;
        for rpc in RPCS.values().filter(|rpc| role::reach(of, rpc).is_none()) {
            let answer = call(&running.server, &token, &rpc.path).await;
            assert_eq!(missing(answer), rpc.required_scope, "{} as {name}", rpc.path);
            refused += 1;
        }
    }
    eprintln!("{refused} calls refused of {} RPCs and {} roles", RPCS.len(), PEOPLE.len());
}

#[tokio::test]
async fn li_1_an_agent_acts_on_himself_and_an_application_with_the_proxy_right_for_others() {
    let running = Running::start().await;
    let (agent, desktop) = (running.token("agent0").await, running.token("desktop").await);
    let mut agents = sessions(&running.server, &agent);
    assert_eq!(missing(agents.login(login("agent1", &phone_name(1))).await), "session.proxy");
    agents.login(login("agent0", &phone_name(0))).await.unwrap();
    let mut desktops = sessions(&running.server, &desktop);
    desktops.login(login("agent1", &phone_name(1))).await.unwrap();

    assert_eq!(live(&mut agents).await.len(), 1);
    let others = ListSessionsRequest { user_id: "agent1".into(), ..Default::default() };
    assert_eq!(missing(agents.list_sessions(others).await), "session.read");
    assert_eq!(missing(agents.logout(logout(&phone_name(1))).await), "session.manage");
    let mut personal = PersonalServiceClient::new(link(&running.server, &agent));
    let own = |user_id: &str| ListOwnProfilesRequest { user_id: user_id.into() };
    personal.list_own_profiles(own("")).await.unwrap();
    assert_eq!(missing(personal.list_own_profiles(own("agent1")).await), "directory.read");

    agents.logout(logout(&phone_name(0))).await.unwrap();
    desktops.logout(logout(&phone_name(1))).await.unwrap();
}

#[tokio::test]
async fn li_1_a_token_whose_kind_was_forged_is_no_token() {
    let running = Running::start().await;
    let token = running.token("agent0").await;
    let [head, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    let text = String::from_utf8(BASE64.decode(claims).unwrap()).unwrap();
    let forged = text
        .replace("\"kind\":\"user\"", "\"kind\":\"application\"")
        .replace("session.own", "session.own session.proxy");
    assert_ne!(forged, text);
    let forged = format!("{head}.{}.{signature}", BASE64.encode(forged));
    let status = sessions(&running.server, &forged).login(login("agent1", &phone_name(1))).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unauthenticated, ErrorReason::TokenInvalid));
    assert!(live(&mut sessions(&running.server, &running.admin)).await.is_empty());
}

#[tokio::test]
async fn lo_1_a_supervisor_sees_and_ends_the_sessions_of_his_team_alone() {
    let running = Running::start().await;
    running.log_all_in().await;
    let mut boss = sessions(&running.server, &running.token("agent3").await);
    let seen: Vec<_> = live(&mut boss).await.into_iter().map(|session| session.user_id).collect();
    assert_eq!(seen, ["agent0", "agent3"]);
    assert_eq!(missing(boss.logout(logout(&phone_name(1))).await), "session.manage");
    let mut all = boss.logout_all(LogoutAllRequest::default()).await.unwrap().into_inner();
    let mut last = None;
    while let Some(message) = all.message().await.unwrap() {
        last = Some(message);
    }
    assert_eq!(last.map(|last| (last.total, last.ended, last.done)), Some((2, 2, true)));
    let mut admin = sessions(&running.server, &running.admin);
    let left: Vec<_> = live(&mut admin).await.into_iter().map(|session| session.user_id).collect();
    assert_eq!(left, ["agent1", "agent2"]);
}

#[tokio::test]
async fn sp_14_a_helpdesk_sets_the_credentials_of_users_alone() {
    let running = Running::start().await;
    let token = running.token("helpdesk").await;
    let user = |name: &str| credential(name, PrincipalKind::User, &[]);
    running.set(&token, vec![user("agent1")]).await.unwrap();
    running.token("agent1").await;
    for refused in [
        credential("second-admin", PrincipalKind::Administrator, &[]),
        credential("desktop", PrincipalKind::Application, &[]),
        credential("agent1", PrincipalKind::User, &[Role::Helpdesk]),
    ] {
        assert_eq!(missing(running.set(&token, vec![user("agent2"), refused]).await), "credential.write");
    }
    let disguised = running.set(&token, vec![user("second-admin")]).await.unwrap_err();
    assert_eq!(reason(&disguised), ErrorReason::ResourceExists);
    sign_in(&running.server, "agent2", SECRET).await.expect_err("nothing was set");
}

#[tokio::test]
async fn sp_9_and_ev_1_a_login_from_where_none_is_trusted_is_refused_and_recorded() {
    let running = Running::start().await;
    running.site.json(&["parameters", "set", "validate_ip_address=true", "trusted_sources=192.0.2.1"]);
    let mut client = sessions(&running.server, "");
    let begun = Instant::now();
    let from_here = || LoginRequest { credential: password(SECRET), ..login("agent0", &phone_name(0)) };
    loop {
        let answer = client.login(from_here()).await;
        if answer.is_err_and(|status| reason(&status) == ErrorReason::SourceNotTrusted) {
            break;
        }
        assert!(begun.elapsed() < WITHIN, "the parameters are not in force");
    }
    let told = running.refused_login(&running.token("auditor").await, "SOURCE_NOT_TRUSTED").await;
    assert_eq!((told.user_id.as_str(), told.phone.as_str()), ("agent0", phone_name(0).as_str()));
    assert_eq!(told.actor.expect("who").source_address, "127.0.0.1");
}
