//! How wrong words are told: cut to a bearable length, with the nearest right one.

/// How much of a wrong word is repeated.
const SHOWN: usize = 40;

/// The text between backticks, cut where it is long, without line ends.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The wrong word, and the right one that it may mean, or all of them.
pub(crate) fn or_nearest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> String {
    let right: Vec<&str> = right.into_iter().collect();
    let given = wrong.to_ascii_lowercase();
    let near = |word: &&&str| {
        let distance = strsim::damerau_levenshtein(&given, &word.to_ascii_lowercase());
        (distance <= 2.max(word.len() / 4)).then_some(distance)
    };
    let short = wrong.len() <= 200;
    match right.iter().filter(|word| short && near(word).is_some()).min_by_key(|word| near(word)) {
        Some(nearest) => format!("{}; did you mean `{nearest}`?", quoted(wrong)),
        None => format!("{}; there are {}", quoted(wrong), right.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_gets_the_nearest_and_a_foreign_one_all() {
        assert_eq!(
            or_nearest("desription", ["name", "description"]),
            "`desription`; did you mean `description`?"
        );
        assert_eq!(or_nearest("zzzzzzzz", ["name", "tag"]), "`zzzzzzzz`; there are name, tag");
    }

    #[test]
    fn a_long_word_is_cut() {
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), SHOWN + 3);
        assert_eq!(quoted("a\nb"), "`a b`");
    }
}
