//! User device profiles.

use roamline_domain::Violations;
use roamline_domain::catalogue::Catalogue;
use roamline_domain::directory::{AgentSettings, MadeFor, UserDeviceProfile};
use roamline_proto::profile as wire;

use super::enums::{Twin, required, value};
use super::phone::usual_protocol;
use super::settings::{parse_settings, settings};
use super::{given, model_name, optional};

/// Reads a user device profile; made for a model without a protocol, it is made for the model's first.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_user_device_profile(
    from: &wire::UserDeviceProfile,
    catalogue: &Catalogue,
) -> Result<UserDeviceProfile, Violations> {
    let mut found = Violations::new();
    let name = found.take("name", from.name.parse());
    let made_for = parse_made_for(&mut found, from, catalogue);
    let brings = parse_settings(&mut found, "settings", from.settings.as_ref());
    let agent = from.agent.as_ref().and_then(|agent| parse_agent(&mut found, agent));
    let login_user_id = optional(&mut found, "login_user_id", &from.login_user_id);
    let applications = from.applications.iter().enumerate();
    let applications = applications
        .filter_map(|(index, name)| found.take(format!("applications[{index}]"), name.parse()))
        .collect();
    match name {
        Some(name) => found.none_or(UserDeviceProfile {
            name,
            description: from.description.clone(),
            made_for,
            settings: brings,
            agent,
            login_user_id,
            cross_cluster_calling_search_space: given(&from.cross_cluster_calling_search_space),
            applications,
        }),
        None => Err(found),
    }
}

fn parse_made_for(
    found: &mut Violations,
    from: &wire::UserDeviceProfile,
    catalogue: &Catalogue,
) -> Option<MadeFor> {
    let protocol = value(found, "protocol", from.protocol);
    if from.model.is_empty() {
        if protocol.is_some() {
            found.add("protocol", "DP-2", "must be absent from a profile that is made for every model");
        }
        return None;
    }
    let model = found.take("model", model_name(&from.model, catalogue))?;
    let protocol = protocol.unwrap_or_else(|| usual_protocol(&model, catalogue));
    Some(MadeFor { model, protocol })
}

fn parse_agent(found: &mut Violations, from: &wire::AgentSettings) -> Option<AgentSettings> {
    let line_control = required(found, "agent.line_control", "CC-1", from.line_control);
    let acd_line = found.take("agent.acd_line", from.acd_line.parse());
    Some(AgentSettings { line_control: line_control?, acd_line: acd_line? })
}

/// A user device profile on the wire.
pub(crate) fn user_device_profile(from: &UserDeviceProfile, etag: String) -> wire::UserDeviceProfile {
    wire::UserDeviceProfile {
        name: from.name.to_string(),
        description: from.description.clone(),
        model: from.made_for.as_ref().map(|made| made.model.to_string()).unwrap_or_default(),
        protocol: from.made_for.as_ref().map(|made| made.protocol.number()).unwrap_or_default(),
        settings: Some(settings(&from.settings)),
        agent: from.agent.as_ref().map(|agent| wire::AgentSettings {
            line_control: agent.line_control.number(),
            acd_line: agent.acd_line.to_string(),
        }),
        login_user_id: from.login_user_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        cross_cluster_calling_search_space: from
            .cross_cluster_calling_search_space
            .clone()
            .unwrap_or_default(),
        owner_user_id: String::new(),
        applications: from.applications.iter().map(ToString::to_string).collect(),
        etag,
    }
}
