//! A stream that does not end: memory, time and pictures stay what they were. `CAUSEWAY_SOAK=1000000` is how many frames; without it
//! a few. `CAUSEWAY_SOAK_MODEL=FILE` plays a model file instead of a tiny random one. docs/reliability.md has figures.

use std::{
    fs,
    time::{Duration, Instant},
};

use causeway_runtime::{Budget, EventTime, Model, Pump, Session, SessionOptions};
use causeway_tests::{
    counting::{Counting, calls, held},
    stream::{one, seeded},
    tiny::tiny_model_bytes,
};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Frames of an ordinary test run.
const FEW: u64 = 3_000;
/// Parts that are compared with each other.
const PARTS: u64 = 10;

/// Pictures of a part.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    frames: u64,
    time: Duration,
    /// Sum of the frames' mean values and of their mean squares, 0 to 255.
    mean: f64,
    square: f64,
    /// Sum of the mean differences from one frame to the next.
    change: f64,
}

/// Bytes of memory that the system counts for this process.
fn resident() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(4096 * pages)
}

#[test]
fn a_long_stream_stays_as_it_was() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let frames = number("CAUSEWAY_SOAK").unwrap_or(FEW).max(PARTS);
    let bytes = match std::env::var_os("CAUSEWAY_SOAK_MODEL") {
        Some(path) => fs::read(path).unwrap(),
        None => tiny_model_bytes(1),
    };
    let model = Model::from_bytes(&bytes).unwrap();
    let (actions, events) = (model.config().dit.actions.len(), model.config().dit.events.len() as u64);
    let steps = model.config().schedule.steps.keys().next().copied();
    let mut session = Session::new(&model, &one(), SessionOptions { steps, ..seeded(1) }).unwrap();
    // A frame and an event that wait make it longer. Not of zeros, which are no memory until they are written.
    let mut snapshot = vec![1; 2 * session.snapshot_bytes()];
    let (mut last, mut action) = (Vec::new(), vec![0.0; actions]);
    let mut parts = [Part::default(); PARTS as usize];
    let (mut steady, mut number, mut rng) = (None, 0u64, 1u64);
    while number < frames {
        if number == frames / PARTS {
            // The first part has warmed everything up.
            let pages = resident();
            steady = Some((calls(), held(), pages));
        }
        // A new key every few frames, at times none, at times two; now and then an event.
        if number % 5 == 0 {
            rng = rng.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            action.fill(0.0);
            for shift in [33, 49] {
                let key = (rng >> shift) as usize % (actions + 2);
                if let Some(value) = action.get_mut(key) {
                    *value = 1.0;
                }
            }
        }
        session.set_action(&action).unwrap();
        if events > 0 && number % 97 == 60 {
            session.queue_event(((rng >> 20) % events) as usize, EventTime::NextChunk).unwrap();
        }
        if number % 1000 == 500 {
            let length = session.snapshot_bytes();
            session.snapshot_into(&mut snapshot[..length]).unwrap();
        }
        let clock = Instant::now();
        while session.pump(Budget::Frame).unwrap() != Pump::Frame {}
        let time = clock.elapsed();
        let part = &mut parts[(number * PARTS / frames) as usize];
        let pixels = session.frame().unwrap().pixels;
        let n = pixels.len() as f64;
        let values = |f: &dyn Fn(f64) -> f64| pixels.iter().map(|&value| f(f64::from(value))).sum::<f64>() / n;
        part.mean += values(&|value| value);
        part.square += values(&|value| value * value);
        if last.is_empty() {
            last = pixels.to_vec();
        }
        part.change += last.iter().zip(pixels).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / n;
        last.copy_from_slice(pixels);
        session.release();
        part.time += time;
        part.frames += 1;
        number += 1;
    }
    let (before, allocations, bytes, pages) = (steady.unwrap(), calls(), held(), resident());
    println!("| frames | mean | deviation | change | ms a frame |\n|---|---|---|---|---|");
    let mut figures = Vec::new();
    for part in parts {
        let n = part.frames as f64;
        let mean = part.mean / n;
        let deviation = (part.square / n - mean * mean).max(0.0).sqrt();
        let (change, time) = (part.change / n, 1e3 * part.time.as_secs_f64() / n);
        println!("| {} | {mean:.1} | {deviation:.1} | {change:.2} | {time:.3} |", part.frames);
        figures.push([mean, deviation, change]);
    }
    let grown = pages.zip(before.2).map(|(now, then)| now as i64 - then as i64);
    println!(
        "allocations {}, bytes held {:+}, resident {grown:?}",
        allocations - before.0,
        bytes as i64 - before.1 as i64
    );
    // What the loop itself takes: nothing. A snapshot and an event are among the frames.
    assert_eq!((allocations - before.0, bytes), (0, before.1), "the stream allocates");
    assert!(grown.is_none_or(|grown| grown < 1 << 20), "{grown:?} bytes more are resident");
    // Pictures of no part are others than those of the second: neither brighter, flatter nor stiller.
    for part in &figures[2..] {
        for (found, expected) in part.iter().zip(&figures[1]) {
            assert!((found - expected).abs() < 0.2 * expected + 2.0, "{figures:?}");
        }
    }
}
