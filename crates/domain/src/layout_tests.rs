//! LL-1 to LL-3, LL-5 and LL-6, by example and for any profile.

use proptest::prelude::*;

use super::*;
use crate::render::fixture::{any_lines, any_speed_dials, dial, line, lines_of_me, speed_dials_of_me};

fn carried(layout: &Layout) -> Vec<String> {
    layout
        .buttons
        .iter()
        .map(|button| match &button.carries {
            Carries::Line(line) => joined(&line.lines),
            Carries::SpeedDial(dial) => dial.number.clone(),
        })
        .collect()
}

fn off(layout: &Layout) -> Vec<(&str, &str)> {
    layout.left_off.iter().map(|off| (off.what.as_str(), off.rule)).collect()
}

const SIX: [&str; 6] = ["2001", "2002", "2003", "2004", "2005+2006", "2007+2008"];

#[test]
fn ll_2_six_numbers_fill_a_7960_and_both_speed_dials_go() {
    let layout = lay_out(&lines_of_me(), &speed_dials_of_me(), Protocol::Sccp, 6);
    assert_eq!(carried(&layout), SIX);
    assert_eq!(off(&layout), [("speed dial 1 (3001)", "LL-2"), ("speed dial 2 (3002)", "LL-2")]);
    assert_eq!(layout.left_off[0].reason, "the phone has 6 buttons");
}

#[test]
fn ll_2_a_7970_has_room_for_all_of_it() {
    let layout = lay_out(&lines_of_me(), &speed_dials_of_me(), Protocol::Sccp, 8);
    assert_eq!(carried(&layout), [&SIX[..], &["3001", "3002"]].concat());
    assert!(layout.left_off.is_empty());
    assert_eq!(
        layout.buttons.iter().map(|button| button.position).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7, 8]
    );
}

#[test]
fn ll_5_a_sip_phone_wears_normal_lines_only() {
    let layout = lay_out(&lines_of_me(), &speed_dials_of_me(), Protocol::Sip, 8);
    assert_eq!(carried(&layout), ["3001", "3002"]);
    assert!(layout.left_off.iter().all(|off| off.rule == "LL-5"));
    assert_eq!(layout.left_off[4].what, "line 2005+2006 (overlay)");
    let normal = lay_out(&[line(LineKind::Normal, &["2101"])], &[], Protocol::Sip, 8);
    assert_eq!(carried(&normal), ["2101"]);
}

#[test]
fn ll_1_both_overlays_keep_the_order_of_the_profile_among_each_other() {
    let lines = [
        line(LineKind::CallWaitingOverlay, &["1"]),
        line(LineKind::Overlay, &["2"]),
        line(LineKind::MonitorRing, &["3"]),
        line(LineKind::CallWaitingOverlay, &["4"]),
        line(LineKind::Normal, &["5"]),
        line(LineKind::FeatureRing, &["6"]),
        line(LineKind::Normal, &["7"]),
    ];
    let layout = lay_out(&lines, &[dial(9, "99"), dial(2, "22")], Protocol::Sccp, 20);
    assert_eq!(carried(&layout), ["5", "7", "6", "3", "1", "2", "4", "22", "99"]);
}

#[test]
fn ll_3_overlay_keeps_priority() {
    let numbers = ["2009", "2001", "2005"];
    let layout = lay_out(&[line(LineKind::Overlay, &numbers)], &[], Protocol::Sccp, 1);
    let Carries::Line(worn) = &layout.buttons[0].carries else { panic!("a line") };
    assert_eq!(worn.lines.iter().map(LineName::as_str).collect::<Vec<_>>(), numbers);
}

#[test]
fn ll_6_a_sip_phone_ignores_the_other_feature_buttons() {
    let wanted = [FeatureButton::Video, FeatureButton::Hold, FeatureButton::CallBack, FeatureButton::Park];
    let (worn, off) = worn_feature_buttons(&wanted, Protocol::Sip);
    assert_eq!(worn, [FeatureButton::Hold, FeatureButton::Park]);
    assert_eq!(off[0].what, "feature button video");
    assert_eq!((off.len(), off[1].rule), (2, "LL-6"));
    assert_eq!(worn_feature_buttons(&wanted, Protocol::Sccp), (wanted.to_vec(), Vec::new()));
}

proptest! {
    #[test]
    fn ll_1_and_ll_2_hold_for_any_profile(
        lines in any_lines(), dials in any_speed_dials(), buttons in 0u32..40, sip in any::<bool>(),
    ) {
        let protocol = if sip { Protocol::Sip } else { Protocol::Sccp };
        let layout = lay_out(&lines, &dials, protocol, buttons);

        prop_assert!(layout.buttons.len() <= buttons as usize);
        prop_assert_eq!(layout.buttons.len() + layout.left_off.len(), lines.len() + dials.len(), "nothing is lost");
        for (expected, button) in (1u32..).zip(&layout.buttons) {
            prop_assert_eq!(button.position, expected);
        }

        let places: Vec<_> = layout.buttons.iter().map(|button| match &button.carries {
            Carries::Line(line) => (0, rank(line.kind) as u32, lines.iter().position(|l| l == line)),
            Carries::SpeedDial(dial) => (1, dial.tag, None),
        }).collect();
        prop_assert!(places.is_sorted(), "LL-1: {:?}", places);

        let full = layout.buttons.len() == buttons as usize;
        prop_assert!(full || layout.left_off.iter().all(|off| off.rule != "LL-2"), "LL-2 only when full");
        prop_assert!(!sip || layout.buttons.iter().all(|button| match &button.carries {
            Carries::Line(line) => line.kind == LineKind::Normal,
            Carries::SpeedDial(_) => true,
        }), "LL-5");
    }

    #[test]
    fn ll_2_one_button_more_never_takes_anything_away(lines in any_lines(), dials in any_speed_dials(), buttons in 0u32..40) {
        let less = lay_out(&lines, &dials, Protocol::Sccp, buttons);
        let more = lay_out(&lines, &dials, Protocol::Sccp, buttons + 1);
        prop_assert!(more.buttons.starts_with(&less.buttons), "what is left off is left off from the end");
    }
}
