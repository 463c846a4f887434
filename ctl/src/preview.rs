//! `preview`: what a phone would wear, and where every value would come from.

use clap::Args;
use roamline_proto::profile::PreviewRequest;
use roamline_proto::profile::rendering_service_client::RenderingServiceClient;

use crate::client::Client;
use crate::drawing;
use crate::exit::Failure;
use crate::output::Out;

/// Arguments of `preview`.
#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// The user; without one and without a profile, what the phone wears with nobody logged in
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    user: String,
    /// The phone, in any spelling of its MAC
    #[arg(long, value_name = "NAME")]
    phone: String,
    /// The profile: one of the user's, where he has several; without a user, any
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    profile: String,
}

pub(crate) async fn run(args: Preview, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let request = PreviewRequest { phone: args.phone, user_id: args.user, profile: args.profile };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { RenderingServiceClient::new(service).preview(request).await }
        })
        .await?;
    out.message(&answer, |answer| {
        let drawn = answer.configuration.as_ref().map(drawing::configuration).unwrap_or_default();
        drawn + &drawing::findings(&answer.findings)
    })
}
