//! Login: who, where, proven, prepared, decided, committed (LI-1, LI-2, LI-10, LI-11).

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prost::Message;
use roamline_domain::login::{LoginRequest, decide_login};
use roamline_domain::logout::AgentBusy;
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::phone_state::{self, Actor, EndedSession, HookState, PhoneState};
use roamline_domain::{PhoneName, ProfileName, RequestId, SessionId};
use roamline_proto::auth::{Credential, PrincipalKind};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::Finding;
use roamline_proto::refusal::Refusal;
use roamline_serve::at_even_times;
use roamline_store::{About, Reply};
use roamline_token::scope;

use crate::asker::Asker;
use crate::decide::Decided;
use crate::observe::{phase, phase_of};
use crate::refused::What;
use crate::{Core, LoginFacts, LoginPlace, Prepared, observe, refusal};

/// A login as it was asked for, parsed.
#[derive(Clone)]
pub(crate) struct Asked {
    pub phone: PhoneName,
    /// As it was sent: whether it is a user id is told after what is told of the phone (LI-2).
    pub user_id: String,
    pub credential: Option<Credential>,
    pub profile: Option<ProfileName>,
    pub duration: Option<Duration>,
    pub take_over: bool,
    pub request: Option<RequestId>,
    /// What the request is but for its secrets, so that the same id for another one is seen.
    pub fingerprint: Vec<u8>,
}

/// A login as it is decided.
pub(crate) struct LoggedIn<'a> {
    pub phone: &'a PhoneState,
    pub ended: &'a [EndedSession],
    /// Agents whose sessions end for it while they are at work (CC-9).
    pub busy: &'a [AgentBusy],
    pub findings: &'a [Finding],
}

/// What came of it: the answer to a login that was made, or the one remembered for the request id.
pub(crate) enum Answer<M> {
    Made(Box<M>),
    Remembered(Vec<u8>),
}

