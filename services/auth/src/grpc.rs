//! The RPCs: parse, do, answer.

mod policy;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use roamline_proto::auth::auth_service_server::AuthService;
use roamline_proto::auth::{
    ChangeCredentialRequest, ChangeCredentialResponse, DeleteCredentialsRequest, DeleteCredentialsResponse,
    GetCredentialPolicyRequest, GetCredentialPolicyResponse, GetJsonWebKeySetRequest,
    GetJsonWebKeySetResponse, IssueServiceTokenRequest, IssueServiceTokenResponse, ListRevocationsRequest,
    ListRevocationsResponse, RefreshTokenRequest, RefreshTokenResponse, RevokeTokensRequest,
    RevokeTokensResponse, RotateSigningKeysRequest, RotateSigningKeysResponse, SetCredentialPolicyRequest,
    SetCredentialPolicyResponse, SetCredentialsRequest, SetCredentialsResponse, SignInRequest,
    SignInResponse, SignOutRequest, SignOutResponse, VerifyCredentialRequest, VerifyCredentialResponse,
};
use roamline_serve::PeerIdentity;
use roamline_token::Caller;
use secrecy::SecretString;
use tonic::{Request, Response, Status};

use crate::Service;
use crate::convert::{
    change, instant, kind_to_proto, name, names, own_policy_to_proto, policy_for, policy_to_proto, proof,
    proof_elsewhere, refresh_token, removal, revocations_to_proto, status, wanted,
};
use crate::error::AuthError;
use crate::rights::{may_remove, may_set};
use crate::sign_in::SignedIn;

pub use policy::GrpcPolicy;

pub(crate) struct Grpc(pub(crate) Arc<Service>);

impl Grpc {
    fn answer<T>(&self, done: Result<T, AuthError>) -> Result<Response<T>, Status> {
        done.map(Response::new).map_err(|error| status(error, &self.0.ids))
    }

    async fn signed_in(
        &self,
        request: SignInRequest,
        source: Option<IpAddr>,
    ) -> Result<SignInResponse, AuthError> {
        let proof = proof(request, source)?;
        let signed_in = self.0.sign_in(&proof).await;
        self.0.note_refused("SignIn", proof.name.as_str(), source, &signed_in);
        let SignedIn { principal, issued } = signed_in?;
        Ok(SignInResponse {
            access_token: issued.access.token,
            expire_time: Some(instant(issued.access.expires_at)),
            scopes: owned(&issued.scopes),
            principal_kind: kind_to_proto(principal.kind).into(),
            refresh_token: issued.refresh.text(),
            refresh_expire_time: Some(instant(issued.refresh_expires_at)),
            roles: issued.roles.iter().map(|role| (*role).into()).collect(),
            credential_expire_time: self.0.expiry_to_tell(&principal, proof.kind).map(instant),
        })
    }

    async fn refreshed(
        &self,
        request: RefreshTokenRequest,
        source: Option<IpAddr>,
    ) -> Result<RefreshTokenResponse, AuthError> {
        let issued = self.0.refresh(&refresh_token(&request.refresh_token)?, source).await?;
        Ok(RefreshTokenResponse {
            access_token: issued.access.token,
            expire_time: Some(instant(issued.access.expires_at)),
            scopes: owned(&issued.scopes),
            refresh_token: issued.refresh.text(),
            refresh_expire_time: Some(instant(issued.refresh_expires_at)),
        })
    }

    async fn signed_out(&self, request: SignOutRequest) -> Result<SignOutResponse, AuthError> {
        if let Ok(token) = refresh_token(&request.refresh_token) {
            self.0.sign_out(&token).await?;
        }
        Ok(SignOutResponse {})
    }

    async fn revoked(
        &self,
        request: &RevokeTokensRequest,
        by: &str,
    ) -> Result<RevokeTokensResponse, AuthError> {
        let names = names(request)?;
        let count = names.len();
        self.0.end_all(names).await?;
        tracing::info!(by, principals = count, "all tokens of principals are revoked");
        Ok(RevokeTokensResponse {})
    }

    async fn verified(
        &self,
        request: VerifyCredentialRequest,
    ) -> Result<VerifyCredentialResponse, AuthError> {
        let principal = self.0.verify_at_once(&proof_elsewhere(request)?).await?;
        Ok(VerifyCredentialResponse { principal_kind: kind_to_proto(principal.kind).into() })
    }

    async fn changed(
        &self,
        request: ChangeCredentialRequest,
        source: Option<IpAddr>,
    ) -> Result<ChangeCredentialResponse, AuthError> {
        let (proof, replacement) = change(request, source)?;
        let changed = self.0.change_credential(&proof, replacement).await;
        self.0.note_refused("ChangeCredential", proof.name.as_str(), source, &changed);
        changed.map(|()| ChangeCredentialResponse {})
    }

    async fn deleted(
        &self,
        request: &DeleteCredentialsRequest,
        by: &str,
    ) -> Result<DeleteCredentialsResponse, AuthError> {
        let (names, kind) = removal(request)?;
        let count = self.0.delete_credentials(&names, kind).await?;
        tracing::info!(by, principals = count, "credentials are deleted");
        Ok(DeleteCredentialsResponse {})
    }

