//! The words of a filter, each with the character it begins at.

use super::{Operator, Problem};

/// A word of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    And,
    Or,
    Not,
    Open,
    Close,
    Operator(Operator),
    /// Without quotes: a field's path, or a value.
    Word(String),
    /// In quotes: a value.
    Text(String),
}

/// The words that are left.
pub(super) struct Tokens {
    all: std::vec::IntoIter<(usize, Token)>,
    peeked: Option<(usize, Token)>,
    end: usize,
}

impl Tokens {
    /// The words of a text.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let mut chars = text.chars().zip(1..).peekable();
        let mut all = Vec::new();
        while let Some((first, at)) = chars.next() {
            let doubled = |next: Option<&(char, usize)>| next.is_some_and(|(c, _)| *c == '=');
            let token = match first {
                c if c.is_whitespace() => continue,
                '(' => Token::Open,
                ')' => Token::Close,
                ':' => Token::Operator(Operator::Has),
                '=' => Token::Operator(Operator::Equal),
                '!' | '<' | '>' if doubled(chars.peek()) => {
                    chars.next();
                    Token::Operator(match first {
                        '!' => Operator::NotEqual,
                        '<' => Operator::AtMost,
                        _ => Operator::AtLeast,
                    })
                }
                '<' => Token::Operator(Operator::Less),
                '>' => Token::Operator(Operator::More),
                '!' => {
                    return Err(Problem { at, message: "`!` must be followed by `=`; write NOT".to_owned() });
                }
                quote @ ('"' | '\'') => Token::Text(quoted(quote, at, &mut chars)?),
                first => {
                    let mut word = String::from(first);
                    while let Some((next, _)) = chars.next_if(|(c, _)| in_word(*c)) {
                        word.push(next);
                    }
                    match word.as_str() {
                        "AND" => Token::And,
                        "OR" => Token::Or,
                        "NOT" => Token::Not,
                        _ => Token::Word(word),
                    }
                }
            };
            all.push((at, token));
        }
        let mut all = all.into_iter();
        let peeked = all.next();
        Ok(Self { all, peeked, end: text.chars().count() + 1 })
    }

    /// The next word, which stays.
    pub(super) fn peek(&self) -> Option<&(usize, Token)> {
        self.peeked.as_ref()
    }

    /// The next word.
    pub(super) fn next(&mut self) -> Option<(usize, Token)> {
        std::mem::replace(&mut self.peeked, self.all.next())
    }

    /// Where the next word is, or the end.
    pub(super) fn place(&self) -> usize {
        self.peeked.as_ref().map_or(self.end, |(at, _)| *at)
    }
}

fn in_word(c: char) -> bool {
    !c.is_whitespace() && !"()=!<>:\"'".contains(c)
}

/// The text up to the closing quote; a backslash takes the next character as it is.
fn quoted(
    quote: char,
    at: usize,
    chars: &mut impl Iterator<Item = (char, usize)>,
) -> Result<String, Problem> {
    let mut text = String::new();
    while let Some((c, _)) = chars.next() {
        match c {
            c if c == quote => return Ok(text),
            '\\' => text.extend(chars.next().map(|(c, _)| c)),
            c => text.push(c),
        }
    }
    Err(Problem { at, message: "the quote is not closed".to_owned() })
}
