//! What is said on standard output once everything is up: where it listens, who and what is there, what to try next.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use roamline_serve::Inside;

use crate::cli::Role;
use crate::stores::Places;
use crate::{data_dir, demo};

/// Users and phones that are listed one by one.
const LISTED: usize = 20;

/// Where the process listens.
pub(crate) struct Addresses {
    pub api: String,
    pub admin: String,
    /// How the process calls itself.
    pub inside: Inside,
}

/// Prints the report.
///
/// # Errors
/// When the directory cannot be read. That nobody reads the report is no error.
pub(crate) async fn print(
    site: &demo::Directory,
    addresses: &Addresses,
    places: &Places,
    data: &Path,
    demo: bool,
) -> anyhow::Result<()> {
    let (users, phones) = site.users_and_phones().await.context("the directory cannot be read")?;
    let mut text = format!("Roamline is up.\n{}  data   {}\n", ports(addresses), data.display());
    text.push_str(&stores(places));
    if users.is_empty() && phones.is_empty() {
        text.push_str("\nThe directory is empty. Import a site, or start with --demo.\n");
    }
    text.push_str(&list(
        "Users",
        users.len(),
        users.iter().map(|user| {
            let profiles = user.profiles.join(", ");
            format!("{:<16} profiles: {profiles}", user.user_id)
        }),
    ));
    text.push_str(&list(
        "Phones",
        phones.len(),
        phones.iter().map(|phone| {
            let enabled = if phone.extension_mobility_enabled { "" } else { "  (no logins)" };
            format!("{:<16} {:<16} {}{enabled}", phone.name, phone.model, phone.description)
        }),
    ));
    let at = if data_dir::default_path().is_ok_and(|default| default == data) {
        String::new()
    } else {
        format!("--data {} ", data.display())
    };
    text.push_str("\nNext, in another terminal:\n");
    if demo && users.iter().any(|user| user.user_id == "1001") {
        text.push_str(&format!(
            "  cargo run --release -p roamctl -- {at}phone run SEP02005E005302\n  cargo run --release -p roamctl -- {at}login 1001 --phone SEP02005E005302      (his password is 41001)\n"
        ));
    } else if demo && users.iter().any(|user| user.user_id == "2001") {
        text.push_str(&format!(
            "  cargo run --release -p roamctl -- {at}login 1001 --phone SEP02005E005402      (an agent of the first cluster; his password is 41001)\n"
        ));
    } else {
        text.push_str(&format!("  cargo run --release -p roamctl -- {at}import cme FILE --dry-run\n"));
    }
    say(&text);
    Ok(())
}

/// Prints that one service is up, and where. That nobody reads it is no error.
pub(crate) fn print_role(role: Role, addresses: &Addresses, places: &Places) {
    say(&format!("The {} service is up.\n{}{}", role.name(), ports(addresses), stores(places)));
}

fn ports(addresses: &Addresses) -> String {
    format!(
        "  API    {}  (gRPC, gRPC-web, health, reflection)\n  admin  {}  (/livez /readyz /metrics)\n",
        addresses.api, addresses.admin,
    )
}

fn stores(places: &Places) -> String {
    let mut text = String::new();
    if !places.store.is_embedded() {
        text.push_str(&format!("  store  {}\n", places.store.database()));
    }
    if let Some(sessions) = &places.sessions {
        text.push_str(&format!("  live   {sessions}\n"));
    }
    text
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn list(title: &str, number: usize, lines: impl Iterator<Item = String>) -> String {
    if number == 0 {
        return String::new();
    }
    let mut text = format!("\n{title} ({number})\n");
    for line in lines.take(LISTED) {
        text.push_str(&format!("  {}\n", line.trim_end()));
    }
    if number > LISTED {
        text.push_str(&format!("  ... and {} more\n", number - LISTED));
    }
    text
}
