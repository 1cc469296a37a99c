//! Streams whose codec makes several pictures of a latent frame, against the decoder of whole files.

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, Decoder, DecoderFile, EventTime, Pump, Session, SessionOptions, Start,
    config::{DecoderNetwork, ModelConfig, Positions},
    file::write_model_to,
};
use causeway_tests::{
    naive::{Naive, Settings},
    stream::{next_frame, one, open, script, seeded, shown},
    tiny::{codec_config, model_bytes, random_weights, tiny_config},
};

/// A world whose codec makes four pictures of each latent frame but the stream's first, which makes one.
fn four_each() -> ModelConfig {
    let mut config = tiny_config();
    config.codec.time_up = [1, 2, 2];
    config
}

/// The codec of a world, in a file of its own: the same weights under the same names.
fn own_codec(config: &ModelConfig, seed: u64) -> Vec<u8> {
    let decoder = codec_config("tiny", DecoderNetwork::Taehv(config.codec.clone()));
    write_model_to(Vec::new(), &decoder, DType::F32, |name, shape| random_weights(name, shape, seed)).unwrap()
}

/// Pictures RGBA8 of frames [n, 3, height, width] in 0 to 1.
fn rgba(frames: &[f32], area: usize) -> Vec<Vec<u8>> {
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
    let picture = |frame: &[f32]| {
        (0..area).flat_map(|at| [byte(frame[at]), byte(frame[area + at]), byte(frame[2 * area + at]), 255]).collect()
    };
    frames.chunks_exact(3 * area).map(picture).collect()
}

/// Latent frames are those of the naive model, pictures those that the codec alone decodes of them: 1 + 4 (n - 1) of n latent frames.
#[test]
fn a_world_may_make_four_pictures_of_a_latent_frame() {
    const LATENTS: u64 = 6;
    for chunk in [1, 2] {
        let mut config = four_each();
        config.dit.chunk = chunk;
        let (bytes, codec) = (model_bytes(&config, DType::F32, 11), own_codec(&config, 11));
        let (model, file) = (open(&bytes), DecoderFile::from_bytes(&codec).unwrap());
        let mut decoder = Decoder::new(&file, &one(), (8, 8), None).unwrap();
        let settings = Settings { window: 6, sink: 0, route: 0, positions: Positions::Compact };
        let mut naive = Naive::new(&model, settings, 5);
        let sigmas = config.schedule.sigmas(4).unwrap();
        let options = SessionOptions { start: Start::Empty, queue: 4, ..seeded(5) };
        let mut session = Session::new(&model, &one(), options).unwrap();
        let (mut event, mut pictures) = (0, 0);
        for n in (0..LATENTS).step_by(chunk) {
            let (action, switch) = script(n);
            session.set_action(&action).unwrap();
            if let Some(switch) = switch {
                session.queue_event(switch, EventTime::NextChunk).unwrap();
                event = switch;
            }
            let expected = naive.chunk(&sigmas, &action, event);
            for (at, latent) in expected.chunks_exact(4 * 64).enumerate() {
                let (mean, std) = (&config.dit.latent_mean, &config.dit.latent_std);
                let raw = |i: usize| latent[i % 64 * 4 + i / 64] as f32 * std[i / 64] + mean[i / 64];
                let decoded = rgba(&decoder.decode(&(0..4 * 64).map(raw).collect::<Vec<_>>()).unwrap(), 64 * 64);
                assert_eq!(decoded.len(), if n == 0 && at == 0 { 1 } else { 4 });
                for expected in decoded {
                    let (pixels, receipt) = shown(&mut session, Budget::Frame);
                    assert_eq!(receipt.frame, pictures);
                    let off = pixels.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                    assert!(off <= 1, "chunk {chunk}, picture {pictures} differs by {off}");
                    pictures += 1;
                }
            }
        }
        assert_eq!(pictures, 1 + 4 * (LATENTS - 1));
    }
}

