//! The rules, as data. A new crate gets a row in [`KNOWS`]; a rule that is loosened here is loosened with an ADR.

/// Which of our crates a crate may depend on, dev-dependencies included.
pub(super) enum Knows {
    /// These and no others.
    Only(&'static [&'static str]),
    /// It puts things together, or tests them.
    Everything,
}

/// What a service may know. Never another service: that one is called over gRPC. Its stores are handed to it.
const SERVICE: Knows =
    Knows::Only(&["roamline-domain", "roamline-store", "roamline-proto", "roamline-token", "roamline-serve"]);

/// Every crate of the workspace.
pub(super) const KNOWS: &[(&str, Knows)] = &[
    ("roamline-domain", Knows::Only(&[])),
    ("roamline-store", Knows::Only(&["roamline-domain"])),
    ("roamline-store-sql", Knows::Only(&["roamline-domain", "roamline-store"])),
    ("roamline-store-redis", Knows::Only(&["roamline-domain", "roamline-store"])),
    ("roamline-proto", Knows::Only(&[])),
    ("roamline-token", Knows::Only(&["roamline-proto"])),
    ("roamline-serve", Knows::Only(&["roamline-proto", "roamline-token"])),
    ("roamline-cme", Knows::Only(&["roamline-proto"])),
    ("roamline-auth", SERVICE),
    ("roamline-profile", SERVICE),
    ("roamline-session", SERVICE),
    ("roamline-emcc", SERVICE),
    ("roamline-gateway", Knows::Only(&["roamline-proto", "roamline-token", "roamline-serve"])),
    ("roamctl", Knows::Only(&["roamline-proto", "roamline-cme"])),
    ("roamline", Knows::Everything),
    ("roamline-tests", Knows::Everything),
    ("xtask", Knows::Everything),
];

/// A library that stays behind a wall.
pub(super) struct Confined {
    /// Its name in a manifest; the crates around it (`NAME-*`, `*-NAME`) are meant too.
    pub(super) library: &'static str,
    /// Crates that may use it anywhere.
    pub(super) anywhere_in: &'static [&'static str],
    /// Crates that may use it in their [`EDGES`] only.
    pub(super) at_the_edge_of: &'static [&'static str],
}

/// Files of these names, and files in folders of these names, are where a crate meets the wire.
pub(super) const EDGES: &[&str] = &["grpc", "convert"];

/// Files of these names or that end in `_tests`, and files in folders of these names, are tests: any library will do.
pub(super) const TESTS: &[&str] = &["tests", "benches"];

/// Every library behind a wall.
pub(super) const CONFINED: &[Confined] = &[
    Confined { library: "sea-orm", anywhere_in: &["roamline-store-sql"], at_the_edge_of: &[] },
    Confined { library: "sqlx", anywhere_in: &["roamline-store-sql"], at_the_edge_of: &[] },
    Confined {
        library: "redis",
        anywhere_in: &["roamline-store-redis", "roamline-tests"],
        at_the_edge_of: &[],
    },
    Confined {
        library: "opentelemetry",
        anywhere_in: &["roamline-serve", "roamline-tests"],
        at_the_edge_of: &[],
    },
    Confined {
        library: "tonic",
        anywhere_in: &[
            "roamline-proto",
            "roamline-token",
            "roamline-serve",
            "roamline",
            "roamctl",
            "roamline-tests",
            "roamline-gateway",
        ],
        at_the_edge_of: &["roamline-auth", "roamline-profile", "roamline-session", "roamline-emcc"],
    },
];

/// No crate, module or file is called one of these, nor ends in one (`line_utils`): the name says nothing.
pub(super) const EMPTY_NAMES: &[&str] =
    &["common", "util", "utils", "shared", "core", "helper", "helpers", "manager"];

/// Packages that nothing may pull in, and what is used instead.
pub(super) const BANNED: &[(&str, &str)] = &[
    ("ring", "aws-lc-rs"),
    ("openssl", "rustls with aws-lc-rs"),
    ("openssl-sys", "rustls with aws-lc-rs"),
    ("native-tls", "rustls with aws-lc-rs"),
];
