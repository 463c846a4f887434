//! A service for unit tests: over the memory store, beside a directory that knows every phone and user.

use std::sync::Arc;

use async_trait::async_trait;
use roamline_domain::directory::UserLoginTime;
use roamline_domain::login::Rendering;
use roamline_domain::parameters::{AgentStateGuard, ServiceParameters};
use roamline_domain::phone_state::Configuration;
use roamline_domain::{LineName, PhoneName, ProfileName};
use roamline_proto::auth::{Credential, PrincipalKind};
use roamline_proto::refusal::Refusal;
use roamline_serve::{Clock, Ids, Tasks};
use roamline_store::SessionStore;
use roamline_store::memory::MemoryStore;
use roamline_token::{Caller, scopes_of};

use crate::asker::Asker;
use crate::{Core, LoginFacts, LoginPlace, LogoutFacts, Peers, Prepared, SessionConfig, Stores, login};

/// A directory that blocks logouts of agents who are at work.
struct Directory;

fn policy() -> ServiceParameters {
    ServiceParameters { agent_state_guard: AgentStateGuard::Block, ..ServiceParameters::default() }
}

#[async_trait]
impl Peers for Directory {
    async fn prepare_login(
        &self,
        phone: &PhoneName,
        user_id: &str,
        _profile: Option<&ProfileName>,
    ) -> Result<LoginFacts, Refusal> {
        let prepared = Prepared {
            rendering: Rendering {
                profile: user_id.parse().unwrap(),
                configuration: Configuration::default(),
                reset: false,
                lines: Vec::new(),
                acd_line: None,
                primary_extension: None,
                idle_limit: None,
                logout_configuration: Configuration::default(),
            },
            contact_centre: None,
            findings: Vec::new(),
        };
        Ok(LoginFacts {
            phone: phone.clone(),
            user: user_id.parse().unwrap(),
            prepared: Ok(Box::new(prepared)),
            user_login_time: UserLoginTime::Cluster,
            policy: policy().into(),
            owner: None,
            refuse_off_hook: false,
        })
    }

    async fn prepare_logout(&self, _phone: &PhoneName) -> Result<LogoutFacts, Refusal> {
        Ok(LogoutFacts { configuration: Configuration::default(), policy: policy().into() })
    }

    async fn service_parameters(&self) -> Result<ServiceParameters, Refusal> {
        Ok(policy())
    }

    async fn set_do_not_disturb(&self, _profile: &ProfileName, _on: bool) -> Result<(), Refusal> {
        Ok(())
    }

    async fn line_exists(&self, _line: &LineName) -> Result<(), Refusal> {
        Ok(())
    }

    async fn verify(&self, _: &str, _: Credential, _: &LoginPlace) -> Result<(), Refusal> {
        Ok(())
    }
}

/// The service, and the tasks of its process.
pub(crate) fn core() -> (Arc<Core>, Tasks) {
    core_over(Arc::new(MemoryStore::new()))
}

/// The service over a session store.
pub(crate) fn core_over(sessions: Arc<dyn SessionStore>) -> (Arc<Core>, Tasks) {
    let (clock, _) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
    let stores = Stores { sessions, audit: Arc::new(MemoryStore::new()) };
    let tasks = Tasks::new();
    let config = SessionConfig::default();
    let core = crate::Session::start(config, stores, Arc::new(Directory), clock, Ids::new(), &tasks).core;
    (core, tasks)
}

pub(crate) fn phone(number: u32) -> PhoneName {
    format!("SEP{number:012X}").parse().unwrap()
}

/// A login of that user, proven by the caller's token.
pub(crate) fn login(user: &str, phone: PhoneName) -> login::Asked {
    login::Asked {
        phone,
        user_id: user.to_owned(),
        credential: None,
        profile: None,
        duration: None,
        take_over: true,
        request: None,
        fingerprint: Vec::new(),
    }
}

pub(crate) fn administrator() -> Asker {
    let kind = PrincipalKind::Administrator;
    let scopes = Arc::new(scopes_of(kind).iter().map(|scope| (*scope).to_owned()).collect());
    Asker::new(Caller { name: "admin".into(), kind, scopes, source: None }, false, "", "")
}
