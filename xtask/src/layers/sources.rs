//! What our sources name, held against the walls around libraries. Sources are read as tokens, so that comments and
//! texts do not count; items under `#[cfg(test)]` are left out.

use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::crates::is_of_family;
use super::rules::{CONFINED, Confined, EDGES, EMPTY_NAMES, TESTS};

/// One source file.
pub(super) struct Source<'a> {
    /// The crate it belongs to.
    pub(super) krate: &'a str,
    /// Where it is, relative to the top folder.
    pub(super) path: &'a Path,
    /// What it says.
    pub(super) text: &'a str,
}

/// Every name in the file that should not be there.
pub(super) fn breaches(source: &Source<'_>) -> Vec<String> {
    let path = source.path.display();
    let Ok(stream) = source.text.parse::<TokenStream>() else {
        return vec![format!("{path}: cannot be read as Rust")];
    };
    let mut all = Vec::new();
    flatten(stream.clone(), false, &mut all);
    let mut breaches: Vec<_> =
        empty_modules(&all).into_iter().map(|name| format!("{path}: no module is called {name}")).collect();

    if !is_test(source.path) {
        let mut product = Vec::new();
        flatten(stream, true, &mut product);
        for wall in CONFINED.iter().filter(|wall| !is_allowed(wall, source)) {
            let mut used = libraries(&product, wall.library);
            used.sort_unstable();
            used.dedup();
            breaches.extend(used.into_iter().map(|name| format!("{path}: {name} has no place here")));
        }
    }
    breaches
}

fn is_allowed(wall: &Confined, source: &Source<'_>) -> bool {
    let in_crate = |crates: &[&str]| crates.contains(&source.krate);
    in_crate(wall.anywhere_in) || in_crate(wall.at_the_edge_of) && lies_in(source.path, EDGES)
}

fn is_test(path: &Path) -> bool {
    lies_in(path, TESTS) || path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_tests"))
}

/// Whether the file, or a folder it is in, has one of the names.
fn lies_in(path: &Path, names: &[&str]) -> bool {
    let stem = path.file_stem();
    let folders = path.parent().into_iter().flat_map(Path::components).map(|folder| folder.as_os_str());
    stem.into_iter().chain(folders).any(|part| names.iter().any(|name| part == *name))
}

/// The tokens as a flat list; groups keep their brackets.
fn flatten(stream: TokenStream, without_tests: bool, into: &mut Vec<String>) {
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if let TokenTree::Punct(punct) = &token
            && punct.as_char() == '#'
            && without_tests
            && let Some(TokenTree::Group(attribute)) = tokens.peek()
            && attribute.delimiter() == Delimiter::Bracket
            && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
        {
            skip_item(&mut tokens);
            continue;
        }
        match token {
            TokenTree::Group(group) => {
                into.push("{".to_owned());
                flatten(group.stream(), without_tests, into);
                into.push("}".to_owned());
            }
            TokenTree::Literal(_) => into.push("\"".to_owned()),
            other => into.push(other.to_string()),
        }
    }
}

/// Drops tokens up to the end of an item: its block or its semicolon.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            _ => {}
        }
    }
}

/// Modules whose name says nothing.
fn empty_modules(tokens: &[String]) -> Vec<&str> {
    let pairs = tokens.iter().zip(tokens.iter().skip(1));
    pairs
        .filter(|(keyword, name)| *keyword == "mod" && EMPTY_NAMES.contains(&name.as_str()))
        .map(|(_, name)| name.as_str())
        .collect()
}

/// Names of the library's family that begin a path, or are brought in by `use` or `extern crate`.
fn libraries<'a>(tokens: &'a [String], library: &str) -> Vec<&'a str> {
    let at = |index: Option<usize>| index.and_then(|i| tokens.get(i)).map(String::as_str);
    let begins_path = |i: usize| {
        let after_colons = at(i.checked_sub(1)) == Some(":") && at(i.checked_sub(2)) == Some(":");
        let goes_on = at(i.checked_sub(3)).is_some_and(is_word);
        at(Some(i + 1)) == Some(":") && at(Some(i + 2)) == Some(":") && !(after_colons && goes_on)
    };
    let is_brought_in = |i: usize| matches!(at(i.checked_sub(1)), Some("use" | "crate"));
    let named = tokens.iter().enumerate().filter(|(_, word)| is_word(word) && is_of_family(word, library));
    named.filter(|(i, _)| begins_path(*i) || is_brought_in(*i)).map(|(_, word)| word.as_str()).collect()
}

