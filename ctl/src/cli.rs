//! What can be typed, and which command it runs. Secrets are never arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::client::Client;
use crate::exit::Failure;
use crate::output::{Format, Out};
use crate::tls::TlsOptions;
use crate::{
    agent_state, audit, backup, completions, credential, csv, declarative, directory, doctor, geolocation,
    import, key, lint, load, locate, login, logout, parameters, peer, phone, phone_service, preview, session,
    sign_in, speed_dial, support_bundle, templates,
};

/// Ends every `--help`.
const AFTER: &str = "Exit codes: 0 done, 1 other error, 2 usage, 3 not found, 4 denied, 5 conflict with the present state,\n\
                     6 not available now, 7 refused as invalid, 8 `diff` found differences,\n\
                     9 `lint` or `doctor` found errors or warnings, `audit verify` a trail that is broken.\n\n\
                     Who is asking: --credentials FILE, else what `sign-in` stored for the server, else DIR/admin.toml,\n\
                     which `roamline up` writes.";

/// The command line of Roamline.
#[derive(Debug, Parser)]
#[command(name = "roamctl", version, after_help = AFTER, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The server [default: the local `roamline up`, else http://127.0.0.1:7400]
    #[arg(long, global = true, env = "ROAMLINE_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Data directory of the local `roamline up`
    #[arg(long, global = true, env = "ROAMLINE_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// File with `name` and `password` of who is asking; readable by its owner alone
    #[arg(long, global = true, env = "ROAMLINE_CREDENTIALS", value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
    /// How results are written to standard output
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sign in and keep the token for this server
    SignIn(sign_in::SignIn),
    /// End what `sign-in` began: its tokens are good no more
    SignOut,
    /// Log a user in at a phone
    Login(login::Login),
    /// Log out whoever is logged in
    Logout(logout::Logout),
    /// Live sessions
    #[command(subcommand)]
    Session(session::Session),
    /// Where a number rings now
    Locate(locate::Locate),
    /// Say what an agent does, as his desktop would
    AgentState(agent_state::SetAgentState),
    /// The audit trail: every login and logout, refused ones too
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Phones; `phone run` is one in the terminal
    #[command(subcommand)]
    Phone(phone::Phone),
    /// User device profiles
    #[command(subcommand)]
    Profile(directory::Profile),
    /// Users
    #[command(subcommand)]
    User(directory::Named),
    /// Lines
    #[command(subcommand)]
    Line(directory::Named),
    /// Shared logout profiles
    #[command(subcommand)]
    LogoutProfile(directory::Tagged),
    /// Default device profiles
    #[command(subcommand)]
    DefaultDeviceProfile(directory::Named),
    /// Device pools: what phones that stand together have in common
    #[command(subcommand)]
    DevicePool(directory::Named),
    /// Phone templates: softkeys and buttons of many phones and profiles
    #[command(subcommand)]
    PhoneTemplate(directory::Named),
    /// Line templates: how many lines appear
    #[command(subcommand)]
    LineTemplate(directory::Named),
    /// Presence groups: who sees whose busy lamp
    #[command(subcommand)]
    PresenceGroup(directory::Named),
    /// Phone services, and who subscribes to them
    #[command(subcommand)]
    PhoneService(phone_service::PhoneService),
    /// Speed dials of one's own profile
    #[command(subcommand)]
    SpeedDial(speed_dial::SpeedDial),
    /// Phone models of the catalogue
    #[command(subcommand)]
    Model(directory::Catalogued),
    /// Service parameters of the cluster
    #[command(subcommand)]
    Parameters(parameters::Parameters),
    /// Other clusters, whose users log in here and at whose phones ours log in
    #[command(subcommand)]
    Peer(peer::Peer),
    /// Geolocations: where phones stand
    #[command(subcommand)]
    Geolocation(geolocation::Geolocation),
    /// Geolocation filters: which fields of a geolocation count
    #[command(subcommand)]
    GeolocationFilter(geolocation::Filter),
    /// What a phone would wear, and why, without logging anybody in
    Preview(preview::Preview),
    /// What is wrong with the directory as a whole, and what would mend it
    Lint(lint::Lint),
    /// Take over a site from elsewhere, or many resources from CSV
    #[command(subcommand)]
    Import(import::Import),
    /// Write the directory as YAML that `apply` takes, or a kind of it as CSV
    Export(ExportAs),
    /// The whole directory in one file
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Make the directory what YAML or JSON files say; what they leave out is not deleted, but with --prune
    ///
    /// A field that is left out has its default, but a service parameter stays as it is. Everything is applied or nothing.
    Apply(declarative::Apply),
    /// Show what `apply` would change; ends with 8 if anything
    Diff(declarative::Diff),
    /// PINs and passwords
    #[command(subcommand)]
    Credential(credential::Credential),
    /// The keys that sign tokens
    #[command(subcommand)]
    Key(key::Key),
    /// Measure logins and logouts at a given rate of arrivals
    Load(load::Load),
    /// Check a deployment and say what to do; ends with 9 if anything
    ///
    /// What the processes alone know is asked at their admin ports.
    Doctor(doctor::Doctor),
    /// Put what helps to find a fault into one file, without secrets
    ///
    /// In it are what `doctor` finds, the pages of the admin ports, parameters, other clusters, live sessions and
    /// configuration files. Users, phones and profiles get made-up names.
    SupportBundle(support_bundle::SupportBundle),
    /// Completions for a shell
    Completions(completions::Completions),
}

