//! Streams of Wan models: types of the ring.

mod common;

use causeway_runtime::{BackendChoice, Kv, Model, Rollout, RolloutOptions, config::LatentConfig};
use common::{Place, TINY, golden, inputs, psnr, shown, tensors};

/// Latents of the small references: channels, height, width.
const LATENT: LatentConfig = LatentConfig { channels: 4, height: 8, width: 8 };

/// The tiny checkpoint as a model file.
fn tiny(folder: &Place) -> Model<'static> {
    folder.good(&format!("convert {} m.safetensors --heads 2 --text-len 16 --to f32", shown("tiny.pt")));
    Model::open(folder.path("m.safetensors")).unwrap()
}

#[test]
fn packed_rings_stay_close() {
    let folder = Place::new("streams-kv");
    let all = tensors(golden("parity.safetensors"));
    for (case, options) in [
        ("chunks", "--chunk 3 --window -1 --steps 1000,750,500,250"),
        ("sink", "--chunk 3 --window 9 --sink 3 --steps 1000,500"),
    ] {
        inputs(&folder, &all, case);
        for backend in ["cpu", "gpu"] {
            for (kv, least) in [("f32", 80.0), ("f16", 60.0), ("q8", 35.0)] {
                let model = shown("tiny.pt");
                folder.good(&format!("rollout --model {model} {TINY} {options} --kv {kv} --backend {backend}"));
                let found = tensors(folder.path("out.safetensors")).remove("latents").unwrap().1;
                let psnr = psnr(&found, &all[&format!("{case}.latents")].1);
                println!("{case}, {kv} ring, {backend}: {psnr:.1} dB");
                assert!(psnr >= least, "{case}, {kv} ring, {backend}: {psnr} dB");
            }
        }
    }
}

#[test]
fn packed_rings_take_exactly_as_much_less() {
    let folder = Place::new("streams-memory");
    let model = tiny(&folder);
    let state = |kv, backend| {
        let options = RolloutOptions { window: Some(6), chunk: Some(3), kv, backend, ..RolloutOptions::default() };
        Rollout::new(&model, LATENT, options).unwrap().memory().state
    };
    // Two layers of keys and values, 6 frames of 16 tokens, 2 heads.
    let rows = 2 * 2 * 6 * 16 * 2;
    for backend in [BackendChoice::Cpu, BackendChoice::Gpu(String::new())] {
        let whole = state(Kv::F32, backend.clone());
        // Rows of 32 features: 16 words of two halves; 8 of four bytes and a scale.
        for (kv, words) in [(Kv::F16, 16), (Kv::Q8, 9)] {
            assert_eq!(whole - state(kv, backend.clone()), 4 * rows * (32 - words), "{kv} on {backend:?}");
        }
    }
}
