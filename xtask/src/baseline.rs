//! `cargo xtask baseline`: today's protos become the ones that `buf breaking` compares with. Done with a release, or
//! when a break is meant; the commit says why.

use anyhow::{Context, Result};
use prost::Message;
use prost_reflect::{DynamicMessage, Value};
use roamline_proto::contract::POOL;

use crate::test::BASELINE;
use crate::workspace::Workspace;

/// Writes `proto/baseline.binpb`.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    let path = workspace.root.join("proto").join(BASELINE);
    let bytes = without_source_info(roamline_proto::FILE_DESCRIPTOR_SET)?;
    std::fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    println!("    {} ({} bytes)", workspace.relative(&path).display(), bytes.len());
    Ok(())
}

/// The descriptor set without comments and positions. Our own options stay: the message that is read knows them.
fn without_source_info(set: &[u8]) -> Result<Vec<u8>> {
    let descriptor = POOL
        .get_message_by_name("google.protobuf.FileDescriptorSet")
        .context("the descriptor set does not hold descriptor.proto")?;
    let mut set = DynamicMessage::decode(descriptor, set)?;
    let files = set.get_field_by_name_mut("file").and_then(Value::as_list_mut).context("no files")?;
    for file in files.iter_mut().filter_map(Value::as_message_mut) {
        file.clear_field_by_name("source_code_info");
    }
    Ok(set.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    #[test]
    fn the_baseline_keeps_scopes_and_drops_comments() {
        let bytes = without_source_info(roamline_proto::FILE_DESCRIPTOR_SET).unwrap();
        let pool = DescriptorPool::decode(bytes.as_slice()).unwrap();
        assert!(pool.file_descriptor_protos().all(|file| file.source_code_info.is_none()));
        let scope = pool.get_extension_by_name("roamline.options.v1.required_scope").unwrap();
        let methods: Vec<_> =
            pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
        assert!(!methods.is_empty());
        for method in methods {
            assert!(method.options().has_extension(&scope), "{} has lost its scope", method.full_name());
        }
    }
}
