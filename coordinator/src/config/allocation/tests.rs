//! Allocation files: what is read, and what is refused in which words.

use proptest::prelude::*;

use super::*;

const GUIDE: &str = r#"<?xml version="1.0"?>
<allocations>
  <!-- Default pool -->
  <pool name="default">
    <schedulingMode>FAIR</schedulingMode>
    <weight>1</weight>        <!-- Relative share -->
    <minShare>2</minShare>    <!-- Minimum cores -->
  </pool>
  <pool name="high-priority">
    <schedulingMode>fair</schedulingMode>
    <weight> 3 </weight>
    <minShare>4</minShare>
    <maxRunning>7</maxRunning>
  </pool>
</allocations>
"#;

fn pool(name: &str, weight: u32, min_share: u32, mode: SchedulingMode, max: u32) -> PoolRecord {
    PoolRecord {
        name: name.to_owned(),
        weight,
        min_share,
        scheduling_mode: mode.into(),
        max_running: max,
        paused: false,
    }
}

#[test]
fn the_guides_file_is_read() {
    assert_eq!(
        read_allocations(GUIDE).unwrap(),
        [
            pool("default", 1, 2, SchedulingMode::Fair, 0),
            pool("high-priority", 3, 4, SchedulingMode::Fair, 7),
        ]
    );
}

#[test]
fn defaults_are_sparks() {
    assert_eq!(
        read_allocations("<allocations><pool name='a'/></allocations>").unwrap(),
        [
            pool("a", 1, 0, SchedulingMode::Fifo, 0),
            pool("default", 1, 0, SchedulingMode::Fifo, 0),
        ]
    );
    let empty = [pool("default", 1, 0, SchedulingMode::Fifo, 0)];
    assert_eq!(read_allocations("<allocations/>").unwrap(), empty);
}

#[test]
fn mistakes_are_refused_with_line_and_reason() {
    let in_pool =
        |xml: &str| format!("<allocations>\n<pool name='a'>\n{xml}\n</pool></allocations>");
    let cases = [
        (String::new(), 1, "no <allocations>"),
        ("<pools/>".to_owned(), 1, "<pools>"),
        (
            "<allocations>\n  <pol/>\n</allocations>".to_owned(),
            2,
            "<pol>",
        ),
        (
            "<allocations>\n<pool/></allocations>".to_owned(),
            2,
            "needs a name",
        ),
        (
            "<allocations><pool name=''/></allocations>".to_owned(),
            1,
            "needs a name",
        ),
        (
            "<allocations><pool name='a b'/></allocations>".to_owned(),
            1,
            "needs a name",
        ),
        (
            "<allocations><pool name='a' x='1'/></allocations>".to_owned(),
            1,
            "attribute `x`",
        ),
        (
            "<allocations>\n<pool name='a'/>\n<pool name='a'/></allocations>".to_owned(),
            3,
            "twice",
        ),
        (in_pool("<wieght>1</wieght>"), 3, "<wieght>"),
        (in_pool("<weight>0</weight>"), 3, "from 1"),
        (in_pool("<weight>heavy</weight>"), 3, "`heavy`"),
        (in_pool("<weight>1.5</weight>"), 3, "a whole number"),
        (in_pool("<weight/>"), 3, "a whole number"),
        (in_pool("<weight x='1'>1</weight>"), 3, "no attributes"),
        (
            in_pool("<weight>1</weight>\n<weight>2</weight>"),
            4,
            "twice",
        ),
        (in_pool("<weight><b/></weight>"), 3, "<b>"),
        (in_pool("<minShare>-1</minShare>"), 3, "from 0"),
        (
            in_pool("<schedulingMode>FARE</schedulingMode>"),
            3,
            "FAIR or FIFO",
        ),
        (in_pool("<maxRunning>0</maxRunning>"), 3, "from 1"),
        (in_pool("stray"), 3, "`stray`"),
        (in_pool("<weight>&x;</weight>"), 3, "references"),
        (
            "<!DOCTYPE a [<!ENTITY x 'y'>]><allocations/>".to_owned(),
            1,
            "DOCTYPE",
        ),
        (
            "<allocations/><allocations/>".to_owned(),
            1,
            "one <allocations>",
        ),
        (
            "<allocations>\n<pool name='a'>".to_owned(),
            2,
            "ends inside",
        ),
        ("<allocations>\n</pool>".to_owned(), 2, "well-formed"),
        ("words".to_owned(), 1, "`words`"),
    ];
    for (text, line, reason) in cases {
        let e = read_allocations(&text).unwrap_err();
        assert!(e.to_string().contains(reason), "{text}: {e}");
        assert_eq!(e.line(), Some(line), "{text}: {e}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = read_allocations(&text);
    }

    #[test]
    fn no_mixture_of_tags_panics(parts in prop::collection::vec(prop::sample::select(vec![
        "<allocations>", "</allocations>", "<pool name='a'>", "<pool name=\"b\"/>", "</pool>",
        "<weight>", "</weight>", "1", "&amp;", "<![CDATA[2]]>", "<!--", "-->", "\n", "<", "'",
    ]), 0..30)) {
        let _ = read_allocations(&parts.concat());
    }
}

#[test]
fn the_file_in_deploy_says_what_holds_without_a_file() {
    let text = include_str!("../../../../deploy/fairscheduler.xml");
    assert_eq!(
        read_allocations(text).unwrap(),
        crate::config::guide_pools()
    );
}
