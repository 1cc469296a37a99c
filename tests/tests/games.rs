//! Sessions of a game: rows of actions, their receipts, and what holds for every stream.

use std::{fs, sync::LazyLock};

use causeway_ops::{Kv, quant::DType};
use causeway_runtime::{
    Budget, Device, Pump, Session, SessionError, SessionOptions, config::DecoderNetwork, import::matrix_game,
    session::Start,
};
use causeway_tests::{
    game::Game,
    hollow, machine,
    stream::{next_frame, one},
    tiny::codec_config,
};
use proptest::prelude::*;

/// At 640x352 with bytes for weights and rings, what a session will hold in all, the small decoder in its plan. Nothing of it is allocated.
#[test]
fn a_session_at_real_size_stays_below_its_bound() {
    let folder = std::env::temp_dir().join(format!("causeway-games-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    for (keys, mouse) in [(4, 2), (7, 0)] {
        let config = matrix_game(keys, mouse);
        let decoder = codec_config("taew2_1", DecoderNetwork::Taehv(config.codec.clone()));
        let model = hollow::open(&folder.join("game.safetensors"), &config, DType::Q8);
        let codec = hollow::open(&folder.join("codec.safetensors"), &decoder, DType::Q8);
        let condition = vec![0.0; 30 * 20 * 44 * 80];
        let options = SessionOptions { start: Start::Empty, condition, kv: Kv::Q8, ..SessionOptions::default() };
        let need = Session::need(&model, Some(&codec), &one(), options).unwrap();
        println!("{keys} keys, {mouse} of the mouse: {:?}, {} in all", need.memory, need.memory.total());
        assert_eq!(need.picture, (640, 352));
        assert!(need.memory.weights > 1_508_715_584, "{:?}", need.memory);
        assert!(need.memory.total() <= 3_500_000_000, "{} bytes", need.memory.total());
    }
    fs::remove_dir_all(&folder).unwrap();
}

/// Rows of actions of a chunk's pictures: keys and mouse change from one to the next.
fn rows(chunk: u64, count: usize) -> Vec<f32> {
    let row = |picture: usize| {
        let at = chunk as usize * 12 + picture;
        let mut row = [0.0; 6];
        row[at / 3 % 4] = 1.0;
        (row[4], row[5]) = ((at % 7) as f32 * 0.02 - 0.06, (at % 5) as f32 * 0.03 - 0.06);
        row
    };
    (0..count).flat_map(row).collect()
}

/// Pictures of a chunk.
fn count(chunk: u64) -> usize {
    if chunk == 0 { 9 } else { 12 }
}

/// The pictures of chunks `chunks`, each with rows of its own.
fn play(session: &mut Session, chunks: std::ops::Range<u64>, budget: Budget) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for chunk in chunks {
        session.set_actions(&rows(chunk, count(chunk))).unwrap();
        frames.extend((0..count(chunk)).map(|_| next_frame(session, budget)));
        // The commit, so that the next rows are not those of this chunk.
        while session.position() < 3 * (chunk + 1) {
            session.pump(Budget::Nodes(1)).unwrap();
        }
    }
    frames
}

#[test]
fn receipts_name_the_rows_that_pictures_show() {
    let game = Game::open();
    let mut session = game.session(&one(), game.options());
    let mut ticket = 0;
    for chunk in 0..3 {
        let pressed = session.set_actions(&rows(chunk, count(chunk))).unwrap();
        for picture in 0..count(chunk) {
            while session.pump(Budget::Frame).unwrap() != Pump::Frame {}
            let receipt = session.frame().unwrap().receipt;
            // Latent frame f sees rows up to the one before its last picture's.
            let frame = if chunk == 0 { picture.div_ceil(4) } else { picture / 4 };
            let newest = if chunk == 0 { (4 * frame).saturating_sub(1) } else { 4 * frame + 2 };
            assert_eq!((receipt.action, receipt.action_row as usize), (pressed, newest), "{chunk}, {picture}");
            assert_eq!(receipt.first_of_action, picture == 0 && pressed > ticket, "{chunk}, {picture}");
            session.release();
        }
        ticket = pressed;
        while session.position() < 3 * (chunk + 1) {
            session.pump(Budget::Nodes(1)).unwrap();
        }
    }
}

