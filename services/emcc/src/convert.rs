//! The bridge between the wire and the domain.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::Violations;
use roamline_domain::emcc::geolocation::{Civic, Field, Geolocation, GeolocationFilter};
use roamline_domain::emcc::half::{Half, Side};
use roamline_domain::emcc::parameters::{FederationParameters, LinkLoss, PstnSearchSpace, SecurityMode};
use roamline_domain::emcc::remote::{RemoteCluster, RemoteServices};
use roamline_proto::emcc as wire;
use roamline_proto::profile::DeferredRefusal;
use roamline_proto::refusal::Refusal;

use crate::peers::{Health, Peer};

pub(crate) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

fn length(of: Duration) -> Option<prost_types::Duration> {
    of.try_into().ok()
}

/// How long it is from one instant to a later one.
pub(crate) fn between(from: prost_types::Timestamp, to: prost_types::Timestamp) -> Option<Duration> {
    let seconds = |at: prost_types::Timestamp| {
        let at = Timestamp::new(at.seconds, at.nanos).ok()?;
        Some(at)
    };
    seconds(to)?.duration_since(seconds(from)?).try_into().ok()
}

pub(crate) fn etag(version: u64) -> String {
    if version == 0 { String::new() } else { version.to_string() }
}

/// A refusal that another service has put into its answer.
pub(crate) fn deferred(refusal: &DeferredRefusal) -> Refusal {
    let mut made = Refusal::new(refusal.reason(), refusal.message.clone());
    made.metadata.extend(refusal.metadata.clone());
    for finding in &refusal.findings {
        made = made.violation(finding.field.clone(), format!("{} ({})", finding.message, finding.rule));
    }
    made
}

fn text_of(from: &wire::Geolocation, field: Field) -> &String {
    match field {
        Field::Country => &from.country,
        Field::NationalSubdivision => &from.national_subdivision,
        Field::District => &from.district,
        Field::CommunityName => &from.community_name,
        Field::CityDivision => &from.city_division,
        Field::Neighbourhood => &from.neighbourhood,
        Field::Street => &from.street,
        Field::LeadingStreetDirection => &from.leading_street_direction,
        Field::TrailingStreetSuffix => &from.trailing_street_suffix,
        Field::StreetSuffix => &from.street_suffix,
        Field::HouseNumber => &from.house_number,
        Field::HouseNumberSuffix => &from.house_number_suffix,
        Field::Landmark => &from.landmark,
        Field::Location => &from.location,
        Field::Floor => &from.floor,
        Field::OccupantName => &from.occupant_name,
        Field::PostalCode => &from.postal_code,
    }
}

