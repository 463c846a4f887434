//! `credential`: sets PINs and passwords, for others or for oneself.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{
    self as proto, ChangeCredentialRequest, DeleteCredentialsRequest, NewCredential, PrincipalKind,
    RevokeTokensRequest, SetCredentialsRequest,
};

use crate::cli::{Kind, SecretSource};
use crate::client::Client;
use crate::exit::Failure;
use crate::output::Out;
use crate::{credential_policy, secret};

/// Commands about credentials.
#[derive(Debug, Subcommand)]
pub(crate) enum Credential {
    /// Set somebody's PIN or password, and lift his lockout
    Set(Set),
    /// Change one's own PIN or password
    Change(Change),
    /// Delete somebody's PIN and password, with his roles, and end his sign-ins; the name is free then
    Delete {
        /// Whose
        #[arg(required = true)]
        names: Vec<String>,
        /// Only if he is that; anything without it
        #[arg(long, value_enum)]
        kind: Option<Kind>,
    },
    /// What the credential policy says otherwise for somebody
    #[command(subcommand)]
    Policy(credential_policy::Policy),
    /// End every sign-in of somebody: his tokens are good no more
    RevokeTokens {
        /// Whose
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// Arguments of `credential set`.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Whose
    name: String,
    /// What he is
    #[arg(long, value_enum, default_value = "user")]
    kind: Kind,
    #[command(flatten)]
    secret: SecretSource,
    /// He must change it before he uses it
    #[arg(long)]
    must_change: bool,
    /// What he is for, in place of what he was for until now; may be given several times
    #[arg(long = "role", value_enum, value_name = "ROLE")]
    roles: Vec<Role>,
}

/// What somebody is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Role {
    /// Signs himself in and out
    Agent,
    /// Sees and ends the sessions of his teams
    Supervisor,
    /// Sees everything, ends sessions, sets credentials of users
    Helpdesk,
    /// Everything but what is for services
    Administrator,
    /// Reads the audit trail, sessions and directory
    Auditor,
    /// Acts for others
    Application,
    /// Is the link to phones
    PhoneLink,
    /// Follows the profiles that it is associated with, and controls the phones where they are worn
    Cti,
}

impl From<Role> for proto::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Agent => Self::Agent,
            Role::Supervisor => Self::Supervisor,
            Role::Helpdesk => Self::Helpdesk,
            Role::Administrator => Self::Administrator,
            Role::Auditor => Self::Auditor,
            Role::Application => Self::Application,
            Role::PhoneLink => Self::PhoneLink,
            Role::Cti => Self::Cti,
        }
    }
}

/// Arguments of `credential change`.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// Whose
    name: String,
    /// Read the present secret from a file, `-` for standard input
    #[arg(long, value_name = "FILE")]
    current_file: Option<PathBuf>,
    #[command(flatten)]
    secret: SecretSource,
}

pub(crate) async fn run(command: Credential, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Credential::Set(args) => set(args, client, out).await,
        Credential::Change(args) => change(args, client, out).await,
        Credential::Delete { names, kind } => delete(names, kind, client, out).await,
        Credential::Policy(command) => credential_policy::run(command, client, out).await,
        Credential::RevokeTokens { names } => revoke_tokens(names, client, out).await,
    }
}

async fn delete(
    names: Vec<String>,
    kind: Option<Kind>,
    client: &Client,
    out: &mut Out,
) -> Result<(), Failure> {
    let principal_kind = kind.map_or(PrincipalKind::Unspecified, principal_kind).into();
    let request = DeleteCredentialsRequest { names, principal_kind };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { AuthServiceClient::new(service).delete_credentials(request).await }
        })
        .await?;
    out.message(&answer, |_| "deleted".into())
}

async fn revoke_tokens(names: Vec<String>, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let request = RevokeTokensRequest { names };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { AuthServiceClient::new(service).revoke_tokens(request).await }
        })
        .await?;
    out.message(&answer, |_| "revoked".into())
}

async fn set(args: Set, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let credential = NewCredential {
        credential: Some(secret::read_new(&args.secret, &args.name)?),
        principal_kind: principal_kind(args.kind).into(),
        must_change: args.must_change,
        roles: args.roles.into_iter().map(|role| proto::Role::from(role).into()).collect(),
        name: args.name,
    };
    let request = SetCredentialsRequest { credentials: vec![credential], validate_only: false };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { AuthServiceClient::new(service).set_credentials(request).await }
        })
        .await?;
    out.message(&answer, |_| "set".into())
}

async fn change(args: Change, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let dash = std::path::Path::new("-");
    if args.current_file.as_deref() == Some(dash) && args.secret.secret_file.as_deref() == Some(dash) {
        return Err(Failure::usage("standard input can give one of the two secrets only"));
    }
    let current = SecretSource { pin: args.secret.pin, secret_file: args.current_file };
    let request = ChangeCredentialRequest {
        current: Some(secret::read(&current, &args.name)?),
        replacement: Some(secret::read_new(&args.secret, &args.name)?),
        name: args.name,
    };
    let change = |service| async move { AuthServiceClient::new(service).change_credential(request).await };
    let answer = client.call_as_nobody(change).await?;
    out.message(&answer, |_| "changed".into())
}

fn principal_kind(kind: Kind) -> PrincipalKind {
    match kind {
        Kind::User => PrincipalKind::User,
        Kind::LogoutProfile => PrincipalKind::LogoutProfile,
        Kind::Application => PrincipalKind::Application,
        Kind::Administrator => PrincipalKind::Administrator,
        Kind::PhoneLink => PrincipalKind::PhoneLink,
    }
}