impl Core {
    /// Logs a user in. `answer` makes what is answered, and remembered with the request id.
    pub(crate) async fn login<M: Message>(
        &self,
        asked: &Asked,
        asker: &Asker,
        answer: impl Fn(&LoggedIn<'_>) -> M,
    ) -> Result<Answer<M>, Refusal> {
        let work = self.login_and_observe(asked, asker, answer);
        let is_even = |answer: &Result<Answer<M>, Refusal>| {
            answer.as_ref().is_err_and(|refused| refused.reason == ErrorReason::CredentialRefused)
        };
        at_even_times(self.config.refusals_every, work, is_even).await
    }

    async fn login_and_observe<M: Message>(
        &self,
        asked: &Asked,
        asker: &Asker,
        answer: impl Fn(&LoggedIn<'_>) -> M,
    ) -> Result<Answer<M>, Refusal> {
        let result = self.login_if_admitted(asked, asker, answer).await;
        observe::login(result.as_ref().err());
        if let Err(refused) = &result {
            let (user, profile) = (&asked.user_id, asked.profile.as_ref().map_or("", |name| name.as_str()));
            let what = What { asked: phone_state::Asked::Login, phone: &asked.phone, user, profile };
            self.tell_refused(what, asker, refused).await;
        }
        result
    }

    /// The refusals that come before anything is asked of the directory (LI-2): of the source, then of too many at
    /// once.
    async fn login_if_admitted<M: Message>(
        &self,
        asked: &Asked,
        asker: &Asker,
        answer: impl Fn(&LoggedIn<'_>) -> M,
    ) -> Result<Answer<M>, Refusal> {
        admit(&self.parameters.load(), asker)?;
        let _place = self.limit.enter()?;
        self.login_in_place(asked, asker, answer).await
    }

    async fn login_in_place<M: Message>(
        &self,
        asked: &Asked,
        asker: &Asker,
        answer: impl Fn(&LoggedIn<'_>) -> M,
    ) -> Result<Answer<M>, Refusal> {
        let daily = self.daily.load_full();
        let facts = phase_of(
            "prepare",
            self.peers.prepare_login(&asked.phone, &asked.user_id, asked.profile.as_ref()),
        );
        let facts = facts.await?;
        // What holds by the directory's own word may be newer than what this replica has heard of.
        admit(&facts.policy, asker)?;
        if let Some(answered) = Box::pin(self.roam(asked, &facts, asker, &answer)).await? {
            return Ok(answered);
        }
        let actor = phase_of("authenticate", self.authenticate(asked, &facts, asker)).await?;
        let now = self.clock.now();
        let (phone, policy) = (facts.phone.clone(), Arc::clone(&facts.policy));
        // Whether the request id was answered is told by the commit, which is not made then, and by every refusal.
        match self.make_login(asked, facts, (None, actor), now, answer).await {
            Ok(made) => {
                self.schedule_login(&phone, daily.as_ref(), &policy).await;
                Ok(Answer::Made(Box::new(made)))
            }
            Err(refused) => {
                let remembered = self.remembered(asked.request.as_ref(), &asked.fingerprint, now).await;
                unless_answered(refused, remembered).map(Answer::Remembered)
            }
        }
    }

    /// Decides and commits a login, under that id or a new one.
    pub(crate) async fn make_login<M: Message>(
        &self,
        asked: &Asked,
        facts: LoginFacts,
        (id, actor): (Option<SessionId>, Actor),
        now: Timestamp,
        answer: impl Fn(&LoggedIn<'_>) -> M,
    ) -> Result<M, Refusal> {
        let LoginFacts { phone, user, prepared, user_login_time, policy, owner, refuse_off_hook } = facts;
        let Prepared { rendering, contact_centre, findings } = *prepared?;
        if let Some(refused) = owner {
            return Err(refused);
        }
        let about =
            About { phone: phone.clone(), user: Some(user.clone()), acd_line: rendering.acd_line.clone() };
        let request = LoginRequest {
            session: id.map_or_else(|| self.new_session_id(now), Ok)?,
            user,
            rendering,
            duration: asked.duration,
            user_login_time,
            apply_within: self.config.drop_pending_login_after(),
            take_over: asked.take_over,
            actor,
        };
        let (mut begun, mut is_loaded) = (Instant::now(), false);
        let made = self
            .decide(&about, now, |loaded| {
                if !std::mem::replace(&mut is_loaded, true) {
                    phase("load", std::mem::replace(&mut begun, Instant::now()).elapsed().as_secs_f64());
                }
                let login =
                    decide_login(&loaded.held, &request, &policy, now).map_err(|r| refusal::login(&r))?;
                if refuse_off_hook && loaded.held.phone.hook == HookState::OffHook {
                    return Err(refusal::off_hook(&phone));
                }
                if let Some(refused) = &contact_centre {
                    return Err(refused.clone());
                }
                let phone = login.states.first().unwrap_or(&loaded.held.phone);
                let (ended, busy, findings) = (&login.ended, &login.busy, &findings);
                let made = answer(&LoggedIn { phone, ended, busy, findings });
                let reply = asked.request.clone();
                let reply = reply.map(|id| self.reply(id, &asked.fingerprint, made.encode_to_vec(), now));
                Ok(Decided { states: login.states, events: login.events, reply, outcome: made })
            })
            .await?;
        phase("commit", begun.elapsed().as_secs_f64());
        tracing::info!(%phone, user = %request.user, profile = %request.rendering.profile, "logged in");
        Ok(made)
    }

    fn new_session_id(&self, now: Timestamp) -> Result<SessionId, Refusal> {
        self.ids.session_id(now).parse().map_err(|error| {
            tracing::error!(%error, "a session id could not be made");
            Refusal::new(ErrorReason::Internal, "a session id could not be made")
        })
    }

    /// Who logs the user in: the user by his credential, or the caller by a token that allows it (LI-1).
    async fn authenticate(&self, asked: &Asked, facts: &LoginFacts, asker: &Asker) -> Result<Actor, Refusal> {
        let caller = &asker.caller;
        if let Some(credential) = &asked.credential {
            let at =
                LoginPlace { source: caller.source.map(|source| source.ip()), phone: facts.phone.clone() };
            self.peers.verify(facts.user.as_str(), credential.clone(), &at).await?;
            let named = if caller.is_anonymous() { facts.user.as_str() } else { &caller.name };
            return Ok(asker.actor_named(named));
        }
        if caller.is_anonymous() {
            return Err(Refusal::new(
                ErrorReason::TokenMissing,
                "a login needs the user's credential, or a token of the user or of an application (LI-1)",
            ));
        }
        let is_user = caller.kind == PrincipalKind::User;
        let himself = is_user && caller.name == facts.user.as_str() && caller.has(scope::SESSION_OWN);
        // An end user acts for nobody else, whatever his token says.
        if himself || !is_user && caller.has(scope::SESSION_PROXY) {
            return Ok(asker.actor());
        }
        Err(refusal::scope_missing(scope::SESSION_PROXY))
    }

    /// The answer remembered for a request id, if there is one (LI-11).
    pub(crate) async fn remembered(
        &self,
        request: Option<&RequestId>,
        fingerprint: &[u8],
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(id) = request else { return Ok(None) };
        match self.store.reply(id, now).await.map_err(|error| refusal::store(&error))? {
            None => Ok(None),
            Some(reply) if reply.fingerprint == fingerprint => Ok(Some(reply.answer)),
            Some(_) => Err(refusal::request_id_reused(id.as_str())),
        }
    }

    /// The answer to remember for a request id (LI-11).
    pub(crate) fn reply(
        &self,
        request: RequestId,
        fingerprint: &[u8],
        answer: Vec<u8>,
        now: Timestamp,
    ) -> Reply {
        let expires_at = now.checked_add(self.config.remember_replies_for).unwrap_or(Timestamp::MAX);
        Reply { request, fingerprint: fingerprint.to_vec(), answer, expires_at }
    }
}

/// The answer that was remembered while a request was refused: the same request was in work twice, and the other one was
/// made (LI-11). Where it cannot be known whether it was, it is not said that the request was refused.
pub(crate) fn unless_answered(
    refused: Refusal,
    remembered: Result<Option<Vec<u8>>, Refusal>,
) -> Result<Vec<u8>, Refusal> {
    match remembered {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(refused),
        Err(other) => Err(other),
    }
}

/// Whether a login is taken from where the caller is (SP-9, SP-12).
fn admit(parameters: &ServiceParameters, asker: &Asker) -> Result<(), Refusal> {
    let address = asker.caller.source.map(|source| source.ip());
    let seen = address.map(|address| address.to_canonical().to_string()).unwrap_or_default();
    parameters.admit_source(address, asker.proxied).map_err(|refused| refusal::source(refused, &seen))
}
