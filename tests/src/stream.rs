//! Driving sessions in tests.

use causeway_runtime::{Budget, Device, Model, Pump, Receipt, Session, SessionOptions};

/// One thread of the CPU.
pub fn one() -> Device {
    Device::cpu(1)
}

/// Options of a session with this seed.
pub fn seeded(seed: u64) -> SessionOptions {
    SessionOptions { seed, ..SessionOptions::default() }
}

/// Opens bytes that a test made itself.
///
/// # Panics
/// If they are not a model file.
pub fn open(bytes: &[u8]) -> Model<'_> {
    match Model::from_bytes(bytes) {
        Ok(model) => model,
        Err(error) => panic!("{error}"),
    }
}

/// The next frame's pixels, with the given budget a call.
///
/// # Panics
/// If the session fails.
pub fn next_frame(session: &mut Session, budget: Budget) -> Vec<u8> {
    loop {
        match session.pump(budget) {
            Ok(Pump::Frame) => break,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let pixels = session.frame().map(|frame| frame.pixels.to_vec());
    session.release();
    pixels.unwrap_or_default()
}

/// The next frame's pixels and its receipt, with the given budget a call.
///
/// # Panics
/// If the session fails.
pub fn shown(session: &mut Session, budget: Budget) -> (Vec<u8>, Receipt) {
    while session.pump(budget).unwrap() != Pump::Frame {}
    let frame = session.frame().unwrap();
    let shown = (frame.pixels.to_vec(), frame.receipt);
    session.release();
    shown
}

/// Likeness of two pictures in decibels.
pub fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let square = |(a, b): (&u8, &u8)| (f64::from(*a) - f64::from(*b)).powi(2);
    let mean = a.iter().zip(b).map(square).sum::<f64>() / a.len() as f64;
    10.0 * (255.0 * 255.0 / mean.max(1e-9)).log10()
}

/// A script of actions and events that changes every few frames.
pub fn script(frame: u64) -> ([f32; 5], Option<usize>) {
    let mut action = [0.0; 5];
    action[(frame / 3 % 5) as usize] = 1.0;
    (action, (frame % 7 == 4).then_some((frame / 7 % 3) as usize))
}

/// FNV-1a of some bytes.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
