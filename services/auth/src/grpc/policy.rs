//! The profile service over gRPC.

use std::time::Duration;

use async_trait::async_trait;
use roamline_domain::credential::CredentialPolicy;
use roamline_proto::profile::GetServiceParametersRequest;
use roamline_proto::profile::service_parameters_service_client::ServiceParametersServiceClient;
use roamline_serve::{Way, within};
use roamline_token::Bearer;
use tonic::service::interceptor::InterceptedService;

use crate::convert;
use crate::policy::{PolicySource, PolicyUnknown};

/// How long the profile service may take.
const WITHIN: Duration = Duration::from_secs(1);

/// The profile service, asked with this service's own token.
pub struct GrpcPolicy(ServiceParametersServiceClient<InterceptedService<Way, Bearer>>);

impl GrpcPolicy {
    /// A client that calls it that way.
    pub fn new(profile: Way, bearer: &Bearer) -> Self {
        Self(ServiceParametersServiceClient::with_interceptor(profile, bearer.clone()))
    }
}

#[async_trait]
impl PolicySource for GrpcPolicy {
    async fn policy(&self) -> Result<CredentialPolicy, PolicyUnknown> {
        let request = within(WITHIN, GetServiceParametersRequest {});
        let answer = self.0.clone().get_service_parameters(request).await;
        let answer = answer.map_err(|status| PolicyUnknown(status.message().to_owned()))?;
        let parameters = answer.into_inner().service_parameters.unwrap_or_default();
        Ok(convert::policy(&parameters.credential_policy.unwrap_or_default()))
    }
}
