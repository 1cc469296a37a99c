//! The program on this machine: PNG files and the framebuffer's bytes are the frames of the library, and keys reach the world.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use causeway_runtime::{Budget, Device, EventTime, Model, Session};
use causeway_tests::stream::{next_frame, seeded};

const SIZE: usize = 64;

fn place(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn edge(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_edge")).args(arguments.split(' ')).current_dir(folder).output().unwrap()
}

fn plays(folder: &Path, arguments: &str) {
    let output = edge(folder, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The first frames of the library; `tell` says what before each.
fn frames(count: u64, tell: impl Fn(&mut Session, u64)) -> Vec<Vec<u8>> {
    let model = Model::from_bytes(causeway_demo::keep()).unwrap();
    let mut session = Session::new(&model, &Device::cpu(1).strict(), seeded(7)).unwrap();
    let frame = |n| {
        tell(&mut session, n);
        next_frame(&mut session, Budget::Frame)
    };
    (0..count).map(frame).collect()
}

fn script(session: &mut Session, n: u64) {
    let mut action = [0.0; 5];
    action[n as usize / 3 % 5] = 1.0;
    session.set_action(&action).unwrap();
    if n % 7 == 4 {
        session.queue_event(n as usize / 7 % 3, EventTime::NextChunk).unwrap();
    }
}

fn decoded(path: &Path) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    pixels
}

#[test]
fn pictures_and_the_screen_are_the_frames_of_the_library() {
    let folder = place("edge-show");
    let expected = frames(6, script);
    fs::write(folder.join("fb"), vec![7; 200 * 140 * 4]).unwrap();
    plays(&folder, "--strict --frames 6 --png out --screen fb,200x140x32");
    for (n, frame) in expected.iter().enumerate() {
        assert_eq!(&decoded(&folder.join(format!("out/{n:05}.png"))), frame, "{n}");
    }
    // Twice as large, in the middle, on black.
    let screen = fs::read(folder.join("fb")).unwrap();
    let (left, top) = ((200 - 2 * SIZE) / 2, (140 - 2 * SIZE) / 2);
    for (at, pixel) in screen.as_chunks::<4>().0.iter().enumerate() {
        let (x, y) = (at % 200, at / 200);
        let inside = (left..left + 2 * SIZE).contains(&x) && (top..top + 2 * SIZE).contains(&y);
        let wanted = if inside {
            let from = ((y - top) / 2 * SIZE + (x - left) / 2) * 4;
            [expected[5][from + 2], expected[5][from + 1], expected[5][from], 0]
        } else {
            [0; 4]
        };
        assert_eq!(*pixel, wanted, "{x} {y}");
    }
}

#[test]
fn a_small_screen_of_sixteen_bits_shows_the_middle() {
    let folder = place("edge-small");
    fs::write(folder.join("fb"), vec![0; 48 * 32 * 2]).unwrap();
    plays(&folder, "--strict --frames 1 --screen fb,48x32x16");
    let expected = &frames(1, script)[0];
    for (at, pixel) in fs::read(folder.join("fb")).unwrap().as_chunks::<2>().0.iter().enumerate() {
        let from = ((16 + at / 48) * SIZE + 8 + at % 48) * 4;
        let [red, green, blue] = [0, 1, 2].map(|channel| u16::from(expected[from + channel]));
        assert_eq!(u16::from_le_bytes(*pixel), red / 8 * 2048 + green / 4 * 32 + blue / 8, "{at}");
    }
}

#[test]
fn keys_reach_the_world() {
    let folder = place("edge-keys");
    // `w` down, then other records: a release of a key that nothing hangs on, and one that is no key's.
    let record = |kind: u16, code: u16, value: u16| {
        let mut record = vec![0; 24];
        for (at, half) in [(16, kind), (18, code), (20, value)] {
            record[at..at + 2].copy_from_slice(&half.to_le_bytes());
        }
        record
    };
    fs::write(folder.join("up"), [record(1, 2, 0), record(4, 17, 1)].concat()).unwrap();
    plays(&folder, "--strict --frames 3 --keys up --png still");
    let still = frames(3, |_, _| ());
    assert_eq!(decoded(&folder.join("still/00002.png")), still[2]);
    // A pipe stays open, and with it the key down.
    let script = "mkfifo keys; (cat down; exec sleep 600) >keys & kept=$!
        \"$0\" --strict --frames 12 --keys keys --png walk; status=$?
        kill $kept; exit $status";
    fs::write(folder.join("down"), [record(1, 17, 1), record(1, 4, 1)].concat()).unwrap();
    let output =
        Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_edge")]).current_dir(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let still = frames(12, |_, _| ());
    assert_ne!(decoded(&folder.join("walk/00011.png")), still[11]);
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let folder = place("edge-wrong");
    fs::write(folder.join("fb"), []).unwrap();
    for (arguments, said) in [
        ("--frames", "--frames needs a value"),
        ("--frames many --hashes", "--frames is `many`, which is no number"),
        ("--frames 1", "nothing would be shown: there are --screen, --png and --hashes"),
        ("--fast", "`--fast` is no option"),
        ("--screen fb,8x8x24", "fb is 8x8 with 24 bits a pixel; 16 and 32 bits can be shown on"),
        ("--screen fb,8x8", "`8x8` is no size of a screen, as 320x240x16 is"),
        ("--screen fb", "/sys/class/graphics/fb/virtual_size: No such file or directory"),
        ("--hashes --keys nowhere", "nowhere: No such file or directory"),
    ] {
        let output = edge(&folder, arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments}: {text}");
        assert!(text.starts_with(&format!("edge: {said}")) && text.lines().count() == 1, "{arguments}: {text}");
    }
}
