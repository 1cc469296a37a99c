//! The runtime computes what the trainer computes: one random model, written to a model file, through both.

use burn::tensor::Device;
use causeway_distill::footage::latents::Windows;
use causeway_distill::footage::recording::RecordingInfo;
use causeway_distill::method::teacher_forcing::judged_velocity;
use causeway_distill::net::codec::{self, Past};
use causeway_distill::net::dit;
use causeway_distill::net::mask::{self, Best, Mask};
use causeway_distill::net::rollout::{Engine, Rollout};
use causeway_distill::net::weights::{Weights, floats};
use causeway_distill::rng::Rng;
use causeway_distill::run::preset::Preset;
use causeway_ops::cpu::{CpuBackend, CpuOptions};
use causeway_ops::philox::normal4;
use causeway_ops::quant::DType;
use causeway_ops::{Backend, BufferId, GROUPS, Params};
use causeway_runtime::config::{CodecConfig, Descriptors, HistoryConfig, ModelConfig, Positions, Prediction};
use causeway_runtime::file::write_model_to;
use causeway_runtime::session::Ring;
use causeway_runtime::{Budget, EventTime, Model, Pump, Session, SessionOptions, Start};
use causeway_runtime::{
    model::{self, CodecSource, Levels, StreamPlan, StreamShape},
    sampler::Sampler,
};

const FRAMES: usize = 7;

fn config() -> ModelConfig {
    let names = |list: &[&str]| list.iter().map(|name| (*name).into()).collect();
    let info = RecordingInfo {
        width: 32,
        height: 32,
        fps: 20.0,
        latch: 1,
        actions: names(&["go", "turn"]),
        events: names(&["day", "night"]),
        license: "CC0-1.0".into(),
        credits: "random numbers".into(),
        source: String::new(),
        seed: 0,
    };
    let mut config = Preset::Cpu.model(&info);
    let dit = &mut config.dit;
    (dit.dim, dit.heads, dit.layers, dit.ffn_dim, dit.freq_dim) = (48, 2, 2, 96, 16);
    config.start = None;
    config
}

/// The same with squares of pixels for a codec, answering with the clean frame.
fn bare() -> ModelConfig {
    let mut config = config();
    config.codec = CodecConfig::linear(12, 8);
    (config.dit.latent.height, config.dit.latent.width) = (4, 4);
    config.dit.prediction = Prediction::Clean;
    config
}

/// Random weights, none of them at its special start.
fn weights(specs: &[causeway_distill::net::weights::Spec], seed: u64, spread: f32) -> Weights {
    let mut weights = Weights::init(specs, seed);
    let mut rng = Rng::new(seed + 1);
    weights.data.iter_mut().for_each(|w| *w += spread * rng.normal());
    weights
}

struct Both {
    config: ModelConfig,
    codec: Weights,
    denoiser: Weights,
    file: Vec<u8>,
}

impl Both {
    fn of(config: ModelConfig) -> Self {
        let codec = weights(&codec::specs(&config.codec), 3, 0.01);
        let denoiser = weights(&dit::specs(&config.dit), 9, 0.05);
        let values = |name: &str| codec.tensor(name).or_else(|| denoiser.tensor(name)).map(|(_, data)| data.to_vec());
        let file = write_model_to(Vec::new(), &config, DType::F32, |name, _| values(name).unwrap()).unwrap();
        Self { config, codec, denoiser, file }
    }

    fn model(&self) -> Model<'_> {
        Model::from_bytes(&self.file).unwrap()
    }
}

/// Largest difference over the largest expected value.
fn error(expected: &[f32], found: &[f32]) -> f32 {
    assert_eq!(expected.len(), found.len());
    let scale = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
    expected.iter().zip(found).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / scale
}

/// [C, H, W] to channels-last.
fn channels_last(planar: &[f32], channels: usize) -> Vec<f32> {
    let area = planar.len() / channels;
    (0..planar.len()).map(|i| planar[i % channels * area + i / channels]).collect()
}

#[test]
fn decoded_pictures_are_equal() {
    [config(), bare()].into_iter().for_each(pictures_are_equal);
}

