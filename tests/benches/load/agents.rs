//! A site of any size: a line, a profile, a user and a phone for each agent, and the calls by which he comes and goes.

use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{Credential, NewCredential, PrincipalKind, SetCredentialsRequest, credential};
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::{
    ApplyResourcesRequest, DeviceSettings, Line, Phone, ProfileLine, Resource, SpeedDial, User,
    UserDeviceProfile, resource::Kind,
};
use roamline_proto::session::{LoginRequest, LogoutRequest, logout_request::Target};
use roamline_token::Bearer;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// The PIN of every agent.
const PIN: &str = "271828";
/// Agents that are made with one request.
const AT_ONCE: usize = 250;

/// What clients are built on.
pub(crate) type Link = InterceptedService<Channel, Bearer>;

/// The name of a phone; the MACs are locally administered ones.
pub(crate) fn phone(number: usize) -> String {
    format!("SEP02BBBB{number:06X}")
}

/// The user of a phone, and his profile.
pub(crate) fn user(number: usize) -> String {
    format!("agent-{number:06}")
}

fn line(number: usize) -> String {
    format!("88{number:06}")
}

/// Makes so many agents, the first `pins` of them with a PIN.
pub(crate) async fn make(link: &Link, number: usize, pins: usize) -> Result<(), Status> {
    let all: Vec<usize> = (0..number).collect();
    for some in all.chunks(AT_ONCE) {
        let resources = some.iter().flat_map(|number| resources(*number)).collect();
        DirectoryServiceClient::new(link.clone())
            .apply_resources(ApplyResourcesRequest { resources, validate_only: false })
            .await?;
    }
    let with_pin: Vec<usize> = (0..pins.min(number)).collect();
    for some in with_pin.chunks(AT_ONCE) {
        let credentials = some.iter().map(|number| new_pin(*number)).collect();
        AuthServiceClient::new(link.clone())
            .set_credentials(SetCredentialsRequest { credentials, validate_only: false })
            .await?;
    }
    Ok(())
}

fn resources(number: usize) -> [Resource; 4] {
    let settings = DeviceSettings {
        lines: vec![ProfileLine { lines: vec![line(number)], ..Default::default() }],
        speed_dials: vec![SpeedDial { tag: 1, number: "4900".into(), ..Default::default() }],
        ..Default::default()
    };
    [
        Kind::Line(Line { name: line(number), ..Default::default() }),
        Kind::UserDeviceProfile(UserDeviceProfile {
            name: user(number),
            model: "8851".into(),
            settings: Some(settings),
            ..Default::default()
        }),
        Kind::User(User { user_id: user(number), profiles: vec![user(number)], ..Default::default() }),
        Kind::Phone(Phone {
            name: phone(number),
            model: "8851".into(),
            extension_mobility_enabled: true,
            ..Default::default()
        }),
    ]
    .map(|kind| Resource { kind: Some(kind) })
}

fn new_pin(number: usize) -> NewCredential {
    NewCredential {
        name: user(number),
        principal_kind: PrincipalKind::User.into(),
        credential: pin(),
        ..Default::default()
    }
}

fn pin() -> Option<Credential> {
    Some(Credential { kind: Some(credential::Kind::Pin(PIN.into())) })
}

/// The agent logs in at his phone: with his PIN, or proven by the caller's token.
pub(crate) fn login(number: usize, with_pin: bool) -> LoginRequest {
    LoginRequest {
        phone: phone(number),
        user_id: user(number),
        credential: with_pin.then(pin).flatten(),
        ..Default::default()
    }
}

/// And out.
pub(crate) fn logout(number: usize) -> LogoutRequest {
    LogoutRequest { target: Some(Target::Phone(phone(number))), ..Default::default() }
}
