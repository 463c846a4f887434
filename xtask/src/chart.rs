//! `cargo xtask chart`: the chart is linted and rendered with every example for old and new Kubernetes; what comes out is
//! held against the schemas of Kubernetes and of custom resources, against security checks, against the contract and
//! against the schema of the configuration; the recipe of the image and the files for compose are read, too. Each validator is first given something that it must refuse, so that one which
//! sees nothing is not taken for one that found nothing.

mod alerts;
mod compose;
mod configuration;
mod dashboards;
mod inventory;
mod refused;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use roamline_proto::contract::RPCS;

use self::inventory::Inventory;
use crate::prerequisites::chart::ChartTools;
use crate::workspace::Workspace;

/// The oldest Kubernetes that the chart is for, one in the middle, and the newest.
const KUBERNETES: [&str; 3] = ["1.33", "1.35", "1.37"];

/// The example that must pass every security check; the others may leave out those in `.checkov.yaml`.
const STRICT: &str = "production";

/// What only other clusters call, at an address before which TLS does not end: it has no route.
const OF_CLUSTERS: [&str; 2] =
    ["roamline.emcc.v1.FederationService", "roamline.emcc.v1.TrustExchangeService"];

/// Checks custom resources; it reads the names of files from its arguments.
const RESOURCES: &str = include_str!("chart/resources.mjs");

/// A manifest of Kubernetes with a field that there is not.
const BAD_CORE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {prots: []}\n";

/// A custom resource with a value of the wrong type, and one of a kind that nobody knows.
const BAD_CUSTOM: [&str; 2] = [
    "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: bad}\nspec: {hostnames: 7}\n",
    "apiVersion: example.org/v1\nkind: Unheard\nmetadata: {name: bad}\n",
];

/// A pod that may do everything.
const BAD_POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: bad, namespace: bad}\nspec:\n  containers:\n    - \
                       {name: bad, image: bad, securityContext: {privileged: true}}\n";

/// A recipe of an image that pins nothing.
const BAD_RECIPE: &str = "FROM debian\nRUN cd /tmp && apt-get install curl\n";

/// Runs all checks.
pub(crate) fn run(workspace: &Workspace, tools: &ChartTools) -> Result<()> {
    let chart = Chart {
        tools,
        root: workspace.root.join("helm/roamline"),
        work: workspace.target()?.join("tools/chart/rendered"),
    };
    if chart.work.exists() {
        std::fs::remove_dir_all(&chart.work).context("cannot remove what was rendered before")?;
    }
    chart.see_that_validators_refuse()?;
    println!("    each validator refuses what it must");
    let examples = chart.examples()?;
    for example in &examples {
        let values = chart.root.join(format!("examples/{example}.yaml"));
        done("helm lint", &mut chart.helm(&["lint", "--strict", "--quiet", "--values", text(&values)]))?;
    }
    let rendered = chart.render(&examples)?;
    for (version, files) in &rendered {
        done("kubernetes-validate", &mut chart.core(version, files))?;
    }
    let all: Vec<_> = rendered.iter().flat_map(|(_, files)| files.clone()).collect();
    done("custom resources", &mut chart.custom(&all))?;
    let newest = rendered.last().map(|(_, files)| files.as_slice()).unwrap_or_default();
    let (strict, others): (Vec<_>, Vec<_>) =
        newest.iter().cloned().partition(|file| file.file_stem().is_some_and(|name| name == STRICT));
    ensure!(!strict.is_empty(), "there is no example {STRICT}");
    done("checkov", &mut chart.checkov(&strict, &chart.without_exceptions()?))?;
    done("checkov", &mut chart.checkov(&others, &chart.root.join(".checkov.yaml")))?;
    configuration::check(workspace, newest)?;
    every_service_has_its_route(newest)?;
    let inventory = Inventory::read(workspace)?;
    alerts::check(workspace, &chart, &inventory, newest)?;
    let queries = dashboards::check(workspace, &chart, &inventory)?;
    let refused = refused::check(&chart)?;
    let recipe = workspace.root.join("deploy/Dockerfile");
    done("hadolint", chart.hadolint().arg(recipe))?;
    let composed = compose::check(workspace, &chart)?;
    println!(
        "    {} examples for Kubernetes {}, {refused} refused, {queries} queries, {} files; {composed} for compose",
        examples.len(),
        KUBERNETES.join(", "),
        all.len()
    );
    Ok(())
}

/// The chart, and what it is checked with.
struct Chart<'a> {
    tools: &'a ChartTools,
    root: PathBuf,
    work: PathBuf,
}

