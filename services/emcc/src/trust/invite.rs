//! Invitations: made by an administrator here, used once by the cluster that they are for.

use std::time::Duration;

use roamline_domain::ClusterId;
use roamline_domain::emcc::remote::RemoteServices;
use roamline_domain::emcc::trust::{
    Admitted, Bytes32, DEFAULT_VALID_FOR, Invitation, InvitationRefused, InvitationToken, TrustBundle, Use,
    VALID_FOR,
};
use roamline_proto::emcc::InvitationState;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::inventory::INVITATIONS;
use roamline_store::federation::{Changed, From, Setting, SettingKind};

use super::{Kept, Own, Service, judged};
use crate::audit::{By, Change, Refused};
use crate::refusal;

/// Of an id that anybody may have sent, that many characters are kept.
const LONGEST_ID: usize = 256;

/// An invitation that was made.
pub(crate) struct Invited {
    /// The secret of it.
    pub token: InvitationToken,
    /// What is kept.
    pub invitation: Invitation,
    /// Who we are.
    pub own: Own,
}

/// What became of an invitation.
pub(crate) fn state_of(invitation: &Invitation, now: jiff::Timestamp) -> InvitationState {
    match &invitation.used {
        Some(_) => InvitationState::Used,
        None if now >= invitation.expires_at => InvitationState::Expired,
        None => InvitationState::Open,
    }
}

impl Kept {
    fn invitations(&self) -> impl Iterator<Item = (&Invitation, u64)> {
        self.0.iter().filter_map(|stored| match &stored.setting {
            Setting::Invitation(invitation) => Some((invitation, stored.version)),
            _ => None,
        })
    }
}

impl Service {
    /// Makes an invitation.
    pub(crate) async fn invite(
        &self,
        cluster: &str,
        valid_for: Option<Duration>,
        services: Option<RemoteServices>,
        by: &By,
    ) -> Result<Invited, Refusal> {
        let invalid = |text: String| Refusal::new(ErrorReason::ClusterIdInvalid, text);
        let cluster: ClusterId = cluster.parse().map_err(|error| invalid(format!("{error}")))?;
        if cluster == self.cluster {
            return Err(invalid("that is this cluster's own id".into()));
        }
        let own = self.own().await?;
        let kept = self.kept().await?;
        kept.vacant(&cluster, None)?;
        self.forget(&kept).await?;
        let now = self.clock.now();
        let valid_for = valid_for.unwrap_or(DEFAULT_VALID_FOR).clamp(*VALID_FOR.start(), *VALID_FOR.end());
        let fault = || Refusal::new(ErrorReason::Internal, "no invitation can be made now");
        let secret: Bytes32 =
            format!("{}{}", self.ids.opaque(), self.ids.opaque()).parse().map_err(|_| fault())?;
        let invitation = Invitation {
            id: self.ids.opaque(),
            cluster,
            secret_hash: Invitation::hash_of(&secret),
            services: services.unwrap_or_else(|| kept.services()),
            created_by: by.name.clone(),
            created_at: now,
            expires_at: now.checked_add(valid_for).map_err(|_| fault())?,
            used: None,
            refusals: 0,
        };
        let setting = Setting::Invitation(invitation.clone());
        let made = self.store.set_setting(setting, From::Nothing).await;
        if let Changed::Moved(_) = made.map_err(|error| refusal::store(&error))? {
            return Err(fault());
        }
        tracing::info!(invitation = invitation.id, cluster = %invitation.cluster, by = by.name, "a cluster was invited");
        self.audit.changed(Change::of(invitation.cluster.as_str(), "invited"), by).await;
        let token = InvitationToken {
            id: invitation.id.clone(),
            secret,
            fingerprint: Bytes32::fingerprint(&own.shown.der),
            expires_at: invitation.expires_at,
            inviter: self.cluster.clone(),
            invited: invitation.cluster.clone(),
            address: own.bundle.address.clone(),
        };
        Ok(Invited { token, invitation, own })
    }

    /// All that are remembered.
    pub(crate) async fn invitations(&self) -> Result<Vec<Invitation>, Refusal> {
        let (kept, now) = (self.kept().await?, self.clock.now());
        let all = kept.invitations().map(|(invitation, _)| invitation.clone());
        Ok(all.filter(|invitation| !invitation.is_forgotten(now)).collect())
    }

    /// Takes one back.
    pub(crate) async fn take_back(&self, id: &str, by: &By) -> Result<(), Refusal> {
        let removed = self.store.remove_setting(SettingKind::Invitation, id, From::Something).await;
        match removed.map_err(|error| refusal::store(&error))? {
            Changed::Made(_) => {
                tracing::info!(invitation = id, by = by.name, "an invitation was taken back");
                self.audit.changed(Change::of("", "invitation taken back"), by).await;
                Ok(())
            }
            Changed::Moved(_) => {
                let shown: String = id.chars().take(64).collect();
                let text = format!("there is no invitation {shown:?}");
                Err(Refusal::new(ErrorReason::ResourceNotFound, text)
                    .with("kind", "invitation")
                    .with("name", shown))
            }
        }
    }

