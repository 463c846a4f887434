//! What a phone would wear, and why.

use prost::bytes::Bytes;
use roamline_domain::PhoneName;
use roamline_domain::catalogue::Catalogue;
use roamline_domain::contact_centre::Finding;
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::render::EffectiveConfiguration;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile as wire;
use roamline_proto::refusal::Refusal;
use roamline_proto::rendering;
use tonic::{Request, Response, Status, async_trait};
use wire::rendering_service_server::RenderingService;

use super::status::answer;
use crate::convert::{
    Twin, configuration, findings, idle_limit, maximum_login_time, parse_phone, service_parameters,
};
use crate::prepare::{Outfit, Prepared, Question, Worn};
use crate::{Profile, refusal};

#[async_trait]
impl RenderingService for Profile {
    async fn preview(
        &self,
        request: Request<wire::PreviewRequest>,
    ) -> Result<Response<wire::PreviewResponse>, Status> {
        let request = request.into_inner();
        let previewed = self.preview(&request.phone, &request.user_id, &request.profile).await;
        answer(previewed.map(|(worn, found)| wire::PreviewResponse {
            configuration: Some(configuration(&worn)),
            findings: findings(&found),
        }))
    }

    async fn prepare_login(
        &self,
        request: Request<wire::PrepareLoginRequest>,
    ) -> Result<Response<wire::PrepareLoginResponse>, Status> {
        let request = request.into_inner();
        let prepared = match Question::read(&request.phone, &request.user_id, &request.profile) {
            Ok(question) => self.prepare_login(&question).await,
            Err(refused) => Err(refused),
        };
        let (as_bytes, known) = (request.renderings_as_bytes, request.known_parameters);
        answer(prepared.map(|prepared| prepared_login(prepared, as_bytes, &known)))
    }

    async fn prepare_roaming(
        &self,
        request: Request<wire::PrepareRoamingRequest>,
    ) -> Result<Response<wire::PrepareRoamingResponse>, Status> {
        let request = request.into_inner();
        let phone = parse_phone(&request.phone.unwrap_or_default(), Catalogue::builtin());
        let prepared = match phone.map_err(refusal::all_malformed) {
            Ok(phone) => match Question::read(phone.name.as_str(), &request.user_id, &request.profile) {
                Ok(question) => self.prepare_roaming(phone, &question).await,
                Err(refused) => Err(refused),
            },
            Err(refused) => Err(refused),
        };
        answer(prepared.map(|prepared| {
            let outfit = prepared.outfit.as_ref().ok();
            let space = outfit.and_then(|it| it.worn.profile.cross_cluster_calling_search_space.clone());
            let of_lines = outfit.into_iter().flat_map(|it| it.line_search_spaces.clone());
            wire::PrepareRoamingResponse {
                cross_cluster_calling_search_space: space.unwrap_or_default(),
                line_calling_search_spaces: of_lines.map(|(line, space)| (line.to_string(), space)).collect(),
                prepared: Some(prepared_login(prepared, false, "")),
            }
        }))
    }

    async fn prepare_logout(
        &self,
        request: Request<wire::PrepareLogoutRequest>,
    ) -> Result<Response<wire::PrepareLogoutResponse>, Status> {
        let request = request.into_inner();
        let prepared = self.prepare_logout(&request.phone).await;
        answer(prepared.map(|prepared| {
            let (configuration, rendering) =
                rendered(&prepared.configuration, request.renderings_as_bytes).either();
            wire::PrepareLogoutResponse {
                phone: prepared.configuration.phone.to_string(),
                configuration,
                service_parameters: unless_known(
                    &prepared.parameters,
                    prepared.etag,
                    &request.known_parameters,
                ),
                rendering,
            }
        }))
    }

    async fn prepare_logouts(
        &self,
        request: Request<wire::PrepareLogoutsRequest>,
    ) -> Result<Response<wire::PrepareLogoutsResponse>, Status> {
        let request = request.into_inner();
        let prepared = self.prepare_logouts(&request.phones).await;
        let logout = |known| prepared_logout(known, request.renderings_as_bytes);
        answer(prepared.map(|prepared| wire::PrepareLogoutsResponse {
            logouts: prepared.configurations.into_iter().map(logout).collect(),
            service_parameters: Some(service_parameters(&prepared.parameters, prepared.etag)),
        }))
    }

