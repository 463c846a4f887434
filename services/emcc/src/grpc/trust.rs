//! `TrustService` and `TrustExchangeService`.

use std::sync::Arc;

use roamline_domain::ClusterId;
use roamline_domain::emcc::remote::RemoteServices;
use roamline_domain::emcc::trust::{Bytes32, Invitation, TrustBundle, certificates_in, pem_of};
use roamline_proto::emcc as wire;
use roamline_proto::emcc::trust_exchange_service_server::{TrustExchangeService, TrustExchangeServiceServer};
use roamline_proto::emcc::trust_service_server::{TrustService, TrustServiceServer};
use roamline_proto::error::ErrorReason;
use roamline_proto::length;
use roamline_proto::refusal::Refusal;
use roamline_serve::{Api, CertificateFacts, MAX_REQUEST_BYTES};
use roamline_token::Caller;
use tonic::{Request, Response, Status};

use crate::audit::{By, Refused};
use crate::convert::timestamp;
use crate::trust::{PeerState, Service, state_of};

type Answer<T> = Result<Response<T>, Status>;

pub(crate) fn add_trust_to(service: &Arc<Service>, api: &mut Api) {
    let administration = TrustServiceServer::new(Administration(Arc::clone(service)));
    api.add(administration.max_decoding_message_size(MAX_REQUEST_BYTES));
    let exchange = TrustExchangeServiceServer::new(Exchanging(Arc::clone(service)));
    api.add(exchange.max_decoding_message_size(MAX_REQUEST_BYTES));
}

struct Administration(Arc<Service>);
struct Exchanging(Arc<Service>);

#[tonic::async_trait]
impl TrustService for Administration {
    async fn create_invitation(
        &self,
        request: Request<wire::CreateInvitationRequest>,
    ) -> Answer<wire::CreateInvitationResponse> {
        let by = By::of(&request);
        let given = request.into_inner();
        let valid_for = given.valid_for.map(|said| length(said).unwrap_or_default());
        let services = given.services.as_ref().map(services_from);
        let made = self.0.invite(&given.cluster_id, valid_for, services, &by).await?;
        Ok(Response::new(wire::CreateInvitationResponse {
            token: made.token.text(),
            invitation: Some(self.invitation(&made.invitation)),
            certificate: Some(facts_to(&made.own.shown)),
            own: Some(bundle_to(&made.own.bundle)),
            authorities: made.own.authorities.iter().map(facts_to).collect(),
        }))
    }

    async fn list_invitations(
        &self,
        _: Request<wire::ListInvitationsRequest>,
    ) -> Answer<wire::ListInvitationsResponse> {
        let all = self.0.invitations().await?;
        let invitations = all.iter().map(|invitation| self.invitation(invitation)).collect();
        Ok(Response::new(wire::ListInvitationsResponse { invitations }))
    }

    async fn delete_invitation(
        &self,
        request: Request<wire::DeleteInvitationRequest>,
    ) -> Answer<wire::DeleteInvitationResponse> {
        let by = By::of(&request);
        self.0.take_back(&request.get_ref().id, &by).await?;
        Ok(Response::new(wire::DeleteInvitationResponse {}))
    }

    async fn accept_invitation(
        &self,
        request: Request<wire::AcceptInvitationRequest>,
    ) -> Answer<wire::AcceptInvitationResponse> {
        let by = By::of(&request);
        let given = request.into_inner();
        let services = given.services.as_ref().map(services_from);
        let accepted = Box::pin(self.0.accept(&given.token, services, &by)).await?;
        Ok(Response::new(wire::AcceptInvitationResponse {
            peer: Some(bundle_to(&accepted.bundle)),
            certificate: Some(facts_to(&accepted.certificate)),
            authorities: accepted.authorities.iter().map(facts_to).collect(),
            own: Some(bundle_to(&accepted.own.bundle)),
            own_authorities: accepted.own.authorities.iter().map(facts_to).collect(),
        }))
    }

    async fn get_trust(&self, _: Request<wire::GetTrustRequest>) -> Answer<wire::GetTrustResponse> {
        let peers = self.0.states().await?.iter().map(peer_to).collect();
        let response = match self.0.own().await {
            Err(refused) => wire::GetTrustResponse { warning: refused.message, peers, ..Default::default() },
            Ok(own) => wire::GetTrustResponse {
                own: Some(bundle_to(&own.bundle)),
                certificate: Some(facts_to(&own.shown)),
                authorities: own.authorities.iter().map(facts_to).collect(),
                warning: self.0.warning_of(&own),
                peers,
            },
        };
        Ok(Response::new(response))
    }

