//! Matrix-Game 2.0 through the C interface: what a bundle begins from, actions by name and a row for each picture, equal to the Rust interface.

mod common;

use std::{path::Path, process::Command};

use causeway_runtime::{Budget, Device};
use causeway_tests::{
    game::Game,
    stream::{hash, next_frame},
};

#[test]
fn a_game_is_played_from_its_bundle() {
    const PICTURES: usize = 33;
    let game = Game::open();
    let bundle = game.bundle(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("game"));
    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/game.c", "game-program");
    let printed = common::run(Command::new(program).arg(bundle).arg(PICTURES.to_string()));

    let mut session = game.session(&Device::cpu(0), game.options());
    let mut next = 0;
    let pictures = (0..PICTURES).map(|n| {
        if n == next {
            let rows = if n == 0 { 9 } else { 12 };
            let row = |r: usize| [(r % 2) as f32, 0.0, 0.0, 0.0, 0.0, 0.1 * ((r % 3) as f32 - 1.0)];
            session.set_actions(&(0..rows).flat_map(row).collect::<Vec<_>>()).unwrap();
            next += rows;
        }
        format!("{n} {:016x}", hash(&next_frame(&mut session, Budget::Frame)))
    });
    let names = "forward back left right pitch yaw".to_owned();
    assert_eq!(printed.lines().collect::<Vec<_>>(), std::iter::once(names).chain(pictures).collect::<Vec<_>>());
}