fn pictures_are_equal(config: ModelConfig) {
    let both = Both::of(config);
    let latent = &both.config.dit.latent;
    let shape = [FRAMES, latent.channels, latent.height, latent.width];
    let latents = Rng::new(4).normals(shape.iter().product());
    let net = both.codec.leaves(&Device::flex());
    let made =
        codec::decode(&net, &both.config.codec, net.constant(latents.clone(), shape), FRAMES, &mut Past::default());
    let expected = floats(made.clamp(0.0, 1.0));

    let options = SessionOptions { start: Start::Latents(latents), ..Default::default() };
    let mut session = Session::new(&both.model(), &causeway_runtime::Device::cpu(0), options).unwrap();
    let (width, height) = session.picture();
    let area = width * height;
    for (n, expected) in expected.chunks(3 * area).enumerate() {
        while session.pump(Budget::Frame).unwrap() != Pump::Frame {}
        let worst = session
            .frame()
            .unwrap()
            .pixels
            .chunks(4)
            .enumerate()
            .flat_map(|(i, rgba)| (0..3).map(move |c| (f32::from(rgba[c]) - 255.0 * expected[c * area + i]).abs()));
        let worst = worst.fold(0.0, f32::max);
        // Half a level is rounding.
        assert!(worst <= 0.6, "frame {n}: {worst} levels");
        session.release();
    }
}

/// Runs passes by hand, so that single forwards can be seen.
struct Bench {
    backend: CpuBackend,
    world: StreamPlan,
    ring: Ring,
}

impl Bench {
    fn new(model: &Model<'_>) -> Self {
        let &HistoryConfig { window, sink, .. } = &model.config().history;
        let config = model.config();
        let shape = StreamShape {
            dit: &config.dit,
            first: 1,
            given: [1, 1],
            groups: model::Past::new(window, 0).into(),
            text_rows: 0,
            guided: false,
            recache: Vec::new(),
            levels: Levels::Table(SIGMA.iter().map(|sigma| 1000.0 * sigma).chain([0.0]).collect()),
            sampler: Sampler::Few,
            exact: false,
            codec: Some(CodecSource::World(config)),
            picture: true,
        };
        let world = StreamPlan::new(&shape).unwrap();
        let backend = CpuBackend::new(world.plan.clone(), model, CpuOptions::default()).unwrap();
        let ring = Ring { window, every: 1, sink, chunk: 1, positions: Positions::Compact };
        Self { backend, world, ring }
    }

    fn write<T: bytemuck::Pod>(&mut self, buffer: BufferId, values: &[T]) {
        self.backend.write(buffer, bytemuck::cast_slice(values)).unwrap();
    }

    /// The actions or the events.
    fn told(&self) -> [BufferId; 2] {
        [self.world.conditions.actions, self.world.conditions.events].map(Option::unwrap)
    }

    fn run(&mut self, name: &str, params: Params) {
        let pass = StreamPlan::pass(&self.world.plan, name).unwrap();
        let nodes = self.world.plan.pass(pass).nodes.len();
        self.backend.run(pass, 0..nodes, &params).unwrap();
    }

    fn latents(&mut self) -> Vec<f32> {
        let mut values = vec![0f32; self.world.plan.buffer(self.world.latents).len];
        self.backend.read(self.world.latents, bytemuck::cast_slice_mut(&mut values)).unwrap();
        values
    }

    /// Fills the frame table for frame n.
    fn place(&mut self, n: usize, temporal: usize, theta: f64) {
        let mut visible = Vec::new();
        self.ring.visible(n as u64, 1, &mut visible);
        let rows = self.ring.max_history() + 1;
        let (mut frames, mut rotations) = (vec![0u32; rows], vec![0f32; rows * temporal]);
        for (i, v) in visible.iter().enumerate() {
            let row = if i + 1 < visible.len() { i } else { rows - 1 };
            frames[row] = v.slot;
            for pair in 0..temporal / 2 {
                let angle = v.position as f64 * theta.powf(-2.0 * pair as f64 / temporal as f64);
                rotations[row * temporal + 2 * pair] = angle.cos() as f32;
                rotations[row * temporal + 2 * pair + 1] = angle.sin() as f32;
            }
        }
        let tables = self.world.groups[0];
        self.write(tables.frames, &frames);
        self.write(tables.rotations, &rotations);
    }
}

