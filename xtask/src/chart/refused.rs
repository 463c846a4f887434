//! Values that must be refused: misspelt ones by the schema, those that contradict each other by the chart's own checks,
//! each with what to do about it.

use anyhow::{Result, ensure};

use super::{Chart, answer, said};

/// Settings over an example, and what is said of them.
const REFUSED: [(&str, &[&str], &str); 31] = [
    ("quickstart", &["replica=3"], "replica"),
    ("quickstart", &["components.session.replica=3"], "replica"),
    ("quickstart", &["components.sesion.replicas=3"], "sesion"),
    ("quickstart", &["defaults.replicas=0"], "minimum"),
    ("quickstart", &["config.server.drian_for=5s"], "drian_for"),
    ("quickstart", &["config.store.url=postgres://here"], "url"),
    ("quickstart", &["config.server.max_connections=many"], "max_connections"),
    ("quickstart", &["image.digest=latest"], "digest"),
    ("quickstart", &["config.server.drain_for=soon"], "not a length of time"),
    ("quickstart", &["database.existingSecret="], "database.existingSecret is not set"),
    ("quickstart", &["administrator.existingSecret="], "administrator.existingSecret is not set"),
    ("quickstart", &["redis.existingSecret="], "none of redis.existingSecret"),
    ("quickstart", &["redis.cluster={redis://a:1}"], "exclude each other"),
    ("quickstart", &["identity.secret.existingSecret="], "neither identity.secret.existingSecret"),
    ("quickstart", &["identity.spiffe.trustDomain=example.org"], "needs tls.enabled"),
    ("quickstart", &["tls.enabled=true"], "tls.enabled needs"),
    ("quickstart", &["tls.existingSecret=x"], "tls.enabled is false"),
    ("quickstart", &["federation.enabled=true"], "clusters know each other by their certificates"),
    ("quickstart", &["federation.address=https://here"], "federation.enabled is false"),
    ("federated", &["federation.spiffeId="], "as whom do other clusters know this one"),
    ("federated", &["clusterId=paris"], "does not end with the id of the cluster"),
    ("quickstart", &["defaults.podDisruptionBudget.maxUnavailable=0"], "keep nodes from being drained"),
    ("quickstart", &["defaults.serviceAccount.create=false"], "serviceAccount.name is not set"),
    ("production", &["defaults.autoscaling.maxReplicas=1"], "more than maxReplicas"),
    ("quickstart", &["defaults.autoscaling.keda.enabled=true"], "autoscaling.enabled is not"),
    ("gateway-api", &["components.session.autoscaling.extraMetrics={x}"], "with KEDA they are"),
    ("production", &["defaults.autoscaling.keda.triggers={x}"], "keda.enabled is not"),
    ("production", &["monitoring.serviceMonitor.enabled=true"], "counted twice"),
    ("federated", &["networkPolicy.monitoring=null"], "networkPolicy.monitoring is empty"),
    ("gateway-api", &["gatewayApi.httpRoute.hostnames={grpc.roamline.example.org}"], "host of its own"),
    ("gateway-api", &["tls.clients.certificates=required"], "shows the services no certificate"),
];

/// Sees that each is refused, and counts them.
pub(super) fn check(chart: &Chart<'_>) -> Result<usize> {
    for (example, settings, says) in REFUSED {
        let mut helm = chart.template(super::KUBERNETES[0]);
        helm.arg("--values").arg(chart.root.join(format!("examples/{example}.yaml")));
        for setting in settings {
            helm.args(["--set", setting]);
        }
        let output = answer(&mut helm)?;
        let said = said(&output);
        ensure!(
            !output.status.success() && said.contains(says),
            "{example} with {} is not refused with {says:?}: {}",
            settings.join(" and "),
            said.lines().last().unwrap_or_default()
        );
    }
    Ok(REFUSED.len())
}
