//! What clusters tell each other of themselves, as the one who asks.

use std::time::Duration;

use roamline_domain::ClusterId;
use roamline_domain::emcc::trust::TrustBundle;
use roamline_proto::emcc::trust_exchange_service_client::TrustExchangeServiceClient;
use roamline_proto::emcc::{GetTrustBundleRequest, RedeemInvitationRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::{PeerDial, Way};
use tonic::{Response, Status};

use super::trust::{bundle_from, bundle_to};
use crate::refusal;

/// A connection to another cluster.
pub(crate) struct Exchange {
    cluster: ClusterId,
    client: TrustExchangeServiceClient<Way>,
}

impl Exchange {
    /// # Errors
    /// `PEER_UNAVAILABLE`.
    pub(crate) async fn connect(cluster: &ClusterId, dial: &PeerDial) -> Result<Self, Refusal> {
        let channel = dial.connect().await.map_err(|error| {
            tracing::debug!(peer = %cluster, error = &error as &dyn std::error::Error, "no connection");
            refusal::unavailable(cluster)
        })?;
        let way = Way::from(channel).to_cluster(cluster.as_str());
        Ok(Self { cluster: cluster.clone(), client: TrustExchangeServiceClient::new(way) })
    }

    /// Uses an invitation, and says who we are; returns who it is.
    pub(crate) async fn redeem(
        &self,
        id: &str,
        secret: &[u8],
        own: &TrustBundle,
        within: Duration,
    ) -> Result<TrustBundle, Refusal> {
        let message = RedeemInvitationRequest {
            invitation_id: id.to_owned(),
            secret: secret.to_vec(),
            bundle: Some(bundle_to(own)),
        };
        let mut client = self.client.clone();
        let answer = self.answer(within, client.redeem_invitation(message)).await?;
        bundle_from(answer.bundle.unwrap_or_default())
    }

    /// Asks who it is.
    pub(crate) async fn bundle(&self, within: Duration) -> Result<TrustBundle, Refusal> {
        let mut client = self.client.clone();
        let answer = self.answer(within, client.get_trust_bundle(GetTrustBundleRequest {})).await?;
        bundle_from(answer.bundle.unwrap_or_default())
    }

    /// A refusal that is about trust is passed on; anything else says that the cluster cannot be had.
    async fn answer<T>(
        &self,
        within: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Refusal> {
        let status = match tokio::time::timeout(within, call).await {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) => status,
            Err(_) => return Err(refusal::unavailable(&self.cluster)),
        };
        let passed_on = [
            ErrorReason::InvitationRefused,
            ErrorReason::InvitationExpired,
            ErrorReason::InvitationUsed,
            ErrorReason::InvitationForAnother,
            ErrorReason::TrustBundleInvalid,
            ErrorReason::ResourceExists,
        ];
        match Refusal::from_status(&status).filter(|refusal| passed_on.contains(&refusal.reason)) {
            Some(refusal) => {
                let message = format!("cluster {} says: {}", self.cluster, refusal.message);
                Err(Refusal { message, ..refusal }.with("peer", self.cluster.as_str()))
            }
            None => {
                tracing::debug!(peer = %self.cluster, code = ?status.code(), message = status.message(), "no answer");
                Err(refusal::unavailable(&self.cluster))
            }
        }
    }
}
