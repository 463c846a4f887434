//! What is wrong with the directory as a whole.

use roamline_domain::lint::{LintFinding, LintSeverity};
use roamline_proto::profile as wire;
use tonic::{Request, Response, Status, async_trait};
use wire::lint_service_server::LintService;

use super::status::answer;
use crate::{Profile, refusal};

const USUAL: u32 = 1000;
const MOST: u32 = 5000;

#[async_trait]
impl LintService for Profile {
    async fn lint(
        &self,
        request: Request<wire::LintRequest>,
    ) -> Result<Response<wire::LintResponse>, Status> {
        let limit = match request.into_inner().limit {
            0 => USUAL,
            limit => limit.min(MOST),
        };
        answer(self.lint().await.map(|found| {
            let grave = found.iter().filter(|finding| finding.severity > LintSeverity::Advice).count();
            wire::LintResponse {
                total_count: count(found.len()),
                grave_count: count(grave),
                findings: found.iter().zip(0..limit).map(|(finding, _)| on_the_wire(finding)).collect(),
            }
        }))
    }
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

fn on_the_wire(from: &LintFinding) -> wire::LintFinding {
    let severity = match from.severity {
        LintSeverity::Advice => wire::LintSeverity::Advice,
        LintSeverity::Warning => wire::LintSeverity::Warning,
        LintSeverity::Error => wire::LintSeverity::Error,
    };
    let fix = from.fix.iter().map(|change| wire::FieldChange {
        field: change.field.clone(),
        from: change.from.to_string(),
        to: change.to.to_string(),
    });
    wire::LintFinding {
        rule: from.rule.to_owned(),
        kind: from.resource.kind.as_str().to_owned(),
        name: refusal::name(&from.resource).to_owned(),
        field: from.field.clone(),
        message: from.message.clone(),
        remedy: from.remedy.clone(),
        severity: severity.into(),
        fix: fix.collect(),
    }
}
