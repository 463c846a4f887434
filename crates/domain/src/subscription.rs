//! Subscriptions to phone services (DP-11): a subscription copies what its definition says, and is a copy from then on.

use std::collections::BTreeMap;

use crate::directory::PhoneServiceDefinition;
use crate::settings::ServiceSubscription;
use crate::violation::Violations;

/// A subscription under the definition's name: its URL, the values that are given, and the defaults of the others.
pub fn subscribe(
    definition: &PhoneServiceDefinition,
    given: &BTreeMap<String, String>,
) -> ServiceSubscription {
    let empty = ServiceSubscription {
        name: definition.name.to_string(),
        url: String::new(),
        parameters: given.clone(),
        definition: Some(definition.name.clone()),
    };
    completed(empty, definition)
}

/// The subscription with what it does not say copied from its definition: the URL, and the defaults of parameters.
pub fn completed(
    mut subscription: ServiceSubscription,
    definition: &PhoneServiceDefinition,
) -> ServiceSubscription {
    if subscription.url.is_empty() {
        subscription.url.clone_from(&definition.url);
    }
    for (name, value) in defaults(definition) {
        subscription.parameters.entry(name).or_insert(value);
    }
    subscription
}

/// The subscription as its definition has it today: the URL, parameters that are new with their defaults, none that
/// the definition no longer has; the others keep their values. `None` where nothing differs.
pub fn refresh(
    subscription: &ServiceSubscription,
    definition: &PhoneServiceDefinition,
) -> Option<ServiceSubscription> {
    let mut parameters = subscription.parameters.clone();
    parameters.retain(|name, _| definition.parameters.iter().any(|parameter| parameter.name == *name));
    let current = ServiceSubscription { url: String::new(), parameters, ..subscription.clone() };
    let current = completed(current, definition);
    (current != *subscription).then_some(current)
}

/// What is wrong with the values of a subscription: parameters that the definition does not have, and required ones
/// without a value.
pub(crate) fn check(subscription: &ServiceSubscription, definition: &PhoneServiceDefinition) -> Violations {
    let mut found = Violations::new();
    let service = definition.name.as_str();
    for name in subscription.parameters.keys() {
        if !definition.parameters.iter().any(|parameter| parameter.name == *name) {
            let shown: String = name.chars().take(80).collect();
            found.add("parameters", "DP-11", format!("service {service:?} has no parameter {shown:?}"));
        }
    }
    for parameter in definition.parameters.iter().filter(|parameter| parameter.required) {
        let name = &parameter.name;
        let given = subscription.parameters.get(name).unwrap_or(&parameter.default_value);
        if given.is_empty() {
            found.add("parameters", "DP-11", format!("service {service:?} requires a value of {name:?}"));
        }
    }
    found
}

/// A parameter without a default is left to the subscriber, and absent until he says something.
fn defaults(definition: &PhoneServiceDefinition) -> impl Iterator<Item = (String, String)> {
    let with_default = definition.parameters.iter().filter(|parameter| !parameter.default_value.is_empty());
    with_default.map(|parameter| (parameter.name.clone(), parameter.default_value.clone()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::directory::PhoneServiceParameter;

    fn definition(url: &str, parameters: &[(&str, &str, bool)]) -> PhoneServiceDefinition {
        PhoneServiceDefinition {
            name: "Weather".parse().unwrap(),
            description: String::new(),
            url: url.into(),
            parameters: parameters
                .iter()
                .map(|(name, default, required)| PhoneServiceParameter {
                    name: (*name).into(),
                    description: String::new(),
                    default_value: (*default).into(),
                    required: *required,
                })
                .collect(),
        }
    }

    fn values(given: &[(&str, &str)]) -> BTreeMap<String, String> {
        given.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn dp_11_a_subscription_copies_the_url_and_the_defaults() {
        let weather = definition("http://w/?d=#DEVICENAME#", &[("city", "Oslo", true), ("unit", "c", false)]);
        let made = subscribe(&weather, &values(&[("city", "Bergen")]));
        assert_eq!((made.name.as_str(), made.url.as_str()), ("Weather", "http://w/?d=#DEVICENAME#"));
        assert_eq!(made.parameters, values(&[("city", "Bergen"), ("unit", "c")]));
        assert_eq!(made.definition, Some(weather.name.clone()));
        let own_url = ServiceSubscription { url: "http://own/".into(), ..made };
        assert_eq!(completed(own_url.clone(), &weather), own_url);
    }

    #[test]
    fn dp_11_unknown_parameters_and_required_ones_without_a_value_are_refused() {
        let weather = definition("http://w/", &[("city", "", true), ("unit", "c", true)]);
        let messages = |given: &[(&str, &str)]| -> Vec<String> {
            check(&subscribe(&weather, &values(given)), &weather).into_iter().map(|v| v.message).collect()
        };
        assert_eq!(messages(&[("city", "Oslo")]), Vec::<String>::new());
        assert_eq!(messages(&[]), ["service \"Weather\" requires a value of \"city\""]);
        assert_eq!(
            messages(&[("town", "Oslo"), ("city", ""), ("unit", "")]),
            [
                "service \"Weather\" has no parameter \"town\"",
                "service \"Weather\" requires a value of \"city\"",
                "service \"Weather\" requires a value of \"unit\"",
            ]
        );
    }

    #[test]
    fn dp_11_a_refresh_pushes_the_url_and_new_parameters_and_keeps_values() {
        let before = definition("http://old/", &[("city", "Oslo", false), ("gone", "1", false)]);
        let made = subscribe(&before, &values(&[("city", "Bergen")]));
        let after = definition("http://new/", &[("city", "Rome", false), ("unit", "c", false)]);
        let pushed = refresh(&made, &after).unwrap();
        assert_eq!(pushed.url, "http://new/");
        assert_eq!(pushed.parameters, values(&[("city", "Bergen"), ("unit", "c")]));
    }

    proptest! {
        #[test]
        fn dp_11_a_refresh_is_done_once_and_leaves_nothing_that_the_definition_lacks(
            before in any_definition(), after in any_definition(), given in prop::collection::btree_map("[a-d]", "[x-z]", 0..4),
        ) {
            let made = subscribe(&before, &given);
            prop_assert_eq!(refresh(&subscribe(&before, &BTreeMap::new()), &before), None);
            let pushed = refresh(&made, &after).unwrap_or_else(|| made.clone());
            prop_assert_eq!(refresh(&pushed, &after), None);
            prop_assert_eq!(&pushed.url, &after.url);
            for (name, value) in &pushed.parameters {
                let parameter = after.parameters.iter().find(|p| p.name == *name).unwrap();
                prop_assert_eq!(value, made.parameters.get(name).unwrap_or(&parameter.default_value));
            }
        }
    }

    fn any_definition() -> impl Strategy<Value = PhoneServiceDefinition> {
        let parameter = ("[x-z]?", any::<bool>());
        ("http://[a-b]/", prop::collection::btree_map("[a-d]", parameter, 0..4)).prop_map(
            |(url, parameters)| {
                let listed: Vec<(&str, &str, bool)> = parameters
                    .iter()
                    .map(|(name, (default, required))| (name.as_str(), default.as_str(), *required))
                    .collect();
                definition(&url, &listed)
            },
        )
    }
}