impl Chart<'_> {
    fn see_that_validators_refuse(&self) -> Result<()> {
        let bad = self.work.join("bad");
        let file = |name: &str, text: &str| {
            let path = bad.join(name);
            write(&path, text)?;
            anyhow::Ok(path)
        };
        let core = file("core.yaml", BAD_CORE)?;
        must_refuse("kubernetes-validate", "prots", &mut self.core("1.35", &[core]))?;
        for (custom, says) in BAD_CUSTOM.iter().zip(["hostnames", "example.org/v1 Unheard"]) {
            must_refuse("custom resources", says, &mut self.custom(&[file("custom.yaml", custom)?]))?;
        }
        must_refuse(
            "checkov",
            "CKV_K8S_16",
            &mut self.checkov(&[file("pod.yaml", BAD_POD)?], &self.without_exceptions()?),
        )?;
        must_refuse("hadolint", "DL3006", self.hadolint().arg(file("Dockerfile", BAD_RECIPE)?))?;
        let values = file("values.yaml", "image: [\n")?;
        must_refuse("helm lint", "values", &mut self.helm(&["lint", "--strict", "--values", text(&values)]))
    }

    /// The names of the examples.
    fn examples(&self) -> Result<Vec<String>> {
        let folder = self.root.join("examples");
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let names = entries.flatten().map(|entry| entry.path());
        let mut names: Vec<_> =
            names.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        ensure!(!names.is_empty(), "{} is empty", folder.display());
        Ok(names)
    }

    /// Each example for each Kubernetes, by version.
    fn render(&self, examples: &[String]) -> Result<Vec<(&'static str, Vec<PathBuf>)>> {
        let mut rendered = Vec::new();
        for version in KUBERNETES {
            let mut files = Vec::new();
            for example in examples {
                let values = self.root.join(format!("examples/{example}.yaml"));
                let mut helm = self.template(version);
                let output = answer(helm.arg("--values").arg(values))?;
                ensure!(output.status.success(), "{example} for {version}: {}", said(&output).trim());
                let path = self.work.join(version).join(format!("{example}.yaml"));
                write(&path, &String::from_utf8_lossy(&output.stdout))?;
                files.push(path);
            }
            rendered.push((version, files));
        }
        Ok(rendered)
    }

    fn helm(&self, words: &[&str]) -> Command {
        let mut helm = Command::new(&self.tools.helm);
        helm.args(words).arg(&self.root);
        helm
    }

    fn template(&self, version: &str) -> Command {
        self.helm(&["template", "roamline", "--namespace", "telephony", "--kube-version", version])
    }

    fn core(&self, version: &str, files: &[PathBuf]) -> Command {
        let mut validate = self.tools.python("kubernetes-validate");
        validate.args(["--strict", "--quiet", "--no-warn", "-k", version]).args(files);
        validate
    }

    fn custom(&self, files: &[PathBuf]) -> Command {
        let mut node = Command::new("node");
        // Packages are found from the folder in which node is, not from that of the script.
        node.current_dir(&self.tools.models)
            .args(["--input-type=module", "--eval", RESOURCES, "--"])
            .args(files);
        node
    }

    /// What checkov reads in place of a list of exceptions: it finds one by itself in the folder that it runs in.
    fn without_exceptions(&self) -> Result<PathBuf> {
        let path = self.work.join("no-exceptions.yaml");
        std::fs::create_dir_all(&self.work).context("cannot create the folder for what is rendered")?;
        std::fs::write(&path, "skip-check: []\n").context("cannot write an empty list of exceptions")?;
        Ok(path)
    }

    fn checkov(&self, files: &[PathBuf], exceptions: &Path) -> Command {
        let mut checkov = self.tools.python("checkov");
        checkov.args([
            "--framework",
            "kubernetes",
            "--compact",
            "--quiet",
            "--skip-download",
            "--config-file",
        ]);
        checkov.arg(exceptions);
        for file in files {
            checkov.arg("--file").arg(file);
        }
        checkov
    }

    fn hadolint(&self) -> Command {
        let mut hadolint = self.tools.python("hadolint");
        hadolint.args(["--no-color", "--failure-threshold", "info"]);
        hadolint
    }
}

/// That routes are for all services of the contract and for nothing else.
fn every_service_has_its_route(files: &[PathBuf]) -> Result<()> {
    let services = RPCS.values().filter_map(|rpc| rpc.path.trim_start_matches('/').split('/').next());
    let services: BTreeSet<String> =
        services.filter(|service| !OF_CLUSTERS.contains(service)).map(str::to_owned).collect();
    let mut routed = BTreeSet::new();
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix("service: roamline."));
        routed.extend(lines.map(|rest| format!("roamline.{rest}")));
    }
    ensure!(
        services == routed,
        "templates/_components.tpl: services of the protos without a route: {:?}; routes without a service: {:?}",
        services.difference(&routed).collect::<Vec<_>>(),
        routed.difference(&services).collect::<Vec<_>>()
    );
    Ok(())
}

/// That a check passes; what it says is the error where it does not.
fn done(check: &str, command: &mut Command) -> Result<()> {
    let output = answer(command)?;
    ensure!(output.status.success(), "{check}: {}\n{}", output.status, said(&output).trim());
    Ok(())
}

/// That a check fails, and for that reason.
fn must_refuse(check: &str, says: &str, command: &mut Command) -> Result<()> {
    let output = answer(command)?;
    ensure!(
        !output.status.success() && said(&output).contains(says),
        "{check} does not see what it must refuse ({says}): {}\n{}",
        output.status,
        said(&output).trim()
    );
    Ok(())
}

fn answer(command: &mut Command) -> Result<Output> {
    command.output().with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a path without a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_refuses_for_another_reason_or_not_at_all_is_not_believed() {
        let shell = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]);
            shell
        };
        assert!(must_refuse("x", "typo", &mut shell("echo a typo >&2; exit 1")).is_ok());
        assert!(must_refuse("x", "typo", &mut shell("echo no such file; exit 1")).is_err());
        assert!(must_refuse("x", "typo", &mut shell("echo a typo")).is_err());
    }

    #[test]
    fn services_without_a_route_are_named() {
        let refused = every_service_has_its_route(&[]).unwrap_err().to_string();
        assert!(refused.contains("roamline.auth.v1.AuthService"), "{refused}");
    }
}
