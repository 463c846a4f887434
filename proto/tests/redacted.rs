//! Every message that carries a secret is among those whose `Debug` is written by hand.
#![allow(clippy::unwrap_used, reason = "a test may fail so")]

use prost_reflect::Kind;
use roamline_proto::contract::POOL;

/// How fields are called that carry one.
const SECRET: [&str; 8] = [
    "pin",
    "password",
    "secret",
    "access_token",
    "refresh_token",
    "id_token",
    "call_blocking_pin",
    "private_key",
];

#[test]
fn no_message_with_a_secret_has_a_derived_debug() {
    let build = include_str!("../build.rs");
    let mut carrying = 0;
    for message in POOL.all_messages().filter(|message| message.full_name().starts_with("roamline.")) {
        let fields = message.fields();
        let secret = fields.filter(|field| {
            let text = matches!(field.kind(), Kind::String | Kind::Bytes);
            text && (SECRET.contains(&field.name())
                || SECRET.iter().any(|end| field.name().ends_with(&format!("_{end}"))))
        });
        for field in secret {
            carrying += 1;
            let named = format!("\"{}\"", message.full_name());
            assert!(build.contains(&named), "{} is printed by the Debug of {named}", field.name());
        }
    }
    assert!(carrying >= 4, "the PIN, the password, the token and the call-blocking PIN");
}
