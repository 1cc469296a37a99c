//! Programs of hosts, built as theirs are and held against the Rust interface.

mod common;

use std::process::Command;

use causeway_runtime::{BackendChoice, Budget, EventTime, Model, Pump, Session, SessionOptions};
use causeway_tests::stream::hash;

/// The frames of examples/c/headless.c through the Rust interface.
fn expected(frames: usize) -> Vec<String> {
    let model = Model::open(common::model()).unwrap();
    let options = SessionOptions { seed: 7, backend: BackendChoice::Cpu, ..SessionOptions::default() };
    let mut session = Session::new(&model, options).unwrap();
    let (actions, events) = (session.actions().len(), session.events().len());
    let frame = |n: usize| {
        let mut action = vec![0.0; actions];
        action[n / 3 % actions] = 1.0;
        session.set_action(&action).unwrap();
        if n % 7 == 4 {
            session.queue_event(n / 7 % events, EventTime::NextChunk).unwrap();
        }
        while session.pump(Budget::Micros(2000)).unwrap() != Pump::Frame {}
        let line = format!("{n} {:016x}", hash(session.frame().unwrap().pixels));
        session.release();
        line
    };
    (0..frames).map(frame).collect()
}

#[test]
fn a_c99_program_shows_the_frames_of_the_rust_interface() {
    let program = common::compile("gcc", "-std=c99", "examples/c/headless.c", "headless-c");
    let printed = common::run(Command::new(program).arg(common::model()).arg("20"));
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected(20));
}

#[test]
fn a_cpp17_program_shows_them_too_and_rewinds_without_a_trace() {
    let program = common::compile("g++", "-std=c++17", "examples/c/headless.cpp", "headless-cpp");
    let printed = common::run(Command::new(program).arg(common::model()).arg("20"));
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected(20));
}
