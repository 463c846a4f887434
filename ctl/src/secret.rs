//! Where secrets come from: a prompt, a file, or standard input. Never an argument, which every process can read.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use roamline_proto::auth::{Credential, credential::Kind};

use crate::cli::SecretSource;
use crate::exit::Failure;

/// A secret is never longer than this; a longer file is another file.
const LONGEST: u64 = 1024;

/// A secret that does not print.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The secret itself.
    pub(crate) fn text(self) -> String {
        self.0
    }

    /// As what it proves somebody.
    pub(crate) fn credential(self, pin: bool) -> Credential {
        Credential { kind: Some(if pin { Kind::Pin(self.0) } else { Kind::Password(self.0) }) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Reads the secret of `name`.
pub(crate) fn read(source: &SecretSource, name: &str) -> Result<Credential, Failure> {
    let what = word(source.pin);
    let secret = match &source.secret_file {
        Some(file) => from_file(file)?,
        None => prompt(&format!("{what} of {name}: "), "--secret-file FILE")?,
    };
    Ok(secret.credential(source.pin))
}

/// Reads a new secret; at a prompt, twice.
pub(crate) fn read_new(source: &SecretSource, name: &str) -> Result<Credential, Failure> {
    let what = word(source.pin);
    let secret = match &source.secret_file {
        Some(file) => from_file(file)?,
        None => {
            let first = prompt(&format!("new {what} of {name}: "), "--secret-file FILE")?;
            if first != prompt(&format!("new {what} again: "), "--secret-file FILE")? {
                return Err(Failure::usage("the two are not the same"));
            }
            first
        }
    };
    Ok(secret.credential(source.pin))
}

/// Asks at the terminal; `otherwise` is the option that helps where there is none.
pub(crate) fn prompt(question: &str, otherwise: &str) -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("there is no terminal to ask for the secret")
            .hint(format!("give it with {otherwise}; `-` reads standard input")));
    }
    Ok(Secret(rpassword::prompt_password(question)?))
}

/// Reads a file, `-` for standard input.
pub(crate) fn from_file(file: &Path) -> Result<Secret, Failure> {
    let failed =
        |error: io::Error| Failure::usage(format!("cannot read the secret file {}: {error}", file.display()));
    let bytes = if file == Path::new("-") {
        limited(io::stdin().lock()).map_err(failed)?
    } else {
        limited(File::open(file).map_err(failed)?).map_err(failed)?
    };
    from_bytes(bytes)
        .map_err(|problem| Failure::usage(format!("the secret file {} {problem}", file.display())))
}

fn limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn from_bytes(bytes: Vec<u8>) -> Result<Secret, &'static str> {
    if bytes.len() as u64 > LONGEST {
        return Err("is longer than a secret can be");
    }
    let mut text = String::from_utf8(bytes).map_err(|_| "is not UTF-8 text")?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err("is empty") } else { Ok(Secret(text)) }
}

fn word(pin: bool) -> &'static str {
    if pin { "PIN" } else { "password" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, &'static str> {
        from_bytes(bytes.to_vec()).map(|secret| secret.0)
    }

    #[test]
    fn one_line_end_is_dropped_and_no_more() {
        assert_eq!(read(b"7777"), Ok("7777".into()));
        assert_eq!(read(b"7777\n"), Ok("7777".into()));
        assert_eq!(read(b"7777\r\n"), Ok("7777".into()));
        assert_eq!(read(b" 77 \n\n"), Ok(" 77 \n".into()));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        assert!(read(b"").is_err());
        assert!(read(b"\n").is_err());
        assert!(read(b"\xff").is_err());
        assert!(read(&[b'1'; 2000]).is_err());
    }

    #[test]
    fn a_secret_does_not_print() {
        assert!(!format!("{:?}", Secret("271828".into())).contains("271828"));
    }
}
