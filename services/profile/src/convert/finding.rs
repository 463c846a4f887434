//! Findings of the contact-centre rules.

use roamline_domain::contact_centre::Finding;
use roamline_proto::profile as wire;

use super::enums::Twin;

/// Findings on the wire.
pub(crate) fn findings(from: &[Finding]) -> Vec<wire::Finding> {
    from.iter()
        .map(|finding| wire::Finding {
            rule: finding.rule.to_owned(),
            field: finding.field.clone(),
            message: finding.message.clone(),
            severity: finding.severity.number(),
        })
        .collect()
}