/// An export, in one form or the other.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
struct ExportAs {
    #[command(flatten)]
    yaml: declarative::Export,
    #[command(subcommand)]
    other: Option<csv::ExportCsv>,
}

/// Which secret a principal proves himself with, and where it is read.
#[derive(Debug, Args)]
pub(crate) struct SecretSource {
    /// The secret is a PIN, not a password
    #[arg(long)]
    pub(crate) pin: bool,
    /// Read the secret from a file, `-` for standard input; one line end is dropped
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
}

/// Whose a credential is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// A user
    User,
    /// A logout profile
    LogoutProfile,
    /// An application that acts for others
    Application,
    /// An administrator
    Administrator,
    /// A link to phones
    PhoneLink,
}

/// Runs the command.
pub(crate) async fn run(cli: Cli) -> Result<(), Failure> {
    let mut out = Out::stdout(cli.global.output);
    if let Command::Completions(completions) = &cli.command {
        return completions::run(completions, &mut out);
    }
    let client = Client::open(&cli.global)?;
    let (client, out) = (&client, &mut out);
    match cli.command {
        Command::SignIn(args) => sign_in::run(args, client, out).await,
        Command::SignOut => sign_in::sign_out(client, out).await,
        Command::Login(args) => login::run(args, client, out).await,
        Command::Logout(args) => logout::run(args, client, out).await,
        Command::AgentState(args) => agent_state::run(args, client, out).await,
        Command::Session(args) => session::run(args, client, out).await,
        Command::Locate(args) => locate::run(args, client, out).await,
        Command::Audit(args) => audit::run(args, client, out).await,
        Command::Phone(args) => phone::run(args, client, out).await,
        Command::Profile(args) => directory::profiles(args, client, out).await,
        Command::User(args) => directory::users(args, client, out).await,
        Command::Line(args) => directory::lines(args, client, out).await,
        Command::LogoutProfile(args) => directory::logout_profiles(args, client, out).await,
        Command::DefaultDeviceProfile(args) => directory::default_device_profiles(args, client, out).await,
        Command::DevicePool(args) => templates::device_pools(args, client, out).await,
        Command::PhoneTemplate(args) => templates::phone_templates(args, client, out).await,
        Command::LineTemplate(args) => templates::line_templates(args, client, out).await,
        Command::PresenceGroup(args) => templates::presence_groups(args, client, out).await,
        Command::PhoneService(args) => phone_service::run(args, client, out).await,
        Command::SpeedDial(args) => speed_dial::run(args, client, out).await,
        Command::Model(args) => directory::models(args, client, out).await,
        Command::Parameters(args) => parameters::run(args, client, out).await,
        Command::Peer(args) => peer::run(args, client, out).await,
        Command::Geolocation(args) => geolocation::run(args, client, out).await,
        Command::GeolocationFilter(args) => geolocation::filters(args, client, out).await,
        Command::Preview(args) => preview::run(args, client, out).await,
        Command::Lint(args) => lint::run(args, client, out).await,
        Command::Import(args) => import::run(args, client, out).await,
        Command::Export(ExportAs { other: Some(csv), .. }) => csv::export(csv, client, out).await,
        Command::Export(ExportAs { yaml, .. }) => declarative::export(yaml, client, out).await,
        Command::Backup(args) => backup::run(args, client, out).await,
        Command::Apply(args) => declarative::apply(args, client, out).await,
        Command::Diff(args) => declarative::diff(args, client, out).await,
        Command::Credential(args) => credential::run(args, client, out).await,
        Command::Key(args) => key::run(args, client, out).await,
        Command::Load(args) => load::run(args, client, out).await,
        Command::Doctor(args) => doctor::run(args, client, out).await,
        Command::SupportBundle(args) => support_bundle::run(args, client, out).await,
        Command::Completions(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_secret_can_be_an_argument() {
        for typed in [
            ["roamctl", "login", "me", "--phone", "p", "1234"],
            ["roamctl", "credential", "set", "me", "--pin", "1234"],
        ] {
            assert!(Cli::try_parse_from(typed).is_err());
        }
    }
}
