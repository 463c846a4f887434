//! Where phones stand, and which device pool suits a phone of another cluster (XC-3).

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Violations;
use crate::name::RecordName;

/// The longest value of a field, in characters.
const LONGEST: usize = 50;

macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident = $name:literal),+ $(,)?) => {
        /// A field of a civic address.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Field {
            $($(#[$doc])* #[serde(rename = $name)] $field,)+
        }

        impl Field {
            /// All of them.
            pub const ALL: [Self; 17] = [$(Self::$field),+];

            /// Its name on the wire.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$field => $name,)+
                }
            }
        }
    };
}

fields! {
    /// Country.
    Country = "country",
    /// State, region, province (A1).
    NationalSubdivision = "national_subdivision",
    /// County, parish, district (A2).
    District = "district",
    /// City, township (A3).
    CommunityName = "community_name",
    /// City district (A4).
    CityDivision = "city_division",
    /// Neighbourhood, block (A5).
    Neighbourhood = "neighbourhood",
    /// Street (A6).
    Street = "street",
    /// Direction before the street.
    LeadingStreetDirection = "leading_street_direction",
    /// Direction after the street.
    TrailingStreetSuffix = "trailing_street_suffix",
    /// Street suffix.
    StreetSuffix = "street_suffix",
    /// House number.
    HouseNumber = "house_number",
    /// What follows the house number.
    HouseNumberSuffix = "house_number_suffix",
    /// Landmark.
    Landmark = "landmark",
    /// Further words.
    Location = "location",
    /// Floor.
    Floor = "floor",
    /// Name of the occupant.
    OccupantName = "occupant_name",
    /// Postal code.
    PostalCode = "postal_code",
}

/// A text that names no field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no field of a geolocation")]
pub struct UnknownField;

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        Self::ALL.into_iter().find(|field| field.name() == text).ok_or(UnknownField)
    }
}

/// The fields of an address that are known. Values are compared without regard to case and to space around them.
pub type Civic = BTreeMap<Field, String>;

/// Where phones stand, under the name by which device pools mean it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geolocation {
    /// Which.
    pub name: RecordName,
    /// Where.
    pub civic: Civic,
    /// Search space that goes first there (XC-7); empty for none.
    #[serde(default)]
    pub adjunct_search_space: String,
    /// Group of gateways of local calls there (XC-7); empty for none.
    #[serde(default)]
    pub local_route_group: String,
}

impl Geolocation {
    /// What is wrong with it.
    pub fn check(&self) -> Violations {
        let mut found = Violations::new();
        let texts = self.civic.iter().map(|(field, text)| (field.name(), text));
        let others = [
            ("adjunct_calling_search_space", &self.adjunct_search_space),
            ("local_route_group", &self.local_route_group),
        ];
        for (field, text) in texts.chain(others) {
            let length = text.chars().count();
            if length > LONGEST {
                found.add(field, "XC-3", format!("has {length} characters, more than {LONGEST}"));
            }
        }
        found
    }
}

/// Which fields count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeolocationFilter {
    /// Which.
    pub name: RecordName,
    /// Those that count.
    pub fields: BTreeSet<Field>,
}

/// The roaming device pool of a phone that stands at `place`: the one whose geolocation has the most fields in common with
/// it and none that differs, among the fields that count (all without a filter). Of equals, the one that says least
/// beyond that, then the first by name. `None` where no pool has a field in common.
pub fn choose_pool<'a>(
    place: &Civic,
    pools: impl IntoIterator<Item = (&'a RecordName, &'a Geolocation)>,
    filter: Option<&GeolocationFilter>,
) -> Option<&'a RecordName> {
    let counts = |field: &Field| filter.is_none_or(|filter| filter.fields.contains(field));
    let best = pools.into_iter().filter_map(|(pool, geolocation)| {
        let (mut equal, mut unsaid) = (0_usize, 0_usize);
        for (field, text) in geolocation.civic.iter().filter(|(field, text)| counts(field) && !blank(text)) {
            match place.get(field).filter(|text| !blank(text)) {
                None => unsaid += 1,
                Some(here) if same(here, text) => equal += 1,
                Some(_) => return None,
            }
        }
        (equal > 0).then_some((std::cmp::Reverse(equal), unsaid, pool))
    });
    best.min().map(|(_, _, pool)| pool)
}

