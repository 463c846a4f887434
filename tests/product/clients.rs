//! gRPC clients of a running server.

use std::time::Duration;

use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{
    Credential, NewCredential, PrincipalKind, SetCredentialsRequest, SignInRequest, credential,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::{
    ApplyResourcesRequest, DeviceSettings, Line, LogoutProfile, Phone, ProfileLine, Resource, User,
    UserDeviceProfile, phone, resource,
};
use roamline_proto::refusal::Refusal;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{self, LoginRequest, LogoutRequest};
use roamline_token::Bearer;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::process::{Server, Site};

/// How long a call may take.
const CALL_WITHIN: Duration = Duration::from_secs(30);

pub(crate) type Link = InterceptedService<Channel, Bearer>;
pub(crate) type Sessions = SessionServiceClient<Link>;

/// A channel to the server that connects when it is first used. Every call has a deadline: one whose server is killed
/// under it may never hear of that.
pub(crate) fn channel(server: &Server) -> Channel {
    Endpoint::from_shared(server.api.clone()).unwrap().timeout(CALL_WITHIN).connect_lazy()
}

/// A call with a token, or without where it is empty.
pub(crate) fn link(server: &Server, token: &str) -> Link {
    let bearer = if token.is_empty() { Bearer::none() } else { Bearer::token(token) };
    InterceptedService::new(channel(server), bearer)
}

/// The session service, with a token.
pub(crate) fn sessions(server: &Server, token: &str) -> Sessions {
    SessionServiceClient::new(link(server, token))
}

pub(crate) fn password(text: &str) -> Option<Credential> {
    Some(Credential { kind: Some(credential::Kind::Password(text.into())) })
}

pub(crate) fn pin(text: &str) -> Option<Credential> {
    Some(Credential { kind: Some(credential::Kind::Pin(text.into())) })
}

/// An access token for a name and a password.
pub(crate) async fn sign_in(server: &Server, name: &str, secret: &str) -> Result<String, Status> {
    let request = SignInRequest { name: name.into(), credential: password(secret) };
    Ok(AuthServiceClient::new(link(server, "")).sign_in(request).await?.into_inner().access_token)
}

/// The administrator's access token, by the file that the server wrote.
pub(crate) async fn administrator(site: &Site, server: &Server) -> String {
    let file = std::fs::read_to_string(site.data().join("admin.toml")).expect("the administrator's file");
    let password = file.lines().find_map(|line| line.strip_prefix("password = ")).expect("his password");
    sign_in(server, "admin", password.trim_matches('"')).await.expect("the administrator signs in")
}

/// The session service as the administrator.
pub(crate) async fn as_administrator(site: &Site, server: &Server) -> Sessions {
    sessions(server, &administrator(site, server).await)
}

/// Phones `SEP0200000000NN`, users `agentN` with PIN `1000N` and a profile with line `20NN`, one logout profile.
pub(crate) async fn furnish(server: &Server, admin: &str, number: u32) {
    furnish_over(link(server, admin), link(server, admin), number).await;
}

/// As [`furnish`], where the two services are apart.
pub(crate) async fn furnish_over(profile: Link, auth: Link, number: u32) {
    let mut resources = vec![
        resource::Kind::Line(Line { name: "1000".into(), ..Default::default() }),
        resource::Kind::LogoutProfile(LogoutProfile {
            tag: 1,
            settings: wearing("1000"),
            ..Default::default()
        }),
    ];
    let mut credentials = Vec::new();
    for n in 0..number {
        let (line, user) = (line(n), user(n));
        resources.push(resource::Kind::Line(Line { name: line.clone(), ..Default::default() }));
        resources.push(resource::Kind::UserDeviceProfile(UserDeviceProfile {
            name: user.clone(),
            settings: wearing(&line),
            ..Default::default()
        }));
        resources.push(resource::Kind::User(User {
            user_id: user.clone(),
            profiles: vec![user.clone()],
            ..Default::default()
        }));
        resources.push(resource::Kind::Phone(Phone {
            name: phone_name(n),
            model: "8851".into(),
            extension_mobility_enabled: true,
            logout_profile: Some(phone::LogoutProfile::SharedLogoutProfile(1)),
            ..Default::default()
        }));
        credentials.push(NewCredential {
            name: user,
            principal_kind: PrincipalKind::User.into(),
            credential: pin(&format!("1000{n}")),
            ..Default::default()
        });
    }
    let resources = resources.into_iter().map(|kind| Resource { kind: Some(kind) }).collect();
    DirectoryServiceClient::new(profile)
        .apply_resources(ApplyResourcesRequest { resources, validate_only: false })
        .await
        .expect("the site is accepted");
    AuthServiceClient::new(auth)
        .set_credentials(SetCredentialsRequest { credentials, validate_only: false })
        .await
        .expect("the credentials are accepted");
}

fn wearing(line: &str) -> Option<DeviceSettings> {
    let lines = vec![ProfileLine { lines: vec![line.into()], ..Default::default() }];
    Some(DeviceSettings { lines, ..Default::default() })
}

pub(crate) fn user(n: u32) -> String {
    format!("agent{n}")
}

pub(crate) fn line(n: u32) -> String {
    format!("20{n:02}")
}

pub(crate) fn phone_name(n: u32) -> String {
    format!("SEP0200000000{n:02}")
}

/// A login proven by the caller's token.
pub(crate) fn login(user: &str, phone: &str) -> LoginRequest {
    LoginRequest { user_id: user.into(), phone: phone.into(), ..Default::default() }
}

pub(crate) fn logout(phone: &str) -> LogoutRequest {
    LogoutRequest { target: Some(session::logout_request::Target::Phone(phone.into())), ..Default::default() }
}

/// All live sessions.
pub(crate) async fn live(client: &mut Sessions) -> Vec<session::Session> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = session::ListSessionsRequest { page_token, ..Default::default() };
        let page = client.list_sessions(request).await.expect("sessions are listed").into_inner();
        all.extend(page.sessions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

/// The reason of a refusal.
pub(crate) fn reason(status: &Status) -> ErrorReason {
    Refusal::from_status(status).unwrap_or_else(|| panic!("not a refusal of ours: {status:?}")).reason
}
