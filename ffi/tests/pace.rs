//! Pace and quality through the C interface.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_tests::tiny::tiny_model_bytes;

#[test]
fn a_world_keeps_its_pace_and_changes_its_quality() {
    let world = Path::new(env!("CARGO_TARGET_TMPDIR")).join("paced.safetensors");
    fs::write(&world, tiny_model_bytes(1)).unwrap();
    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/pace.c", "pace");
    let printed = common::run(Command::new(program).arg(world));
    let expected = "\
pace: kept
fewer steps: CW_OK: 
made with: 2 0 4
no such steps: CW_ERROR_ARGUMENT: steps cannot be 3 in this session: it has lists of 4, 2
no such route: CW_ERROR_ARGUMENT: route cannot be 1 in this session: it was created without `most_route`
no such window: CW_ERROR_ARGUMENT: window cannot be 1000 in this session: it may be 2 to 6
no number: CW_ERROR_ARGUMENT: `steps` is -2; -1 leaves it as it is
made with: 2 0 4
governed: two steps
no such pace: CW_ERROR_ARGUMENT: 3 is no pace; there are CW_PACE_OFF, _WORLD and _HELD
no such governor: CW_ERROR_ARGUMENT: `governor` is 2; it is 0 or 1
too long a route: CW_ERROR_OPTION: most_route is 100, but at most 5 frames of history are seen
";
    assert_eq!(printed, expected);
}
