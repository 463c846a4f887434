use proptest::prelude::*;

use super::*;

const ONE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
const TWO: &str = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn token() -> InvitationToken {
    InvitationToken {
        id: "0123456789abcdef0123456789abcdef".into(),
        secret: Bytes32([7; 32]),
        fingerprint: Bytes32([0xAB; 32]),
        expires_at: at(1_800_000_000),
        inviter: "berlin".parse().unwrap(),
        invited: "hamburg-2".parse().unwrap(),
        address: "https://[::1]:7440".into(),
    }
}

fn invitation() -> Invitation {
    Invitation {
        id: token().id,
        cluster: "hamburg".parse().unwrap(),
        secret_hash: Invitation::hash_of(&Bytes32([7; 32])),
        services: RemoteServices::ALL,
        created_by: "admin".into(),
        created_at: at(1000),
        expires_at: at(2000),
        used: None,
        refusals: 0,
    }
}

fn bundle() -> TrustBundle {
    TrustBundle {
        cluster: "hamburg".parse().unwrap(),
        address: "https://emcc.hamburg.example.org:7440".into(),
        spiffe_id: "spiffe://example.org/roamline/hamburg".into(),
        authorities: vec![ONE.into()],
    }
}

fn admit(
    invitation: &Invitation,
    secret: u8,
    cluster: &str,
    now: i64,
) -> Result<Admitted, InvitationRefused> {
    invitation.admit(&Bytes32([secret; 32]), &cluster.parse().unwrap(), &bundle().claim(), at(now))
}

#[test]
fn xc_10_an_invitation_reads_back_as_it_was_printed() {
    let text = token().text();
    assert_eq!(text.parse(), Ok(token()));
    assert_eq!(format!("  {text}\n").parse(), Ok(token()));
    assert!(!format!("{:?}", token()).contains("0707"));
}

#[test]
fn xc_10_what_is_no_invitation_says_what_is_wrong_and_shows_no_secret() {
    let text = token().text();
    for (from, to, what) in [
        ("roamline1", "roamline2", "beginning"),
        ("0123", "012g", "id"),
        ("0707", "07-7", "secret"),
        ("abababab", "ababab", "fingerprint"),
        ("1800000000", "later", "expiry"),
        ("berlin", "Berlin", "inviter"),
        ("hamburg-2", "2", "invited cluster"),
        ("https", "http", "address"),
    ] {
        let refused = text.replacen(from, to, 1).parse::<InvitationToken>().unwrap_err();
        assert_eq!(refused.0, what);
    }
    assert_eq!(text[..40].parse::<InvitationToken>(), Err(NotAnInvitation("id")));
    assert_eq!("x".repeat(2000).parse::<InvitationToken>(), Err(NotAnInvitation("length")));
}

#[test]
fn xc_10_an_invitation_lets_its_cluster_in_once() {
    let mut invitation = invitation();
    assert_eq!(admit(&invitation, 7, "hamburg", 1999), Ok(Admitted::First));
    assert_eq!(admit(&invitation, 8, "hamburg", 1999), Err(InvitationRefused::Wrong));
    assert_eq!(admit(&invitation, 7, "hamburg", 2000), Err(InvitationRefused::Expired(at(2000))));
    let other = InvitationRefused::ForAnother("hamburg".parse().unwrap());
    assert_eq!(admit(&invitation, 7, "bremen", 1999), Err(other));
    invitation.used = Some(Use { at: at(1500), from: String::new(), claim: bundle().claim() });
    assert_eq!(admit(&invitation, 7, "hamburg", 1500 + 600), Ok(Admitted::Again));
    assert_eq!(admit(&invitation, 7, "hamburg", 1500 + 601), Err(InvitationRefused::Used));
    assert_eq!(admit(&invitation, 8, "hamburg", 1501), Err(InvitationRefused::Wrong));
    let another = TrustBundle { authorities: vec![TWO.into()], ..bundle() };
    let again = invitation.admit(&Bytes32([7; 32]), &bundle().cluster, &another.claim(), at(1501));
    assert_eq!(again, Err(InvitationRefused::Used));
    assert!(
        !invitation.is_forgotten(at(1500 + 7 * 86_400)) && invitation.is_forgotten(at(1501 + 7 * 86_400))
    );
}

