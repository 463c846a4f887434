//! The demo site: a small contact centre in the language of its router, and what that language cannot say.

use anyhow::Context;
use roamline_proto::auth::SetCredentialsRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::phone_service_client::PhoneServiceClient;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::profile::{
    AgentSettings, ApplyResourcesRequest, DefaultDeviceProfile, DeviceSettings, LineControl,
    ListPhonesRequest, ListUsersRequest, Phone, Resource, User, UserDeviceProfile, resource,
};
use roamline_serve::Way;
use roamline_token::Bearer;
use tonic::service::interceptor::InterceptedService;

const SITE: &str = include_str!("../demo/contact-centre.cfg");
/// Models that are given a default device profile, so that a profile made for another model can be worn (LI-5).
const MODELS: [&str; 7] = ["7841", "7960", "7970", "8851", "8861", "ip-communicator", "jabber-desktop"];

/// The directory of the cluster, reached over its API.
pub(crate) struct Directory {
    pub(crate) link: InterceptedService<Way, Bearer>,
}

impl Directory {
    /// Called that way, with an administrator's token.
    pub(crate) fn new(way: Way, token: &str) -> Self {
        Self { link: InterceptedService::new(way, Bearer::token(token)) }
    }

    /// The first users and phones, at most a thousand of each.
    pub(crate) async fn users_and_phones(&self) -> anyhow::Result<(Vec<User>, Vec<Phone>)> {
        let all = ListUsersRequest { page_size: 1000, ..Default::default() };
        let users = UserServiceClient::new(self.link.clone()).list_users(all).await?.into_inner();
        let all = ListPhonesRequest { page_size: 1000, ..Default::default() };
        let phones = PhoneServiceClient::new(self.link.clone()).list_phones(all).await?.into_inner();
        Ok((users.users, phones.phones))
    }
}

/// Loads the demo site where the directory has neither users nor phones, so that a second start changes nothing.
pub(crate) async fn load_if_empty(directory: &Directory, place: Option<u16>) -> anyhow::Result<()> {
    let (users, phones) = directory.users_and_phones().await?;
    if !users.is_empty() || !phones.is_empty() {
        return Ok(());
    }
    let site = roamline_cme::read(&site_of(place)).context("the demo site's configuration")?;
    let credentials = site.credentials.iter().map(|sourced| sourced.value.clone()).collect();
    let mut resources = resources(&site);
    if place.is_some() {
        for resource in &mut resources {
            if let Some(resource::Kind::User(user)) = &mut resource.kind {
                user.cross_cluster_enabled = true;
            }
        }
    }
    AuthServiceClient::new(directory.link.clone())
        .set_credentials(SetCredentialsRequest { credentials, validate_only: false })
        .await?;
    DirectoryServiceClient::new(directory.link.clone())
        .apply_resources(ApplyResourcesRequest { resources, validate_only: false })
        .await?;
    Ok(())
}

/// The site of one of several clusters: no user and no phone of it is another's, too.
fn site_of(place: Option<u16>) -> String {
    let place = place.unwrap_or_default();
    SITE.replace("0200.5E00.53", &format!("0200.5E00.5{:X}", 3 + place))
        .replace("100", &format!("{}00", 1 + place))
}

fn resources(site: &roamline_cme::Site) -> Vec<Resource> {
    let mut resources: Vec<Resource> = site.resources.iter().map(|sourced| sourced.value.clone()).collect();
    for resource in &mut resources {
        if let Some(resource::Kind::UserDeviceProfile(profile)) = &mut resource.kind {
            make_agent(profile);
        }
    }
    let defaults = MODELS.map(|model| {
        let profile = DefaultDeviceProfile {
            model: model.into(),
            description: format!("What a profile for another model gets on a {model}"),
            settings: Some(DeviceSettings {
                phone_button_template: format!("Standard {model}"),
                softkey_template: "Contact centre agent".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        Resource { kind: Some(resource::Kind::DefaultDeviceProfile(profile)) }
    });
    resources.extend(defaults);
    resources
}

/// Agents 1001 and 1002 have multi-line control (CC-2), 1003 and 1004 single-line control (CC-3); 1005's profile is
/// made for one model, so that other phones fall back to their default device profile (LI-5).
fn make_agent(profile: &mut UserDeviceProfile) {
    let control = match profile.name.get(1..).unwrap_or_default() {
        "001" | "002" => LineControl::MultiLine,
        "003" | "004" => LineControl::SingleLine,
        "005" => {
            profile.model = "8851".into();
            return profile.set_protocol(roamline_proto::profile::PhoneProtocol::Sip);
        }
        _ => return,
    };
    let Some(number) = profile.name.get(3..) else { return };
    let acd_line = format!("410{number}");
    profile.agent = Some(AgentSettings { line_control: control.into(), acd_line: acd_line.clone() });
    let lines = profile.settings.iter_mut().flat_map(|settings| &mut settings.lines);
    for line in lines.filter(|line| control == LineControl::SingleLine && !line.lines.contains(&acd_line)) {
        line.max_calls = 4;
        line.busy_trigger = 2;
    }
}
