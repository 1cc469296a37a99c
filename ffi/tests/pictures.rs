//! Pictures that a host gives through the C interface: any form and size, as the Rust interface takes them.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_runtime::{Budget, Device, Model, Session, SessionOptions, picture::fit};
use causeway_tests::stream::{hash, next_frame};

#[test]
fn pictures_of_any_form_become_frames() {
    const SIZE: (usize, usize) = (150, 90);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/keep.safetensors");
    let colour = |x: usize, y: usize| [x as u8, (2 * y) as u8, (x * y / 60) as u8];
    let rgba: Vec<u8> =
        (0..SIZE.1).flat_map(|y| (0..SIZE.0).flat_map(move |x| [colour(x, y).as_slice(), &[255]].concat())).collect();
    // RGB8 from the bottom, with padding but behind the last row.
    let mut file: Vec<u8> =
        (0..SIZE.1).rev().flat_map(|y| (0..SIZE.0).flat_map(move |x| colour(x, y)).chain([9; 7])).collect();
    file.truncate(file.len() - 7);
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("picture.rgb");
    fs::write(&picture, file).unwrap();

    let model = Model::open(&path).unwrap();
    let options = SessionOptions { seed: 7, ..SessionOptions::default() };
    let mut session = Session::new(&model, &Device::cpu(1), options).unwrap();
    let cut = fit(&rgba, SIZE, (64, 64));
    let frame = |session: &mut Session| format!("{:016x}", hash(&next_frame(session, Budget::Frame)));
    let mut expected: Vec<String> = (0..6).map(|_| frame(&mut session)).collect();
    session.place(&cut, 1).unwrap();
    expected.extend((0..4).map(|_| frame(&mut session)));
    session.set_start_image(&cut).unwrap();
    session.restart(7).unwrap();
    expected.extend((0..2).map(|_| frame(&mut session)));

    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/pictures.c", "pictures");
    let arguments = [SIZE.0.to_string(), SIZE.1.to_string()];
    let mut play = Command::new(&program);
    let printed = common::run(play.args([&path, &picture]).args(&arguments));
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
    common::watch(&play);
}
