//! What is read from a source, and what is not.

use super::*;

fn notes(path: &str, text: &str) -> Vec<(Role, String, String)> {
    let source = read(Path::new(path), text).unwrap();
    let shown = |ids: &BTreeSet<Id>| ids.iter().map(Id::to_string).collect::<Vec<_>>().join(" ");
    source.notes.into_iter().map(|note| (note.role, note.name, shown(&note.ids))).collect()
}

fn note(role: Role, name: &str, ids: &str) -> (Role, String, String) {
    (role, name.to_owned(), ids.to_owned())
}

#[test]
fn docs_of_items_of_every_kind_are_places() {
    let text = r#"
        //! DP-1.
        /// DP-2.
        pub struct Phone {
            /// DP-3.
            pub name: String,
        }
        /// DP-4.
        enum Choice {
            /// DP-5.
            Own,
        }
        impl Phone {
            /// DP-6.
            fn save(&self) {}
            /// DP-7.
            const MOST: u32 = 1;
        }
        pub trait Store {
            /// DP-8.
            fn load(&self);
        }
        mod inside {
            /// Nothing.
            pub fn other() {}
            /// DP-9 and CC-1.
            pub fn decide() {}
        }
        name!(
            /// DP-10.
            #[derive(Debug)]
            pub struct UserId,
            "user id"
        );
    "#;
    let places = [
        ("the module", "DP-1"),
        ("Phone", "DP-2"),
        ("Phone::name", "DP-3"),
        ("Choice", "DP-4"),
        ("Choice::Own", "DP-5"),
        ("Phone::save", "DP-6"),
        ("Phone::MOST", "DP-7"),
        ("Store::load", "DP-8"),
        ("inside::decide", "DP-9 CC-1"),
        ("UserId", "DP-10"),
    ];
    let places: Vec<_> = places.iter().map(|(name, ids)| note(Role::Place, name, ids)).collect();
    assert_eq!(notes("crates/domain/src/phone.rs", text), places);
}

#[test]
fn docs_of_a_whole_crate_texts_and_comments_are_no_places() {
    let text = r#"
        //! DP-1 and DP-2.
        // DP-3.
        fn f() -> &'static str { "DP-4" }
        macro_rules! name { ($(#[$doc:meta])*) => { /* DP-5 */ } }
    "#;
    assert_eq!(notes("crates/domain/src/lib.rs", text), [note(Role::Aside, "the module", "DP-1 DP-2")]);
}

#[test]
fn tests_are_found_by_name_and_docs_under_every_attribute_and_in_proptest() {
    let text = r#"
        #[cfg(test)]
        mod tests {
            /// DP-9.
            fn fixture() {}
            #[test]
            fn dp_1_plain() {}
            /// Also LL-3.
            #[tokio::test(flavor = "multi_thread")]
            async fn dp_2_waits() {}
            proptest! {
                #![proptest_config(ProptestConfig::with_cases(8))]
                #[test]
                fn dp_3_any(x in 0..3, y: bool) { prop_assert!(x < 3); }
                /// CC-4.
                #[test]
                fn holds_for_any(x in 0..3) {}
                fn dp_4_is_no_test(x in 0..3) {}
            }
            #[test]
            #[ignore = "takes an hour"]
            fn dp_5_is_not_run() {}
            fn dp_6_is_no_test() {}
            #[test]
            fn names_nothing() {}
        }
    "#;
    assert_eq!(
        notes("crates/domain/src/check.rs", text),
        [
            note(Role::Aside, "tests::fixture", "DP-9"),
            note(Role::Test, "dp_1_plain", "DP-1"),
            note(Role::Test, "dp_2_waits", "DP-2 LL-3"),
            note(Role::Test, "dp_3_any", "DP-3"),
            note(Role::Test, "holds_for_any", "CC-4"),
            note(Role::Aside, "dp_5_is_not_run", "DP-5"),
        ]
    );
}

#[test]
fn public_async_functions_beside_the_suite_are_its_cases() {
    let text = r#"
        pub async fn dp_1_names_are_unique(store: Store) {}
        /// DP-20.
        pub async fn stale(store: Store) {}
        async fn dp_2_private() {}
        pub fn dp_3_not_async() {}
    "#;
    let cases = [note(Role::Case, "dp_1_names_are_unique", "DP-1"), note(Role::Case, "stale", "DP-20")];
    assert_eq!(notes("crates/store/src/conformance/directory.rs", text), cases);
    assert_eq!(notes("crates/store/src/directory.rs", text), [note(Role::Place, "stale", "DP-20")]);
}

#[test]
fn the_suite_lists_its_cases_and_is_run_where_it_is_expanded() {
    let suite = "macro_rules! conformance_suite { ($f:expr) => { cases! { directory; a_case, } } }";
    let suite = read(Path::new("crates/store/src/conformance.rs"), suite).unwrap();
    assert!(suite.listed.contains("a_case") && !suite.runs_suite);
    let run = "roamline_store::conformance_suite!(memory, async {});";
    assert!(read(Path::new("crates/store/tests/memory.rs"), run).unwrap().runs_suite);
}

#[test]
fn files_that_are_for_tests_alone_are_known_by_the_module_that_brings_them_in() {
    let files = |path: &str, text: &str| read(Path::new(path), text).unwrap().test_files;
    let text = "#[cfg(test)] mod tests; mod other; #[cfg(test)] mod inline {}";
    assert_eq!(
        files("a/src/check.rs", text),
        ["a/src/check/tests.rs", "a/src/check/tests/mod.rs"].map(PathBuf::from)
    );
    assert_eq!(files("a/src/lib.rs", text), ["a/src/tests.rs", "a/src/tests/mod.rs"].map(PathBuf::from));
    let named = "#[cfg(test)] #[path = \"login_tests.rs\"] mod tests;";
    assert_eq!(files("a/src/login.rs", named), [PathBuf::from("a/src/login_tests.rs")]);
}

#[test]
fn what_is_not_rust_is_refused_by_its_place() {
    let refused = read(Path::new("a/src/lib.rs"), "fn f( {").unwrap_err();
    assert_eq!(refused.to_string(), "a/src/lib.rs: cannot be read as Rust");
}
