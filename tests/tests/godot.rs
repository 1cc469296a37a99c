//! Godot plays the walk that all hosts play, in a window, and shows its last frame, and prompts through a saved game. Not run by a bare `cargo test`: `examples/godot/check.sh`
//! gets the engine and then asks for this test.

#[path = "hosts/picture.rs"]
mod picture;
#[allow(dead_code, reason = "other hosts need more of it")]
#[path = "hosts/program.rs"]
mod program;
#[allow(dead_code, reason = "other hosts print hashes")]
#[path = "hosts/walk.rs"]
mod walk;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

// The extension links the library; depending on it makes cargo build it first.
use causeway as _;
use causeway_tests::tour::Tour;

const FRAMES: usize = 60;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

/// The engine's program.
fn engine() -> OsString {
    std::env::var_os("GODOT").expect("GODOT names the engine's program")
}

/// The sample's project with the extension of this build, and a folder for files.
fn project() -> &'static (PathBuf, PathBuf) {
    static PROJECT: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    PROJECT.get_or_init(|| {
        let at = program::scratch("godot");
        for folder in ["examples/godot/src", "examples/godot/project", "include"] {
            copy(&walk::repository(folder), &at.join(folder));
        }
        let (build, project) = (at.join("examples/godot/build.sh"), at.join("examples/godot/project"));
        fs::copy(walk::repository("examples/godot/build.sh"), &build).unwrap();
        program::run(Command::new(build).arg(engine()).arg(program::library()));
        fs::copy(walk::model(), project.join("rooms.safetensors")).unwrap();
        (project, at)
    })
}

/// The project in a window on no screen; arguments of the game follow.
fn play(project: &Path) -> Command {
    let mut play = Command::new("xvfb-run");
    play.args(["-a", "-s", "-screen 0 640x480x24"]).arg(engine()).arg("--path").arg(project);
    play.args(["--rendering-driver", "opengl3", "--audio-driver", "Dummy", "--"]);
    play
}

#[test]
fn godot_plays_prompts_is_killed_and_goes_on() {
    let (project, at) = project();
    for tour in Tour::all(&at.join("tour")) {
        tour.play("Godot", || {
            let mut play = play(project);
            play.arg("--tour");
            play
        });
    }
}

#[test]
fn godot_shows_the_frames_of_the_rust_interface_in_its_window() {
    let (project, at) = project();
    let out = at.join("out");
    let mut play = play(project);
    play.arg("--walk");
    let printed = program::run(play.arg(walk::script()).arg(FRAMES.to_string()).arg(&out));
    print!("{printed}");
    // A frame that was shown before it was remembered is made again.
    let on = [FRAMES - 1, FRAMES].map(|frame| format!("went on at frame {frame}"));
    assert!(on.iter().any(|on| printed.contains(on)), "{printed}");
    let frames = fs::read(out.with_extension("rgba")).unwrap();
    let expected = walk::frames();
    assert_eq!(frames.len(), FRAMES * expected[0].len());
    for (n, (found, expected)) in frames.chunks(expected[0].len()).zip(expected).enumerate() {
        assert!(found == expected, "frame {n} differs");
    }
    picture::shown(&out.with_extension("png"), &expected[FRAMES - 1]);
}
