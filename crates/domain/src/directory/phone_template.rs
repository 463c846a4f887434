//! Phone templates.

use serde::{Deserialize, Serialize};

use crate::name::RecordName;
use crate::settings::FeatureButton;

/// Softkeys and buttons that profiles and phones may share (DP-21).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneTemplate {
    /// Which.
    pub name: RecordName,
    /// For people.
    pub description: String,
    /// Phone button template.
    pub phone_button_template: Option<String>,
    /// Softkey template.
    pub softkey_template: Option<String>,
    /// Feature buttons, in order.
    pub feature_buttons: Vec<FeatureButton>,
}
