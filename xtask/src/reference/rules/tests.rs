//! Each breach is seen where it is seeded, and a list whose rules are all kept has none.

use super::*;

const PRODUCT: &str = "crates/domain/src/check.rs";

fn made(list: &str, files: &[(&str, &str)]) -> Reference {
    let sources: Vec<_> =
        files.iter().map(|(path, text)| source::read(Path::new(path), text).unwrap()).collect();
    judge(&list::parse(list).unwrap(), &sources)
}

fn breaches(list: &str, files: &[(&str, &str)]) -> Vec<String> {
    made(list, files).breaches
}

const DP_1: &str = "DP-1 = { title = \"Names are unique\" }";
const PLACE: &str = "/// DP-1.\npub fn check() {}";
const TEST: &str = "#[test] fn dp_1_names_are_unique() {}";
const NO_TEST: &str = "DP-1 has no test: none is called dp_1_... or names it in its docs";
const NO_PLACE: &str = "DP-1 is decided nowhere: no docs of an item of the product name it";

#[test]
fn a_rule_with_a_place_and_a_test_is_in_order() {
    let reference = made(DP_1, &[(PRODUCT, PLACE), ("tests/product/names.rs", TEST)]);
    assert_eq!(reference.breaches, [""; 0]);
    let row = "| DP-1 | Names are unique | crates/domain/src/check.rs: `check` | \
               tests/product/names.rs: `dp_1_names_are_unique` |\n";
    assert!(reference.page.contains(row), "{}", reference.page);
}

#[test]
fn a_rule_without_a_test_is_named() {
    assert_eq!(breaches(DP_1, &[(PRODUCT, PLACE)]), [NO_TEST]);
    let ignored = "#[test] #[ignore] fn dp_1_names_are_unique() {}";
    assert_eq!(breaches(DP_1, &[(PRODUCT, PLACE), ("tests/product/names.rs", ignored)]), [NO_TEST]);
}

#[test]
fn a_rule_that_is_decided_nowhere_is_named() {
    assert_eq!(breaches(DP_1, &[(PRODUCT, TEST)]), [NO_PLACE]);
    for path in ["tests/product/names.rs", "crates/serve/tests/server.rs", "crates/store/benches/commit.rs"] {
        assert_eq!(breaches(DP_1, &[(PRODUCT, TEST), (path, PLACE)]), [NO_PLACE], "{path}");
    }
}

#[test]
fn docs_in_a_file_for_tests_and_in_what_it_brings_in_are_no_place() {
    let lib = ("crates/domain/src/lib.rs", "#[cfg(test)] mod sample;");
    for path in ["crates/domain/src/sample.rs", "crates/domain/src/sample/users.rs"] {
        assert_eq!(breaches(DP_1, &[lib, (path, PLACE), (PRODUCT, TEST)]), [NO_PLACE], "{path}");
    }
    assert_eq!(breaches(DP_1, &[lib, ("crates/domain/src/samples.rs", PLACE), (PRODUCT, TEST)]), [""; 0]);
}

#[test]
fn an_id_that_is_not_in_the_list_is_named_with_its_place() {
    let sound = [(PRODUCT, PLACE), ("tests/product/names.rs", TEST)];
    for (text, name) in [
        ("#[test] fn dp_99_x() {}", "dp_99_x"),
        ("/// DP-99.\n#[test] fn x() {}", "x"),
        ("/// DP-99.\npub fn y() {}", "y"),
        ("//! DP-99.", "the module"),
    ] {
        let path = "services/profile/src/create.rs";
        let found = breaches(DP_1, &[sound[0], sound[1], (path, text)]);
        assert_eq!(found, [format!("{path}: {name} names DP-99, which is not in {LIST}")]);
    }
}

#[test]
fn a_planned_rule_needs_nothing_and_one_that_must_be_there_has_no_test_yet() {
    let planned = |id: &str| format!("{id} = {{ title = \"t\", planned = true }}");
    let test = |name: &'static str| [(PRODUCT, name)];
    assert_eq!(breaches(&planned("CC-9"), &[]), [""; 0]);
    assert_eq!(
        breaches(&planned("CC-9"), &test("#[test] fn cc_9_x() {}")),
        [format!("CC-9 is planned in {LIST} and has a test")]
    );
    assert_eq!(breaches(&planned("LO-4"), &test("#[test] fn lo_4_x() {}")), [""; 0]);
}

#[test]
fn a_case_counts_where_the_suite_lists_it_and_is_run() {
    let case = ("crates/store/src/conformance/directory.rs", "pub async fn dp_1_unique() {}");
    let suite = |listed: &'static str| ("crates/store/src/conformance.rs", listed);
    let lists = suite("macro_rules! conformance_suite { () => { cases! { dp_1_unique, } } }");
    let lists_none = suite("macro_rules! conformance_suite { () => { cases! { } } }");
    let run = ("crates/store/tests/memory.rs", "conformance_suite!(memory);");
    let place = (PRODUCT, PLACE);
    assert_eq!(breaches(DP_1, &[place, case, lists, run]), [""; 0]);
    assert_eq!(breaches(DP_1, &[place, case, lists_none, run]), [NO_TEST]);
    assert_eq!(breaches(DP_1, &[place, case, lists]), [NO_TEST]);
}

#[test]
fn places_beside_the_domain_are_shown_for_what_it_does_not_decide() {
    let list = "DP-1.title = \"One\"\nDP-20.title = \"Two\"\nXC-1 = { title = \"a | b\", planned = true }";
    let service = "//! DP-1 and DP-20.\n/// DP-20.\nfn update() {}";
    let page = made(list, &[(PRODUCT, PLACE), ("services/profile/src/update.rs", service)]).page;
    assert!(page.contains("| DP-1 | One | crates/domain/src/check.rs: `check` |  |\n"), "{page}");
    assert!(page.contains("| DP-20 | Two | services/profile/src/update.rs: the module, `update` |  |\n"));
    assert!(page.contains("\n## XC: Cross-cluster\n"));
    assert!(page.contains("| XC-1 | a \\| b (planned) |  |  |\n"));
    assert!(!page.contains("## LL"));
}
