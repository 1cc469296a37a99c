//! Worlds of keys and mouse through the C interface, from bundles, equal to the Rust interface: Matrix-Game 2.0 with a row for each picture, and
//! Waypoint from a picture, with another one on the way.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_runtime::{Budget, Device, SessionOptions, Start};
use causeway_tests::{
    game::Game,
    stream::{hash, next_frame, seeded},
    waypoint::World,
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

#[test]
fn a_world_of_buttons_is_played_from_a_picture() {
    const PICTURES: usize = 40;
    let world = World::open();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("waypoint");
    let bundle = world.bundle(&folder);
    let picture = folder.join("picture.rgba");
    fs::write(&picture, World::picture()).unwrap();
    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/waypoint.c", "waypoint-program");
    let printed = common::run(Command::new(program).args([&bundle, &picture]).arg(PICTURES.to_string()));

    let named = |name: &str| world.model.config().dit.actions.iter().position(|action| action == name).unwrap();
    let (button, look) = (named("MOUSE1"), named("mouse_x"));
    let mut session = world.session(&Device::cpu(0), SessionOptions { start: Start::Empty, ..seeded(7) });
    session.place(&World::picture(), 1).unwrap();
    let mut actions = vec![0.0; world.model.config().dit.actions.len()];
    let pictures = (0..PICTURES).map(|n| {
        if n == 12 {
            session.place(&World::picture(), 1).unwrap();
        }
        if n % 4 == 0 {
            actions[button] = (n / 4 % 2) as f32;
            actions[look] = 0.25 * ((n / 4 % 3) as f32 - 1.0);
            session.set_action(&actions).unwrap();
        }
        format!("{n} {:016x}", hash(&next_frame(&mut session, Budget::Frame)))
    });
    assert_eq!(printed.lines().collect::<Vec<_>>(), pictures.collect::<Vec<_>>());
}
