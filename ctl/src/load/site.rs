//! What a load run needs in the directory: a line, a profile, a user and a phone for each phone asked for.

use indicatif::{ProgressBar, ProgressStyle};
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{Credential, NewCredential, PrincipalKind, SetCredentialsRequest, credential};
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::line_service_client::LineServiceClient;
use roamline_proto::profile::phone_service_client::PhoneServiceClient;
use roamline_proto::profile::user_device_profile_service_client::UserDeviceProfileServiceClient;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::profile::{
    ApplyResourcesRequest, DeleteLineRequest, DeletePhoneRequest, DeleteUserDeviceProfileRequest,
    DeleteUserRequest, DeviceSettings, Line, LineCapacity, Phone, PhoneProtocol, ProfileLine, Resource,
    SpeedDial, User, UserDeviceProfile, resource::Kind,
};
use tonic::{Code, Status};

use crate::client::{Client, Service};
use crate::directory::ask;
use crate::exit::Failure;

/// The PIN of every user of a load run.
pub(super) const PIN: &str = "271828";
/// So many phones are created with one request.
const AT_ONCE: usize = 250;
const MODEL: &str = "8851";

/// The name of a phone; the MACs are locally administered ones.
pub(super) fn phone(index: usize) -> String {
    format!("SEP02AAAA{index:06X}")
}

/// The user of a phone, and his profile.
pub(super) fn user(index: usize) -> String {
    format!("load-{index:06}")
}

fn line(index: usize) -> String {
    format!("99{index:06}")
}

/// Creates what is missing; sets PINs where they are asked for.
pub(super) async fn create(phones: u32, pins: bool, client: &Client) -> Result<(), Failure> {
    let progress = progress("creating phones", phones);
    let indexes: Vec<usize> = (0..phones as usize).collect();
    for some in indexes.chunks(AT_ONCE) {
        let resources = some.iter().flat_map(|index| resources(*index)).collect();
        let request = ApplyResourcesRequest { resources, validate_only: false };
        ask!(client, DirectoryServiceClient::apply_resources, request)?;
        if pins {
            let request = SetCredentialsRequest {
                credentials: some.iter().map(|i| pin(*i)).collect(),
                validate_only: false,
            };
            ask!(client, AuthServiceClient::set_credentials, request)?;
        }
        progress.inc(some.len() as u64);
    }
    progress.finish_and_clear();
    Ok(())
}

/// Deletes it again; what is gone already is no error.
pub(super) async fn delete(phones: u32, at_once: usize, client: &Client) -> Result<(), Failure> {
    let progress = progress("deleting phones", phones);
    let services = client.connections(1).await?;
    let Some((service, _)) = services.into_iter().next() else { return Ok(()) };
    let indexes: Vec<usize> = (0..phones as usize).collect();
    for some in indexes.chunks(at_once.max(1)) {
        let deletions = some.iter().map(|index| delete_one(*index, service.clone()));
        for done in futures::future::join_all(deletions).await {
            done.map_err(|status| client.failure(&status))?;
        }
        progress.inc(some.len() as u64);
    }
    progress.finish_and_clear();
    Ok(())
}

/// The user first: each is referred to by the one before.
async fn delete_one(index: usize, service: Service) -> Result<(), Status> {
    let gone = |answer: Result<(), Status>| match answer {
        Err(status) if status.code() == Code::NotFound => Ok(()),
        other => other,
    };
    let user_id = user(index);
    let name = user_id.clone();
    let request = DeleteUserRequest { user_id, etag: String::new() };
    gone(UserServiceClient::new(service.clone()).delete_user(request).await.map(|_| ()))?;
    let request = DeleteUserDeviceProfileRequest { name, etag: String::new(), force: false };
    let mut profiles = UserDeviceProfileServiceClient::new(service.clone());
    gone(profiles.delete_user_device_profile(request).await.map(|_| ()))?;
    let request = DeletePhoneRequest { name: phone(index), etag: String::new(), force: false };
    gone(PhoneServiceClient::new(service.clone()).delete_phone(request).await.map(|_| ()))?;
    let request = DeleteLineRequest { name: line(index), etag: String::new() };
    gone(LineServiceClient::new(service).delete_line(request).await.map(|_| ()))
}

fn resources(index: usize) -> [Resource; 4] {
    let settings = DeviceSettings {
        lines: vec![ProfileLine { lines: vec![line(index)], ..ProfileLine::default() }],
        speed_dials: vec![SpeedDial { tag: 1, number: "4900".into(), ..SpeedDial::default() }],
        ..DeviceSettings::default()
    };
    [
        Kind::Line(Line { name: line(index), capacity: LineCapacity::Dual.into(), ..Line::default() }),
        Kind::UserDeviceProfile(UserDeviceProfile {
            name: user(index),
            model: MODEL.into(),
            protocol: PhoneProtocol::Sip.into(),
            settings: Some(settings),
            ..UserDeviceProfile::default()
        }),
        Kind::User(User { user_id: user(index), profiles: vec![user(index)], ..User::default() }),
        Kind::Phone(Phone {
            name: phone(index),
            model: MODEL.into(),
            protocol: PhoneProtocol::Sip.into(),
            extension_mobility_enabled: true,
            ..Phone::default()
        }),
    ]
    .map(|kind| Resource { kind: Some(kind) })
}

fn pin(index: usize) -> NewCredential {
    NewCredential {
        name: user(index),
        principal_kind: PrincipalKind::User.into(),
        credential: Some(Credential { kind: Some(credential::Kind::Pin(PIN.into())) }),
        ..Default::default()
    }
}

/// On standard error, and only on a terminal.
fn progress(what: &'static str, length: u32) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(length)).with_message(what);
    match ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
