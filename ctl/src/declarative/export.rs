//! `export`: the directory as files that `apply` takes.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::kinds::{Kind, for_each};
use super::shown;
use crate::client::Client;
use crate::exit::Failure;
use crate::output::Out;

/// Begins every export.
const HEADER: &str = "# The directory of a Roamline cluster, as `roamctl apply` takes it.\n\
    # Not in it: PINs and passwords of users, and call-blocking PINs. An apply leaves those that are stored as they are.\n";

/// Arguments of `export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Where to, `-` for standard output
    #[arg(long = "file", short = 'f', value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Only these: DevicePool, PhoneTemplate, LineTemplate, PresenceGroup, PhoneServiceDefinition, Line,
    /// UserDeviceProfile, DefaultDeviceProfile, LogoutProfile, Phone, User, ServiceParameters
    #[arg(value_name = "KIND")]
    kinds: Vec<Kind>,
}

pub(crate) async fn run(args: Export, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let mut kinds = if args.kinds.is_empty() { Kind::ALL.to_vec() } else { args.kinds };
    kinds.sort_unstable();
    kinds.dedup();
    if args.file == Path::new("-") {
        return write(&kinds, client, out).await;
    }
    // A file is there whole or not at all.
    let failed =
        |error: std::io::Error| Failure::usage(format!("cannot write {}: {error}", args.file.display()));
    let folder = args.file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let file = NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    let mut to = out.with_file(file.reopen().map_err(failed)?);
    write(&kinds, client, &mut to).await?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&args.file).map_err(|error| failed(error.error))?;
    Ok(())
}

async fn write(kinds: &[Kind], client: &Client, out: &mut Out) -> Result<(), Failure> {
    if out.is_json() {
        let mut all = Vec::new();
        for kind in kinds {
            for_each(*kind, client, |resource| {
                all.push(named(*kind, shown::plain(*kind, &resource)?));
                Ok(())
            })
            .await?;
        }
        return out.value(&Value::Array(all));
    }
    out.part(HEADER)?;
    for kind in kinds {
        for_each(*kind, client, |resource| {
            let document = shown::yaml(*kind, &shown::plain(*kind, &resource)?)?;
            out.part(&format!("---\n{}\n", document.trim_end()))
        })
        .await?;
    }
    out.flush()
}

fn named(kind: Kind, value: Value) -> Value {
    let mut resource = json!({ "kind": kind.name() });
    if let (Value::Object(resource), Value::Object(fields)) = (&mut resource, value) {
        resource.extend(fields);
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_in_json_says_its_kind() {
        assert_eq!(named(Kind::Line, json!({"name": "1"})), json!({"kind": "Line", "name": "1"}));
    }

    #[test]
    fn the_header_says_what_is_not_exported_and_is_a_comment() {
        assert!(HEADER.lines().all(|line| line.starts_with('#')));
        assert!(HEADER.contains("call-blocking PINs"));
    }
}
