//! `credential policy`: what the credential policy says otherwise for single principals.

use clap::{Args, Subcommand};
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{
    GetCredentialPolicyRequest, GetCredentialPolicyResponse, SetCredentialPolicyRequest,
};
use roamline_proto::profile::CredentialPolicy;

use crate::client::Client;
use crate::exit::Failure;
use crate::output::Out;
use crate::parameters;

/// Commands about credential policies of single principals.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// What somebody has of his own, and what is in force for him
    Get {
        /// Whose
        name: String,
    },
    /// Give somebody a policy of his own, in place of the one that he had
    Set(Set),
    /// Let the policy of the cluster hold for somebody again
    Clear {
        /// For whom
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// Arguments of `credential policy set`.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// For whom
    #[arg(required = true)]
    names: Vec<String>,
    /// A field as `parameters set credential_policy.KEY` takes it: minimum_length=4, lockout_duration=1h; what is not named
    /// follows the policy of the cluster. May be given several times
    #[arg(long = "with", value_name = "KEY=VALUE", required = true)]
    fields: Vec<String>,
}

pub(crate) async fn run(command: Policy, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Policy::Get { name } => get(name, client, out).await,
        Policy::Set(Set { names, fields }) => {
            let policy = read(&fields).map_err(Failure::usage)?;
            set(names, Some(policy), client, out).await
        }
        Policy::Clear { names } => set(names, None, client, out).await,
    }
}

async fn get(name: String, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let request = GetCredentialPolicyRequest { name };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { AuthServiceClient::new(service).get_credential_policy(request).await }
        })
        .await?;
    out.message(&answer, shown)
}

async fn set(
    names: Vec<String>,
    credential_policy: Option<CredentialPolicy>,
    client: &Client,
    out: &mut Out,
) -> Result<(), Failure> {
    let request = SetCredentialPolicyRequest { names, credential_policy };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { AuthServiceClient::new(service).set_credential_policy(request).await }
        })
        .await?;
    out.message(&answer, |_| "set".into())
}

/// The fields that are named, as the service parameter's are.
fn read(fields: &[String]) -> Result<CredentialPolicy, String> {
    let fields: Vec<_> = fields.iter().map(|field| format!("credential_policy.{field}")).collect();
    let (parameters, _) = parameters::read(&fields)?;
    Ok(parameters.credential_policy.unwrap_or_default())
}

/// What is in force, with a mark where it is his own.
fn shown(answer: &GetCredentialPolicyResponse) -> String {
    let own = parameters::policy_fields(answer.credential_policy.as_ref());
    let mut lines = parameters::policy_fields(answer.in_force.as_ref());
    for (name, value) in &mut lines {
        if own.contains_key(name) {
            value.push_str("  (his own)");
        }
    }
    let width = lines.keys().map(String::len).max().unwrap_or(0);
    let lines: Vec<_> = lines.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(fields: &[&str]) -> Result<CredentialPolicy, String> {
        read(&fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn sp_14_a_policy_of_ones_own_is_written_as_that_of_the_cluster() {
        let own = policy(&["minimum_length=4", "lockoutDuration=1h"]).unwrap();
        assert_eq!((own.minimum_length, own.lockout_duration.unwrap().seconds), (Some(4), 3600));
        for wrong in ["minimum_length", "colour=1", "minimum_length=four"] {
            assert!(policy(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_ones_own_is_marked() {
        let minutes = |minutes: i64| Some(prost_types::Duration { seconds: minutes * 60, nanos: 0 });
        let own = CredentialPolicy { lockout_duration: minutes(60), ..Default::default() };
        let in_force =
            CredentialPolicy { history: Some(3), lockout_duration: minutes(60), ..Default::default() };
        let text =
            shown(&GetCredentialPolicyResponse { credential_policy: Some(own), in_force: Some(in_force) });
        assert_eq!(text, "history          3\nlockoutDuration  1h  (his own)");
    }
}
