//! What the protos declare about each RPC and each reason, read from the descriptor set once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor, Value};

use crate::error::{ErrorReason, ReasonFacts};
use crate::options::{Admission, Reach};

/// All descriptors of the contract.
#[allow(clippy::expect_used, reason = "the descriptor set is part of the program; a test decodes it")]
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(crate::FILE_DESCRIPTOR_SET).expect("the embedded descriptor set is well-formed")
});

/// The scope that marks an RPC which needs no token.
pub const PUBLIC: &str = "public";

/// What an RPC declares about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rpc {
    /// `/package.Service/Method`, as in the request's path.
    pub path: String,
    /// The scope with which a caller reaches everything, or [`PUBLIC`].
    pub required_scope: String,
    /// Other scopes that open it, and how far each reaches.
    pub admits: Vec<(String, Reach)>,
    /// The reasons it can give beyond those that any RPC can.
    pub reasons: Vec<ErrorReason>,
    /// `NO_SIDE_EFFECTS`, `IDEMPOTENT` or `IDEMPOTENCY_UNKNOWN`.
    pub idempotency: String,
    /// The comment above it.
    pub comment: String,
}

impl Rpc {
    /// How far a caller with these scopes reaches: the farthest of what they give, `None` where he is not let in.
    pub fn reach(&self, has: impl Fn(&str) -> bool) -> Option<Reach> {
        if self.required_scope == PUBLIC || has(&self.required_scope) {
            return Some(Reach::Everything);
        }
        let reached = self.admits.iter().filter(|(scope, _)| has(scope)).map(|(_, reach)| *reach);
        reached.max_by_key(|reach| (*reach == Reach::Everything, *reach))
    }
}

/// Every RPC of the contract by its path.
pub static RPCS: LazyLock<BTreeMap<String, Rpc>> = LazyLock::new(|| {
    let scope = POOL.get_extension_by_name("roamline.options.v1.required_scope");
    let admits = POOL.get_extension_by_name("roamline.options.v1.admits");
    let reasons = POOL.get_extension_by_name("roamline.options.v1.reasons");
    POOL.services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| {
            let options = method.options();
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let rpc = Rpc {
                path: path.clone(),
                required_scope: text(&options, scope.as_ref()),
                admits: admissions(&options, admits.as_ref()),
                reasons: numbers(&options, reasons.as_ref()),
                idempotency: idempotency(&options),
                comment: comment(method.parent_file().file_descriptor_proto(), method.path()),
            };
            (path, rpc)
        })
        .collect()
});

/// What is fixed about a reason: its gRPC code, its EM API code, whether a retry helps.
pub fn facts(reason: ErrorReason) -> ReasonFacts {
    static FACTS: LazyLock<BTreeMap<i32, ReasonFacts>> = LazyLock::new(|| {
        let (Some(list), Some(facts)) = (
            POOL.get_enum_by_name("roamline.error.v1.ErrorReason"),
            POOL.get_extension_by_name("roamline.error.v1.facts"),
        ) else {
            return BTreeMap::new();
        };
        list.values()
            .filter_map(|value| {
                let options = value.options();
                let Value::Message(message) = options.get_extension(&facts).into_owned() else { return None };
                Some((value.number(), message.transcode_to().ok()?))
            })
            .collect()
    });
    FACTS.get(&(reason as i32)).cloned().unwrap_or_default()
}

/// The comment above a reason in the proto.
pub fn meaning(reason: ErrorReason) -> String {
    POOL.get_enum_by_name("roamline.error.v1.ErrorReason")
        .and_then(|list| {
            let value = list.get_value(reason as i32)?;
            Some(comment(list.parent_file().file_descriptor_proto(), value.path()))
        })
        .unwrap_or_default()
}

fn text(options: &DynamicMessage, extension: Option<&ExtensionDescriptor>) -> String {
    extension.and_then(|e| options.get_extension(e).as_str().map(str::to_owned)).unwrap_or_default()
}

/// An admission whose reach is not said admits nobody: it is left out.
fn admissions(options: &DynamicMessage, extension: Option<&ExtensionDescriptor>) -> Vec<(String, Reach)> {
    let Some(extension) = extension else { return Vec::new() };
    let value = options.get_extension(extension);
    let list = value.as_list().unwrap_or_default();
    list.iter()
        .filter_map(|value| value.as_message()?.transcode_to::<Admission>().ok())
        .map(|admission| (admission.scope.clone(), admission.reach()))
        .filter(|(_, reach)| *reach != Reach::Unspecified)
        .collect()
}

