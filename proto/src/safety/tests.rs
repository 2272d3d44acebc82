use super::*;

#[test]
fn names_go_there_and_back() {
    for safety in Safety::ALL {
        assert_eq!(Safety::from_name(safety.name()), Some(safety));
    }
    assert_eq!(Safety::from_name("epoch_check"), None);
}

#[test]
fn lists_are_read_and_what_is_unknown_is_refused() {
    use Safety::{EpochCheck, SlotReferee};
    let cases: [(&str, Option<&[Safety]>); 8] = [
        ("", Some(&[])),
        (" , ", Some(&[])),
        ("epoch-check", Some(&[EpochCheck])),
        ("epoch-check,slot-referee", Some(&[EpochCheck, SlotReferee])),
        (
            " slot-referee , epoch-check ,",
            Some(&[SlotReferee, EpochCheck]),
        ),
        ("Epoch-Check", None),
        ("epoch-check,everything", None),
        ("epoch-check slot-referee", None),
    ];
    for (names, expected) in cases {
        assert_eq!(parse(names).ok().as_deref(), expected, "{names:?}");
    }
}

#[test]
fn a_refusal_names_what_is_allowed() {
    let refusal = parse("epoch-check,everything").unwrap_err().to_string();
    assert!(
        refusal.contains("SAFETY_OFF names `everything`"),
        "{refusal}"
    );
    for safety in Safety::ALL {
        assert!(refusal.contains(safety.name()), "{refusal}");
    }
}

#[test]
fn each_switch_takes_one_safety_off() {
    for (taken, safety) in Safety::ALL.into_iter().enumerate() {
        for (place, other) in Safety::ALL.into_iter().enumerate() {
            assert_eq!(off(other), place < taken, "{other:?} before {safety:?}");
        }
        take_off(&[safety]);
        assert!(off(safety));
    }
}
