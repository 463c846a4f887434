//! User locales as the vendor's lists spell them, and the BCP 47 tags that are ours.

/// Names in lower case.
const NAMES: [(&str, &str); 42] = [
    ("arabic algeria", "ar-DZ"),
    ("arabic bahrain", "ar-BH"),
    ("arabic egypt", "ar-EG"),
    ("arabic kuwait", "ar-KW"),
    ("arabic oman", "ar-OM"),
    ("arabic saudi arabia", "ar-SA"),
    ("arabic united arab emirates", "ar-AE"),
    ("bulgarian bulgaria", "bg-BG"),
    ("catalan spain", "ca-ES"),
    ("chinese china", "zh-CN"),
    ("chinese hong kong", "zh-HK"),
    ("chinese taiwan", "zh-TW"),
    ("croatian croatia", "hr-HR"),
    ("czech czech republic", "cs-CZ"),
    ("danish denmark", "da-DK"),
    ("dutch netherlands", "nl-NL"),
    ("english united kingdom", "en-GB"),
    ("english united states", "en-US"),
    ("estonian estonia", "et-EE"),
    ("finnish finland", "fi-FI"),
    ("french canada", "fr-CA"),
    ("french france", "fr-FR"),
    ("german germany", "de-DE"),
    ("greek greece", "el-GR"),
    ("hebrew israel", "he-IL"),
    ("hungarian hungary", "hu-HU"),
    ("italian italy", "it-IT"),
    ("japanese japan", "ja-JP"),
    ("korean korea republic", "ko-KR"),
    ("latvian latvia", "lv-LV"),
    ("lithuanian lithuania", "lt-LT"),
    ("norwegian norway", "no-NO"),
    ("polish poland", "pl-PL"),
    ("portuguese brazil", "pt-BR"),
    ("portuguese portugal", "pt-PT"),
    ("romanian romania", "ro-RO"),
    ("russian russian federation", "ru-RU"),
    ("slovak slovakia", "sk-SK"),
    ("slovenian slovenia", "sl-SI"),
    ("spanish spain", "es-ES"),
    ("swedish sweden", "sv-SE"),
    ("turkish turkey", "tr-TR"),
];

/// The tag for a name, in any of its usual spellings, or for what looks like a tag; `None` for what is neither.
pub(super) fn tag(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let words = words.join(" ");
    if let Some((_, tag)) = NAMES.iter().find(|(name, _)| *name == words) {
        return Some((*tag).to_owned());
    }
    let parts: Vec<&str> = name.split(['-', '_']).collect();
    let is_tag = matches!(parts.first(), Some(first) if matches!(first.len(), 2 | 3))
        && parts
            .iter()
            .all(|part| matches!(part.len(), 2..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    is_tag.then(|| parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_are_known_in_their_usual_spellings() {
        for (name, expected) in [
            ("English United States", Some("en-US")),
            ("English, United States", Some("en-US")),
            ("GERMAN  GERMANY", Some("de-DE")),
            ("fr_CA", Some("fr-CA")),
            ("de", Some("de")),
            ("None of these", None),
            ("", None),
        ] {
            assert_eq!(tag(name).as_deref(), expected, "{name}");
        }
    }
}