#[test]
fn xc_10_a_cluster_names_itself_and_nobody_else() {
    let fields = |bundle: &TrustBundle| -> Vec<String> {
        let found = bundle.check(&"berlin".parse().unwrap());
        found.into_iter().map(|violation| violation.field).collect()
    };
    assert!(fields(&bundle()).is_empty());
    let gateway = TrustBundle { spiffe_id: "spiffe://example.org/gateway".into(), ..bundle() };
    assert_eq!(fields(&gateway), ["spiffe_id"]);
    let longer = TrustBundle { spiffe_id: "spiffe://example.org/x-hamburg".into(), ..bundle() };
    assert_eq!(fields(&longer), ["spiffe_id"]);
    let own = TrustBundle {
        cluster: "berlin".parse().unwrap(),
        spiffe_id: "spiffe://example.org/berlin".into(),
        authorities: Vec::new(),
        ..bundle()
    };
    assert_eq!(fields(&own), ["cluster_id", "authorities"]);
    let many = TrustBundle { authorities: vec![ONE.into(); 9], ..bundle() };
    assert_eq!(fields(&many), ["authorities"]);
}

#[test]
fn xc_10_a_bundle_is_certificates_and_never_a_key() {
    let text = format!(
        "a remark\n{ONE}\r\n-----BEGIN PRIVATE KEY-----\nCCCC\n-----END PRIVATE KEY-----\n{TWO}\n{ONE}\n-----BEGIN CERTIFICATE-----\nDDDD"
    );
    assert_eq!(certificates_in(&text), [ONE, TWO]);
    assert_eq!(certificates_in(&pem_of(&certificates_in(&text))), [ONE, TWO]);
    assert!(certificates_in("").is_empty());
}

#[test]
fn xc_10_a_rotation_goes_from_the_old_authority_over_both_to_the_new_one() {
    let (old, new) = (vec![ONE.to_owned()], vec![TWO.to_owned()]);
    let both = [ONE.to_owned(), TWO.to_owned()].to_vec();
    assert_eq!(believed(&old, &both, true), both);
    assert_eq!(believed(&both, &new, true), new);
    // It has announced the new one alone, and still shows a certificate of the old one.
    assert_eq!(believed(&old, &new, false), [TWO, ONE]);
    let many: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    assert_eq!(believed(&old, &many, false), many);
}

#[test]
fn xc_10_an_authority_is_warned_of_before_it_expires() {
    let validity = Validity { begins_at: at(1000), expires_at: at(2000) };
    let judge = |now| validity.judge(at(now), Duration::from_secs(100));
    assert_eq!(judge(999), Expiry::NotYet(at(1000)));
    assert_eq!((judge(1000), judge(1899)), (Expiry::Good, Expiry::Good));
    assert_eq!((judge(1900), judge(1999)), (Expiry::Soon(at(2000)), Expiry::Soon(at(2000))));
    assert_eq!(judge(2000), Expiry::Over(at(2000)));
    assert_eq!(judge(2000).warning("it"), "it has expired at 1970-01-01T00:33:20Z");
    let next = Validity { begins_at: at(1950), expires_at: at(3000) };
    let both = |now| Validity::judge_bundle(&[validity, next], at(now), Duration::from_secs(100));
    assert_eq!(both(1949), Some(Expiry::Soon(at(2000))));
    assert_eq!((both(1950), both(2950)), (Some(Expiry::Good), Some(Expiry::Soon(at(3000)))));
    assert_eq!(both(3001), Some(Expiry::Over(at(3000))));
    assert_eq!(Validity::judge_bundle(&[], at(1), Duration::ZERO), None);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}", cut in 0usize..300) {
        let _ = text.parse::<InvitationToken>();
        let whole = token().text();
        let _ = whole.get(..cut.min(whole.len())).unwrap().parse::<InvitationToken>();
        let _ = certificates_in(&text);
    }

    #[test]
    fn a_fingerprint_reads_back(bytes in any::<[u8; 32]>()) {
        let one = Bytes32(bytes);
        prop_assert_eq!(one.to_string().parse(), Ok(one));
        prop_assert_eq!(one.colons().replace(':', "").to_lowercase(), one.to_string());
    }
}
