// Holds the custom resources in the given files against their models. A kind that has no model and is none of Kubernetes's
// own is an error: it would otherwise have been looked at by nobody.
import { readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";

const packages = {
  "cert-manager.io": "cert-manager",
  "external-secrets.io": "external-secrets",
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};
const own = ["", "apps", "autoscaling", "batch", "policy", "networking.k8s.io"];

let wrong = 0;
for (const file of process.argv.slice(1)) {
  for (const document of parseAllDocuments(readFileSync(file, "utf8"))) {
    const resource = document.toJS();
    if (!resource) continue;
    const [group, version] = resource.apiVersion.includes("/") ? resource.apiVersion.split("/") : ["", resource.apiVersion];
    if (own.includes(group)) continue;
    const name = `${file}: ${resource.apiVersion} ${resource.kind} ${resource.metadata?.name}`;
    try {
      if (!packages[group]) throw new Error("there is no model of it");
      const models = await import(`@kubernetes-models/${packages[group]}/${group}/${version}`);
      if (!models[resource.kind]) throw new Error("there is no model of it");
      new models[resource.kind](resource).validate();
    } catch (error) {
      wrong += 1;
      console.error(`${name}: ${error.message}`);
    }
  }
}
process.exit(wrong ? 1 : 0);
