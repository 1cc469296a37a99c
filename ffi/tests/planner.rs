//! The planner's dreams lead somewhere.

mod common;

use std::process::Command;

/// It reaches a view from at least twice as many of 32 starts as play at random does.
#[test]
fn a_planner_reaches_views_that_random_play_does_not() {
    let program = common::compile("gcc", "-std=c99", "examples/planner/planner.c", "planner");
    let printed = common::run(Command::new(program).arg(common::root().join("models/keep.safetensors")).arg("32"));
    let numbers: Vec<u32> = printed.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let [planned, random, starts] = numbers[..] else { panic!("{printed}") };
    print!("{printed}");
    assert!(starts == 32 && planned >= 2 * random && planned >= 8, "{printed}");
}
