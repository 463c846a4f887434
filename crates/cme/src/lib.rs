//! Reads a Cisco IOS running-config, as far as extension mobility goes, into resources and credentials. Every one of
//! them remembers the lines it came from, so that what a server refuses can be shown where it was written. Rules that
//! need the whole directory are left to the server; here are only those of the language.

mod credentials;
mod lexer;
mod model;
mod parse;
mod problem;
mod resources;
mod site;

pub use problem::{Problem, Problems};
pub use site::{Note, Site, Sourced};

/// Reads a configuration.
///
/// Lines that are not understood are no problem: [`Site::not_understood`] lists them.
///
/// # Errors
/// Everything that is wrong with the lines that are understood, in the order of the lines; also when no line is.
pub fn read(text: &str) -> Result<Site, Problems> {
    let mut found = problem::Found::default();
    let sections = lexer::sections(text, &mut found);
    let config = parse::config(&sections, &mut found);
    if found.problems.is_empty() && config.is_empty() {
        found.problem(1, "", "no line of this file says anything that can be imported");
    }
    let mut site = Site::default();
    resources::translate(&config, &mut site, &mut found);
    credentials::translate(&config, &mut site, &mut found);
    site.not_understood = found.not_understood;
    if found.problems.is_empty() { Ok(site) } else { Err(Problems::new(found.problems)) }
}

/// Reads a configuration from the bytes of a file.
///
/// # Errors
/// As [`read`]; also where the bytes are not UTF-8.
pub fn read_bytes(bytes: &[u8]) -> Result<Site, Problems> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = "is not UTF-8 text: this is no running-config".to_owned();
        Problems::new(vec![Problem { line, rule: "", message }])
    })?;
    read(text)
}
