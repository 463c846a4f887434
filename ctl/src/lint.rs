//! `lint`: what is wrong with the directory as a whole, and, where nobody has to decide, mending it.

mod fix;

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;
use roamline_proto::profile::lint_service_client::LintServiceClient;
use roamline_proto::profile::{LintFinding, LintRequest, LintResponse};

use crate::client::Client;
use crate::directory::ask;
use crate::exit::{Exit, Failure};
use crate::output::{Out, remark, table};
use crate::words::of_enum;

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// Set what is wrong to the values that the rules ask for, where nobody has to decide; shows the changes first
    #[arg(long)]
    fix: bool,
    /// With --fix: do not ask before the changes are made
    #[arg(long, requires = "fix")]
    yes: bool,
    /// Findings at most, the gravest first
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=5000))]
    limit: u32,
}

pub(crate) async fn run(args: Lint, client: &Client, out: &mut Out) -> Result<(), Failure> {
    let mut found = lint(args.limit, client).await?;
    if args.fix {
        let changes = fix::changes(&found.findings);
        if changes.is_empty() {
            remark("nothing of this is mended without somebody deciding");
        } else {
            remark(&fix::described(&changes));
            confirm(args.yes, changes.len())?;
            fix::make(&changes, client).await?;
            found = lint(args.limit, client).await?;
        }
    }
    out.message(&found, shown)?;
    match found.grave_count {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Findings, "the directory has 1 error or warning")),
        count => Err(Failure::new(Exit::Findings, format!("the directory has {count} errors and warnings"))),
    }
}

async fn lint(limit: u32, client: &Client) -> Result<LintResponse, Failure> {
    ask!(client, LintServiceClient::lint, LintRequest { limit })
}

fn shown(found: &LintResponse) -> String {
    if found.findings.is_empty() {
        return "nothing is wrong".into();
    }
    let mut text = table(&["SEVERITY", "RULE", "RESOURCE", "WHAT IS WRONG", "WHAT WOULD MEND IT"], {
        found.findings.iter().map(row)
    });
    let hidden = u64::from(found.total_count).saturating_sub(found.findings.len() as u64);
    if hidden > 0 {
        text.push_str(&format!("\nand {hidden} more"));
    }
    text
}

fn row(finding: &LintFinding) -> Vec<String> {
    let wrong = match finding.field.as_str() {
        "" => finding.message.clone(),
        field => format!("{field}: {}", finding.message),
    };
    vec![
        of_enum(finding.severity().as_str_name(), "LINT_SEVERITY_"),
        finding.rule.clone(),
        format!("{} {}", finding.kind, finding.name),
        wrong,
        finding.remedy.clone(),
    ]
}

/// Asks at the terminal; without one, only `--yes` consents.
fn confirm(yes: bool, count: usize) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("there is no terminal to ask whether to make these changes")
            .detail("nothing was changed")
            .hint("--yes makes them unasked"));
    }
    write!(io::stderr(), "change {count} resources? [y/N] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::other("nothing was changed")),
    }
}

#[cfg(test)]
mod tests {
    use roamline_proto::profile::LintSeverity;

    use super::*;

    #[test]
    fn findings_are_a_table_that_says_how_many_are_not_in_it() {
        let finding = LintFinding {
            rule: "CC-8".into(),
            kind: "service-parameters".into(),
            name: "cluster".into(),
            field: "f".into(),
            message: "is off".into(),
            remedy: "turn it on".into(),
            severity: LintSeverity::Warning.into(),
            fix: Vec::new(),
        };
        let found = LintResponse { findings: vec![finding], total_count: 3, grave_count: 1 };
        let text = shown(&found);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1].join(" "), "warning CC-8 service-parameters cluster f: is off turn it on");
        assert_eq!(lines[2], ["and", "2", "more"]);
        assert_eq!(shown(&LintResponse::default()), "nothing is wrong");
    }
}
