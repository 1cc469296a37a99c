//! The walk that every host plays (`tests/data/walk.txt`), and what it must show.
//!
//! The file's first line holds the seed and the number of frames; then every line is one frame: the five actions, and the event that
//! begins with it or -1. A host sets both, pumps until the frame is there, and prints its number and hash.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use causeway_runtime::{Budget, Device, EventTime, Model, Session};
use causeway_tests::stream::{hash, next_frame, seeded};

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// The demo world.
pub fn model() -> PathBuf {
    repository("models/rooms.safetensors")
}

/// The script.
pub fn script() -> PathBuf {
    repository("tests/data/walk.txt")
}

/// Frames of the walk, RGBA8, made through the Rust API on the CPU.
pub fn frames() -> &'static [Vec<u8>] {
    static FRAMES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    FRAMES.get_or_init(|| {
        let text = std::fs::read_to_string(script()).unwrap();
        let mut lines = text.lines().map(|line| line.split(' ').map(|n| n.parse().unwrap()).collect::<Vec<i64>>());
        let first = lines.next().unwrap();
        let model = Model::open(model()).unwrap();
        let options = seeded(first[0] as u64);
        let mut session = Session::new(&model, &Device::cpu(2), options).unwrap();
        let frames = lines.map(|line| {
            let (event, action) = line.split_last().unwrap();
            session.set_action(&action.iter().map(|&on| on as f32).collect::<Vec<_>>()).unwrap();
            if *event >= 0 {
                session.queue_event(*event as usize, EventTime::NextChunk).unwrap();
            }
            next_frame(&mut session, Budget::Frame)
        });
        let frames: Vec<_> = frames.collect();
        assert_eq!(frames.len() as i64, first[1]);
        frames
    })
}

/// What a host prints: the number and hash of its first `count` frames, a line each.
pub fn hashes(count: usize) -> String {
    frames()[..count].iter().enumerate().map(|(n, frame)| format!("{n} {:016x}\n", hash(frame))).collect()
}

/// Fails with the first frame that differs.
pub fn assert_same(host: &str, printed: &str, count: usize) {
    let expected = hashes(count);
    let printed: Vec<_> = printed.lines().map(str::trim_end).collect();
    for (n, line) in expected.lines().enumerate() {
        assert_eq!(printed.get(n), Some(&line), "{host}, frame {n}; it printed {} lines", printed.len());
    }
    assert_eq!(printed.len(), count, "{host} printed more than its frames: {:?}", &printed[count..]);
}