#[test]
fn an_encoded_picture_is_equal() {
    [config(), bare()].into_iter().for_each(encoded_is_equal);
}

fn encoded_is_equal(config: ModelConfig) {
    let both = Both::of(config);
    let model = both.model();
    let mut bench = Bench::new(&model);
    let (width, height) = both.config.picture();
    let area = width * height;
    let mut rng = Rng::new(6);
    let planes: Vec<u8> = (0..3 * area).map(|_| rng.below(256) as u8).collect();
    let image: Vec<u8> = (0..area).flat_map(|i| [planes[i], planes[area + i], planes[2 * area + i], 255]).collect();
    bench.write(bench.world.image.unwrap(), &image);
    ["encode", "place.0"].into_iter().for_each(|pass| bench.run(pass, Params::default()));

    let net = both.codec.leaves(&Device::flex());
    let frames = net.constant(planes.iter().map(|&p| f32::from(p) / 255.0).collect(), [1, 3, height, width]);
    let encoded = floats(codec::encode(&net, &both.config.codec, frames, 1, &mut Past::default()));
    let error = error(&channels_last(&encoded, both.config.codec.channels), &bench.latents());
    assert!(error < 1e-4, "{error}");
}

#[test]
fn predicted_flow_is_equal() {
    // A window that the ring holds; one longer than that, trained with its mask; and one whose first frames stay.
    for (window, sink) in [(12, 0), (4, 0), (5, 2)] {
        let mut config = config();
        (config.history.window, config.history.sink) = (window, sink);
        flow_is_equal(&Both::of(config));
    }
    flow_is_equal(&Both::of(bare()));
}

/// Noise levels of the frames.
const SIGMA: [f32; FRAMES] = [1.0, 0.9, 0.75, 0.5, 0.3, 0.8, 0.6];

fn flow_is_equal(both: &Both) {
    let (model, c) = (both.model(), &both.config.dit);
    let mut rng = Rng::new(1);
    let len = c.latent_len();
    let windows = Windows {
        batch: 1,
        frames: FRAMES,
        len,
        real: rng.normals(FRAMES * len),
        before: vec![0.0; len],
        actions: (0..2 * FRAMES).map(|_| rng.below(2) as f32).collect(),
        events: vec![0, 0, 1, 1, 1, 0, 0],
        firsts: Vec::new(),
        blind: Vec::new(),
    };
    let sigma = SIGMA;
    let noisy = windows.mix(&windows.real, &rng.normals(FRAMES * len), &sigma);
    let net = both.denoiser.leaves(&Device::flex());
    let HistoryConfig { window, sink, .. } = both.config.history;
    let mask = Mask::TeacherForcing { ring: mask::Ring { window, sink }, route: Best::of(0), copies: 1 };
    let flow = judged_velocity(&net, &both.config, mask, &windows.doubled(&windows.real, &noisy, &sigma));
    let flow = dit::from_tokens(c, &floats(flow));

    let mut bench = Bench::new(&model);
    for n in 0..FRAMES {
        bench.place(n, c.rope_dims()[0], f64::from(c.rope_theta));
        let [actions, events] = bench.told();
        bench.write(actions, &windows.at(&windows.actions, n));
        let event = usize::from(windows.events[n]);
        let mix: Vec<f32> = (0..c.events.len()).map(|i| f32::from(u8::from(i == event))).collect();
        bench.write(events, &mix);
        bench.run("condition", Params::default());
        let x = channels_last(&noisy[n * len..][..len], c.latent.channels);
        bench.write(bench.world.latents, &x);
        let history = [bench.ring.history(n as u64) as u32; GROUPS];
        let predict = [0.0, 1.0, 0.0, 0.0];
        let params = Params { history, level: n as u32, sigma: sigma[n], keep: 1.0, predict, ..Params::default() };
        bench.run("denoise", params);
        // With no level after it the step turns x into x - sigma v.
        let found: Vec<f32> = bench.latents().iter().zip(&x).map(|(x0, x)| (x - x0) / sigma[n]).collect();
        let error = error(&channels_last(&flow[n * len..][..len], c.latent.channels), &found);
        assert!(error < 1e-3, "{mask:?}, frame {n}: {error}");
        bench.write(bench.world.latents, &channels_last(&windows.real[n * len..][..len], c.latent.channels));
        bench.run("commit", Params { history, level: FRAMES as u32, ..Params::default() });
    }
}

