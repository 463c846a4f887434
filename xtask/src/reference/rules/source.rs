//! What one source says about rules: the docs of its items, the names and docs of its tests. It is read as Rust, so that
//! texts and code do not count; what stands in macros (`proptest!`, the names of the domain) is read as well.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Expr, Field, ImplItem, Item, ItemMod, Lit, Meta, TraitItem, Type, Variant, Visibility};

use super::id::{self, Id};

/// The macro that makes a test of each case of the stores' suite.
const SUITE: &str = "conformance_suite";
/// Where the cases stand.
pub(super) const CASES: &str = "crates/store/src/conformance";

/// What stands at a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// An item of the product.
    Place,
    /// A test that is run.
    Test,
    /// A case of the stores' suite: a test where the suite lists it.
    Case,
    /// Anything else: what tests stand on, tests that are not run, docs of a whole crate.
    Aside,
}

/// An item whose name or docs name rules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// What it is.
    pub(super) role: Role,
    /// Its name: `ServiceParameters::time_zone`; of a test, the function's alone.
    pub(super) name: String,
    /// The rules it names.
    pub(super) ids: BTreeSet<Id>,
}

/// One source.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Where it is, relative to the top folder.
    pub(super) path: PathBuf,
    /// All items that name rules.
    pub(super) notes: Vec<Note>,
    /// Files that it brings in for tests alone.
    pub(super) test_files: Vec<PathBuf>,
    /// Names in the suite, where this is the source that defines it.
    pub(super) listed: BTreeSet<String>,
    /// It runs the suite.
    pub(super) runs_suite: bool,
}

/// Reads a source.
///
/// # Errors
/// When it is no Rust.
pub(super) fn read(path: &Path, text: &str) -> Result<Source> {
    let file =
        syn::parse_file(text).with_context(|| format!("{}: cannot be read as Rust", path.display()))?;
    let source = Source { path: path.to_owned(), ..Source::default() };
    let mut reader = Reader { scope: Vec::new(), in_test: false, source };
    let is_root = path.file_stem().is_some_and(|stem| stem == "lib" || stem == "main");
    let docs: Vec<_> = file.attrs.iter().map(|attribute| &attribute.meta).collect();
    reader.note(if is_root { Role::Aside } else { Role::Place }, "the module".into(), ids_in_docs(&docs));
    reader.visit_file(&file);
    Ok(reader.source)
}

struct Reader {
    scope: Vec<String>,
    in_test: bool,
    source: Source,
}

impl Reader {
    fn note(&mut self, role: Role, name: String, ids: BTreeSet<Id>) {
        if !ids.is_empty() {
            self.source.notes.push(Note { role, name, ids });
        }
    }

    /// Notes an item, and goes into it.
    fn enter(&mut self, metas: &[&Meta], name: String, into: impl FnOnce(&mut Self)) {
        let was_in_test = self.in_test;
        self.in_test |= metas.iter().any(|meta| is_for_tests(meta));
        self.note_item(metas, &name);
        self.scope.push(name);
        into(self);
        self.scope.pop();
        self.in_test = was_in_test;
    }

    fn note_item(&mut self, metas: &[&Meta], name: &str) {
        let mut ids = ids_in_docs(metas);
        let is = |word: &str| metas.iter().any(|meta| last_word(meta) == word);
        if is("test") {
            ids.append(&mut id::in_name(name));
            self.note(if is("ignore") { Role::Aside } else { Role::Test }, name.to_owned(), ids);
        } else {
            let full = self.scope.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("::");
            self.note(if self.in_test { Role::Aside } else { Role::Place }, full, ids);
        }
    }

