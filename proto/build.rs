//! Compiles the protos without protoc: a descriptor set that keeps our custom options, and the Rust code.

use std::path::{Path, PathBuf};

/// Messages that carry a PIN, a password or a token: their `Debug` is written by hand in `redacted.rs`.
const SECRETS: &[&str] = &[
    "roamline.auth.v1.Credential",
    "roamline.auth.v1.Credential.kind",
    "roamline.auth.v1.SignInResponse",
    "roamline.auth.v1.RefreshTokenRequest",
    "roamline.auth.v1.RefreshTokenResponse",
    "roamline.auth.v1.SignOutRequest",
    "roamline.auth.v1.IssueServiceTokenRequest",
    "roamline.auth.v1.IssueServiceTokenResponse",
    "roamline.emcc.v1.CreateInvitationResponse",
    "roamline.emcc.v1.AcceptInvitationRequest",
    "roamline.emcc.v1.RedeemInvitationRequest",
    "roamline.profile.v1.DeviceSettings",
];

/// Bytes that are passed on as they came, without a copy.
const RENDERINGS: &[&str] = &[
    ".roamline.profile.v1.PrepareLoginResponse.rendering",
    ".roamline.profile.v1.PrepareLoginResponse.logout_rendering",
    ".roamline.profile.v1.PrepareLogoutResponse.rendering",
    ".roamline.profile.v1.PreparedLogout.rendering",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("roamline");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let encoded = compiler.encode_file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("roamline.binpb"), &encoded)?;

    let mut config = tonic_prost_build::Config::new();
    // Maps in one order, so that equal messages are equal bytes: renderings are compared so.
    config.btree_map(["."]);
    // Renderings are passed on without a look at them.
    config.bytes(RENDERINGS);
    config.enable_type_names().skip_debug(SECRETS);
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .codec_path("crate::codec::Codec")
        .compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    Ok(())
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            into.push(path);
        }
    }
    Ok(())
}