/// Actions and events belong to the latent frame: what comes between two of its pictures shows in the next one.
#[test]
fn receipts_of_four_pictures_a_latent_frame_name_what_was_told_to_it() {
    let bytes = model_bytes(&four_each(), DType::F32, 1);
    let model = open(&bytes);
    let mut session = Session::new(&model, &one(), SessionOptions { start: Start::Empty, ..seeded(3) }).unwrap();
    // Picture 11 lies in latent frame 3, whose pictures are 9 to 12.
    let event = session.queue_event(2, EventTime::Frame(11)).unwrap();
    let mut tickets = Vec::new();
    for picture in 0..17 {
        // Between the second and the third picture of latent frames 1 and 2.
        if [3, 7].contains(&picture) {
            tickets.push(session.set_action(&script(picture).0).unwrap());
        }
        let (_, receipt) = shown(&mut session, Budget::Nodes(5));
        let action = [0, tickets.first().copied().unwrap_or(0), tickets.last().copied().unwrap_or(0)];
        let (action, first) = match picture {
            0..=4 => (0, false),
            5..=8 => (action[1], picture == 5),
            _ => (action[2], picture == 9),
        };
        assert_eq!((receipt.frame, receipt.action, receipt.first_of_action), (picture, action, first));
        let under = (if picture < 9 { 0 } else { 2 }, if picture < 9 { 0 } else { event }, picture == 9);
        assert_eq!((receipt.event, receipt.event_ticket, receipt.first_of_event), under, "picture {picture}");
    }
    assert_eq!((session.position(), session.picture_of(4)), (4, 13));
}

/// Slices, snapshots between two pictures of a latent frame, hosts that take none, aborts: the same pictures.
#[test]
fn four_pictures_a_latent_frame_are_the_same_for_any_way_of_pumping() {
    let bytes = model_bytes(&four_each(), DType::F32, 1);
    let model = open(&bytes);
    let new = || Session::new(&model, &one(), seeded(3)).unwrap();
    let mut whole = new();
    let expected: Vec<_> = (0..21).map(|_| next_frame(&mut whole, Budget::Frame)).collect();
    // Two latent frames are stored to start from, which make 1 + 4 pictures.
    assert_eq!(whole.position(), 5);
    for nodes in [1, 7, 40] {
        let mut session = new();
        let sliced: Vec<_> = (0..21).map(|_| next_frame(&mut session, Budget::Nodes(nodes))).collect();
        assert_eq!(sliced, expected, "{nodes} nodes");
    }
    let mut session = new();
    for (n, expected) in expected.iter().enumerate() {
        // What was given cannot be dropped any more, and what was not goes on from the snapshot.
        let saved = session.snapshot().unwrap();
        assert_eq!(next_frame(&mut session, Budget::Frame), *expected, "{n}");
        session.pump(Budget::Nodes(9)).unwrap();
        session.restore(&saved).unwrap();
        // Once: else nothing would ever come.
        let mut dropped = false;
        while session.pump(Budget::Nodes(1)).unwrap() != Pump::Frame {
            dropped = dropped || session.abort_chunk();
        }
        // Only a chunk of which nothing was decoded can be dropped: latent frames from the third on are made.
        assert_eq!(dropped, n == 0 || n > 4 && n % 4 == 1, "{n}");
        assert_eq!(session.frame().unwrap().pixels, expected, "{n}");
        if n % 4 == 3 {
            while session.pump(Budget::Frame).unwrap() != Pump::Full {}
            session.restore(&saved).unwrap();
            assert_eq!(next_frame(&mut session, Budget::Frame), *expected, "{n}");
        } else {
            session.release();
        }
    }
}

/// A picture that stands still: the encoder sees it as often as a latent frame has pictures.
#[test]
fn a_picture_starts_a_stream_of_four_pictures_a_latent_frame() {
    let bytes = model_bytes(&four_each(), DType::F32, 1);
    let model = open(&bytes);
    let picture = |value: u8| Start::Image([value, value / 2, 255 - value, 255].repeat(64 * 64));
    let run = |start| {
        let mut session = Session::new(&model, &one(), SessionOptions { start, ..seeded(3) }).unwrap();
        (0..6).map(|_| next_frame(&mut session, Budget::Frame)).collect::<Vec<_>>()
    };
    assert_ne!(run(picture(10)), run(picture(200)));
    assert_eq!(run(picture(10)), run(picture(10)));
}
