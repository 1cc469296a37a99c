//! Creation in steps through the C interface.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_tests::{sparse, tiny::tiny_model_bytes};

/// The numbers that a program prints.
fn numbers(command: &mut Command) -> Vec<f64> {
    common::run(command).split_whitespace().map(|number| number.parse().unwrap()).collect()
}

#[test]
fn sessions_are_created_by_pumps_or_by_a_worker() {
    let program = common::compile("gcc", "-std=gnu99", "ffi/tests/programs/begin.c", "begin");
    let times = |world: &Path| {
        let printed = numbers(Command::new(&program).arg(world));
        (printed[0], printed[1])
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

/// Of a file of the 1.3B's size, at 832 x 480, which takes no time of its bytes; and what its saved games take at most, with 512 rows in the
/// prompt in force, in the one that it goes over into, and in the slot.
#[test]
fn a_large_session_begins_as_soon_as_it_is_asked_for_and_its_games_are_small() {
    let program = common::compile("gcc", "-std=gnu99", "ffi/tests/programs/begin.c", "begin-large");
    let student = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wan-1.3b.safetensors");
    sparse::write_1_3b(&student);
    let all: Vec<_> = (0..3).map(|_| numbers(Command::new(&program).arg(&student).arg("student"))).collect();
    fs::remove_file(&student).unwrap();
    println!("query and begin of the 1.3B, microseconds, and bytes of a game: {all:?}");
    assert!(all.iter().any(|times| times[1] <= 2.0 * times[0]), "{all:?}");
    let (frame, window, prompt) = (2 * 16 * 60 * 104 + 8, 21, 512 * 4096 / 32 * 34);
    let expected = SMALL + window * frame + 3 * prompt;
    assert!(all.iter().all(|found| found[2] == expected as f64), "{all:?}, expected {expected}");
    assert!(expected <= 12_000_000);
}

/// Bytes of all else: mark, place, queue, counts.
const SMALL: usize = 13_216;
