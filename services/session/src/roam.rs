//! Halves of cross-cluster sessions. The visiting half is the login of a user who is unknown here and whom his home has
//! let in and rendered for (XC-1 to XC-3); the home half is that of a user of ours at another cluster's phone, on a base
//! device. Both are ordinary sessions, so that everything that holds for those holds for them.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use roamline_domain::emcc::admission::home_policy;
use roamline_domain::login::{Rendering, refuse_at_phone};
use roamline_domain::parameters::{MultipleLogin, ServiceParameters};
use roamline_domain::phone_state::{Actor, Configuration, HookState};
use roamline_domain::{PhoneName, SessionId};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::About;

use crate::asker::Asker;
use crate::login::{Answer, Asked, LoggedIn, unless_answered};
use crate::observe::phase_of;
use crate::{Core, LoginFacts, LogoutFacts, Prepared, RoamAsk, Roamed, refusal};

/// The home half of a session, as it was asked for.
pub(crate) struct HomeHalf {
    pub session: SessionId,
    pub base_device: PhoneName,
    pub facts: LoginFacts,
    pub duration: Option<Duration>,
    /// SP-3.
    pub inter_cluster_time: Duration,
    pub actor: Actor,
}

impl Core {
    /// Logs in a user who is unknown here and has a home elsewhere; `None` if he has none, or proves himself by a token,
    /// which his home would not know.
    pub(crate) async fn roam<M: Message>(
        &self,
        asked: &Asked,
        facts: &LoginFacts,
        asker: &Asker,
        answer: impl Fn(&LoggedIn<'_>) -> M,
    ) -> Result<Option<Answer<M>>, Refusal> {
        let unknown =
            facts.prepared.as_ref().is_err_and(|refused| refused.reason == ErrorReason::UserNotFound);
        let Some(credential) = asked.credential.clone().filter(|_| unknown) else { return Ok(None) };
        // His home lets him in once for each request: a repeat is answered before it is asked (LI-11).
        let remembered = self.remembered(asked.request.as_ref(), &asked.fingerprint, self.clock.now());
        if let Some(answer) = remembered.await? {
            return Ok(Some(Answer::Remembered(answer)));
        }
        let ask = RoamAsk {
            phone: facts.phone.clone(),
            user: facts.user.clone(),
            credential,
            profile: asked.profile.clone(),
            duration: asked.duration,
            source: asker.caller.source.map(|source| source.ip()),
        };
        if let Some(refused) = self.refused_at_phone(asked, facts).await? {
            let proven = phase_of("roam", self.peers.prove_at_home(ask)).await?;
            return if proven { Err(refused) } else { Ok(None) };
        }
        let (roamed, logout) =
            tokio::join!(phase_of("roam", self.peers.roam(ask)), self.peers.prepare_logout(&facts.phone));
        let roamed = match roamed {
            Ok(Some(roamed)) => roamed,
            Ok(None) => return Ok(None),
            // It may be the same request, in work twice, that stands in its own way there.
            Err(refused) => {
                let now = self.clock.now();
                let remembered = self.remembered(asked.request.as_ref(), &asked.fingerprint, now).await;
                return unless_answered(refused, remembered).map(|answer| Some(Answer::Remembered(answer)));
            }
        };
        let session = roamed.session.clone();
        let made = match logout {
            Ok(logout) => self.visit(asked, facts, (roamed, logout), asker, answer).await,
            Err(refused) => Err(refused),
        };
        // A repeat that was answered meanwhile has the session of the first one, and needs no other.
        if !matches!(made, Ok(Answer::Made(_))) {
            self.peers.abandon(&session).await;
        }
        made.map(Some)
    }

    /// Why the phone will refuse the user, whatever his home says. Looked at before his home lets him in, which may end
    /// another session of his (LI-10); who comes in between is told from him by the commit.
    async fn refused_at_phone(&self, asked: &Asked, facts: &LoginFacts) -> Result<Option<Refusal>, Refusal> {
        if facts.owner.is_some() {
            return Ok(facts.owner.clone());
        }
        let about = About { phone: facts.phone.clone(), user: None, acd_line: None };
        let loaded = self.store.load(&about).await.map_err(|error| refusal::store(&error))?;
        let phone = &loaded.held.phone;
        let refused = refuse_at_phone(phone, &facts.user, asked.take_over, &facts.policy, self.clock.now());
        Ok(match refused {
            Err(refused) => Some(refusal::login(&refused)),
            Ok(()) if facts.refuse_off_hook && phone.hook == HookState::OffHook => {
                Some(refusal::off_hook(&facts.phone))
            }
            Ok(()) => None,
        })
    }

    /// Commits the visiting half.
    async fn visit<M: Message>(
        &self,
        asked: &Asked,
        facts: &LoginFacts,
        (roamed, logout): (Roamed, LogoutFacts),
        asker: &Asker,
        answer: impl Fn(&LoggedIn<'_>) -> M,
    ) -> Result<Answer<M>, Refusal> {
        let daily = self.daily.load_full();
        let Prepared { rendering, contact_centre, findings } = *roamed.prepared;
        let rendering = visiting_rendering(rendering, logout.configuration);
        let visiting = LoginFacts {
            prepared: Ok(Box::new(Prepared { rendering, contact_centre, findings })),
            policy: Arc::new(visiting_policy(ServiceParameters::clone(&facts.policy), roamed.at_most)),
            ..facts.clone()
        };
        // His home has judged how long he asks for.
        let asked_here = Asked { duration: None, ..asked.clone() };
        let who = (Some(roamed.session), asker.actor_named(facts.user.as_str()));
        let now = self.clock.now();
        match self.make_login(&asked_here, visiting, who, now, answer).await {
            Ok(made) => {
                self.schedule_login(&facts.phone, daily.as_ref(), &facts.policy).await;
                Ok(Answer::Made(Box::new(made)))
            }
            Err(refused) => {
                let remembered = self.remembered(asked.request.as_ref(), &asked.fingerprint, now).await;
                unless_answered(refused, remembered).map(Answer::Remembered)
            }
        }
    }

    /// Begins the home half of a session (XC-3).
    pub(crate) async fn begin_home_half<M: Message>(
        &self,
        half: HomeHalf,
        answer: impl Fn(&LoggedIn<'_>) -> M,
    ) -> Result<M, Refusal> {
        let HomeHalf { session, base_device, mut facts, duration, inter_cluster_time, actor } = half;
        let _place = self.limit.enter()?;
        let daily = self.daily.load_full();
        let asked = Asked {
            phone: base_device.clone(),
            user_id: facts.user.to_string(),
            credential: None,
            profile: None,
            duration,
            take_over: false,
            request: None,
            fingerprint: Vec::new(),
        };
        if let Ok(prepared) = &mut facts.prepared {
            // Whether he is idle shows at the phone, which is elsewhere.
            prepared.rendering.idle_limit = None;
        }
        facts.phone = base_device.clone();
        let policy = Arc::clone(&facts.policy);
        facts.policy = Arc::new(home_policy(ServiceParameters::clone(&policy), inter_cluster_time));
        let made = self.make_login(&asked, facts, (Some(session), actor), self.clock.now(), answer).await?;
        self.schedule_login(&base_device, daily.as_ref(), &policy).await;
        Ok(made)
    }
}

/// What a visiting half is dressed in: after it the phone wears what its own cluster says, and who else has the ACD line is
/// for the home to judge (CC-7): a line of that number is another one here.
pub(crate) fn visiting_rendering(rendering: Rendering, logout: Configuration) -> Rendering {
    Rendering { logout_configuration: logout, acd_line: None, ..rendering }
}

/// The parameters that a visiting half is decided by: how often a user may be logged in is for his home to say (XC-5), and
/// how long he may stay was said (XC-8).
fn visiting_policy(policy: ServiceParameters, at_most: Option<Duration>) -> ServiceParameters {
    ServiceParameters {
        multiple_login: MultipleLogin::Allowed,
        enforce_maximum_login_time: at_most.is_some(),
        maximum_login_time: at_most.unwrap_or(policy.maximum_login_time),
        ..policy
    }
}
