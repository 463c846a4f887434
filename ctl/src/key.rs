//! `key`: the keys that sign tokens.

use clap::Subcommand;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{RotateSigningKeysRequest, RotateSigningKeysResponse};

use crate::client::Client;
use crate::exit::Failure;
use crate::output::Out;

/// Commands about signing keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Let the next key sign from now on; tokens of the present one stay good until they expire
    Rotate {
        /// Others know the present key: refuse every token that it has signed
        #[arg(long)]
        compromised: bool,
    },
}

pub(crate) async fn run(
    Key::Rotate { compromised }: Key,
    client: &Client,
    out: &mut Out,
) -> Result<(), Failure> {
    let request = RotateSigningKeysRequest { compromised };
    let answer = client
        .call(
            move |service| async move { AuthServiceClient::new(service).rotate_signing_keys(request).await },
        )
        .await?;
    out.message(&answer, |answer| {
        let RotateSigningKeysResponse { current_kid, next_kid } = answer;
        format!("{current_kid} signs now, {next_kid} is next")
    })
}