fn civic(from: &wire::Geolocation) -> Civic {
    let said = Field::ALL.map(|field| (field, text_of(from, field).trim().to_owned()));
    said.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// Where a phone of another cluster stands; the name that it has there means nothing here.
pub(crate) fn place(from: &wire::Geolocation) -> Civic {
    civic(from)
}

pub(crate) fn parse_geolocation(from: &wire::Geolocation) -> Result<Geolocation, Violations> {
    let mut found = Violations::new();
    let name = found.take("name", from.name.parse());
    let Some(name) = name else { return Err(found) };
    let made = Geolocation {
        name,
        civic: civic(from),
        adjunct_search_space: from.adjunct_calling_search_space.clone(),
        local_route_group: from.local_route_group.clone(),
    };
    made.check().none_or(made)
}

pub(crate) fn geolocation(from: &Geolocation, version: u64) -> wire::Geolocation {
    let text = |field| from.civic.get(&field).cloned().unwrap_or_default();
    wire::Geolocation {
        name: from.name.to_string(),
        country: text(Field::Country),
        national_subdivision: text(Field::NationalSubdivision),
        district: text(Field::District),
        community_name: text(Field::CommunityName),
        city_division: text(Field::CityDivision),
        neighbourhood: text(Field::Neighbourhood),
        street: text(Field::Street),
        leading_street_direction: text(Field::LeadingStreetDirection),
        trailing_street_suffix: text(Field::TrailingStreetSuffix),
        street_suffix: text(Field::StreetSuffix),
        house_number: text(Field::HouseNumber),
        house_number_suffix: text(Field::HouseNumberSuffix),
        landmark: text(Field::Landmark),
        location: text(Field::Location),
        floor: text(Field::Floor),
        occupant_name: text(Field::OccupantName),
        postal_code: text(Field::PostalCode),
        adjunct_calling_search_space: from.adjunct_search_space.clone(),
        local_route_group: from.local_route_group.clone(),
        etag: etag(version),
    }
}

pub(crate) fn parse_filter(from: &wire::GeolocationFilter) -> Result<GeolocationFilter, Violations> {
    let mut found = Violations::new();
    let name = found.take("name", from.name.parse());
    let mut fields = BTreeSet::new();
    for (index, text) in from.fields.iter().enumerate() {
        let field = found.take(format!("fields[{index}]"), text.parse::<Field>());
        if field.is_some_and(|field| !fields.insert(field)) {
            found.add(format!("fields[{index}]"), "", "is there twice");
        }
    }
    match name {
        Some(name) if found.is_empty() => Ok(GeolocationFilter { name, fields }),
        _ => Err(found),
    }
}

pub(crate) fn filter(from: &GeolocationFilter, version: u64) -> wire::GeolocationFilter {
    wire::GeolocationFilter {
        name: from.name.to_string(),
        fields: from.fields.iter().map(|field| field.name().to_owned()).collect(),
        etag: etag(version),
    }
}

fn security(mode: wire::SecurityMode) -> SecurityMode {
    match mode {
        wire::SecurityMode::Mixed => SecurityMode::Mixed,
        _ => SecurityMode::Nonsecure,
    }
}

fn security_wire(mode: SecurityMode) -> i32 {
    match mode {
        SecurityMode::Mixed => wire::SecurityMode::Mixed.into(),
        SecurityMode::Nonsecure => wire::SecurityMode::Nonsecure.into(),
    }
}

pub(crate) fn parse_parameters(
    from: &wire::FederationParameters,
) -> Result<FederationParameters, Violations> {
    let mut found = Violations::new();
    let defaults = FederationParameters::default();
    let mut time = |field: &str, said: Option<prost_types::Duration>, default: Duration| match said {
        None => default,
        Some(said) => match roamline_proto::length(said) {
            Some(said) => said,
            None => {
                found.add(field, "", "must not be negative");
                default
            }
        },
    };
    let maintenance = time("maintenance_interval", from.maintenance_interval, defaults.maintenance_interval);
    let update = time("update_interval", from.update_interval, defaults.update_interval);
    let keepalive = time("rsvp_keepalive", from.rsvp_keepalive, defaults.rsvp_keepalive);
    let reconcile = time("reconcile_interval", from.reconcile_interval, defaults.reconcile_interval);
    let mut name = |field: &str, text: &str| match text {
        "" => None,
        text => found.take(field, text.parse()),
    };
    let geolocation_filter = name("geolocation_filter", &from.geolocation_filter);
    let default_device_pool = name("default_device_pool", &from.default_device_pool);
    let made = FederationParameters {
        activated: from.activated,
        configuration_server: from.configuration_server.clone(),
        backup_configuration_server: from.backup_configuration_server.clone(),
        maintenance_interval: maintenance,
        enable_all_services: from.enable_all_services,
        pstn_search_space: match from.pstn_search_space() {
            wire::PstnSearchSpace::Phone => PstnSearchSpace::Phone,
            _ => PstnSearchSpace::Trunk,
        },
        geolocation_filter,
        region_audio_kbps: if from.region_audio_kbps == 0 {
            defaults.region_audio_kbps
        } else {
            from.region_audio_kbps
        },
        region_video_kbps: from.region_video_kbps.unwrap_or(defaults.region_video_kbps),
        region_link_loss: match from.region_link_loss() {
            wire::LinkLoss::Lossy => LinkLoss::Lossy,
            _ => LinkLoss::Low,
        },
        rsvp_keepalive: keepalive,
        update_interval: update,
        base_devices: from.base_devices,
        base_device_security: security(from.base_device_security()),
        security_mode: security(from.security_mode()),
        default_device_pool,
        reconcile_interval: reconcile,
    };
    for violation in made.check() {
        found.add(violation.field, violation.rule, violation.message);
    }
    found.none_or(made)
}

pub(crate) fn parameters(from: &FederationParameters, version: u64) -> wire::FederationParameters {
    let name = |name: &Option<roamline_domain::RecordName>| {
        name.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    wire::FederationParameters {
        activated: from.activated,
        configuration_server: from.configuration_server.clone(),
        backup_configuration_server: from.backup_configuration_server.clone(),
        maintenance_interval: length(from.maintenance_interval),
        enable_all_services: from.enable_all_services,
        pstn_search_space: match from.pstn_search_space {
            PstnSearchSpace::Trunk => wire::PstnSearchSpace::Trunk.into(),
            PstnSearchSpace::Phone => wire::PstnSearchSpace::Phone.into(),
        },
        geolocation_filter: name(&from.geolocation_filter),
        region_audio_kbps: from.region_audio_kbps,
        region_video_kbps: Some(from.region_video_kbps),
        region_link_loss: match from.region_link_loss {
            LinkLoss::Low => wire::LinkLoss::Low.into(),
            LinkLoss::Lossy => wire::LinkLoss::Lossy.into(),
        },
        rsvp_keepalive: length(from.rsvp_keepalive),
        update_interval: length(from.update_interval),
        base_devices: from.base_devices,
        base_device_security: security_wire(from.base_device_security),
        security_mode: security_wire(from.security_mode),
        default_device_pool: name(&from.default_device_pool),
        reconcile_interval: length(from.reconcile_interval),
        etag: etag(version),
    }
}

pub(crate) fn region(from: &FederationParameters) -> wire::Region {
    wire::Region {
        audio_kbps: from.region_audio_kbps,
        video_kbps: from.region_video_kbps,
        links_are_lossy: from.region_link_loss == LinkLoss::Lossy,
    }
}

pub(crate) fn parse_remote(
    from: &wire::RemoteCluster,
    own: &roamline_domain::ClusterId,
    all_services: bool,
) -> Result<RemoteCluster, Violations> {
    let mut found = Violations::new();
    let Some(cluster) = found.take("cluster_id", from.cluster_id.parse()) else { return Err(found) };
    let services = match &from.services {
        None if all_services => RemoteServices::ALL,
        None => RemoteServices::default(),
        Some(shared) => RemoteServices {
            emcc: shared.emcc,
            pstn_access: shared.pstn_access,
            rsvp_agent: shared.rsvp_agent,
            tftp: shared.tftp,
            lbm: shared.lbm,
            uds: shared.uds,
        },
    };
    let remote = RemoteCluster {
        cluster,
        description: from.description.clone(),
        address: from.address.clone(),
        spiffe_id: from.spiffe_id.clone(),
        services,
        trust_bundle: from.trust_bundle.clone(),
    };
    remote.check(own).none_or(remote)
}

pub(crate) fn remote(from: &RemoteCluster, version: u64, peer: Option<&Peer>) -> wire::RemoteCluster {
    let shared = from.services;
    wire::RemoteCluster {
        cluster_id: from.cluster.to_string(),
        description: from.description.clone(),
        address: from.address.clone(),
        spiffe_id: from.spiffe_id.clone(),
        services: Some(wire::RemoteServices {
            emcc: shared.emcc,
            pstn_access: shared.pstn_access,
            rsvp_agent: shared.rsvp_agent,
            tftp: shared.tftp,
            lbm: shared.lbm,
            uds: shared.uds,
        }),
        trust_bundle: from.trust_bundle.clone(),
        health: peer.map(|peer| health(&peer.health(), peer.filter_users())),
        etag: etag(version),
    }
}

pub(crate) fn health(from: &Health, filter_users: u32) -> wire::PeerHealth {
    let state = match from.up {
        None => wire::PeerState::Unspecified,
        Some(true) => wire::PeerState::Up,
        Some(false) => wire::PeerState::Down,
    };
    wire::PeerHealth {
        state: state.into(),
        since: Some(timestamp(from.since)),
        problem: from.problem.clone(),
        round_trip: length(from.round_trip),
        version: from.version,
        capabilities: from.capabilities.iter().map(|capability| (*capability).into()).collect(),
        release: from.release.clone(),
        filter_users,
        certificate_expire_time: None,
        warning: from.warning.clone(),
    }
}

pub(crate) fn half(from: &Half) -> wire::RoamingSession {
    let half = match from.side {
        Side::Home => wire::Half::Home,
        Side::Visiting => wire::Half::Visiting,
    };
    let device = from.base_device.and_then(roamline_domain::emcc::base_device::BaseDevice::new);
    wire::RoamingSession {
        session_id: from.session.to_string(),
        half: half.into(),
        peer: from.peer.to_string(),
        user_id: from.user.to_string(),
        visiting_phone: from.visiting_phone.to_string(),
        base_device: device.map(|device| device.to_string()).unwrap_or_default(),
        begin_time: Some(timestamp(from.begun_at)),
        end_time: from.ended_at.map(timestamp),
    }
}
