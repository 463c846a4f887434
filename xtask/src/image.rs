//! `cargo xtask image`: builds the image from `deploy/Dockerfile` with buildah, looks at what is in it, starts it as it
//! says it is to be started, and signs an agent in from inside it. What was built is kept as an archive of the Open
//! Container Initiative in the target directory.

mod names;
mod running;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use self::running::Root;
use crate::step::{answer, run as step};
use crate::workspace::Workspace;

/// Everything in it that can be started. There is no shell.
const PROGRAMS: [&str; 2] = ["usr/local/bin/roamctl", "usr/local/bin/roamline"];

/// The user, as the image names him.
const USER: &str = "65532:65532";

/// How many bytes it may have at most, as it is downloaded.
const AT_MOST: u64 = 40_000_000;

/// Builds and tries the image. What `deploy/image/fill` has put into the folder before is taken again where `ready` says
/// so.
pub(crate) fn run(workspace: &Workspace, ready: bool) -> Result<()> {
    let target = workspace.target()?;
    let folder = target.join("image");
    let image = Image {
        name: format!("localhost/roamline:{}", env!("CARGO_PKG_VERSION")),
        content: folder.join("content"),
        storage: folder.join("storage"),
        archive: folder.join("roamline.oci.tar"),
    };
    if !ready {
        let mut fill = Command::new(workspace.root.join("deploy/image/fill"));
        step(fill.arg(&image.content).env("CARGO_TARGET_DIR", &target))?;
    }
    let built = image.build(workspace).and_then(|()| image.look_and_try(&folder));
    let removed = std::fs::remove_dir_all(&image.storage).context("cannot remove the storage of buildah");
    built.and(removed)
}

/// What buildah makes, and from what.
struct Image {
    name: String,
    content: PathBuf,
    storage: PathBuf,
    archive: PathBuf,
}

impl Image {
    fn buildah(&self) -> Command {
        let mut buildah = Command::new("buildah");
        buildah.arg("--root").arg(self.storage.join("root"));
        buildah.arg("--runroot").arg(self.storage.join("run")).args(["--storage-driver", "vfs"]);
        buildah
    }

    /// Neither Docker nor a registry is needed: what there is to compile has been compiled.
    fn build(&self, workspace: &Workspace) -> Result<()> {
        let recipe = workspace.root.join("deploy/Dockerfile");
        let alone =
            ["bud", "--quiet", "--isolation", "chroot", "--pull=never", "--build-arg", "PROGRAMS=ready"];
        step(
            self.buildah()
                .args(alone)
                .arg("--file")
                .arg(recipe)
                .arg("--tag")
                .arg(&self.name)
                .arg(&self.content),
        )?;
        if self.archive.exists() {
            std::fs::remove_file(&self.archive).context("cannot remove the archive of before")?;
        }
        let to = format!("oci-archive:{}", self.archive.display());
        step(self.buildah().args(["push", "--quiet", &self.name, &to]))
    }

    fn look_and_try(&self, folder: &Path) -> Result<()> {
        let inspected = answer(self.buildah().args(["inspect", "--type", "image", &self.name]))?;
        let inspected: Inspected =
            serde_json::from_str(&inspected).context("buildah inspect did not answer as it should")?;
        let config = inspected.image.config;
        ensure!(config.user == USER, "the image is for the user {:?}, not {USER}", config.user);
        let container = answer(self.buildah().args(["from", "--pull-never", &self.name]))?;
        let root = PathBuf::from(answer(self.buildah().args(["mount", container.trim()]))?.trim());
        let (programs, bytes) = content(&root)?;
        let expected: BTreeSet<_> = PROGRAMS.iter().map(PathBuf::from).collect();
        ensure!(programs == expected, "what can be started in the image is {programs:?}");
        let bill = root.join("usr/share/doc/roamline/sbom.cdx.json");
        let bill = std::fs::read(&bill).with_context(|| format!("cannot read {}", bill.display()))?;
        let bill: Bill =
            serde_json::from_slice(&bill).context("the image does not say what it is made of")?;
        ensure!(
            bill.components.iter().any(|part| part.name == "tonic"),
            "parts are missing in what it is made of"
        );
        let packed = std::fs::metadata(&self.archive)?.len();
        println!(
            "    {}: {} to download, {} on a disk (roamline {}, roamctl {}), of {} parts; {}",
            self.name,
            megabytes(packed),
            megabytes(bytes),
            megabytes(size(&root.join("usr/local/bin/roamline"))?),
            megabytes(size(&root.join("usr/local/bin/roamctl"))?),
            bill.components.len(),
            self.archive.display()
        );
        ensure!(packed <= AT_MOST, "it has more than {} to download", megabytes(AT_MOST));
        Root::prepare(root, &folder.join("over"), config)?.try_it()
    }
}

/// What `buildah inspect` says of an image, as far as it is looked at.
#[derive(Deserialize)]
struct Inspected {
    #[serde(rename = "OCIv1")]
    image: Described,
}

#[derive(Deserialize)]
struct Described {
    config: Config,
}

/// How the image wants to be started.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    user: String,
    env: Vec<String>,
    entrypoint: Vec<String>,
}

/// What the image is made of, as far as it is looked at.
#[derive(Deserialize)]
struct Bill {
    components: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    name: String,
}

/// The files in a folder that can be started, and how many bytes there are in all.
fn content(root: &Path) -> Result<(BTreeSet<PathBuf>, u64)> {
    let (mut programs, mut bytes) = (BTreeSet::new(), 0);
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_dir() {
                folders.push(entry.path());
                continue;
            }
            bytes += about.len();
            if about.is_symlink() || about.permissions().mode() & 0o111 != 0 {
                programs.insert(entry.path().strip_prefix(root)?.to_owned());
            }
        }
    }
    Ok((programs, bytes))
}

fn size(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?.len())
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_started_is_found_wherever_it_is() {
        let root = std::env::temp_dir().join(format!("roamline-xtask-image-{}", std::process::id()));
        std::fs::create_dir_all(root.join("deep/down")).unwrap();
        std::fs::write(root.join("text"), "123").unwrap();
        std::fs::write(root.join("deep/down/sh"), "4567").unwrap();
        std::fs::set_permissions(root.join("deep/down/sh"), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink("/bin/sh", root.join("deep/link")).unwrap();
        let (programs, bytes) = content(&root).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(programs, ["deep/down/sh", "deep/link"].map(PathBuf::from).into());
        assert_eq!(bytes, 3 + 4 + 7);
    }
}
