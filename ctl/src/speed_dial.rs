//! `speed-dial`: the speed dials of one's own profile (DP-13).

use clap::{Args, Subcommand};
use roamline_proto::profile::personal_service_client::PersonalServiceClient;
use roamline_proto::profile::{
    ListOwnProfilesRequest, SpeedDial as Dial, UpdateOwnSpeedDialsRequest, UserDeviceProfile,
};

use crate::client::Client;
use crate::directory::ask;
use crate::exit::{Exit, Failure};
use crate::output::{Out, table};

/// Commands about one's own speed dials.
#[derive(Debug, Subcommand)]
pub(crate) enum SpeedDial {
    /// All of a profile
    List(Whose),
    /// Set one; a phone wears it from the next login on
    Set {
        /// Its tag, 1 to 36: the order on the phone
        tag: u32,
        /// Digits, `*`, `#` and `+`
        number: String,
        /// The text beside the button
        #[arg(long, default_value = "", hide_default_value = true)]
        label: String,
        /// Show on the button whether the number is busy
        #[arg(long)]
        busy_lamp: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Clear one, or all
    Clear {
        /// Its tag
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        tag: Option<u32>,
        /// All of the profile
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        whose: Whose,
    },
}

/// Which profile's.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// The profile [default: the only one]
    #[arg(long, default_value = "", hide_default_value = true)]
    profile: String,
    /// The phone at which they are edited, in any spelling of its MAC
    #[arg(long, default_value = "", hide_default_value = true)]
    phone: String,
    /// Somebody else's, for an administrator
    #[arg(long, default_value = "", hide_default_value = true)]
    user: String,
}

pub(crate) async fn run(command: SpeedDial, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        SpeedDial::List(whose) => shown(&of(&whose, client).await?, out),
        SpeedDial::Set { tag, number, label, busy_lamp, whose } => {
            let dial = Dial { tag, number, label, busy_lamp };
            change(&whose, client, out, |dials| {
                dials.retain(|other| other.tag != dial.tag);
                dials.push(dial);
                dials.sort_by_key(|dial| dial.tag);
            })
            .await
        }
        SpeedDial::Clear { tag, all: _, whose } => {
            change(&whose, client, out, |dials| dials.retain(|dial| tag.is_some_and(|tag| dial.tag != tag)))
                .await
        }
    }
}

/// The profile that is meant.
async fn of(whose: &Whose, client: &Client) -> Result<UserDeviceProfile, Failure> {
    let request = ListOwnProfilesRequest { user_id: whose.user.clone() };
    let answer = ask!(client, PersonalServiceClient::list_own_profiles, request)?;
    let mut profiles = answer.user_device_profiles;
    if !whose.profile.is_empty() {
        profiles.retain(|profile| profile.name == whose.profile);
    } else if profiles.len() > 1 {
        let names = profiles.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::usage("several profiles: name one with --profile").detail(names));
    }
    let missing = || Failure::new(Exit::NotFound, format!("the user has no profile {:?}", whose.profile));
    profiles.into_iter().next().ok_or_else(missing)
}

async fn change(
    whose: &Whose,
    client: &Client,
    out: &mut Out,
    edit: impl FnOnce(&mut Vec<Dial>),
) -> Result<(), Failure> {
    let profile = of(whose, client).await?;
    let mut speed_dials = profile.settings.map(|settings| settings.speed_dials).unwrap_or_default();
    edit(&mut speed_dials);
    let request = UpdateOwnSpeedDialsRequest {
        profile: profile.name,
        speed_dials,
        phone: whose.phone.clone(),
        etag: profile.etag,
        user_id: whose.user.clone(),
    };
    let answer = ask!(client, PersonalServiceClient::update_own_speed_dials, request)?;
    shown(&answer.user_device_profile.unwrap_or_default(), out)
}

fn shown(profile: &UserDeviceProfile, out: &mut Out) -> Result<(), Failure> {
    out.message(profile, |profile| {
        let dials = profile.settings.iter().flat_map(|settings| &settings.speed_dials);
        let rows = dials.map(|dial| {
            let lamp = if dial.busy_lamp { "yes" } else { "no" };
            vec![dial.tag.to_string(), dial.number.clone(), dial.label.clone(), lamp.to_owned()]
        });
        table(&["TAG", "NUMBER", "LABEL", "BUSY LAMP"], rows)
    })
}