    async fn find_associated(
        &self,
        request: Request<wire::FindAssociatedRequest>,
    ) -> Result<Response<wire::FindAssociatedResponse>, Status> {
        let request = request.into_inner();
        let found = self.find_associated(&request.application, request.profiles).await;
        answer(found.map(|profiles| wire::FindAssociatedResponse { profiles }))
    }
}

fn prepared_logout(
    (phone, prepared): (PhoneName, Result<EffectiveConfiguration, Refusal>),
    as_bytes: bool,
) -> wire::PreparedLogout {
    let answer = wire::PreparedLogout { phone: phone.to_string(), ..wire::PreparedLogout::default() };
    match prepared {
        Ok(worn) => {
            let (configuration, rendering) = rendered(&worn, as_bytes).either();
            wire::PreparedLogout { configuration, rendering, ..answer }
        }
        Err(refused) => wire::PreparedLogout { refusal: Some(deferred(refused, &[])), ..answer },
    }
}

/// A rendering as a message, or as bytes where those are wanted.
enum Rendered {
    Message(Box<wire::EffectiveConfiguration>),
    Kept(Bytes),
}

fn rendered(worn: &EffectiveConfiguration, as_bytes: bool) -> Rendered {
    let message = configuration(worn);
    if as_bytes { Rendered::Kept(rendering::keep(message)) } else { Rendered::Message(Box::new(message)) }
}

impl Rendered {
    /// The two fields of an answer, one of which has it.
    fn either(self) -> (Option<wire::EffectiveConfiguration>, Bytes) {
        match self {
            Self::Message(message) => (Some(*message), Bytes::new()),
            Self::Kept(bytes) => (None, bytes),
        }
    }
}

/// The parameters, unless the asker has those with that etag.
fn unless_known(from: &ServiceParameters, etag: String, known: &str) -> Option<wire::ServiceParameters> {
    (etag != known).then(|| service_parameters(from, etag))
}

fn prepared_login(prepared: Prepared, as_bytes: bool, known: &str) -> wire::PrepareLoginResponse {
    let answer = wire::PrepareLoginResponse {
        phone: prepared.phone.to_string(),
        user_id: prepared.user_id.to_string(),
        service_parameters: unless_known(&prepared.parameters, prepared.etag, known),
        // Of the phone alone: it holds for users of other clusters, too, who are unknown here.
        owner_refusal: prepared.owner_refusal.map(|refused| deferred(refused, &[])),
        refuse_off_hook: prepared.refuse_off_hook,
        ..wire::PrepareLoginResponse::default()
    };
    match prepared.outfit {
        Ok(outfit) => dressed(answer, outfit, as_bytes),
        Err(refused) => wire::PrepareLoginResponse { refusal: Some(deferred(refused, &[])), ..answer },
    }
}

fn dressed(answer: wire::PrepareLoginResponse, outfit: Outfit, as_bytes: bool) -> wire::PrepareLoginResponse {
    let primary = outfit.primary_extension();
    let Outfit { user, worn, logout_configuration, .. } = outfit;
    let Worn { profile, configuration: worn, findings: found } = worn;
    let (found, broken) = match found {
        Ok(found) => (found, None),
        Err(broken) => (Vec::new(), Some(broken)),
    };
    let lines = if as_bytes { worn.lines() } else { Vec::new() };
    let change = if as_bytes { worn.change.number() } else { 0 };
    let (configuration, rendering) = rendered(&worn, as_bytes).either();
    let (logout_configuration, logout_rendering) = rendered(&logout_configuration, as_bytes).either();
    wire::PrepareLoginResponse {
        profile: profile.name.to_string(),
        configuration,
        rendering,
        change,
        lines: lines.iter().map(ToString::to_string).collect(),
        acd_line: profile.agent.map(|agent| agent.acd_line.to_string()).unwrap_or_default(),
        primary_extension: primary.map(|line| line.to_string()).unwrap_or_default(),
        contact_centre_refusal: broken.map(|broken| {
            let message = refusal::contact_centre_message();
            deferred(Refusal::new(ErrorReason::ContactCentrePolicy, message), &broken)
        }),
        findings: findings(&found),
        logout_configuration,
        logout_rendering,
        user_maximum_login_time: maximum_login_time(user.maximum_login_time),
        idle_limit: profile.settings.idle_limit_minutes.map(idle_limit),
        ..answer
    }
}

fn deferred(refused: Refusal, broken: &[Finding]) -> wire::DeferredRefusal {
    wire::DeferredRefusal {
        reason: refused.reason.into(),
        message: refused.message,
        metadata: refused.metadata.into_iter().collect(),
        findings: findings(broken),
    }
}
