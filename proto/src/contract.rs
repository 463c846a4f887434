//! What the protos declare about each RPC and each reason, read from the descriptor set once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, ExtensionDescriptor, Value};

use crate::error::{ErrorReason, ReasonFacts};

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
    /// The scope a token must carry, or [`PUBLIC`].
    pub required_scope: String,
    /// The reasons it can give beyond those that any RPC can.
    pub reasons: Vec<ErrorReason>,
    /// `NO_SIDE_EFFECTS`, `IDEMPOTENT` or `IDEMPOTENCY_UNKNOWN`.
    pub idempotency: String,
    /// The comment above it.
    pub comment: String,
}

/// Every RPC of the contract by its path.
pub static RPCS: LazyLock<BTreeMap<String, Rpc>> = LazyLock::new(|| {
    let scope = POOL.get_extension_by_name("roamline.options.v1.required_scope");
    let reasons = POOL.get_extension_by_name("roamline.options.v1.reasons");
    POOL.services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| {
            let options = method.options();
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let rpc = Rpc {
                path: path.clone(),
                required_scope: text(&options, scope.as_ref()),
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
        ];
        for number in 1..200 {
            let Ok(reason) = ErrorReason::try_from(number) else { continue };
            let declared = RPCS.values().any(|rpc| rpc.reasons.contains(&reason));
            assert!(declared || common.contains(&reason), "no RPC declares {}", reason.as_str_name());
        }
    }
}
