//! The C program with a window, on SDL's driver without a screen.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use causeway_tests::{machine, tour::Tour};

use crate::{
    program::{library, run, scratch},
    walk::{assert_same, frames, model, repository, script},
};

/// Rows from the top, R, G, B, of an uncompressed 24-bit BMP, and its size.
fn bmp(bytes: &[u8]) -> (Vec<[u8; 3]>, usize, usize) {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((&bytes[..2], bytes[28], word(30)), (&b"BM"[..], 24, 0), "not a plain 24-bit BMP");
    let (start, width, height) = (word(10), word(18), word(22));
    let pitch = (width * 3).next_multiple_of(4);
    let rows = (0..height).rev().flat_map(|y| bytes[start + y * pitch..][..width * 3].chunks_exact(3));
    (rows.map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect(), width, height)
}

/// Builds the program into `folder`.
fn build(folder: &Path) -> PathBuf {
    let program = folder.join("play");
    let flags = run(Command::new("sdl2-config").args(["--cflags", "--libs"]));
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c99", "-O1", "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"]).arg(repository("include"));
    gcc.arg(repository("examples/sdl2/play.c")).arg("-o").arg(&program).args(flags.split_whitespace());
    gcc.arg("-L").arg(library()).arg("-lcauseway").arg(format!("-Wl,-rpath,{}", library().display()));
    run(&mut gcc);
    program
}

/// Keys and typed words, a saved game, an end by force, and on from the file.
#[test]
fn sdl2_plays_prompts_is_killed_and_goes_on() {
    if !machine::has(&[&machine::SDL]) {
        return;
    }
    let folder = scratch("sdl2-tour");
    let program = build(&folder);
    for tour in Tour::all(&folder) {
        tour.play("SDL2", || {
            let mut play = Command::new(&program);
            play.env("SDL_VIDEODRIVER", "dummy");
            play
        });
    }
}

#[test]
fn sdl2_plays_the_walk_and_its_window_shows_the_last_frame() {
    if !machine::has(&[&machine::SDL]) {
        return;
    }
    let folder = scratch("sdl2");
    let (program, picture) = (build(&folder), folder.join("window.bmp"));
    let mut play = Command::new(program);
    play.env("SDL_VIDEODRIVER", "dummy").arg(model()).arg(script()).arg(&picture);
    assert_same("SDL2", &run(&mut play), 60);

    let (window, width, height) = bmp(&std::fs::read(picture).unwrap());
    let frame: Vec<_> = frames()[59].chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    let scale = (window.len() / frame.len()).isqrt();
    assert!(scale > 1 && width * height == frame.len() * scale * scale, "a window of {width}x{height}");
    for (at, pixel) in window.iter().enumerate() {
        let (x, y) = (at % width / scale, at / width / scale);
        assert_eq!(*pixel, frame[y * (width / scale) + x], "pixel {}, {} of the window", at % width, at / width);
    }
}