/// The row of a chunk's last picture is seen by the next chunk only; every other one by its own.
#[test]
fn a_row_is_seen_from_the_next_picture_on() {
    let game = Game::open();
    let chunks = |change: Option<usize>| {
        let mut session = game.session(&one(), game.options());
        let first = play(&mut session, 0..1, Budget::Frame);
        let mut changed = rows(1, 12);
        if let Some(row) = change {
            changed[6 * row] += 1.0;
        }
        session.set_actions(&changed).unwrap();
        let second: Vec<_> = (0..12).map(|_| next_frame(&mut session, Budget::Frame)).collect();
        while session.position() < 6 {
            session.pump(Budget::Nodes(1)).unwrap();
        }
        [first, second, play(&mut session, 2..3, Budget::Frame)]
    };
    let [plain, last, before] = [None, Some(11), Some(10)].map(chunks);
    assert_eq!(plain[..2], last[..2]);
    assert_ne!(plain[2], last[2]);
    assert_eq!(plain[0], before[0]);
    assert_ne!(plain[1], before[1]);
}

/// The last row goes on: pressing nothing new is pressing it for all pictures.
#[test]
fn one_row_lasts() {
    let game = Game::open();
    let held: Vec<f32> = [0.0, 1.0, 0.0, 0.0, 0.05, -0.05].to_vec();
    let video = |each: bool| {
        let mut session = game.session(&one(), game.options());
        session.set_actions(&held).unwrap();
        (0..33)
            .map(|picture| {
                if each && picture % 4 == 0 {
                    session.set_actions(&held.repeat(9)).unwrap();
                }
                next_frame(&mut session, Budget::Frame)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(video(false), video(true));
}

#[test]
fn slices_snapshots_and_aborts_change_nothing() {
    let game = Game::open();
    let mut whole = game.session(&one(), game.options());
    let expected = play(&mut whole, 0..4, Budget::Frame);
    let mut sliced = game.session(&Device::cpu(2), game.options());
    assert_eq!(play(&mut sliced, 0..4, Budget::Nodes(1)), expected);
    // After two chunks, at many places of the third: a snapshot, a dropped chunk, and the snapshot again.
    let mut session = game.session(&one(), game.options());
    let begun = play(&mut session, 0..2, Budget::Frame);
    assert_eq!(begun, expected[..21]);
    session.set_actions(&rows(2, 12)).unwrap();
    let start = session.snapshot().unwrap();
    let (mut places, mut dropped) = (0, 0);
    for nodes in (0..).step_by(37) {
        session.restore(&start).unwrap();
        if session.pump(Budget::Nodes(nodes.max(1))).unwrap() == Pump::Frame {
            break;
        }
        let there = session.snapshot().unwrap();
        // Other actions, and a chunk that is dropped, leave nothing behind.
        session.set_actions(&[0.0; 6]).unwrap();
        dropped += usize::from(session.abort_chunk());
        session.restore(&there).unwrap();
        let mut frames = vec![next_frame(&mut session, Budget::Frame)];
        frames.extend((0..11).map(|_| next_frame(&mut session, Budget::Frame)));
        assert_eq!(frames, expected[21..33], "after {nodes} nodes");
        while session.position() < 9 {
            session.pump(Budget::Nodes(1)).unwrap();
        }
        if places % 4 == 0 {
            assert_eq!(play(&mut session, 3..4, Budget::Frame), expected[33..], "after {nodes} nodes");
        }
        places += 1;
    }
    assert!(places > 3 && dropped > 0, "{places} places, {dropped} chunks dropped");
    // A chunk that is dropped is made again with the same rows.
    session.restore(&start).unwrap();
    session.pump(Budget::Nodes(50)).unwrap();
    assert!(session.abort_chunk());
    assert_eq!(play(&mut session, 2..4, Budget::Frame), expected[21..]);
}

/// A tiny game, and the pictures of its first chunks.
static PLAYED: LazyLock<(Game, Vec<Vec<u8>>)> = LazyLock::new(|| {
    let game = Game::open();
    let frames = play(&mut game.session(&one(), game.options()), 0..3, Budget::Frame);
    (game, frames)
});

/// What a host does to a stream, beside taking its pictures.
#[derive(Clone, Debug)]
enum Deed {
    /// Pumps so many nodes.
    Pump(usize),
    /// Tells it something else for so many nodes, and takes that back.
    Err(usize),
    /// Drops the chunk under way.
    Abort,
    /// Goes back to where the chunk began.
    Rewind,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (1usize..160).prop_map(Deed::Pump),
        2 => (1usize..160).prop_map(Deed::Err),
        1 => Just(Deed::Abort),
        1 => Just(Deed::Rewind),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    /// Whatever is done to a stream between its pictures, it shows those of the rows it was told.
    #[test]
    fn snapshots_rewinds_aborts_and_pumps_hold(deeds in proptest::collection::vec(deed(), 1..24)) {
        let (game, expected) = &*PLAYED;
        let mut session = game.session(&one(), game.options());
        let (mut frames, mut deeds) = (Vec::new(), deeds.into_iter());
        for chunk in 0..3 {
            let (start, before) = (session.snapshot().unwrap(), frames.len());
            session.set_actions(&rows(chunk, count(chunk))).unwrap();
            while frames.len() - before < count(chunk) {
                match deeds.next().unwrap_or(Deed::Pump(1000)) {
                    Deed::Pump(nodes) => _ = session.pump(Budget::Nodes(nodes)).unwrap(),
                    Deed::Err(nodes) => {
                        let there = session.snapshot().unwrap();
                        session.set_actions(&rows(chunk + 5, 7)).unwrap();
                        session.pump(Budget::Nodes(nodes)).unwrap();
                        session.restore(&there).unwrap();
                    }
                    Deed::Abort => _ = session.abort_chunk(),
                    Deed::Rewind => {
                        session.restore(&start).unwrap();
                        session.set_actions(&rows(chunk, count(chunk))).unwrap();
                        frames.truncate(before);
                    }
                }
                while let Some(frame) = session.frame() {
                    frames.push(frame.pixels.to_vec());
                    session.release();
                }
            }
            while session.position() < 3 * (chunk + 1) {
                session.pump(Budget::Nodes(1)).unwrap();
            }
        }
        prop_assert!(frames == expected[..], "other pictures");
    }
}

/// A saved game holds the rows of actions before it, and goes on alike wherever it is loaded.
#[test]
fn saved_games_go_on() {
    let game = Game::open();
    let mut session = game.session(&one(), game.options());
    play(&mut session, 0..3, Budget::Frame);
    let saved = session.save().unwrap();
    let gone = machine::and_gpu(one()).into_iter().map(|device| {
        let mut other = game.session(&device, game.options());
        play(&mut other, 0..1, Budget::Frame);
        other.load(&saved).unwrap();
        assert_eq!(other.save().unwrap(), saved);
        play(&mut other, 3..5, Budget::Frame)
    });
    let [cpu, gpu] = &gone.collect::<Vec<_>>()[..] else { return };
    assert!(cpu.iter().flatten().zip(gpu.iter().flatten()).all(|(a, b)| a.abs_diff(*b) <= 1));
}

#[test]
fn a_gpu_makes_the_same_pictures() {
    let game = Game::open();
    let Some(gpu) = machine::gpu(Device::gpu("")) else { return };
    let [cpu, gpu] = [one(), gpu].map(|device| {
        let mut session = game.session(&device, game.options());
        play(&mut session, 0..3, Budget::Frame)
    });
    for (at, (cpu, gpu)) in cpu.iter().zip(&gpu).enumerate() {
        assert!(cpu.iter().zip(gpu).all(|(a, b)| a.abs_diff(*b) <= 1), "picture {at}");
    }
}

#[test]
fn what_a_game_cannot_be_told_is_refused() {
    let game = Game::open();
    let refused = |options: SessionOptions| {
        Session::with_codec(&game.model, &game.codec, &one(), options).err().map(|error| error.to_string())
    };
    let of = |condition: Vec<f32>| SessionOptions { condition, ..game.options() };
    let error = refused(of(Vec::new())).unwrap();
    assert!(error.contains("picture condition has 0 values, this model takes 192"), "{error}");
    assert!(refused(of(vec![0.0; 100])).unwrap().contains("has 100 values"));
    assert!(refused(of(vec![f32::NAN; 192])).is_some());
    let told = SessionOptions { start_actions: vec![0.0; 6], ..game.options() };
    assert!(refused(told).unwrap().contains("no actions are told"));
    let mut session = game.session(&one(), game.options());
    // A picture's rows are not padded.
    assert!(matches!(session.set_prompt(0, &game.picture[0][..80]), Err(SessionError::Prompt { rows: 4, .. })));
    assert!(matches!(session.set_actions(&[0.0; 6 * 13]), Err(SessionError::ActionRows { rows: 13, most: 12 })));
    assert!(matches!(session.set_actions(&[0.0; 5]), Err(SessionError::ActionLength { .. })));
}
