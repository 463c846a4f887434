//! `sign-in` and `sign-out`: trades a password or PIN for tokens and keeps them, and drops them again.

use clap::Args;
use roamline_proto::auth::{Credential, SignInResponse, SignOutResponse, credential::Kind};

use crate::cli::SecretSource;
use crate::client::Client;
use crate::exit::Failure;
use crate::output::Out;
use crate::{secret, words};

/// Arguments of `sign-in`.
#[derive(Debug, Args)]
pub(crate) struct SignIn {
    /// Who; without a name, whom the credential file names
    name: Option<String>,
    #[command(flatten)]
    secret: SecretSource,
}

pub(crate) async fn run(args: SignIn, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let (name, credential) = match (args.name, client.file()) {
        (Some(name), _) => {
            let credential = secret::read(&args.secret, &name)?;
            (name, credential)
        }
        (None, Some(file)) => {
            (file.name.clone(), Credential { kind: Some(Kind::Password(file.password.clone())) })
        }
        (None, None) => return Err(Failure::usage("who signs in? say `roamctl sign-in NAME`")),
    };
    let answer = client.sign_in(&name, credential).await?;
    client.keep(&name, &answer)?;
    // The token stays where it is kept.
    let shown = SignInResponse { access_token: String::new(), refresh_token: String::new(), ..answer };
    out.message(&shown, |answer| {
        format!(
            "signed in to {} as {name} ({}) until {}",
            client.server(),
            words::of_enum(answer.principal_kind().as_str_name(), "PRINCIPAL_KIND_"),
            words::instant(answer.expire_time.as_ref()),
        )
    })
}

pub(crate) async fn sign_out(client: &Client, out: &mut Out) -> Result<(), Failure> {
    let server = client.server();
    let told = match client.sign_out().await? {
        true => format!("signed out of {server}"),
        false => format!("nobody had signed in to {server}"),
    };
    out.message(&SignOutResponse {}, |_| told)
}
