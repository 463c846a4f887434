//! The stand-in for the directory and the auth service: it knows the small site, and the parameters as they are set.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use prost::Message;
use roamline_domain::directory::UserLoginTime;
use roamline_domain::login::Rendering;
use roamline_domain::parameters::{
    AgentStateGuard, ClearCallLogs, MultipleLogin, OccupiedPhone, ServiceParameters,
};
use roamline_domain::phone_state::Configuration;
use roamline_domain::{LineName, PhoneName, ProfileName};
use roamline_proto::auth::{Credential, credential};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::EffectiveConfiguration;
use roamline_proto::refusal::Refusal;
use roamline_session::{LoginFacts, LoginPlace, LogoutFacts, Peers, Prepared};
use tokio::sync::watch::Sender;

use crate::site::{OwnLimit, PASSWORD, PHONES, USERS, facts, phone_name, user_name};
use crate::state::Parameters;
use crate::step::{Clear, Guard, Multiple, Occupied};

/// The parameters in force, which all replicas ask for.
pub(crate) type InForce = Arc<Mutex<ServiceParameters>>;

/// What one replica asks.
pub(crate) struct Directory {
    in_force: InForce,
    /// Whether the replica is told the parameters when it asks for them alone.
    open: AtomicBool,
    /// How often it was told.
    told: Sender<u64>,
}

impl Directory {
    pub(crate) fn new(in_force: InForce) -> Self {
        Self { in_force, open: AtomicBool::new(false), told: Sender::new(0) }
    }

    /// Waits until the replica has been told the parameters as they are now.
    pub(crate) async fn heard(&self) {
        let mut told = self.told.subscribe();
        told.mark_unchanged();
        self.open.store(true, Ordering::Relaxed);
        told.changed().await.expect("it asks");
        self.open.store(false, Ordering::Relaxed);
    }

    fn policy(&self) -> ServiceParameters {
        self.in_force.lock().expect("nobody panics with it").clone()
    }
}

/// The parameters as the service knows them.
pub(crate) fn policy(parameters: &Parameters) -> ServiceParameters {
    ServiceParameters {
        enforce_maximum_login_time: parameters.enforce,
        maximum_login_time: Duration::from_secs(parameters.maximum),
        multiple_login: match parameters.multiple {
            Multiple::Allowed => MultipleLogin::Allowed,
            Multiple::NotAllowed => MultipleLogin::NotAllowed,
            Multiple::AutoLogout => MultipleLogin::AutoLogout,
        },
        occupied_phone: match parameters.occupied {
            Occupied::Refuse => OccupiedPhone::Refuse,
            Occupied::OnRequest => OccupiedPhone::OnRequest,
            Occupied::Always => OccupiedPhone::Always,
        },
        clear_call_logs: match parameters.clear {
            Clear::Never => ClearCallLogs::Never,
            Clear::Manual => ClearCallLogs::Manual,
            Clear::EveryLogout => ClearCallLogs::EveryLogout,
        },
        agent_state_guard: match parameters.guard {
            Guard::Allow => AgentStateGuard::Allow,
            Guard::Warn => AgentStateGuard::Warn,
            Guard::Block => AgentStateGuard::Block,
        },
        remember_last_user: parameters.remember,
        daily_logout_times: parameters
            .daily
            .texts()
            .iter()
            .map(|text| text.parse().expect("a time"))
            .collect(),
        time_zone: parameters.daily.zone.into(),
        ..ServiceParameters::default()
    }
}

fn configuration(worn: &str) -> Configuration {
    let configuration = EffectiveConfiguration { worn_name: worn.into(), ..Default::default() };
    Configuration(configuration.encode_to_vec().into())
}

fn known(phone: &PhoneName) -> Result<(), Refusal> {
    let known = (0..PHONES).any(|number| phone.as_str() == phone_name(number));
    if known { Ok(()) } else { Err(Refusal::new(ErrorReason::PhoneNotFound, "no such phone")) }
}

#[async_trait]
impl Peers for Directory {
    async fn prepare_login(
        &self,
        phone: &PhoneName,
        user_id: &str,
        _profile: Option<&ProfileName>,
    ) -> Result<LoginFacts, Refusal> {
        known(phone)?;
        let user = (0..USERS).find(|user| user_name(*user) == user_id).expect("a user of the site");
        let facts = facts(user);
        let prepared = Prepared {
            rendering: Rendering {
                profile: user_id.parse().expect("a name"),
                configuration: configuration(user_id),
                reset: false,
                lines: vec!["2001".parse().expect("a line")],
                acd_line: facts.acd_line.map(|line| line.parse().expect("a line")),
                primary_extension: None,
                idle_limit: facts.idle.map(Duration::from_secs),
                logout_configuration: configuration("nobody"),
            },
            contact_centre: None,
            findings: Vec::new(),
        };
        Ok(LoginFacts {
            phone: phone.clone(),
            user: user_id.parse().expect("a user id"),
            prepared: Ok(Box::new(prepared)),
            user_login_time: match facts.limit {
                OwnLimit::Cluster => UserLoginTime::Cluster,
                OwnLimit::Unlimited => UserLoginTime::Unlimited,
                OwnLimit::Seconds(seconds) => UserLoginTime::AtMost(Duration::from_secs(seconds)),
            },
            policy: self.policy().into(),
            owner: None,
            refuse_off_hook: false,
        })
    }

    async fn prepare_logout(&self, phone: &PhoneName) -> Result<LogoutFacts, Refusal> {
        known(phone)?;
        Ok(LogoutFacts { configuration: configuration("nobody"), policy: self.policy().into() })
    }

    async fn service_parameters(&self) -> Result<ServiceParameters, Refusal> {
        if !self.open.load(Ordering::Relaxed) {
            return Err(Refusal::new(ErrorReason::ServiceUnavailable, "not now"));
        }
        self.told.send_modify(|told| *told += 1);
        Ok(self.policy())
    }

    async fn set_do_not_disturb(&self, _profile: &ProfileName, _on: bool) -> Result<(), Refusal> {
        Ok(())
    }

    async fn line_exists(&self, _line: &LineName) -> Result<(), Refusal> {
        Ok(())
    }

    async fn verify(&self, _: &str, given: Credential, _: &LoginPlace) -> Result<(), Refusal> {
        match given.kind {
            Some(credential::Kind::Password(password)) if password == PASSWORD => Ok(()),
            _ => Err(Refusal::new(ErrorReason::CredentialRefused, "wrong")),
        }
    }
}
