//! The phone models the product knows: what their buttons, protocols, modules and displays are. The data stands in
//! `data/models.toml`, is part of the program, and cannot be changed at run time.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::name::ModelName;
use crate::settings::Protocol;

const DATA: &str = include_str!("../data/models.toml");

/// An expansion module that a model takes (DP-4).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpansionModule {
    /// As operators write it: "7914".
    pub name: String,
    /// Buttons it adds.
    pub buttons: u32,
}

/// A phone model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneModel {
    /// As operators write it: "7960".
    pub name: ModelName,
    /// Other names under which [`Catalogue::find`] finds it.
    #[serde(default)]
    pub also_called: Vec<String>,
    /// The full name.
    pub title: String,
    /// Buttons that carry lines, speed dials and features.
    pub buttons: u32,
    /// What it can speak, the usual one first; never empty.
    pub protocols: Vec<Protocol>,
    /// Whether it has a display that extension mobility can use.
    pub display: bool,
    /// Expansion modules it takes.
    #[serde(default)]
    pub modules: Vec<ExpansionModule>,
    /// How many of them at once.
    #[serde(default)]
    pub max_modules: u32,
    /// Whether its language can be set.
    pub locale_support: bool,
    /// Whether it offers phone services.
    pub service_support: bool,
    /// Whether agents may log in to it at all (DP-17).
    pub extension_mobility: bool,
    /// Whether it is a program, not a device (CC-8).
    #[serde(default)]
    pub soft: bool,
}

impl PhoneModel {
    /// The module of that name, if the model takes it.
    pub fn module(&self, name: &str) -> Option<&ExpansionModule> {
        self.modules.iter().find(|module| module.name == name)
    }

    /// Buttons that these modules add: those the model takes, and no more of them than it takes (DP-4).
    pub fn module_buttons(&self, modules: &[String]) -> u32 {
        modules
            .iter()
            .filter_map(|name| self.module(name))
            .zip(0..self.max_modules)
            .map(|(module, _)| module.buttons)
            .sum()
    }
}

/// A text that names no model of the catalogue (DP-17).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue has no phone model {given:?}{}", suggestion(.nearest.as_ref()))]
pub struct UnknownModel {
    /// The text, cut to 80 characters.
    pub given: String,
    /// The model that is spelt most like it, if one is.
    pub nearest: Option<ModelName>,
}

fn suggestion(nearest: Option<&ModelName>) -> String {
    nearest.map(|name| format!("; did you mean {:?}?", name.as_str())).unwrap_or_default()
}

/// All phone models, in the order of the data file.
#[derive(Debug, Default)]
pub struct Catalogue {
    models: Vec<PhoneModel>,
    index: HashMap<String, usize>,
}

impl Catalogue {
    /// The catalogue that the product ships.
    pub fn builtin() -> &'static Catalogue {
        // A test proves that the file is read whole, so the default never stands in for it.
        static BUILTIN: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::parse(DATA).unwrap_or_default());
        &BUILTIN
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            model: Vec<PhoneModel>,
        }

        let models = toml::from_str::<File>(text)?.model;
        let mut index = HashMap::new();
        for (at, model) in models.iter().enumerate() {
            index.insert(model.name.as_str().to_owned(), at);
            index.extend(model.also_called.iter().map(|name| (name.clone(), at)));
        }
        Ok(Self { models, index })
    }

    /// The model of exactly that name.
    pub fn get(&self, name: &ModelName) -> Option<&PhoneModel> {
        self.by_name(name.as_str()).filter(|model| model.name == *name)
    }

    /// The model that the text means, as people and router configurations spell it: `7960`, `7960G`, `CP-7960G`,
    /// `Cisco 7960`, `Cisco Unified IP Phone 7961G-GE`, `CP-8841-K9`, `CIPC`.
    ///
    /// # Errors
    /// When it means none; the error suggests the nearest.
    pub fn find(&self, text: &str) -> Result<&PhoneModel, UnknownModel> {
        let given: String = text.chars().take(80).collect();
        let spelling = plain(&given);
        self.by_spelling(&spelling).ok_or_else(|| UnknownModel {
            nearest: self.nearest(&spelling).map(|model| model.name.clone()),
            given,
        })
    }

    /// All models.
    pub fn iter(&self) -> impl Iterator<Item = &PhoneModel> {
        self.models.iter()
    }

    fn by_name(&self, name: &str) -> Option<&PhoneModel> {
        self.index.get(name).and_then(|at| self.models.get(*at))
    }

    fn by_spelling(&self, spelling: &str) -> Option<&PhoneModel> {
        readings(spelling).find_map(|name| self.by_name(name).or_else(|| self.by_name(without_suffix(name))))
    }

    /// The model whose name is at most two letters away, and at most a quarter of the text.
    fn nearest(&self, spelling: &str) -> Option<&PhoneModel> {
        let distances = readings(spelling).flat_map(|text| {
            let allowed = (text.chars().count() / 4).min(2);
            self.models
                .iter()
                .map(move |model| (strsim::damerau_levenshtein(text, model.name.as_str()), model))
                .filter(move |(distance, _)| *distance <= allowed)
        });
        distances.min_by_key(|(distance, _)| *distance).map(|(_, model)| model)
    }
}

