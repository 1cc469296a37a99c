//! Creation in steps through the C interface.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_tests::tiny::tiny_model_bytes;

#[test]
fn sessions_are_created_by_pumps_or_by_a_worker() {
    let program = common::compile("gcc", "-std=gnu99", "ffi/tests/programs/begin.c", "begin");
    let times = |world: &Path| {
        let printed = common::run(Command::new(&program).arg(world));
        let times: Vec<f64> = printed.split_whitespace().map(|time| time.parse().unwrap()).collect();
        (times[0], times[1])
    };
    // Beginning takes no longer than twice the query. Other processes may be in the way of one of three.
    let keep = common::root().join("models/keep.safetensors");
    let all: Vec<_> = (0..3).map(|_| times(&keep)).collect();
    println!("query and begin of the keep, microseconds: {all:?}");
    assert!(all.iter().any(|(query, begin)| begin <= &(2.0 * query)), "{all:?}");
    // Nothing is lost wherever it is destroyed.
    let tiny = Path::new(env!("CARGO_TARGET_TMPDIR")).join("begun.safetensors");
    fs::write(&tiny, tiny_model_bytes(1)).unwrap();
    common::watch(Command::new(program).arg(tiny));
}
