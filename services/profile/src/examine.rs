//! Whether a resource may be stored: the rules of form, what it refers to, and the contact-centre policy.

use roamline_domain::Violations;
use roamline_domain::catalogue::{Catalogue, UnknownModel};
use roamline_domain::check::{Known, check};
use roamline_domain::contact_centre::{Enforced, Finding, enforce};
use roamline_domain::directory::{Kind, Reference, Resource};
use roamline_domain::parameters::ContactCentrePolicy;
use roamline_domain::subscription::completed;
use roamline_proto::refusal::Refusal;

use crate::refusal;
use crate::surroundings::Surroundings;

/// A resource that may be stored.
pub(crate) struct Examined {
    /// As it shall be stored: with its lines set right where the policy says so (CC-5).
    pub(crate) resource: Resource,
    /// What was warned of or set right.
    pub(crate) findings: Vec<Finding>,
}

/// Why a resource may not be stored.
pub(crate) enum Fault {
    /// It breaks rules.
    Invalid(Violations),
    /// It is sound, but the contact-centre policy refuses it.
    ContactCentre(Vec<Finding>),
}

impl Fault {
    /// As violations of rules, for a batch.
    pub(crate) fn into_violations(self) -> Violations {
        match self {
            Fault::Invalid(found) => found,
            Fault::ContactCentre(findings) => {
                let mut found = Violations::new();
                for finding in findings {
                    found.add(finding.field, finding.rule, finding.message);
                }
                found
            }
        }
    }

    /// As the refusal of a request whose field `field` carries the resource. An unknown model has its own reason.
    pub(crate) fn into_refusal(self, field: &str, unknown: Option<&UnknownModel>) -> Refusal {
        match self {
            Fault::Invalid(found) => {
                let refused = refusal::invalid(refusal::under(field, found));
                match unknown {
                    Some(unknown) => {
                        Refusal { violations: refused.violations, ..refusal::model_unknown(unknown) }
                    }
                    None => refused,
                }
            }
            Fault::ContactCentre(findings) => refusal::contact_centre(&placed(findings, field)),
        }
    }
}

/// Findings with the field that carries the resource before their own.
pub(crate) fn placed(findings: Vec<Finding>, field: &str) -> Vec<Finding> {
    let place = |finding: Finding| Finding { field: format!("{field}.{}", finding.field), ..finding };
    findings.into_iter().map(place).collect()
}

/// The resource as it may be stored, with what its subscriptions copy (DP-11).
///
/// # Errors
/// All that stands in its way.
pub(crate) fn examine(
    mut resource: Resource,
    around: &Surroundings,
    catalogue: &Catalogue,
) -> Result<Examined, Fault> {
    complete_subscriptions(&mut resource, around);
    let mut found = check(&resource, catalogue, around);
    missing(&mut found, &resource, around);
    if !found.is_empty() {
        return Err(Fault::Invalid(found));
    }
    let Resource::UserDeviceProfile(profile) = resource else {
        return Ok(Examined { resource, findings: Vec::new() });
    };
    let policy = match around.takes_as_kept() {
        true => ContactCentrePolicy::Warn,
        false => around.parameters().contact_centre_policy,
    };
    let Enforced { profile, findings } = enforce(profile, policy, around).map_err(Fault::ContactCentre)?;
    Ok(Examined { resource: Resource::UserDeviceProfile(profile), findings })
}

/// The model that a resource names and the catalogue lacks.
pub(crate) fn unknown_model(resource: &Resource, catalogue: &Catalogue) -> Option<UnknownModel> {
    let model = match resource {
        Resource::Phone(phone) => Some(&phone.model),
        Resource::UserDeviceProfile(profile) => profile.made_for.as_ref().map(|made| &made.model),
        Resource::DefaultDeviceProfile(profile) => Some(&profile.model),
        _ => None,
    }?;
    match catalogue.get(model) {
        Some(_) => None,
        None => catalogue.find(model.as_str()).err(),
    }
}

/// DP-11: a subscription that leaves something to its definition copies it.
fn complete_subscriptions(resource: &mut Resource, around: &Surroundings) {
    let subscriber = resource.key();
    for service in resource.settings_mut().into_iter().flat_map(|settings| &mut settings.services) {
        let definition = service.definition.as_ref().and_then(|name| around.phone_service(name));
        if let Some(definition) = definition
            && !around.has_subscription(&subscriber, service)
        {
            *service = completed(service.clone(), definition);
        }
    }
}

/// Notes everything that the resource refers to and that is not there. Lines are for the check of form, which needs them
/// anyway (LL-8).
fn missing(found: &mut Violations, resource: &Resource, around: &Surroundings) {
    let named = resource.named().into_iter().filter(|reference| reference.key.kind != Kind::Line);
    for Reference { field, key, rule } in named.filter(|reference| !around.has(&reference.key)) {
        found.add(field, rule, format!("there is no {} {:?}", key.kind, refusal::name(&key)));
    }
}
