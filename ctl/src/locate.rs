//! `locate`: where a number rings now.

use clap::Args;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{LocateNumberRequest, LocateNumberResponse};

use crate::client::Client;
use crate::exit::Failure;
use crate::output::{Out, table};

/// Arguments of `locate`.
#[derive(Debug, Args)]
pub(crate) struct Locate {
    /// The number, as a line is named: `2101@office`, or `2101` in no partition
    #[arg(value_name = "NUMBER")]
    line: String,
}

pub(crate) async fn run(args: Locate, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let request = LocateNumberRequest { line: args.line };
    let answer = client
        .call(|service| {
            let request = request.clone();
            async move { SessionServiceClient::new(service).locate_number(request).await }
        })
        .await?;
    out.message(&answer, drawn)
}

fn drawn(answer: &LocateNumberResponse) -> String {
    if answer.voice_mail {
        return "voice mail: no session wears it".into();
    }
    let places = answer.places.iter();
    let rows = places.map(|place| vec![place.phone.clone(), place.user_id.clone(), place.session_id.clone()]);
    table(&["PHONE", "USER", "SESSION"], rows)
}

#[cfg(test)]
mod tests {
    use roamline_proto::session::locate_number_response::Place;

    use super::*;

    #[test]
    fn lo_10_a_number_is_at_phones_or_in_voice_mail() {
        let nowhere = LocateNumberResponse { voice_mail: true, ..Default::default() };
        assert!(drawn(&nowhere).starts_with("voice mail"));
        let place = Place { phone: "SEP000DEDAB3566".into(), user_id: "agent7".into(), ..Default::default() };
        let drawn = drawn(&LocateNumberResponse { places: vec![place], voice_mail: false });
        assert!(drawn.contains("SEP000DEDAB3566") && drawn.contains("agent7"), "{drawn}");
    }
}