    async fn policy_of(
        &self,
        request: &GetCredentialPolicyRequest,
    ) -> Result<GetCredentialPolicyResponse, AuthError> {
        let (own, in_force) = self.0.credential_policy(&name(&request.name)?).await?;
        Ok(GetCredentialPolicyResponse {
            credential_policy: Some(own_policy_to_proto(&own)),
            in_force: Some(policy_to_proto(&in_force)),
        })
    }

    async fn policy_set(
        &self,
        request: SetCredentialPolicyRequest,
        by: &str,
    ) -> Result<SetCredentialPolicyResponse, AuthError> {
        let (names, policy) = policy_for(request)?;
        self.0.set_credential_policy(&names, &policy).await?;
        tracing::info!(by, principals = names.len(), ?policy, "credential policies of their own are set");
        Ok(SetCredentialPolicyResponse {})
    }

    async fn set(&self, request: SetCredentialsRequest) -> Result<SetCredentialsResponse, AuthError> {
        self.0.set_credentials(wanted(request.credentials)?, request.validate_only).await?;
        Ok(SetCredentialsResponse {})
    }
}

/// The address that a request comes from.
fn source<T>(request: &Request<T>) -> Option<IpAddr> {
    Caller::of(request).source.map(|address| address.ip())
}

fn owned(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}

#[async_trait]
impl AuthService for Grpc {
    async fn sign_in(&self, request: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        let source = source(&request);
        self.answer(self.signed_in(request.into_inner(), source).await)
    }

    async fn change_credential(
        &self,
        request: Request<ChangeCredentialRequest>,
    ) -> Result<Response<ChangeCredentialResponse>, Status> {
        let source = source(&request);
        self.answer(self.changed(request.into_inner(), source).await)
    }

    async fn get_json_web_key_set(
        &self,
        _: Request<GetJsonWebKeySetRequest>,
    ) -> Result<Response<GetJsonWebKeySetResponse>, Status> {
        self.answer(Ok(GetJsonWebKeySetResponse { keys: self.0.keys.published() }))
    }

    async fn verify_credential(
        &self,
        request: Request<VerifyCredentialRequest>,
    ) -> Result<Response<VerifyCredentialResponse>, Status> {
        self.answer(self.verified(request.into_inner()).await)
    }

    async fn set_credentials(
        &self,
        request: Request<SetCredentialsRequest>,
    ) -> Result<Response<SetCredentialsResponse>, Status> {
        may_set(&Caller::of(&request), request.get_ref())?;
        self.answer(self.set(request.into_inner()).await)
    }

    async fn delete_credentials(
        &self,
        request: Request<DeleteCredentialsRequest>,
    ) -> Result<Response<DeleteCredentialsResponse>, Status> {
        let caller = Caller::of(&request);
        may_remove(&caller, request.get_ref())?;
        self.answer(self.deleted(request.get_ref(), &caller.name).await)
    }

    async fn get_credential_policy(
        &self,
        request: Request<GetCredentialPolicyRequest>,
    ) -> Result<Response<GetCredentialPolicyResponse>, Status> {
        self.answer(self.policy_of(request.get_ref()).await)
    }

    async fn set_credential_policy(
        &self,
        request: Request<SetCredentialPolicyRequest>,
    ) -> Result<Response<SetCredentialPolicyResponse>, Status> {
        let by = Caller::of(&request).name;
        self.answer(self.policy_set(request.into_inner(), &by).await)
    }

    async fn refresh_token(
        &self,
        request: Request<RefreshTokenRequest>,
    ) -> Result<Response<RefreshTokenResponse>, Status> {
        let source = source(&request);
        self.answer(self.refreshed(request.into_inner(), source).await)
    }

    async fn sign_out(&self, request: Request<SignOutRequest>) -> Result<Response<SignOutResponse>, Status> {
        self.answer(self.signed_out(request.into_inner()).await)
    }

    async fn revoke_tokens(
        &self,
        request: Request<RevokeTokensRequest>,
    ) -> Result<Response<RevokeTokensResponse>, Status> {
        let by = Caller::of(&request).name;
        self.answer(self.revoked(request.get_ref(), &by).await)
    }

    async fn list_revocations(
        &self,
        request: Request<ListRevocationsRequest>,
    ) -> Result<Response<ListRevocationsResponse>, Status> {
        let page = self.0.revoked_after(request.into_inner().after).await;
        self.answer(page.map(revocations_to_proto))
    }

    async fn rotate_signing_keys(
        &self,
        request: Request<RotateSigningKeysRequest>,
    ) -> Result<Response<RotateSigningKeysResponse>, Status> {
        let rotated = self.0.rotate_keys(request.into_inner().compromised).await;
        self.answer(
            rotated.map(|keys| RotateSigningKeysResponse { current_kid: keys.current, next_kid: keys.next }),
        )
    }

    async fn issue_service_token(
        &self,
        request: Request<IssueServiceTokenRequest>,
    ) -> Result<Response<IssueServiceTokenResponse>, Status> {
        let (peer, source) = (request.extensions().get::<PeerIdentity>().cloned(), source(&request));
        let IssueServiceTokenRequest { service, secret } = request.into_inner();
        let issued = self.0.issue_service_token(&service, &SecretString::from(secret), peer.as_ref()).await;
        self.0.note_refused("IssueServiceToken", &service, source, &issued);
        self.answer(issued.map(|token| IssueServiceTokenResponse {
            access_token: token.token,
            expire_time: Some(instant(token.expires_at)),
        }))
    }
}
