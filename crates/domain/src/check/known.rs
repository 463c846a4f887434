//! What a check knows beside the resource itself. What is not there is not judged here: that it is missing is for the
//! directory to say, except of lines (LL-8).

use crate::appearance::LineTemplates;
use crate::directory::{Key, Line, LineCapacity, PhoneServiceDefinition};
use crate::name::{LineName, RecordName};
use crate::settings::ServiceSubscription;

/// What other resources must know of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineFacts {
    /// How many calls it holds (DP-15).
    pub capacity: LineCapacity,
    /// Whether it is an intercom line (LL-9).
    pub intercom: bool,
}

impl From<&Line> for LineFacts {
    fn from(line: &Line) -> Self {
        Self { capacity: line.capacity, intercom: line.intercom_phone.is_some() }
    }
}

/// The directory around a resource.
pub trait Known: LineTemplates {
    /// The line of that name, if it exists.
    fn line(&self, name: &LineName) -> Option<LineFacts>;

    /// The phone service of that name, if it is there.
    fn phone_service(&self, name: &RecordName) -> Option<&PhoneServiceDefinition>;

    /// Whether that resource has the subscription already. It is not judged again then: its definition may have
    /// changed since, and the subscription is a copy (DP-11).
    fn has_subscription(&self, subscriber: &Key, subscription: &ServiceSubscription) -> bool;

    /// The parameter of that name (DP-8).
    fn maximum_phones(&self) -> u32;
}

/// In a test, lines may be all that is known.
#[cfg(test)]
mod lines_alone {
    use super::*;
    use crate::directory::LineTemplate;
    use crate::parameters::ServiceParameters;

    impl<F: Fn(&LineName) -> Option<LineCapacity>> LineTemplates for F {
        fn line_template(&self, _: &RecordName) -> Option<&LineTemplate> {
            None
        }
    }

    impl<F: Fn(&LineName) -> Option<LineCapacity>> Known for F {
        fn line(&self, name: &LineName) -> Option<LineFacts> {
            self(name).map(|capacity| LineFacts { capacity, intercom: false })
        }

        fn phone_service(&self, _: &RecordName) -> Option<&PhoneServiceDefinition> {
            None
        }

        fn has_subscription(&self, _: &Key, _: &ServiceSubscription) -> bool {
            false
        }

        fn maximum_phones(&self) -> u32 {
            ServiceParameters::default().maximum_phones
        }
    }
}
