//! The visiting half of a cross-cluster session: a user of another cluster at a phone of ours (XC-1, XC-8, XC-9).

use roamline_domain::catalogue::Catalogue;
use roamline_domain::emcc::admission::{takes_cross_cluster, visiting_time};
use roamline_domain::emcc::half::{Half, Side};
use roamline_domain::emcc::parameters::{NotActivated, PstnSearchSpace, SecurityMode};
use roamline_domain::{PhoneName, SessionId, UserId, Violations};
use roamline_proto::emcc::{
    Capability, RemoteLoginRequest, RemoteLoginResponse, RoamRequest, RoamResponse, VisitingPhone,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::length;
use roamline_proto::profile::{Phone, PrepareLoginResponse};
use roamline_proto::refusal::Refusal;
use roamline_store::federation::Begun;

use crate::peers::Peer;
use crate::settings::Recalled;
use crate::{Inner, convert, refusal};

impl Inner {
    /// Looks for the home of a user, and logs him in there.
    pub(crate) async fn visit(&self, request: RoamRequest) -> Result<RoamResponse, Refusal> {
        let recalled = self.recalled.load_full();
        if !recalled.parameters.activated {
            return Ok(RoamResponse::default());
        }
        let mut found = Violations::new();
        let phone = found.take("phone", request.phone.parse::<PhoneName>());
        let user = found.take("user_id", request.user_id.parse::<UserId>());
        let (Some(phone), Some(user)) = (phone, user) else { return Err(refusal::invalid(found)) };
        let homes = self.homes_of(user.as_str()).await;
        if homes.candidates.is_empty() {
            return Ok(RoamResponse::default());
        }
        if recalled.inter_cluster_time.is_zero() {
            return Err(refusal::not_activated(NotActivated::NoTimeLimit));
        }
        let visiting = self.visiting_phone(&phone, &recalled).await?;
        let [home] = homes.candidates.as_slice() else {
            // His credential would be told to a cluster that is not his (XC-2).
            let homes: Vec<_> = homes.candidates.iter().map(|peer| peer.remote.cluster.as_str()).collect();
            tracing::error!(%user, ?homes, "several clusters say that they are home to the user: none is asked");
            return Ok(RoamResponse::default());
        };
        let message = self.question(home, &user, visiting, request);
        let done = if message.prove_only {
            Box::pin(self.prove(home, (&phone, &user), message, &recalled)).await
        } else {
            Box::pin(self.begin_visit(home, (&phone, &user), message, &recalled)).await
        };
        match done {
            // The filter was wrong: he is at home nowhere.
            Err(refused) if refused.reason == ErrorReason::UserNotAtHome => Ok(RoamResponse::default()),
            done => done,
        }
    }

    /// The phone as the home shall know it.
    pub(crate) async fn visiting_phone(
        &self,
        name: &PhoneName,
        recalled: &Recalled,
    ) -> Result<VisitingPhone, Refusal> {
        let phone: Phone = self.local.phone(name).await?;
        let model = phone.model.parse().ok();
        if !model.and_then(|model| Catalogue::builtin().get(&model)).is_some_and(takes_cross_cluster) {
            return Err(refusal::model(&phone.model));
        }
        let pool = recalled.pool(&phone.device_pool);
        let geolocation = pool.and_then(|pool| recalled.geolocation_of(pool));
        Ok(VisitingPhone {
            name: name.to_string(),
            model: phone.model,
            protocol: phone.protocol,
            expansion_modules: phone.settings.map(|settings| settings.expansion_modules).unwrap_or_default(),
            geolocation: geolocation.map(|geolocation| convert::geolocation(geolocation, 0)),
            emergency_numbers: pool.map(|pool| pool.emergency_numbers.clone()).unwrap_or_default(),
            secure: recalled.parameters.security_mode == SecurityMode::Mixed,
        })
    }

    /// What the home is asked, under a new session id.
    fn question(
        &self,
        home: &Peer,
        user: &UserId,
        visiting: VisitingPhone,
        request: RoamRequest,
    ) -> RemoteLoginRequest {
        RemoteLoginRequest {
            visiting_cluster: self.cluster.to_string(),
            session_id: self.ids.session_id(self.clock.now()).to_string(),
            user_id: user.to_string(),
            credential: request.credential,
            profile: request.profile,
            duration: request.duration,
            phone: Some(visiting),
            version: home.health().version,
            source_address: request.source_address,
            prove_only: request.prove_only,
        }
    }

    /// Has the home prove him, and no more. One whose release cannot do that begins a session, which ends at once: what
    /// the phone says is for nobody who has not proven himself (LI-2).
    async fn prove(
        &self,
        home: &Peer,
        of: (&PhoneName, &UserId),
        message: RemoteLoginRequest,
        recalled: &Recalled,
    ) -> Result<RoamResponse, Refusal> {
        if home.health().capabilities.contains(&Capability::ProveOnly) {
            home.callable()?.login(message, self.config.login_within()).await.map_err(as_told_here)?;
        } else {
            let begun = Box::pin(self.begin_visit(home, of, message, recalled)).await?;
            if let Ok(session) = begun.session_id.parse() {
                self.end_half(&session, false).await?;
            }
        }
        Ok(RoamResponse { found: true, ..RoamResponse::default() })
    }

    /// Asks one home, after the half was written down. What the home did is not known where it does not answer: it is
    /// told that the session has ended, before or after.
    async fn begin_visit(
        &self,
        home: &Peer,
        (phone, user): (&PhoneName, &UserId),
        message: RemoteLoginRequest,
        recalled: &Recalled,
    ) -> Result<RoamResponse, Refusal> {
        let link = home.callable()?;
        let session: SessionId = message.session_id.parse().map_err(|error| {
            tracing::error!(%error, "a session id could not be made");
            Refusal::new(ErrorReason::Internal, "a session id could not be made")
        })?;
        let half = Half {
            session: session.clone(),
            side: Side::Visiting,
            peer: home.remote.cluster.clone(),
            user: user.clone(),
            visiting_phone: phone.clone(),
            base_device: None,
            begun_at: self.clock.now(),
            ended_at: None,
            told: false,
        };
        let begun = self.store.begin_half(half, None).await.map_err(|error| refusal::store(&error))?;
        if !matches!(begun, Begun::Begun(_)) {
            return Err(Refusal::new(ErrorReason::Internal, "a new session id was used before"));
        }
        match link.login(message, self.config.login_within()).await {
            Ok(answer) => self.accept(home, session, (phone, user), answer, recalled).await,
            Err(refused) => {
                let is_known = refused.reason != ErrorReason::PeerUnavailable;
                self.end_half(&session, is_known).await?;
                Err(as_told_here(refused))
            }
        }
    }

    /// Takes over what the home answered, if it is about the phone and the user that were asked for (XC-10).
    async fn accept(
        &self,
        home: &Peer,
        session: SessionId,
        (phone, user): (&PhoneName, &UserId),
        answer: RemoteLoginResponse,
        recalled: &Recalled,
    ) -> Result<RoamResponse, Refusal> {
        let prepared = answer.prepared.unwrap_or_default();
        if !fits(&prepared, phone, user) {
            tracing::error!(peer = %home.remote.cluster, %session, "the answer is about another phone or user");
            self.end_half(&session, false).await?;
            return Err(refusal::unavailable(&home.remote.cluster));
        }
        let home_time = answer.maximum_login_time.and_then(length);
        let at_most = visiting_time(home_time, answer.own_limit, recalled.inter_cluster_time);
        Ok(RoamResponse {
            found: true,
            session_id: session.to_string(),
            home_cluster: home.remote.cluster.to_string(),
            prepared: Some(laid_over(prepared, recalled)),
            maximum_login_time: at_most.and_then(|time| time.try_into().ok()),
        })
    }
}

/// Whether it is about the phone and the user that were asked for (XC-10).
pub(crate) fn fits(prepared: &PrepareLoginResponse, phone: &PhoneName, user: &UserId) -> bool {
    let worn = prepared.configuration.as_ref();
    prepared.phone == phone.as_str()
        && prepared.user_id == user.as_str()
        && worn.is_some_and(|worn| worn.phone == phone.as_str() && worn.user_id == user.as_str())
}

/// What the home rendered, with what is for the visiting side to say laid over it.
pub(crate) fn laid_over(mut prepared: PrepareLoginResponse, recalled: &Recalled) -> PrepareLoginResponse {
    let roaming = prepared.configuration.as_mut().and_then(|worn| worn.cross_cluster.as_mut());
    if let Some(roaming) = roaming {
        roaming.pstn_by_phone = recalled.parameters.pstn_search_space == PstnSearchSpace::Phone;
    }
    prepared
}

/// What a home said, as the user at the phone is told.
fn as_told_here(refused: Refusal) -> Refusal {
    match refused.reason {
        ErrorReason::CredentialMustChange => {
            Refusal { reason: ErrorReason::RemoteCredentialMustChange, ..refused }
        }
        _ => refused,
    }
}
