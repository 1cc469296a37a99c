//! Bevy plays the walk that all hosts play, without a window, and its camera sees the last frame, and prompts through a saved game. Not run by a bare `cargo test`:
//! `examples/bevy/check.sh` builds the player, in a workspace of its own, and then asks for this test.

#[path = "hosts/picture.rs"]
mod picture;
#[allow(dead_code, reason = "other hosts need more of it")]
#[path = "hosts/program.rs"]
mod program;
#[path = "hosts/walk.rs"]
mod walk;

use std::{ffi::OsString, process::Command};

use causeway_tests::tour::Tour;

fn player() -> OsString {
    std::env::var_os("BEVY").expect("BEVY names the player that examples/bevy/check.sh builds")
}

#[test]
fn bevy_plays_prompts_is_killed_and_goes_on() {
    for tour in Tour::all(&program::scratch("bevy-tour")) {
        tour.play("Bevy", || {
            let mut play = Command::new(player());
            play.arg("--tour");
            play
        });
    }
}

#[test]
fn bevy_shows_the_frames_of_the_rust_interface_to_its_camera() {
    let seen = program::scratch("bevy").join("seen.png");
    let mut play = Command::new(player());
    walk::assert_same("Bevy", &program::run(play.arg(walk::model()).arg(walk::script()).arg(&seen)), 60);
    picture::shown(&seen, &walk::frames()[59]);
}
