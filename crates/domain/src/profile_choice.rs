//! Which of his profiles a user wears at a phone (LI-3).

use crate::directory::{User, UserDeviceProfile};
use crate::name::{ModelName, ProfileName};

/// Why none could be chosen, in the order of LI-2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceRefused {
    /// The user has none.
    #[error("the user has no profile")]
    NoProfile,
    /// The profile he names is not one of his, or is gone.
    #[error("the user has no profile {profile:?}", profile = .profile.as_str())]
    NotOwned {
        /// The one he named.
        profile: ProfileName,
    },
    /// He has several and must name one.
    #[error("the user has several profiles and must name one: {}", listed(.profiles))]
    ChoiceNeeded {
        /// All of his, in his order.
        profiles: Vec<ProfileName>,
    },
}

fn listed(profiles: &[ProfileName]) -> String {
    profiles.iter().map(ProfileName::as_str).collect::<Vec<_>>().join(", ")
}

/// The profile a user wears at a phone of that model (LI-3): the one he names; his only one; the one of several that is
/// made for the model; his default.
///
/// `profiles` are the stored profiles of `user.profiles`; some may have vanished, and others are passed over.
///
/// # Errors
/// When he has none, names one that is not his, or must name one.
pub fn choose<'a>(
    user: &User,
    named: Option<&ProfileName>,
    profiles: &'a [UserDeviceProfile],
    model: &ModelName,
) -> Result<&'a UserDeviceProfile, ChoiceRefused> {
    let his: Vec<&UserDeviceProfile> = user
        .profiles
        .iter()
        .filter_map(|name| profiles.iter().find(|profile| profile.name == *name))
        .collect();
    if his.is_empty() {
        return Err(ChoiceRefused::NoProfile);
    }
    if let Some(name) = named {
        let found = his.into_iter().find(|profile| profile.name == *name);
        return found.ok_or_else(|| ChoiceRefused::NotOwned { profile: name.clone() });
    }
    if let [only] = his[..] {
        return Ok(only);
    }
    let made_for_it: Vec<&UserDeviceProfile> =
        his.iter().copied().filter(|profile| is_made_for(profile, model)).collect();
    if let [only] = made_for_it[..] {
        return Ok(only);
    }
    let candidates = if made_for_it.is_empty() { &his } else { &made_for_it };
    let default =
        candidates.iter().copied().find(|profile| Some(&profile.name) == user.default_profile.as_ref());
    default.ok_or_else(|| ChoiceRefused::ChoiceNeeded {
        profiles: his.iter().map(|profile| profile.name.clone()).collect(),
    })
}

fn is_made_for(profile: &UserDeviceProfile, model: &ModelName) -> bool {
    profile.made_for.as_ref().is_some_and(|made_for| made_for.model == *model)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::fixture::{made_for, profile, user};

    fn chosen(
        user: &User,
        named: Option<&str>,
        profiles: &[UserDeviceProfile],
    ) -> Result<String, ChoiceRefused> {
        let named = named.map(|name| name.parse().unwrap());
        choose(user, named.as_ref(), profiles, &"7960".parse().unwrap())
            .map(|profile| profile.name.to_string())
    }

    fn names(names: &[&str]) -> Vec<ProfileName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn li_3_one_profile_is_worn_whatever_it_is_made_for() {
        assert_eq!(chosen(&user(&["a"]), None, &[made_for("a", "8851")]), Ok("a".into()));
    }

    #[test]
    fn li_3_a_named_profile_is_worn_if_it_is_the_users() {
        let profiles = [profile("a"), made_for("b", "7960"), profile("c")];
        let user = user(&["a", "b"]);
        assert_eq!(chosen(&user, Some("a"), &profiles), Ok("a".into()));
        assert_eq!(
            chosen(&user, Some("c"), &profiles),
            Err(ChoiceRefused::NotOwned { profile: "c".parse().unwrap() })
        );
    }

    #[test]
    fn li_3_the_one_of_the_phones_model_wins_over_the_default() {
        let mut user = user(&["a", "b"]);
        user.default_profile = Some("a".parse().unwrap());
        assert_eq!(chosen(&user, None, &[profile("a"), made_for("b", "7960")]), Ok("b".into()));
    }

    #[test]
    fn li_3_several_of_the_phones_model_leave_it_to_a_default_among_them() {
        let profiles = [made_for("a", "7960"), made_for("b", "7960"), made_for("c", "8851")];
        let mut user = user(&["a", "b", "c"]);
        user.default_profile = Some("b".parse().unwrap());
        assert_eq!(chosen(&user, None, &profiles), Ok("b".into()));
        user.default_profile = Some("c".parse().unwrap());
        let needed = ChoiceRefused::ChoiceNeeded { profiles: names(&["a", "b", "c"]) };
        assert_eq!(chosen(&user, None, &profiles), Err(needed));
    }

    #[test]
    fn li_3_no_match_falls_to_the_default_and_then_to_a_choice_among_all() {
        let profiles = [made_for("a", "8851"), profile("b")];
        let mut user = user(&["a", "b"]);
        let refused = chosen(&user, None, &profiles).unwrap_err();
        assert_eq!(refused.to_string(), "the user has several profiles and must name one: a, b");
        user.default_profile = Some("a".parse().unwrap());
        assert_eq!(chosen(&user, None, &profiles), Ok("a".into()));
    }

    #[test]
    fn li_3_profiles_that_vanished_count_for_nothing() {
        let mut user = user(&["gone", "b"]);
        user.default_profile = Some("gone".parse().unwrap());
        assert_eq!(chosen(&user, None, &[profile("b")]), Ok("b".into()));
        assert_eq!(chosen(&user, None, &[profile("other")]), Err(ChoiceRefused::NoProfile));
        assert_eq!(chosen(&user, Some("b"), &[]), Err(ChoiceRefused::NoProfile));
    }

    proptest! {
        #[test]
        fn li_3_what_is_chosen_is_always_the_users(
            has in prop::collection::vec("[a-e]", 0..4), stored in prop::collection::hash_set("[a-e]", 0..5),
            named in prop::option::of("[a-e]"), default in prop::option::of("[a-e]"), models in prop::collection::vec("7960|8851", 5),
        ) {
            let mut user = user(&has.iter().map(String::as_str).collect::<Vec<_>>());
            user.default_profile = default.map(|name| name.parse().unwrap());
            let profiles: Vec<_> = stored.iter().zip(&models).map(|(name, model)| made_for(name, model)).collect();
            match chosen(&user, named.as_deref(), &profiles) {
                Ok(name) => {
                    prop_assert!(has.contains(&name) && stored.contains(&name));
                    prop_assert!(named.is_none_or(|named| named == name));
                }
                Err(ChoiceRefused::ChoiceNeeded { profiles }) => {
                    prop_assert!(named.is_none() && profiles.len() > 1);
                }
                Err(ChoiceRefused::NotOwned { profile }) => prop_assert_eq!(Some(profile.as_str()), named.as_deref()),
                Err(ChoiceRefused::NoProfile) => prop_assert!(has.iter().all(|name| !stored.contains(name))),
            }
        }
    }
}
