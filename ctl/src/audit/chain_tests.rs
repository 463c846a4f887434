//! Trails that somebody has touched, and trails whose beginning was deleted.

use super::*;

fn body(number: u64) -> String {
    format!(
        "{{\"version\":1,\"number\":{number},\"time\":\"2026-11-01T08:00:{:02}.000000500Z\",\"kind\":\"login\",\"phone\":\"SEP1\",\"user\":\"a{number}\"}}",
        number % 60
    )
}

fn line(number: u64, before: &[u8; 32], body: String) -> (Line, [u8; 32]) {
    let hash: [u8; 32] = Sha256::new().chain_update(before).chain_update(&body).finalize().into();
    let time = format!("2026-11-01T08:00:{:02}Z", number % 60).parse().unwrap();
    let line = Line {
        number,
        time,
        kind: "login".into(),
        phone: "SEP1".into(),
        user: format!("a{number}"),
        hash: hex(&hash),
        body,
    };
    (line, hash)
}

fn trail(length: u64) -> Vec<Line> {
    let mut hash = [0; 32];
    let mut lines = Vec::new();
    for number in 1..=length {
        let made = line(number, &hash, body(number));
        hash = made.1;
        lines.push(made.0);
    }
    lines
}

fn followed(lines: &[Line], anchor: Option<Anchor>) -> Chain {
    let mut chain = Chain::new(anchor);
    lines.iter().for_each(|line| chain.follow(line));
    chain.finish();
    chain
}

fn breaks(lines: &[Line]) -> Vec<(u64, How)> {
    followed(lines, None).breaks.iter().map(|found| (found.number, found.how)).collect()
}

fn anchor(line: &Line) -> Option<Anchor> {
    Some(Anchor { number: line.number, hash: line.hash.clone() })
}

#[test]
fn ev_1_a_trail_that_nobody_touched_is_whole() {
    let lines = trail(10);
    let chain = followed(&lines, anchor(&lines[4]));
    assert_eq!((chain.records, chain.broken), (10, 0), "{:?}", chain.breaks);
    assert_eq!(chain.end(), anchor(&lines[9]));
    assert_eq!(followed(&[], None).end(), None);
}

#[test]
fn ev_1_each_kind_of_forgery_is_told_with_its_record() {
    let whole = trail(10);
    let changed = |change: fn(&mut Vec<Line>)| {
        let mut lines = whole.clone();
        change(&mut lines);
        breaks(&lines)
    };
    assert_eq!(
        changed(|lines| lines[4].body = lines[4].body.replace("08:00", "09:00")),
        [(5, How::Hash), (5, How::Columns)]
    );
    assert_eq!(changed(|lines| lines[4].user = "somebody".into()), [(5, How::Columns)]);
    assert_eq!(changed(|lines| lines[4].hash = "0".repeat(64)), [(5, How::Hash), (6, How::Hash)]);
    assert_eq!(changed(|lines| drop(lines.remove(4))), [(5, How::Missing)]);
    assert_eq!(changed(|lines| drop(lines.remove(0))), [(1, How::Missing)]);
    assert_eq!(changed(|lines| lines.insert(5, lines[4].clone())), [(5, How::Twice)]);
    assert_eq!(changed(|lines| lines.swap(4, 5)), [(5, How::Missing), (5, How::OutOfOrder)]);
    assert_eq!(changed(|lines| lines[4].body = "{".into()), [(5, How::Hash), (5, How::Columns)]);
}

#[test]
fn ev_1_a_record_that_was_slipped_in_breaks_the_chain_after_it() {
    let mut lines = trail(10);
    let before = bytes(&lines[3].hash).unwrap();
    let (forged, _) = line(5, &before, body(5).replace("a5", "forged"));
    let renumbered = lines.split_off(4);
    lines.push(Line { user: "forged".into(), ..forged });
    lines.extend(renumbered.into_iter().map(|line| Line { number: line.number + 1, ..line }));
    let found = breaks(&lines);
    assert_eq!(found.first(), Some(&(6, How::Hash)), "{found:?}");
}