fn is_word(token: &str) -> bool {
    const BEFORE_A_PATH: &[&str] =
        &["use", "pub", "as", "in", "return", "mut", "dyn", "impl", "for", "where"];
    token.starts_with(|c: char| c.is_alphabetic() || c == '_') && !BEFORE_A_PATH.contains(&token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(krate: &str, path: &str, text: &str) -> Vec<String> {
        breaches(&Source { krate, path: Path::new(path), text })
    }

    fn is_refused(krate: &str, path: &str, text: &str, library: &str) -> bool {
        found(krate, path, text) == [format!("{path}: {library} has no place here")]
    }

    #[test]
    fn every_wall_holds_back_its_library() {
        for (text, library) in [
            ("use sea_orm::Database;", "sea_orm"),
            ("fn f() { sea_orm_migration::run(); }", "sea_orm_migration"),
            ("use ::redis::Client;", "redis"),
            ("extern crate redis;", "redis"),
            ("use opentelemetry as otel;", "opentelemetry"),
            ("fn f(_: &tonic::Status) {}", "tonic"),
            ("use {serde::Serialize, tonic_types::StatusExt};", "tonic_types"),
        ] {
            assert!(is_refused("roamline-session", "services/session/src/login.rs", text, library), "{text}");
        }
    }

    #[test]
    fn a_service_may_name_tonic_at_its_edge_only() {
        let text = "use tonic::Status;";
        for edge in ["grpc.rs", "convert.rs", "grpc/session.rs", "convert/phone.rs"] {
            assert!(
                found("roamline-session", &format!("services/session/src/{edge}"), text).is_empty(),
                "{edge}"
            );
        }
        assert!(is_refused("roamline-session", "services/session/src/lib.rs", text, "tonic"));
        assert!(is_refused("roamline-domain", "crates/domain/src/convert.rs", text, "tonic"));
        assert!(is_refused(
            "roamline-session",
            "services/session/src/grpc.rs",
            "use redis::Client;",
            "redis"
        ));
    }

    #[test]
    fn words_in_comments_texts_and_fields_do_not_count() {
        let text = r#"
            //! Speaks to redis::Client through tonic::Status.
            struct Config { redis: String }
            fn f(config: &Config) { let tonic = "sea_orm::Database"; config.redis.len(); crate::redis::open(); }
        "#;
        assert_eq!(found("roamline-session", "services/session/src/config.rs", text), Vec::<String>::new());
    }

    #[test]
    fn tests_may_name_any_library_and_what_stands_beside_them_may_not() {
        let test = "#[cfg(test)] mod tests { use tonic::Code; }";
        assert_eq!(found("roamline-auth", "services/auth/src/keys.rs", test), Vec::<String>::new());
        assert_eq!(
            found("roamline-auth", "services/auth/tests/edge.rs", "use tonic::Code;"),
            Vec::<String>::new()
        );
        let both = format!("{test} fn f(_: tonic::Status) {{}}");
        assert!(is_refused("roamline-auth", "services/auth/src/keys.rs", &both, "tonic"));
        let other = "#[cfg(unix)] mod unix { use tonic::Code; }";
        assert!(is_refused("roamline-auth", "services/auth/src/keys.rs", other, "tonic"));
    }

    #[test]
    fn a_module_with_an_empty_name_is_refused_even_in_tests() {
        let path = "crates/store/src/lib.rs";
        assert_eq!(
            found("roamline-store", path, "mod utils {}"),
            [format!("{path}: no module is called utils")]
        );
        let test = "#[cfg(test)] mod tests { mod common {} }";
        assert_eq!(found("roamline-store", path, test), [format!("{path}: no module is called common")]);
    }

    #[test]
    fn a_file_that_is_not_rust_is_refused() {
        let path = "crates/store/src/lib.rs";
        assert_eq!(found("roamline-store", path, "fn f( {"), [format!("{path}: cannot be read as Rust")]);
    }
}