fn blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn civic(fields: &[(Field, &str)]) -> Civic {
        fields.iter().map(|(field, text)| (*field, (*text).to_owned())).collect()
    }

    fn pool(name: &str, fields: &[(Field, &str)]) -> (RecordName, Geolocation) {
        let geolocation = Geolocation {
            name: name.parse().unwrap(),
            civic: civic(fields),
            adjunct_search_space: String::new(),
            local_route_group: String::new(),
        };
        (name.parse().unwrap(), geolocation)
    }

    fn choose<'a>(
        place: &Civic,
        pools: &'a [(RecordName, Geolocation)],
        filter: Option<&GeolocationFilter>,
    ) -> Option<&'a str> {
        choose_pool(place, pools.iter().map(|(name, place)| (name, place)), filter).map(RecordName::as_str)
    }

    #[test]
    fn xc_3_the_pool_with_the_most_fields_in_common_is_taken() {
        use Field::{CommunityName, Country, Floor, Street};
        let pools = [
            pool("germany", &[(Country, "DE")]),
            pool("berlin", &[(Country, "DE"), (CommunityName, "Berlin")]),
            pool("berlin 4th", &[(Country, "DE"), (CommunityName, "Berlin"), (Floor, "4")]),
            pool("hamburg", &[(Country, "DE"), (CommunityName, "Hamburg")]),
        ];
        let berlin = civic(&[(Country, "de"), (CommunityName, " berlin "), (Street, "Allee")]);
        assert_eq!(choose(&berlin, &pools, None), Some("berlin"));
        let floor = civic(&[(Country, "DE"), (CommunityName, "Berlin"), (Floor, "4")]);
        assert_eq!(choose(&floor, &pools, None), Some("berlin 4th"));
        let munich = civic(&[(Country, "DE"), (CommunityName, "Munich")]);
        assert_eq!(choose(&munich, &pools, None), Some("germany"));
        assert_eq!(choose(&civic(&[(Country, "FR")]), &pools, None), None);
        assert_eq!(choose(&Civic::new(), &pools, None), None);
        let country = GeolocationFilter { name: "f".parse().unwrap(), fields: [Country].into() };
        assert_eq!(choose(&munich, &pools, Some(&country)), Some("berlin"));
    }

    #[test]
    fn a_geolocation_has_seventeen_fields_each_with_its_name() {
        let names: BTreeSet<_> = Field::ALL.iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), 17);
        for field in Field::ALL {
            assert_eq!(field.name().parse(), Ok(field));
        }
        assert_eq!("Country".parse::<Field>(), Err(UnknownField));
        let (_, long) = pool("x", &[(Field::Floor, &"x".repeat(51))]);
        assert_eq!(long.check().into_iter().count(), 1);
    }

    proptest! {
        #[test]
        fn xc_3_no_pool_that_contradicts_the_place_is_chosen(
            place in proptest::collection::btree_map(0..17_usize, "[ab]", 0..5),
            pools in proptest::collection::vec(proptest::collection::btree_map(0..17_usize, "[ab]", 0..5), 0..6),
            counting in proptest::option::of(proptest::collection::btree_set(0..17_usize, 0..17)),
        ) {
            let named = |fields: &BTreeMap<usize, String>| -> Civic {
                fields.iter().map(|(at, text)| (Field::ALL[*at], text.clone())).collect()
            };
            let place = named(&place);
            let made: Vec<_> = pools.iter().enumerate().map(|(n, fields)| {
                let (name, mut geolocation) = pool(&format!("p{n}"), &[]);
                geolocation.civic = named(fields);
                (name, geolocation)
            }).collect();
            let filter = counting.map(|fields| GeolocationFilter {
                name: "f".parse().unwrap(),
                fields: fields.into_iter().map(|at| Field::ALL[at]).collect(),
            });
            let counts = |field: &Field| filter.as_ref().is_none_or(|filter| filter.fields.contains(field));
            let common = |geolocation: &Geolocation| {
                let both = geolocation.civic.iter().filter(|(field, _)| counts(field) && place.contains_key(field));
                let (same, other): (Vec<_>, Vec<_>) = both.partition(|(field, text)| place.get(field) == Some(text));
                if other.is_empty() { same.len() } else { 0 }
            };
            let most = made.iter().map(|(_, geolocation)| common(geolocation)).max().unwrap_or(0);
            let chosen = choose(&place, &made, filter.as_ref());
            let got = made.iter().find(|(name, _)| Some(name.as_str()) == chosen).map_or(0, |(_, g)| common(g));
            prop_assert_eq!(got, most);
        }
    }
}
