//! The auth service over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{DeleteCredentialsRequest, PrincipalKind};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::{Way, within};
use roamline_token::Bearer;
use tonic::service::interceptor::InterceptedService;

use crate::credentials::Credentials;

/// How long the auth service may take over a page of users.
const DEADLINE: Duration = Duration::from_secs(10);
/// Users of one request.
const PAGE: usize = 1_000;
/// When a client may ask again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The auth service, called with this service's own token.
#[derive(Clone)]
pub struct GrpcCredentials {
    client: AuthServiceClient<InterceptedService<Way, Bearer>>,
}

impl GrpcCredentials {
    /// A client that calls it that way.
    pub fn new(way: Way, bearer: Bearer) -> Self {
        Self { client: AuthServiceClient::with_interceptor(way, bearer) }
    }
}

#[async_trait]
impl Credentials for GrpcCredentials {
    async fn remove(&self, users: &[String]) -> Result<(), Refusal> {
        for names in users.chunks(PAGE) {
            let kind = PrincipalKind::User.into();
            let message = DeleteCredentialsRequest { names: names.to_vec(), principal_kind: kind };
            if let Err(status) = self.client.clone().delete_credentials(within(DEADLINE, message)).await {
                tracing::warn!(%status, "the auth service has not deleted credentials");
                let told =
                    "the auth service does not answer, so nobody is deleted whose credential would stay";
                let mut refusal = Refusal::new(ErrorReason::ServiceUnavailable, told).with("service", "auth");
                refusal.retry_after = Some(AGAIN_AFTER);
                return Err(refusal);
            }
        }
        Ok(())
    }
}