/// The text, and what is left of it as words that come before a model's name are dropped one by one.
fn readings(spelling: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(spelling), |text| {
        text.split_once('-').filter(|(word, _)| WORDS_BEFORE.contains(word)).map(|(_, rest)| rest)
    })
}

const WORDS_BEFORE: [&str; 8] =
    ["cisco", "unified", "wireless", "ip", "conference", "phone", "station", "cp"];

/// Lower case, with one `-` for every run of anything but letters and digits.
fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// `7961g-ge`, `7961ge`, `7961g`, `8841-k9` without what follows the digits.
fn without_suffix(name: &str) -> &str {
    let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    match name.split_at(digits) {
        (model, "g" | "ge" | "g-ge" | "k9" | "-k9" | "g-k9" | "-ge") => model,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn model(name: &str) -> &'static PhoneModel {
        Catalogue::builtin().get(&name.parse().unwrap()).unwrap_or_else(|| panic!("no {name}"))
    }

    #[test]
    fn the_data_file_is_read_whole() {
        let read = Catalogue::parse(DATA).unwrap();
        assert_eq!(read.models.len(), DATA.matches("[[model]]").count());
        assert!(read.models.len() >= 36);
        assert_eq!(Catalogue::builtin().iter().count(), read.models.len());
    }

    #[test]
    fn every_model_is_sane() {
        let mut names = HashSet::new();
        let mut titles = HashSet::new();
        for model in Catalogue::builtin().iter() {
            for name in
                std::iter::once(model.name.as_str()).chain(model.also_called.iter().map(String::as_str))
            {
                assert!(names.insert(name), "{name} stands twice");
                assert_eq!(plain(name), name, "found by its own spelling");
            }
            assert!(titles.insert(&model.title), "{} stands twice", model.title);
            assert!((1..=36).contains(&model.buttons), "{} has buttons", model.name);
            assert!((1..=2).contains(&model.protocols.len()), "{} speaks something", model.name);
            assert_eq!(model.protocols.iter().collect::<HashSet<_>>().len(), model.protocols.len());
            assert_eq!(
                model.modules.is_empty(),
                model.max_modules == 0,
                "{} takes modules or none",
                model.name
            );
            assert!(model.modules.iter().all(|module| (12..=36).contains(&module.buttons)));
            assert!(model.max_modules <= 3);
        }
    }

    #[test]
    fn dp_17_models_without_a_display_and_analog_devices_take_no_part() {
        for model in Catalogue::builtin().iter() {
            assert_eq!(model.extension_mobility, model.display, "{}", model.name);
        }
        for refused in ["7902", "ata-186", "ata-191", "vg-224"] {
            assert!(!model(refused).extension_mobility);
        }
    }

    #[test]
    fn cc_8_programs_are_told_from_devices() {
        let soft = Catalogue::builtin().iter().filter(|model| model.soft).map(|model| model.name.as_str());
        assert_eq!(
            soft.collect::<Vec<_>>(),
            ["ip-communicator", "jabber-desktop", "jabber-phone", "jabber-tablet"]
        );
    }

    #[test]
    fn the_issues_models_are_there() {
        let buttons = |name: &str| model(name).buttons;
        assert_eq!([buttons("7960"), buttons("7970"), buttons("7911")], [6, 8, 1]);
        assert_eq!([buttons("7861"), buttons("8851"), buttons("ip-communicator")], [16, 10, 8]);
        let series = |digits: &str| {
            Catalogue::builtin().iter().filter(|model| model.name.as_str().starts_with(digits)).count()
        };
        assert!(series("79") >= 20 && series("78") >= 5 && series("88") >= 8);
        assert_eq!(model("7960").protocols, [Protocol::Sccp, Protocol::Sip]);
        assert_eq!(model("8865").protocols, [Protocol::Sip]);
    }

    #[test]
    fn dp_4_two_7914_give_a_7960_28_more_buttons_and_a_third_none() {
        let modules = vec!["7914".to_owned(); 3];
        assert_eq!(model("7960").module_buttons(&modules[..1]), 14);
        assert_eq!(model("7960").module_buttons(&modules[..2]), 28);
        assert_eq!(model("7960").module_buttons(&modules), 28);
        assert_eq!(model("7911").module_buttons(&modules), 0);
        assert_eq!(model("7960").module_buttons(&["7916".to_owned()]), 0);
    }

    #[test]
    fn the_usual_spellings_find_their_model() {
        let catalogue = Catalogue::builtin();
        for (text, name) in [
            ("7960", "7960"),
            ("7960G", "7960"),
            ("CP-7960G", "7960"),
            ("cisco 7960", "7960"),
            ("Cisco Unified IP Phone 7961G-GE", "7961"),
            ("7961GE", "7961"),
            ("CP-8841-K9", "8841"),
            ("Cisco IP Communicator", "ip-communicator"),
            ("CIPC", "ip-communicator"),
            ("CSF", "jabber-desktop"),
            ("ATA 186", "ata-186"),
            ("VG224", "vg-224"),
        ] {
            let found = catalogue.find(text);
            assert_eq!(found.map(|model| model.name.as_str().to_owned()), Ok(name.to_owned()), "{text}");
        }
    }

    #[test]
    fn dp_17_an_unknown_model_is_refused_by_name_with_the_nearest() {
        let refused = Catalogue::builtin().find("Cisco 7969").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the catalogue has no phone model \"Cisco 7969\"; did you mean \"7960\"?"
        );
        let refused = Catalogue::builtin().find("jaber-desktop").unwrap_err();
        assert_eq!(refused.nearest.unwrap().as_str(), "jabber-desktop");
        let refused = Catalogue::builtin().find("toaster").unwrap_err();
        assert_eq!(refused.to_string(), "the catalogue has no phone model \"toaster\"");
        assert!(Catalogue::builtin().find("").is_err());
        assert!(Catalogue::builtin().get(&"cipc".parse().unwrap()).is_none(), "only names are stored");
    }

    proptest! {
        #[test]
        fn any_text_is_answered_and_a_refusal_stays_short(text in "\\PC{0,200}") {
            if let Err(refused) = Catalogue::builtin().find(&text) {
                prop_assert!(refused.given.chars().count() <= 80);
            }
        }

        #[test]
        fn every_model_is_found_under_its_usual_spellings(at in any::<prop::sample::Index>()) {
            let models: Vec<_> = Catalogue::builtin().iter().collect();
            let model = at.get(&models);
            for text in [model.name.to_string(), format!("Cisco {}", model.name), format!("CP-{}", model.name), model.title.clone()] {
                if text.contains("Jabber") || text.contains("analog") {
                    continue;
                }
                prop_assert_eq!(&Catalogue::builtin().find(&text).unwrap().name, &model.name, "{}", text);
            }
        }
    }
}