#[test]
fn ev_1_a_cut_or_rewritten_end_is_seen_by_the_anchor_alone() {
    let whole = trail(10);
    let cut = &whole[..7];
    assert_eq!(breaks(cut), []);
    let chain = followed(cut, anchor(&whole[8]));
    assert_eq!(
        chain.breaks.iter().map(|found| (found.number, found.how)).collect::<Vec<_>>(),
        [(9, How::Cut)]
    );

    let mut rewritten = whole[..4].to_vec();
    let mut hash = bytes(&whole[3].hash).unwrap();
    for number in 5..=10 {
        let user = if number == 5 { "a5\",\"note\":\"another" } else { "" };
        let body = if number == 5 { body(5).replace("a5", user) } else { body(number) };
        let made = line(number, &hash, body);
        hash = made.1;
        rewritten.push(made.0);
    }
    assert_eq!(breaks(&rewritten), []);
    let chain = followed(&rewritten, anchor(&whole[8]));
    assert_eq!(
        chain.breaks.iter().map(|found| (found.number, found.how)).collect::<Vec<_>>(),
        [(9, How::Rewritten)]
    );
    assert_eq!(followed(&rewritten, anchor(&whole[3])).broken, 0, "what the anchor covers was not touched");
}

#[test]
fn a_trail_that_begins_after_the_anchor_goes_on_from_it() {
    let whole = trail(10);
    assert_eq!(followed(&whole[5..], anchor(&whole[4])).broken, 0);
    assert_eq!(followed(&whole[5..], anchor(&whole[4])).first, 6);
    let other = Anchor { number: 5, hash: "0".repeat(64) };
    assert_eq!(followed(&whole[5..], Some(other)).breaks[0].how, How::Hash);
}

/// A trail of 10, whose records up to `until` were deleted, as a record at its end says.
fn pruned(until: usize) -> Vec<Line> {
    let mut lines = trail(10);
    let hash = lines[until - 1].hash.clone();
    let last = bytes(&lines[9].hash).unwrap();
    let told = body(11).replace("\"login\"", "\"pruned\"");
    let told = told.trim_end_matches('}').to_owned()
        + &format!(
            ",\"pruned\":{{\"until\":{until},\"hash\":\"{hash}\",\"records\":3,\"older_than\":\"2026-11-01T08:00:00Z\"}}}}"
        );
    let (told, _) = line(11, &last, told);
    lines.push(Line { kind: "pruned".into(), ..told });
    lines.split_off(until)
}

fn found(lines: &[Line], anchor: Option<Anchor>) -> Vec<(u64, How)> {
    followed(lines, anchor).breaks.iter().map(|found| (found.number, found.how)).collect()
}

#[test]
fn ev_1_a_trail_that_says_what_was_deleted_before_it_is_whole_from_its_first_record_on() {
    let lines = pruned(4);
    let chain = followed(&lines, None);
    assert_eq!((chain.broken, chain.records, chain.first), (0, 7, 5), "{:?}", chain.breaks);
    assert_eq!(chain.pruned.map(|pruned| pruned.until), Some(4));
    assert_eq!(found(&lines, anchor(&lines[2])), []);
    let at_the_edge = Anchor { number: 4, hash: trail(10)[3].hash.clone() };
    assert_eq!(found(&lines, Some(at_the_edge)), []);
}

#[test]
fn ev_1_more_than_the_trail_says_cannot_be_deleted_unseen() {
    let lines = pruned(4);
    assert_eq!(breaks(&lines[1..]), [(1, How::Missing)], "another record was removed");
    assert_eq!(breaks(&lines[..6]), [(1, How::Missing)], "nothing says that any was deleted");
    let mut changed = lines.clone();
    changed[0].body = changed[0].body.replace("a5", "a6");
    assert_eq!(breaks(&changed)[0], (5, How::Columns));
    assert!(breaks(&changed).contains(&(5, How::Hash)));
    let mut in_the_middle = trail(10);
    in_the_middle.truncate(2);
    in_the_middle.extend(lines);
    assert_eq!(breaks(&in_the_middle), [(3, How::Missing)], "what is deleted is the oldest");
}

#[test]
fn ev_1_a_record_that_was_verified_before_and_was_deleted_is_told_of() {
    let whole = trail(10);
    assert_eq!(found(&pruned(4), anchor(&whole[1])), [(2, How::Pruned)]);
    assert_eq!(found(&pruned(4)[..6], anchor(&whole[1])), [(1, How::Missing)]);
}
