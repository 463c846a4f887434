//! Accepting an invitation: whoever shows the certificate of the invitation is told who we are, and says who he is.

use std::time::Duration;

use roamline_domain::emcc::remote::RemoteServices;
use roamline_domain::emcc::trust::{
    Bytes32, InvitationRefused, InvitationToken, NotAnInvitation, TrustBundle, pem_of,
};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::{CertificateFacts, Expected, PeerDial, is_signed_by};
use roamline_store::federation::{Changed, From, Setting};

use super::invite::refused;
use super::{Own, Service, bundle_invalid, judged, spiffe_of};
use crate::audit::{By, Change};
use crate::grpc::Exchange;
use crate::refusal;

/// A connection with its handshake, and the answer.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(3);
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// An invitation that was accepted.
pub(crate) struct Accepted {
    /// Who has invited us.
    pub bundle: TrustBundle,
    /// The certificate at its address.
    pub certificate: CertificateFacts,
    /// Its authorities.
    pub authorities: Vec<CertificateFacts>,
    /// Who we are.
    pub own: Own,
}

impl Service {
    /// Uses an invitation of another cluster.
    pub(crate) async fn accept(
        &self,
        token: &str,
        services: Option<RemoteServices>,
        by: &By,
    ) -> Result<Accepted, Refusal> {
        let token: InvitationToken = token.parse().map_err(|why: NotAnInvitation| {
            Refusal::new(ErrorReason::InvitationMalformed, why.to_string())
        })?;
        if token.invited != self.cluster || token.inviter == self.cluster {
            return Err(refused(&InvitationRefused::ForAnother(token.invited)));
        }
        if self.clock.now() >= token.expires_at {
            return Err(refused(&InvitationRefused::Expired(token.expires_at)));
        }
        let own = self.own().await?;
        let kept = self.kept().await?;
        kept.vacant(&token.inviter, None)?;
        let (bundle, chain) = self.exchange(&token, &own).await?;
        let authorities = judged(&bundle, &self.cluster)?;
        let certificate = self.proven_by(&bundle, &chain, &token)?;
        kept.vacant(&bundle.cluster, Some(&bundle.spiffe_id))?;
        let remote = bundle.remote(services.unwrap_or_else(|| kept.services()));
        let made = self.store.set_setting(Setting::RemoteCluster(remote), From::Nothing).await;
        if let Changed::Moved(_) = made.map_err(|error| refusal::store(&error))? {
            self.kept().await?.vacant(&bundle.cluster, None)?;
        }
        self.kept().await?;
        tracing::info!(cluster = %bundle.cluster, by = by.name, "the invitation of a cluster was accepted");
        self.audit.changed(Change::of(bundle.cluster.as_str(), "invitation accepted"), by).await;
        Ok(Accepted { bundle, certificate, authorities, own })
    }

    /// Tells who we are; returns who it is, and the chain that it has shown.
    async fn exchange(
        &self,
        token: &InvitationToken,
        own: &Own,
    ) -> Result<(TrustBundle, Vec<Vec<u8>>), Refusal> {
        let expected = Expected::Certificate(token.fingerprint.0);
        let dial = PeerDial::new(&token.address, &expected, None, CONNECT_WITHIN)
            .map_err(|_| refusal::unavailable(&token.inviter))?;
        let connected = tokio::time::timeout(CONNECT_WITHIN, Exchange::connect(&token.inviter, &dial)).await;
        let exchange = match connected {
            Ok(Ok(exchange)) => exchange,
            _ => return Err(not_reached(token, dial.seen())),
        };
        let bundle = exchange.redeem(&token.id, &token.secret.0, &own.bundle, ANSWER_WITHIN).await?;
        Ok((bundle, dial.seen().to_vec()))
    }

    /// The certificate that was shown, if it is one that the bundle covers: else the two could not speak with each other
    /// afterwards.
    fn proven_by(
        &self,
        bundle: &TrustBundle,
        chain: &[Vec<u8>],
        token: &InvitationToken,
    ) -> Result<CertificateFacts, Refusal> {
        let facts = chain.first().and_then(|der| CertificateFacts::of(der));
        let facts = facts.filter(|facts| spiffe_of(facts) == Some(&bundle.spiffe_id));
        let covered = is_signed_by(chain, &pem_of(&bundle.authorities), self.clock.now());
        match facts {
            Some(facts) if covered && bundle.cluster == token.inviter => Ok(facts),
            _ => {
                let text =
                    format!("the bundle of cluster {} does not cover its own certificate", token.inviter);
                Err(bundle_invalid(text))
            }
        }
    }
}

/// Nobody is there, or somebody else.
fn not_reached(token: &InvitationToken, seen: &[Vec<u8>]) -> Refusal {
    let found = seen.first().map(|der| Bytes32::fingerprint(der));
    match found.filter(|found| *found != token.fingerprint) {
        None => refusal::unavailable(&token.inviter),
        Some(found) => {
            let address = &token.address;
            let text = format!(
                "the certificate at {address} is not that of the invitation: if it was renewed since, a new invitation is needed"
            );
            tracing::warn!(cluster = %token.inviter, address, found = found.colons(), "another certificate than the invitation's");
            Refusal::new(ErrorReason::PeerCertificateMismatch, text)
                .with("found", found.colons())
                .with("expected", token.fingerprint.colons())
        }
    }
}
