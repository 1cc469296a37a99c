//! One session without `std`: a static weights blob in, the hash of the fourth frame out. Any dependency that pulls in `std`
//! fails to link here (E0152). Built for this system the C library is the host; for a machine without one (`tests/bare_metal.sh`) there is nothing.
#![no_std]
#![no_main]

extern crate alloc;

#[cfg(target_os = "none")]
mod bare;
#[cfg(not(target_os = "none"))]
mod libc;

use causeway_runtime::{Budget, Device, Model, Pump, Session, SessionOptions};

#[repr(align(64))]
struct Aligned<T: ?Sized>(T);

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/tiny.safetensors")));

fn play() -> Option<u64> {
    let model = Model::from_bytes(&MODEL.0).ok()?;
    let options = SessionOptions { seed: 9, ..SessionOptions::default() };
    let mut session = Session::new(&model, &Device::cpu(1).strict(), options).ok()?;
    session.set_action(&[1.0, 0.0, 0.0, 1.0, 0.0]).ok()?;
    for frame in 0.. {
        while session.pump(Budget::Nodes(50)).ok()? != Pump::Frame {}
        if frame == 3 {
            break;
        }
        session.release();
    }
    let pixels = session.frame()?.pixels;
    Some(pixels.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)))
}
