//! The other services over gRPC.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use prost::bytes::Bytes;
use roamline_domain::directory::UserLoginTime;
use roamline_domain::login::Rendering;
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::phone_state::Configuration;
use roamline_domain::{LineName, PhoneName, PrincipalName, ProfileName, RecordName, SessionId, UserId};
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{Credential, VerifyCredentialRequest};
use roamline_proto::emcc::roaming_service_client::RoamingServiceClient;
use roamline_proto::emcc::{
    AbandonRequest, RefreshThereRequest, RenderVisitRequest, RoamRequest, RoamResponse,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::length;
use roamline_proto::profile::line_service_client::LineServiceClient;
use roamline_proto::profile::personal_service_client::PersonalServiceClient;
use roamline_proto::profile::rendering_service_client::RenderingServiceClient;
use roamline_proto::profile::service_parameters_service_client::ServiceParametersServiceClient;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::profile::{
    self as wire, BatchGetUsersRequest, ConfigurationChange, DeferredRefusal, EffectiveConfiguration,
    FindAssociatedRequest, GetLineRequest, GetServiceParametersRequest, PrepareLoginRequest,
    PrepareLoginResponse, PrepareLogoutRequest, PrepareLogoutsRequest, PrepareLogoutsResponse,
    SetDoNotDisturbRequest,
};
use roamline_proto::refusal::Refusal;
use roamline_proto::rendering;
use roamline_serve::{Way, passed_on, within};
use roamline_token::Bearer;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;

use crate::peers::{LoginFacts, LoginPlace, LogoutFacts, Peers, Prepared, RoamAsk, Roamed};
use crate::team::Teams;
use crate::{convert, refusal};

/// How long the directory may take.
const DIRECTORY_DEADLINE: Duration = Duration::from_secs(2);
/// How long it may take about many logouts that are due: they are late if it takes longer (LO-5).
const SWEEP_DEADLINE: Duration = Duration::from_millis(500);
/// How long a credential may take: hashing waits its turn in a storm.
const CREDENTIAL_DEADLINE: Duration = Duration::from_secs(10);

type Link = InterceptedService<Way, Bearer>;

/// The profile and auth services, called with this service's own token.
#[derive(Clone)]
pub struct GrpcPeers {
    directory: RenderingServiceClient<Link>,
    parameters: ServiceParametersServiceClient<Link>,
    lines: LineServiceClient<Link>,
    personal: PersonalServiceClient<Link>,
    users: UserServiceClient<Link>,
    credentials: AuthServiceClient<Link>,
    roaming: Option<RoamingServiceClient<Link>>,
    /// Shared by all clones.
    known: Arc<ArcSwap<Known>>,
}

/// The service parameters that were told last, with their etag. They are not told again while they are in force, and are
/// asked for whole again and again ([`crate::parameters`]).
#[derive(Default)]
struct Known {
    etag: String,
    parameters: Arc<ServiceParameters>,
}

impl GrpcPeers {
    /// What the home of a user says to his login; `None` where he has none.
    async fn ask_home(&self, ask: RoamAsk, prove_only: bool) -> Result<Option<RoamResponse>, Refusal> {
        let Some(mut client) = self.roaming.clone() else { return Ok(None) };
        let message = RoamRequest {
            phone: ask.phone.to_string(),
            user_id: ask.user.to_string(),
            credential: Some(ask.credential),
            profile: ask.profile.map(|profile| profile.to_string()).unwrap_or_default(),
            duration: ask.duration.and_then(|duration| duration.try_into().ok()),
            source_address: ask.source.map(|source| source.to_string()).unwrap_or_default(),
            prove_only,
        };
        let answer = client.roam(within(CREDENTIAL_DEADLINE, message)).await;
        let answer = answer.map_err(|status| refused("emcc", &status))?.into_inner();
        Ok(answer.found.then_some(answer))
    }

    /// Clients that call them that way.
    pub fn new(profile: Way, auth: Way, bearer: &Bearer) -> Self {
        Self {
            parameters: ServiceParametersServiceClient::with_interceptor(profile.clone(), bearer.clone()),
            personal: PersonalServiceClient::with_interceptor(profile.clone(), bearer.clone()),
            lines: LineServiceClient::with_interceptor(profile.clone(), bearer.clone()),
            users: UserServiceClient::with_interceptor(profile.clone(), bearer.clone()),
            directory: RenderingServiceClient::with_interceptor(profile, bearer.clone()),
            credentials: AuthServiceClient::with_interceptor(auth, bearer.clone()),
            roaming: None,
            known: Arc::default(),
        }
    }

    /// The parameters that were told, or those known before where none were.
    fn policy(&self, known: &Known, told: Option<wire::ServiceParameters>) -> Arc<ServiceParameters> {
        let Some(told) = told else { return Arc::clone(&known.parameters) };
        let parameters = Arc::new(convert::policy(&told));
        self.known.store(Arc::new(Known { etag: told.etag, parameters: Arc::clone(&parameters) }));
        parameters
    }

    /// Has users who are unknown here looked for in other clusters, by the service at the end of that way (XC-1).
    #[must_use]
    pub fn roaming(self, emcc: Way, bearer: &Bearer) -> Self {
        Self { roaming: Some(RoamingServiceClient::with_interceptor(emcc, bearer.clone())), ..self }
    }
}

#[async_trait]
impl Peers for GrpcPeers {
    async fn prepare_login(
        &self,
        phone: &PhoneName,
        user_id: &str,
        profile: Option<&ProfileName>,
    ) -> Result<LoginFacts, Refusal> {
        let known = self.known.load_full();
        let message = PrepareLoginRequest {
            phone: phone.to_string(),
            user_id: user_id.to_owned(),
            profile: profile.map(ToString::to_string).unwrap_or_default(),
            renderings_as_bytes: true,
            known_parameters: known.etag.clone(),
        };
        let request = within(DIRECTORY_DEADLINE, message);
        let mut client = self.directory.clone();
        let answer = client.prepare_login(request).await.map_err(|status| refused("profile", &status))?;
        let mut answer = answer.into_inner();
        let policy = self.policy(&known, answer.service_parameters.take());
        login_facts(answer, policy)
    }

    async fn prepare_logout(&self, phone: &PhoneName) -> Result<LogoutFacts, Refusal> {
        let known = self.known.load_full();
        let message = PrepareLogoutRequest {
            phone: phone.to_string(),
            renderings_as_bytes: true,
            known_parameters: known.etag.clone(),
        };
        let mut client = self.directory.clone();
        let answer = client.prepare_logout(within(DIRECTORY_DEADLINE, message)).await;
        let answer = answer.map_err(|status| refused("profile", &status))?.into_inner();
        Ok(LogoutFacts {
            configuration: kept(answer.rendering, answer.configuration),
            policy: self.policy(&known, answer.service_parameters),
        })
    }

    async fn prepare_logouts(&self, phones: &[PhoneName]) -> Vec<Result<LogoutFacts, Refusal>> {
        let message = PrepareLogoutsRequest {
            phones: phones.iter().map(ToString::to_string).collect(),
            renderings_as_bytes: true,
        };
        let mut client = self.directory.clone();
        let answer = client.prepare_logouts(within(SWEEP_DEADLINE, message)).await;
        let answers = match answer {
            Ok(answer) => logouts_facts(phones, answer.into_inner()),
            Err(status) => Err(refused("profile", &status)),
        };
        answers.unwrap_or_else(|refused| vec![Err(refused); phones.len()])
    }

    async fn service_parameters(&self) -> Result<ServiceParameters, Refusal> {
        let request = within(DIRECTORY_DEADLINE, GetServiceParametersRequest {});
        let answer = self.parameters.clone().get_service_parameters(request).await;
        let answer = answer.map_err(|status| unavailable("profile", &status))?;
        let answer = answer.into_inner().service_parameters;
        let policy = self.policy(&Known::default(), Some(answer.unwrap_or_default()));
        Ok(ServiceParameters::clone(&policy))
    }

    async fn set_do_not_disturb(&self, profile: &ProfileName, on: bool) -> Result<(), Refusal> {
        let request = within(DIRECTORY_DEADLINE, SetDoNotDisturbRequest { profile: profile.to_string(), on });
        let answer = self.personal.clone().set_do_not_disturb(request).await;
        answer.map(|_| ()).map_err(|status| refused("profile", &status))
    }

    async fn line_exists(&self, line: &LineName) -> Result<(), Refusal> {
        let request = within(DIRECTORY_DEADLINE, GetLineRequest { name: line.to_string() });
        self.lines.clone().get_line(request).await.map_err(|status| refused("profile", &status))?;
        Ok(())
    }

    async fn teams(&self, users: &[UserId]) -> Result<Vec<Teams>, Refusal> {
        let message = BatchGetUsersRequest { user_ids: users.iter().map(ToString::to_string).collect() };
        let answer = self.users.clone().batch_get_users(within(DIRECTORY_DEADLINE, message)).await;
        let answer = answer.map_err(|status| unavailable("profile", &status))?.into_inner();
        let named = |names: &[String]| names.iter().filter_map(|name| name.parse().ok()).collect();
        let mut found: HashMap<String, Teams> = HashMap::new();
        for user in answer.users {
            let (of, supervised): (Vec<RecordName>, Vec<RecordName>) =
                (named(&user.teams), named(&user.supervised_teams));
            found.insert(user.user_id, Teams { of, supervised });
        }
        Ok(users.iter().map(|user| found.remove(user.as_str()).unwrap_or_default()).collect())
    }

    async fn associated(
        &self,
        application: &PrincipalName,
        profiles: &[ProfileName],
    ) -> Result<Vec<ProfileName>, Refusal> {
        let message = FindAssociatedRequest {
            application: application.to_string(),
            profiles: profiles.iter().map(ToString::to_string).collect(),
        };
        let answer = self.directory.clone().find_associated(within(DIRECTORY_DEADLINE, message)).await;
        let answer = answer.map_err(|status| unavailable("profile", &status))?.into_inner();
        Ok(answer.profiles.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn roam(&self, ask: RoamAsk) -> Result<Option<Roamed>, Refusal> {
        let Some(answer) = self.ask_home(ask, false).await? else { return Ok(None) };
        Ok(Some(Roamed {
            session: named("session_id", &answer.session_id)?,
            prepared: Box::new(prepared(answer.prepared.unwrap_or_default())?),
            at_most: answer.maximum_login_time.and_then(length),
        }))
    }

    async fn prove_at_home(&self, ask: RoamAsk) -> Result<bool, Refusal> {
        Ok(self.ask_home(ask, true).await?.is_some())
    }

    async fn abandon(&self, session: &SessionId) {
        let Some(mut client) = self.roaming.clone() else { return };
        let message = AbandonRequest { session_id: session.to_string() };
        if let Err(status) = client.abandon(within(DIRECTORY_DEADLINE, message)).await {
            // Both halves are compared at an interval.
            tracing::warn!(%session, code = ?status.code(), "the other half of a session was not ended at once");
        }
    }

    async fn refresh_there(&self, session: &SessionId) -> Result<bool, Refusal> {
        let Some(mut client) = self.roaming.clone() else {
            return Err(refusal::session_not_found(session.as_str()));
        };
        let message = RefreshThereRequest { session_id: session.to_string() };
        let answer = client.refresh_there(within(CREDENTIAL_DEADLINE, message)).await;
        Ok(answer.map_err(|status| refused("emcc", &status))?.into_inner().changed)
    }

    async fn render_visit(&self, session: &SessionId) -> Result<Option<Box<Prepared>>, Refusal> {
        let Some(mut client) = self.roaming.clone() else { return Ok(None) };
        let message = RenderVisitRequest { session_id: session.to_string() };
        let answer = client.render_visit(within(CREDENTIAL_DEADLINE, message)).await;
        let answer = answer.map_err(|status| refused("emcc", &status))?.into_inner();
        let found = answer.found.then(|| prepared(answer.prepared.unwrap_or_default()).map(Box::new));
        found.transpose()
    }

    async fn verify(&self, user_id: &str, credential: Credential, at: &LoginPlace) -> Result<(), Refusal> {
        let message = VerifyCredentialRequest {
            name: user_id.to_owned(),
            credential: Some(credential),
            source: at.source.map(|source| source.to_string()).unwrap_or_default(),
            phone: at.phone.to_string(),
        };
        let mut client = self.credentials.clone();
        client
            .verify_credential(within(CREDENTIAL_DEADLINE, message))
            .await
            .map_err(|status| refused("auth", &status))?;
        Ok(())
    }
}

/// A peer's refusal is passed on; anything else means that the peer cannot be had.
fn refused(service: &str, status: &Status) -> Refusal {
    passed_on(status).unwrap_or_else(|| {
        tracing::error!(service, code = ?status.code(), message = status.message(), "another service failed");
        unavailable(service, status)
    })
}

fn unavailable(service: &str, status: &Status) -> Refusal {
    tracing::debug!(service, code = ?status.code(), message = status.message(), "no answer");
    Refusal::new(ErrorReason::ServiceUnavailable, format!("the {service} service does not answer"))
        .with("service", service)
}

fn logouts_facts(
    phones: &[PhoneName],
    answer: PrepareLogoutsResponse,
) -> Result<Vec<Result<LogoutFacts, Refusal>>, Refusal> {
    if !answer.logouts.iter().map(|logout| logout.phone.as_str()).eq(phones.iter().map(PhoneName::as_str)) {
        return Err(malformed("it is not about the phones that were asked for", "logouts"));
    }
    let policy = Arc::new(convert::policy(&answer.service_parameters.unwrap_or_default()));
    let facts = answer.logouts.into_iter().map(|logout| match logout.refusal {
        Some(refusal) => Err(deferred(&refusal)),
        None => {
            let configuration = kept(logout.rendering, logout.configuration);
            Ok(LogoutFacts { configuration, policy: Arc::clone(&policy) })
        }
    });
    Ok(facts.collect())
}

/// What the directory knows about a login, to be decided by these parameters.
pub(super) fn login_facts(
    answer: PrepareLoginResponse,
    policy: Arc<ServiceParameters>,
) -> Result<LoginFacts, Refusal> {
    let user_login_time = match answer.user_maximum_login_time {
        None => UserLoginTime::Cluster,
        Some(time) => match length(time) {
            None | Some(Duration::ZERO) => UserLoginTime::Unlimited,
            Some(time) => UserLoginTime::AtMost(time),
        },
    };
    Ok(LoginFacts {
        phone: named("phone", &answer.phone)?,
        user: named("user_id", &answer.user_id)?,
        user_login_time,
        policy,
        owner: answer.owner_refusal.as_ref().map(deferred),
        refuse_off_hook: answer.refuse_off_hook,
        prepared: match &answer.refusal {
            Some(refusal) => Err(deferred(refusal)),
            None => Ok(Box::new(prepared(answer)?)),
        },
    })
}

pub(super) fn prepared(answer: PrepareLoginResponse) -> Result<Prepared, Refusal> {
    let (change, lines) = match &answer.configuration {
        Some(message) => (message.change(), convert::worn_lines(message)),
        None => (answer.change(), answer.lines.iter().filter_map(|line| line.parse().ok()).collect()),
    };
    Ok(Prepared {
        rendering: Rendering {
            profile: named("profile", &answer.profile)?,
            configuration: kept(answer.rendering, answer.configuration),
            reset: change == ConfigurationChange::RestartThenReset,
            lines,
            acd_line: optional("acd_line", &answer.acd_line)?,
            primary_extension: optional("primary_extension", &answer.primary_extension)?,
            idle_limit: answer.idle_limit.and_then(length),
            logout_configuration: kept(answer.logout_rendering, answer.logout_configuration),
        },
        contact_centre: answer.contact_centre_refusal.as_ref().map(deferred),
        findings: answer.findings,
    })
}

/// A rendering as it came, or made from the message that came in its stead.
fn kept(bytes: Bytes, message: Option<EffectiveConfiguration>) -> Configuration {
    Configuration(message.map_or(bytes, rendering::keep))
}

fn deferred(refusal: &DeferredRefusal) -> Refusal {
    let mut made = Refusal::new(refusal.reason(), refusal.message.clone());
    made.metadata.extend(refusal.metadata.clone());
    for finding in &refusal.findings {
        made = made.violation(finding.field.clone(), format!("{} ({})", finding.message, finding.rule));
    }
    made
}

fn named<T: std::str::FromStr<Err = roamline_domain::InvalidName>>(
    field: &str,
    text: &str,
) -> Result<T, Refusal> {
    text.parse().map_err(|error| malformed(error, field))
}

fn malformed(error: impl std::fmt::Display, field: &str) -> Refusal {
    tracing::error!(%error, field, "the profile service gave a malformed answer");
    Refusal::new(ErrorReason::ServiceUnavailable, "the profile service gave a malformed answer")
        .with("service", "profile")
}

fn optional<T: std::str::FromStr<Err = roamline_domain::InvalidName>>(
    field: &str,
    text: &str,
) -> Result<Option<T>, Refusal> {
    if text.is_empty() { Ok(None) } else { named(field, text).map(Some) }
}
