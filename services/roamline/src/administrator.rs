//! The first administrator, and the file by which the command line finds him.

use anyhow::Context;
use roamline_auth::Auth;
use roamline_domain::PrincipalName;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::config::AdministratorConfig;
use crate::data_dir::DataDir;

/// The file in the data directory.
pub(crate) const FILE: &str = "admin.toml";
const NAME: &str = "admin";

#[derive(Serialize, Deserialize)]
struct AdminFile {
    server: String,
    name: String,
    password: String,
}

/// Sees to it that there is an administrator: with the password that the configuration gives, or with one that is made up
/// and written to the file, where there is a data directory to write it to.
///
/// # Errors
/// When a file cannot be read or written, or the store fails.
pub(crate) async fn provide(
    config: &AdministratorConfig,
    data: Option<&DataDir>,
    auth: &Auth,
    server: &str,
) -> anyhow::Result<()> {
    match (config.password()?, data) {
        (Some(password), _) => {
            let made = auth.ensure_administrator(&NAME.parse()?, &password).await;
            if made.context("the administrator cannot be created")? {
                tracing::info!("the administrator is made, with the password in administrator.password_file");
            }
            Ok(())
        }
        (None, Some(data)) => ensure(data, auth, server).await,
        (None, None) => Ok(()),
    }
}

/// Sees to it that there is an administrator and that the file names him and the server's address. The file is
/// written before the credential is: a crash in between leaves a password that nobody has yet, and the next start
/// gives it to the administrator. Where another server on the same store has made him, his password is unknown here, and
/// there is no file.
///
/// # Errors
/// When the file cannot be read or written, or the store fails.
async fn ensure(data: &DataDir, auth: &Auth, server: &str) -> anyhow::Result<()> {
    let path = data.path().join(FILE);
    let known = match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str::<AdminFile>(&text).ok(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
    };
    let (password, is_new) = match known {
        Some(file) if file.name == NAME => (SecretString::from(file.password), false),
        _ => (roamline_auth::random_password()?, true),
    };
    let file = AdminFile {
        server: server.to_owned(),
        name: NAME.to_owned(),
        password: password.expose_secret().to_owned(),
    };
    let text = toml::to_string(&file).context("the administrator's file cannot be written out")?;
    data.write_private(FILE, &text)?;
    let name: PrincipalName = NAME.parse()?;
    let made = auth.ensure_administrator(&name, &password).await;
    if !made.context("the administrator cannot be created")? && is_new {
        tracing::info!("the administrator is there already; his password is where the first server wrote it");
        std::fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
    }
    Ok(())
}
