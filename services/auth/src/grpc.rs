//! The RPCs: parse, do, answer.

mod policy;

use std::sync::Arc;

use async_trait::async_trait;
use roamline_proto::auth::auth_service_server::AuthService;
use roamline_proto::auth::{
    ChangeCredentialRequest, ChangeCredentialResponse, GetJsonWebKeySetRequest, GetJsonWebKeySetResponse,
    SetCredentialsRequest, SetCredentialsResponse, SignInRequest, SignInResponse, VerifyCredentialRequest,
    VerifyCredentialResponse,
};
use roamline_token::scopes_of;
use tonic::{Request, Response, Status};

use crate::Service;
use crate::convert::{change, instant, kind_to_proto, proof, status, wanted};
use crate::error::AuthError;

pub use policy::GrpcPolicy;

pub(crate) struct Grpc(pub(crate) Arc<Service>);

impl Grpc {
    fn answer<T>(&self, done: Result<T, AuthError>) -> Result<Response<T>, Status> {
        done.map(Response::new).map_err(|error| status(error, &self.0.ids))
    }

    async fn signed_in(&self, request: SignInRequest) -> Result<SignInResponse, AuthError> {
        let (principal, token) = self.0.sign_in(&proof(&request.name, request.credential)?).await?;
        let kind = kind_to_proto(principal.kind);
        Ok(SignInResponse {
            access_token: token.token,
            expire_time: Some(instant(token.expires_at)),
            scopes: scopes_of(kind).iter().map(|scope| (*scope).to_owned()).collect(),
            principal_kind: kind.into(),
        })
    }

    async fn verified(
        &self,
        request: VerifyCredentialRequest,
    ) -> Result<VerifyCredentialResponse, AuthError> {
        let principal = self.0.verify(&proof(&request.name, request.credential)?).await?;
        Ok(VerifyCredentialResponse { principal_kind: kind_to_proto(principal.kind).into() })
    }

    async fn changed(&self, request: ChangeCredentialRequest) -> Result<ChangeCredentialResponse, AuthError> {
        let (proof, replacement) = change(request)?;
        self.0.change_credential(&proof, replacement).await?;
        Ok(ChangeCredentialResponse {})
    }

    async fn set(&self, request: SetCredentialsRequest) -> Result<SetCredentialsResponse, AuthError> {
        self.0.set_credentials(wanted(request.credentials)?, request.validate_only).await?;
        Ok(SetCredentialsResponse {})
    }
}

#[async_trait]
impl AuthService for Grpc {
    async fn sign_in(&self, request: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        self.answer(self.signed_in(request.into_inner()).await)
    }

    async fn change_credential(
        &self,
        request: Request<ChangeCredentialRequest>,
    ) -> Result<Response<ChangeCredentialResponse>, Status> {
        self.answer(self.changed(request.into_inner()).await)
    }

    async fn get_json_web_key_set(
        &self,
        _: Request<GetJsonWebKeySetRequest>,
    ) -> Result<Response<GetJsonWebKeySetResponse>, Status> {
        self.answer(Ok(GetJsonWebKeySetResponse { keys: self.0.keys.published().to_vec() }))
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
        self.answer(self.set(request.into_inner()).await)
    }
}