fn numbers(options: &DynamicMessage, extension: Option<&ExtensionDescriptor>) -> Vec<ErrorReason> {
    let Some(extension) = extension else { return Vec::new() };
    let value = options.get_extension(extension);
    let list = value.as_list().unwrap_or_default();
    list.iter().filter_map(|v| ErrorReason::try_from(v.as_enum_number()?).ok()).collect()
}

fn idempotency(options: &DynamicMessage) -> String {
    let number =
        options.get_field_by_name("idempotency_level").and_then(|v| v.as_enum_number()).unwrap_or_default();
    match number {
        1 => "NO_SIDE_EFFECTS",
        2 => "IDEMPOTENT",
        _ => "IDEMPOTENCY_UNKNOWN",
    }
    .to_owned()
}

fn comment(file: &prost_types::FileDescriptorProto, path: &[i32]) -> String {
    file.source_code_info
        .iter()
        .flat_map(|info| &info.location)
        .find(|location| location.path == path)
        .map(|location| {
            let lines: Vec<_> = location.leading_comments().lines().map(str::trim).collect();
            lines.join(" ").trim().to_owned()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_declares_its_scope_and_its_idempotency() {
        assert!(!RPCS.is_empty());
        for rpc in RPCS.values() {
            assert!(!rpc.required_scope.is_empty(), "{} declares no required_scope", rpc.path);
            assert!(!rpc.comment.is_empty(), "{} has no comment", rpc.path);
        }
        for method in POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let said = method.options().has_field_by_name("idempotency_level");
            assert!(said, "{} declares no idempotency_level", method.full_name());
        }
    }

    #[test]
    fn an_rpc_that_admits_other_scopes_says_how_far_each_reaches_and_names_none_twice() {
        let extension = POOL.get_extension_by_name("roamline.options.v1.admits").unwrap();
        let methods = POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        for method in methods {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let rpc = &RPCS[&path];
            let declared = method.options().get_extension(&extension).as_list().unwrap().len();
            assert_eq!(rpc.admits.len(), declared, "{path} admits a scope without a reach");
            let mut scopes: Vec<_> = rpc.admits.iter().map(|(scope, _)| scope).collect();
            scopes.push(&rpc.required_scope);
            scopes.sort();
            assert!(scopes.windows(2).all(|pair| pair[0] != pair[1]), "{path} names a scope twice");
            assert!(rpc.required_scope != PUBLIC || rpc.admits.is_empty(), "{path} is public");
        }
    }

    #[test]
    fn a_caller_reaches_as_far_as_the_farthest_of_his_scopes() {
        let rpc = &RPCS["/roamline.session.v1.SessionService/Logout"];
        let with = |scopes: &'static [&str]| rpc.reach(|scope| scopes.contains(&scope));
        assert_eq!(with(&["directory.read"]), None);
        assert_eq!(with(&["session.own"]), Some(Reach::Own));
        assert_eq!(with(&["session.team", "session.own"]), Some(Reach::Team));
        assert_eq!(with(&["session.associated"]), Some(Reach::Associated));
        assert_eq!(with(&["session.end", "session.associated"]), Some(Reach::Everything));
        assert_eq!(with(&["session.own", "session.manage"]), Some(Reach::Everything));
    }

    #[test]
    fn every_reason_has_a_grpc_code_and_a_meaning() {
        for number in 1..200 {
            let Ok(reason) = ErrorReason::try_from(number) else { continue };
            let code = facts(reason).grpc_code;
            assert!((1..=16).contains(&code), "{} has no gRPC code", reason.as_str_name());
            assert!(!meaning(reason).is_empty(), "{} has no comment", reason.as_str_name());
        }
    }

    #[test]
    fn every_reason_but_the_common_ones_is_declared_by_an_rpc() {
        let common = [
            ErrorReason::Internal,
            ErrorReason::InvalidRequest,
            ErrorReason::TokenMissing,
            ErrorReason::TokenInvalid,
            ErrorReason::ScopeMissing,
            ErrorReason::StoreUnavailable,
            ErrorReason::ServiceUnavailable,
            ErrorReason::ClientNotAllowed,
        ];
        for number in 1..200 {
            let Ok(reason) = ErrorReason::try_from(number) else { continue };
            let declared = RPCS.values().any(|rpc| rpc.reasons.contains(&reason));
            assert!(declared || common.contains(&reason), "no RPC declares {}", reason.as_str_name());
        }
    }
}