/// A session's frames are those of the trainer's roll-out from the same noise, over more frames than its window holds.
#[test]
fn a_roll_out_is_equal() {
    const REAL: usize = 2;
    const MADE: usize = 8;
    const SEED: u64 = 0x1234_5678_9abc;
    let cases = [(0, 0, true), (0, 2, true), (2, 0, true), (2, 2, false)];
    let rotated = cases.map(|case| (config(), case, Descriptors::Rotated));
    let plain = [cases[1], cases[3]].map(|case| (config(), case, Descriptors::Plain));
    for (mut config, (sink, route, prev_frame), descriptors) in
        rotated.into_iter().chain(plain).chain([(bare(), cases[0], Descriptors::Rotated)])
    {
        (config.history.sink, config.dit.prev_frame) = (sink, prev_frame);
        config.history.descriptors = descriptors;
        let both = Both::of(config);
        let (model, c, window) = (both.model(), &both.config.dit, 5);
        let (len, channels) = (c.latent_len(), c.latent.channels);
        let real = Rng::new(5).normals(REAL * len);
        let sigmas = both.config.schedule.sigmas(4).unwrap();
        let options = SessionOptions {
            seed: SEED,
            start: Start::Latents(real.clone()),
            steps: Some(4),
            window: Some(window),
            route: Some(route),
            event: Some(0),
            ..Default::default()
        };
        let mut session = Session::new(&model, &causeway_runtime::Device::cpu(0), options).unwrap();
        let latents = session.stream().latents;
        let mut rollout = Rollout::new(Engine::Fast(&both.denoiser), c, window, vec![0.0; len]);
        rollout = rollout.routed(Best { frames: route, by: descriptors }).sinking(sink);
        for n in 0..REAL + MADE {
            let action = if n < REAL { [0.0, 0.0] } else { [1.0, (n % 2) as f32] };
            let event = u8::from(n >= 6);
            session.set_action(&action).unwrap();
            if n == 6 {
                session.queue_event(1, EventTime::NextChunk).unwrap();
            }
            while session.pump(Budget::Frame).unwrap() != Pump::Frame {}
            let mut found = vec![0f32; len];
            session.backend().read(latents, bytemuck::cast_slice_mut(&mut found)).unwrap();
            session.release();

            // Noise is drawn in the runtime's order, channels last.
            let noise = |step: u32| -> Vec<f32> {
                let seed = [SEED as u32, (SEED >> 32) as u32];
                let last: Vec<f32> = (0..len as u32 / 4).flat_map(|q| normal4(seed, n as u32, step, q)).collect();
                (0..len).map(|i| last[i % (len / channels) * channels + i / (len / channels)]).collect()
            };
            let mut x = if n < REAL { real[n * len..][..len].to_vec() } else { noise(0) };
            for (i, &sigma) in sigmas.iter().enumerate().filter(|_| n >= REAL) {
                let v = rollout.velocity(&x, &[sigma], &action, &[event]);
                let clean = x.iter().zip(v).map(|(x, v)| x - sigma * v);
                x = match sigmas.get(i + 1) {
                    Some(next) => clean.zip(noise(i as u32 + 1)).map(|(x, e)| (1.0 - next) * x + next * e).collect(),
                    None => clean.collect(),
                };
            }
            rollout.commit(&x, &action, &[event]);
            let error = error(&channels_last(&x, channels), &found);
            assert!(error < 1e-3, "sink {sink}, route {route}, frame {n}: {error}");
        }
    }
}