    /// Notes what a macro is given: each name that attributes stand before.
    fn read_tokens(&mut self, stream: TokenStream) {
        const BEFORE_A_NAME: [&str; 12] = [
            "pub", "crate", "super", "in", "async", "unsafe", "fn", "struct", "enum", "const", "static",
            "type",
        ];
        let mut metas: Vec<Meta> = Vec::new();
        let mut after_hash = false;
        for token in stream {
            match token {
                TokenTree::Group(group) if after_hash => metas.extend(syn::parse2(group.stream()).ok()),
                TokenTree::Group(group) => self.read_tokens(group.stream()),
                TokenTree::Ident(word) if !metas.is_empty() => {
                    let word = word.to_string();
                    if !BEFORE_A_NAME.contains(&word.as_str()) {
                        self.note_item(&metas.iter().collect::<Vec<_>>(), &word);
                        metas.clear();
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    after_hash = true;
                    continue;
                }
                _ => {}
            }
            after_hash = false;
        }
    }

    /// Notes where a module that is for tests alone stands.
    fn note_test_file(&mut self, module: &ItemMod) {
        let beside = self.source.path.parent().unwrap_or(Path::new("")).to_owned();
        let named = module.attrs.iter().find_map(|attribute| text_of(&attribute.meta, "path"));
        if let Some(named) = named {
            return self.source.test_files.push(beside.join(named));
        }
        let stem = self.source.path.file_stem().unwrap_or_default();
        let is_root = stem == "lib" || stem == "main" || stem == "mod";
        let folder = if is_root { beside } else { beside.join(stem) };
        let name = module.ident.to_string();
        self.source.test_files.push(folder.join(format!("{name}.rs")));
        self.source.test_files.push(folder.join(name).join("mod.rs"));
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = match item {
            Item::Const(item) => (&item.attrs, item.ident.to_string()),
            Item::Enum(item) => (&item.attrs, item.ident.to_string()),
            Item::Fn(item) => (&item.attrs, item.sig.ident.to_string()),
            Item::Impl(item) => (&item.attrs, type_name(&item.self_ty)),
            Item::Mod(item) => (&item.attrs, item.ident.to_string()),
            Item::Static(item) => (&item.attrs, item.ident.to_string()),
            Item::Struct(item) => (&item.attrs, item.ident.to_string()),
            Item::Trait(item) => (&item.attrs, item.ident.to_string()),
            Item::Type(item) => (&item.attrs, item.ident.to_string()),
            Item::Macro(item) if item.mac.path.is_ident("macro_rules") => {
                if item.ident.as_ref().is_some_and(|ident| ident == SUITE) {
                    collect_names(item.mac.tokens.clone(), &mut self.source.listed);
                }
                return;
            }
            Item::Macro(item) => {
                self.source.runs_suite |= item.mac.path.segments.last().is_some_and(|s| s.ident == SUITE);
                return self.read_tokens(item.mac.tokens.clone());
            }
            _ => return,
        };
        let metas: Vec<_> = attributes.iter().map(|attribute| &attribute.meta).collect();
        if let Item::Fn(function) = item
            && self.source.path.starts_with(CASES)
            && self.scope.is_empty()
            && matches!(function.vis, Visibility::Public(_))
            && function.sig.asyncness.is_some()
        {
            let mut ids = ids_in_docs(&metas);
            ids.append(&mut id::in_name(&name));
            return self.note(Role::Case, name, ids);
        }
        if let Item::Mod(module) = item
            && module.content.is_none()
            && (self.in_test || metas.iter().any(|meta| is_for_tests(meta)))
        {
            self.note_test_file(module);
        }
        self.enter(&metas, name, |reader| visit::visit_item(reader, item));
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let (attributes, name) = match item {
            ImplItem::Const(item) => (&item.attrs, item.ident.to_string()),
            ImplItem::Fn(item) => (&item.attrs, item.sig.ident.to_string()),
            ImplItem::Type(item) => (&item.attrs, item.ident.to_string()),
            _ => return,
        };
        let metas: Vec<_> = attributes.iter().map(|attribute| &attribute.meta).collect();
        self.enter(&metas, name, |reader| visit::visit_impl_item(reader, item));
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let (attributes, name) = match item {
            TraitItem::Const(item) => (&item.attrs, item.ident.to_string()),
            TraitItem::Fn(item) => (&item.attrs, item.sig.ident.to_string()),
            TraitItem::Type(item) => (&item.attrs, item.ident.to_string()),
            _ => return,
        };
        let metas: Vec<_> = attributes.iter().map(|attribute| &attribute.meta).collect();
        self.enter(&metas, name, |reader| visit::visit_trait_item(reader, item));
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        let metas: Vec<_> = variant.attrs.iter().map(|attribute| &attribute.meta).collect();
        self.enter(&metas, variant.ident.to_string(), |reader| visit::visit_variant(reader, variant));
    }

    fn visit_field(&mut self, field: &'ast Field) {
        let metas: Vec<_> = field.attrs.iter().map(|attribute| &attribute.meta).collect();
        let name = field.ident.as_ref().map_or("0".to_owned(), ToString::to_string);
        self.enter(&metas, name, |_| {});
    }
}

fn type_name(named: &Type) -> String {
    match named {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
    .unwrap_or_else(|| "impl".to_owned())
}

fn last_word(meta: &Meta) -> String {
    meta.path().segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

/// `#[cfg(test)]`, and whatever else asks for `test`.
fn is_for_tests(meta: &Meta) -> bool {
    let mut words = BTreeSet::new();
    if let Meta::List(list) = meta
        && list.path.is_ident("cfg")
    {
        collect_names(list.tokens.clone(), &mut words);
    }
    words.contains("test")
}

fn ids_in_docs(metas: &[&Meta]) -> BTreeSet<Id> {
    metas.iter().filter_map(|meta| text_of(meta, "doc")).flat_map(|line| id::in_text(&line)).collect()
}

/// The text of `#[name = "text"]`.
fn text_of(meta: &Meta, name: &str) -> Option<String> {
    match meta {
        Meta::NameValue(pair) if pair.path.is_ident(name) => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn collect_names(stream: TokenStream, into: &mut BTreeSet<String>) {
    for token in stream {
        match token {
            TokenTree::Group(group) => collect_names(group.stream(), into),
            TokenTree::Ident(name) => {
                into.insert(name.to_string());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
