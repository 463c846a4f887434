//! The services with the configuration that the chart writes for a cluster with federation: what helm renders is taken as
//! it is, but for folders, ports and hosts, and each service becomes ready with it. helm is in the target directory, where
//! `cargo xtask test` and `cargo xtask chart` put it.

use std::net::SocketAddr;
use std::process::Command;

use crate::postgres::starter::Server as Database;
use crate::process::{roamline, text};
use crate::redis::starter::Redis;
use crate::serve_role::{Apart, Authority, Running, address};

/// The example with federation, which has every service.
const EXAMPLE: &str = "examples/federated.yaml";
const SERVICES: [&str; 4] = ["auth", "profile", "session", "emcc"];
/// Where the chart puts secrets.
const SECRETS: &str = "/run/secrets/roamline";

/// What helm renders of an example.
fn rendered() -> String {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../helm/roamline");
    let exe = std::env::current_exe().expect("the test knows its own path");
    let helm = exe.ancestors().nth(3).expect("target/PROFILE/deps/product").join("tools/chart/helm/helm");
    assert!(helm.is_file(), "helm is missing: `cargo xtask chart` puts it there");
    let mut template = Command::new(helm);
    template.args(["template", "roamline", chart, "--namespace", "telephony", "--values"]);
    let output = template.arg(format!("{chart}/{EXAMPLE}")).output().expect("helm runs");
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).expect("YAML")
}

/// The configuration of a service in it.
fn configuration(rendered: &str, service: &str) -> String {
    let name = format!("\n  name: roamline-{service}\n");
    let document = rendered
        .split("\n---\n")
        .find(|document| document.contains("\nkind: ConfigMap\n") && document.contains(&name))
        .unwrap_or_else(|| panic!("no configuration of {service}"));
    let (_, body) = document.split_once("  roamline.toml: |\n").expect("a configuration");
    body.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}

#[test]
fn each_service_becomes_ready_with_what_the_chart_writes() {
    let redis = Redis::start(&[]);
    let apart = Apart::new("chart", &redis);
    let (authority, rendered) = (Authority::new(&apart), rendered());
    let listen: Vec<(&str, SocketAddr)> = SERVICES.map(|service| (service, address(&redis))).into();
    let start = |service: &str, listens: SocketAddr| {
        let folder = apart.site.home().join(service);
        let write = |name: &str, content: &str| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        // As the chart asks cert-manager for them.
        let id = match service {
            "emcc" => "spiffe://example.org/roamline/berlin".to_owned(),
            other => format!("spiffe://berlin.example.org/ns/telephony/roamline-{other}"),
        };
        for (name, content) in authority.issue(&id) {
            write(&format!("tls/{name}"), &content);
        }
        write("database/url", &Database::of_all().url("chart"));
        write("redis/url", &redis.url());
        write("administrator/password", "a-password-of-the-chart");
        let mut toml = configuration(&rendered, service).replace(SECRETS, folder.to_str().unwrap());
        for (name, at) in &listen {
            toml = toml.replace(&format!("roamline-{name}-headless.telephony.svc:7400"), &at.to_string());
        }
        assert!(!toml.contains("telephony.svc"), "{toml}");
        write("roamline.toml", &toml);
        let file = folder.join("roamline.toml");
        if service == SERVICES[0] {
            let mut migrate = roamline(apart.site.home());
            let migrated = migrate.arg("migrate").arg("--config").arg(&file).output().unwrap();
            assert!(migrated.status.success(), "{}", text(&migrated));
        }
        let mut serve = roamline(apart.site.home());
        serve.args(["serve", service, "--cluster-id=berlin", "--admin-listen=127.0.0.1:0"]);
        serve
            .arg(format!("--listen={listens}"))
            .arg("--config")
            .arg(&file)
            .arg("--data")
            .arg(folder.join("data"));
        Running::start(serve)
    };
    let started: Vec<_> = listen.iter().map(|(service, listens)| start(service, *listens)).collect();
    let ready: Vec<_> = started.into_iter().map(Running::ready).collect();
    for service in ready {
        assert!(service.stop().success());
    }
}