    async fn forget(&self, kept: &Kept) -> Result<(), Refusal> {
        let now = self.clock.now();
        for (invitation, version) in kept.invitations().filter(|(one, _)| one.is_forgotten(now)) {
            let from = From::Version(version);
            let forgotten = self.store.remove_setting(SettingKind::Invitation, &invitation.id, from).await;
            forgotten.map_err(|error| refusal::store(&error))?;
        }
        Ok(())
    }

    /// Somebody comes with an invitation, and says that of himself: lets him in, and says who we are.
    pub(crate) async fn redeem(
        &self,
        id: &str,
        secret: &[u8],
        bundle: TrustBundle,
        from: &str,
    ) -> Result<Own, Refusal> {
        let Ok(_place) = self.door.try_acquire() else {
            let mut refusal = Refusal::new(ErrorReason::TooManyRequests, "others are using invitations now");
            refusal.retry_after = Some(Duration::from_secs(1));
            return Err(refusal);
        };
        let done = self.let_in(id, secret, &bundle, from).await;
        let shown: String = id.chars().take(32).collect();
        let cluster = &bundle.cluster;
        let done = done.map(|(own, invited_by)| {
            let change = Change::of(cluster.as_str(), "let in by an invitation");
            (own, change.invited_by(invited_by))
        });
        match &done {
            Ok((_, change)) => {
                INVITATIONS.add(1, &[("result", "OK")]);
                tracing::info!(invitation = shown, %cluster, from, "a cluster came with an invitation and was let in");
                let by = By { name: String::new(), from: from.to_owned() };
                self.audit.changed(change.clone(), &by).await;
            }
            Err(refused) => {
                let reason = Refusal::reason_name(refused.reason);
                let (id, source) = (bundle.spiffe_id.chars().take(LONGEST_ID).collect(), from.to_owned());
                self.audit.refused(Refused { id, source, request: "RedeemInvitation" }, refused);
                INVITATIONS.add(1, &[("result", reason)]);
                tracing::warn!(invitation = shown, %cluster, from, reason, "a cluster came with an invitation and was refused");
            }
        }
        done.map(|(own, _)| own)
    }

    /// Who we are, and who has invited him.
    async fn let_in(
        &self,
        id: &str,
        secret: &[u8],
        bundle: &TrustBundle,
        from: &str,
    ) -> Result<(Own, String), Refusal> {
        let (kept, now, claim) = (self.kept().await?, self.clock.now(), bundle.claim());
        let known = kept.invitations().find(|(invitation, _)| invitation.id == id);
        let (invitation, version) = known.ok_or_else(|| refused(&InvitationRefused::Wrong))?;
        // A secret of another length is a wrong one.
        let secret = Bytes32(secret.try_into().unwrap_or_default());
        let admitted = match invitation.admit(&secret, &bundle.cluster, &claim, now) {
            Ok(admitted) => admitted,
            Err(why) => {
                self.count(invitation, version).await?;
                return Err(refused(&why));
            }
        };
        judged(bundle, &self.cluster)?;
        let own = self.own().await?;
        let remote = bundle.remote(invitation.services);
        if admitted == Admitted::First {
            kept.vacant(&bundle.cluster, Some(&bundle.spiffe_id))?;
            let used = Some(Use { at: now, from: from.to_owned(), claim });
            let used = Setting::Invitation(Invitation { used, ..invitation.clone() });
            let spent = self.store.set_setting(used, From::Version(version)).await;
            if let Changed::Moved(_) = spent.map_err(|error| refusal::store(&error))? {
                return Err(refused(&InvitationRefused::Used));
            }
        } else if kept.remotes().any(|(known, _)| known.cluster == bundle.cluster) {
            return Ok((own, invitation.created_by.clone()));
        }
        let made = self.store.set_setting(Setting::RemoteCluster(remote), From::Nothing).await;
        if let Changed::Moved(_) = made.map_err(|error| refusal::store(&error))? {
            self.kept().await?.vacant(&bundle.cluster, None)?;
        }
        self.kept().await?;
        Ok((own, invitation.created_by.clone()))
    }

    /// Notes that somebody was refused; of two at once, one may be left out.
    async fn count(&self, invitation: &Invitation, version: u64) -> Result<(), Refusal> {
        let refusals = invitation.refusals.saturating_add(1);
        let counted = Setting::Invitation(Invitation { refusals, ..invitation.clone() });
        let done = self.store.set_setting(counted, From::Version(version)).await;
        done.map(drop).map_err(|error| refusal::store(&error))
    }
}

/// Why nobody is let in, on the wire.
pub(super) fn refused(why: &InvitationRefused) -> Refusal {
    match why {
        InvitationRefused::Wrong => Refusal::new(ErrorReason::InvitationRefused, why.to_string()),
        InvitationRefused::Used => Refusal::new(ErrorReason::InvitationUsed, why.to_string()),
        InvitationRefused::Expired(at) => {
            Refusal::new(ErrorReason::InvitationExpired, why.to_string()).with("expireTime", at.to_string())
        }
        InvitationRefused::ForAnother(cluster) => {
            let refusal = Refusal::new(ErrorReason::InvitationForAnother, why.to_string());
            refusal.with("clusterId", cluster.as_str())
        }
    }
}
