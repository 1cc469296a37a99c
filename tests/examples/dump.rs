//! Writes what the runtime generates, for other implementations to compare with: `dump DIR [MODEL]`.
//!
//! For a model file, or without one for each of a table of small random models (written beside it as `NAME.model.safetensors`),
//! a stream from nothing is played on the CPU, and `NAME.rollout.safetensors` holds:
//!
//! | tensor | type, shape |
//! |---|---|
//! | seed | I64 [1] |
//! | actions | F32 [chunks, actions] |
//! | events | I64 [chunks] |
//! | latents | F32 [frames, height, width, channels], normalised |
//! | pixels | U8 [frames, picture height, picture width, 4] |

use std::{error::Error, fs, path::Path};

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, EventTime, Model, Pump, Session, SessionOptions, Start,
    config::{ModelConfig, Positions},
};
use causeway_tests::{
    stream::{one, script, seeded},
    tiny::{model_bytes, quantisable_config, tiny_config},
};
use safetensors::tensor::{Dtype, TensorView, serialize};

const SEED: u64 = 0x1_0000_0005;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments.next().ok_or("usage: dump DIR [MODEL]")?;
    let directory = Path::new(&directory);
    if let Some(path) = arguments.next() {
        let model = Model::open(&path)?;
        return Ok(fs::write(directory.join("given.rollout.safetensors"), rollout(&model)?)?);
    }
    for (name, config, dtype) in cases() {
        let bytes = model_bytes(&config, dtype, 11);
        fs::write(directory.join(format!("{name}.model.safetensors")), &bytes)?;
        fs::write(directory.join(format!("{name}.rollout.safetensors")), rollout(&Model::from_bytes(&bytes)?)?)?;
    }
    Ok(())
}

/// Every part of the model that changes what is computed, and the demo's own shape.
fn cases() -> Vec<(&'static str, ModelConfig, DType)> {
    let history = |chunk: usize, window: usize, sink: usize, route: usize, positions: Positions| {
        let mut config = tiny_config();
        config.dit.chunk = chunk;
        config.history.window = window;
        config.history.sink = sink;
        config.history.route = route;
        config.history.positions = positions;
        config
    };
    let mut plain = tiny_config();
    plain.dit.prev_frame = false;
    plain.codec.blocks = 2;
    plain.schedule.default_steps = 2;
    plain.schedule.context_noise = 20.0;
    plain.codec.space_up = [true, true, true];
    let (compact, absolute) = (Positions::Compact, Positions::Absolute);
    vec![
        ("tiny", tiny_config(), DType::F32),
        ("plain", plain, DType::F32),
        ("sink", history(1, 6, 2, 0, compact), DType::F32),
        ("absolute", history(1, 5, 1, 0, absolute), DType::F32),
        ("chunk2", history(2, 7, 2, 0, compact), DType::F32),
        ("chunk3", history(3, 8, 1, 0, absolute), DType::F32),
        ("route", history(1, 8, 1, 3, compact), DType::F32),
        ("route2", history(2, 9, 2, 4, compact), DType::F32),
        ("demo", demo_config(), DType::F32),
        ("half", quantisable_config(), DType::F16),
        ("q8", quantisable_config(), DType::Q8),
        ("q4", quantisable_config(), DType::Q4),
    ]
}

/// The example of docs/model-file.md at 128 x 96.
fn demo_config() -> ModelConfig {
    let mut config = tiny_config();
    let dit = &mut config.dit;
    (dit.dim, dit.heads, dit.layers, dit.ffn_dim, dit.freq_dim) = (192, 6, 5, 576, 64);
    (dit.latent.channels, dit.latent.height, dit.latent.width) = (8, 12, 16);
    (dit.latent_mean, dit.latent_std) = (vec![0.0; 8], vec![1.0; 8]);
    (config.codec.channels, config.codec.widths) = (8, [64, 48, 32, 32]);
    config.history.window = 12;
    config
}

/// Plays long enough for the ring to go round twice.
fn rollout(model: &Model<'_>) -> Result<Vec<u8>, Box<dyn Error>> {
    let config = model.config();
    let (chunk, latent) = (config.dit.chunk, config.dit.latent);
    let chunks = (2 * config.history.window).div_ceil(chunk);
    let options = SessionOptions { start: Start::Empty, event: Some(0), queue: chunk, ..seeded(SEED) };
    let mut session = Session::new(model, &one(), options)?;
    let (mut actions, mut events, mut latents, mut pixels) = (vec![], vec![], vec![], vec![]);
    let mut event = 0;
    for n in 0..chunks {
        let (action, switch) = script(n as u64);
        let action: Vec<f32> = (0..config.dit.actions.len()).map(|i| action[i % action.len()]).collect();
        session.set_action(&action)?;
        if let Some(switch) = switch.map(|index| index % config.dit.events.len()) {
            session.queue_event(switch, EventTime::NextChunk)?;
            event = switch as i64;
        }
        actions.extend(action);
        events.push(event);
        for f in 0..chunk {
            while session.pump(Budget::Frame)? != Pump::Frame {}
            if f == 0 {
                // The commit pass comes after the chunk's last frame; until then this buffer holds the finished latents.
                let at = latents.len();
                latents.resize(at + chunk * config.dit.latent_len(), 0f32);
                let id = session.stream().latents;
                session.backend().read(id, bytemuck::cast_slice_mut(&mut latents[at..]))?;
            }
            pixels.extend_from_slice(session.frame().map(|frame| frame.pixels).unwrap_or_default());
            session.release();
        }
    }
    let (width, height) = session.picture();
    let frames = chunks * chunk;
    let tensors = [
        ("seed", TensorView::new(Dtype::I64, vec![1], bytemuck::bytes_of(&SEED))?),
        ("actions", floats(&actions, vec![chunks, config.dit.actions.len()])?),
        ("events", TensorView::new(Dtype::I64, vec![chunks], bytemuck::cast_slice(&events))?),
        ("latents", floats(&latents, vec![frames, latent.height, latent.width, latent.channels])?),
        ("pixels", TensorView::new(Dtype::U8, vec![frames, height, width, 4], &pixels)?),
    ];
    Ok(serialize(tensors, None)?)
}

fn floats(values: &[f32], shape: Vec<usize>) -> Result<TensorView<'_>, safetensors::SafeTensorError> {
    TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(values))
}