    async fn refresh_trust(
        &self,
        request: Request<wire::RefreshTrustRequest>,
    ) -> Answer<wire::RefreshTrustResponse> {
        let done = Box::pin(self.0.refresh_named(&request.get_ref().cluster_id)).await?;
        Box::pin(self.0.warn_of_all()).await;
        let peer = Some(peer_to(&self.0.state_of(&done.remote)));
        Ok(Response::new(wire::RefreshTrustResponse { peer, changed: done.changed }))
    }
}

#[tonic::async_trait]
impl TrustExchangeService for Exchanging {
    async fn redeem_invitation(
        &self,
        request: Request<wire::RedeemInvitationRequest>,
    ) -> Answer<wire::RedeemInvitationResponse> {
        let from = Caller::of(&request).source.map(|source| source.ip().to_string()).unwrap_or_default();
        let given = request.into_inner();
        let bundle = bundle_from(given.bundle.unwrap_or_default())?;
        let own = Box::pin(self.0.redeem(&given.invitation_id, &given.secret, bundle, &from)).await?;
        Ok(Response::new(wire::RedeemInvitationResponse { bundle: Some(bundle_to(&own.bundle)) }))
    }

    async fn get_trust_bundle(
        &self,
        request: Request<wire::GetTrustBundleRequest>,
    ) -> Answer<wire::GetTrustBundleResponse> {
        let refuse = |refused| self.0.audit.refuse(Refused::of(&request, "GetTrustBundle"), refused);
        self.0.proven(request.extensions().get()).map_err(refuse)?;
        let own = self.0.own().await?;
        Ok(Response::new(wire::GetTrustBundleResponse { bundle: Some(bundle_to(&own.bundle)) }))
    }
}

impl Administration {
    fn invitation(&self, from: &Invitation) -> wire::Invitation {
        let used = from.used.as_ref();
        wire::Invitation {
            id: from.id.clone(),
            cluster_id: from.cluster.to_string(),
            created_by: from.created_by.clone(),
            create_time: Some(timestamp(from.created_at)),
            expire_time: Some(timestamp(from.expires_at)),
            state: state_of(from, self.0.now()).into(),
            use_time: used.map(|used| timestamp(used.at)),
            used_from: used.map(|used| used.from.clone()).unwrap_or_default(),
            refusals: from.refusals,
        }
    }
}

pub(super) fn bundle_to(from: &TrustBundle) -> wire::TrustBundle {
    wire::TrustBundle {
        cluster_id: from.cluster.to_string(),
        address: from.address.clone(),
        spiffe_id: from.spiffe_id.clone(),
        authorities: pem_of(&from.authorities),
    }
}

/// # Errors
/// `TRUST_BUNDLE_INVALID` without the id of a cluster.
pub(super) fn bundle_from(given: wire::TrustBundle) -> Result<TrustBundle, Refusal> {
    let cluster: ClusterId = given.cluster_id.parse().map_err(|error| {
        Refusal::new(ErrorReason::TrustBundleInvalid, format!("a bundle is of no cluster: {error}"))
    })?;
    let authorities = certificates_in(&given.authorities);
    Ok(TrustBundle { cluster, address: given.address, spiffe_id: given.spiffe_id, authorities })
}

fn facts_to(from: &CertificateFacts) -> wire::CertificateFacts {
    wire::CertificateFacts {
        fingerprint: Bytes32::fingerprint(&from.der).colons(),
        subject: from.subject.clone(),
        begin_time: Some(timestamp(from.begins_at)),
        expire_time: Some(timestamp(from.expires_at)),
    }
}

fn peer_to(from: &PeerState) -> wire::PeerTrust {
    wire::PeerTrust {
        cluster_id: from.remote.cluster.to_string(),
        spiffe_id: from.remote.spiffe_id.clone(),
        authorities: from.authorities.iter().map(facts_to).collect(),
        refresh_time: from.heard.at.map(timestamp),
        problem: from.heard.problem.clone(),
        warning: from.warning.clone(),
    }
}

fn services_from(given: &wire::RemoteServices) -> RemoteServices {
    let wire::RemoteServices { emcc, pstn_access, rsvp_agent, tftp, lbm, uds } = *given;
    RemoteServices { emcc, pstn_access, rsvp_agent, tftp, lbm, uds }
}
