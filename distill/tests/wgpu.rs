//! The tensor library on a graphics device beside the CPU's own passes. Only with the feature `wgpu`, whose dependencies take longer to
//! compile than all others: `cargo test -p causeway-distill --features wgpu --test wgpu`.

#![cfg(feature = "wgpu")]

mod tiny;

use burn::tensor::{DType, Device, DeviceKind};
use causeway_distill::method::teacher_forcing::World;
use causeway_distill::net::codec;
use causeway_distill::net::mask::{Best, Mask, Ring};
use causeway_distill::net::precision::Precision;
use causeway_distill::net::rollout::Rollout;
use causeway_distill::net::weights::Weights;
use causeway_distill::rng::Rng;
use causeway_distill::train::state::State;
use causeway_distill::train::trainer::{Job, Stage};

use self::tiny::{codec_stage, off, recording, tiny, weights, with_world};

fn device() -> Device {
    Device::wgpu(DeviceKind::DefaultDevice)
}

#[test]
fn the_denoiser_has_the_cpus_answers_and_gradients() {
    let config = tiny();
    let base = weights(&config);
    let half = device().supports_dtype(DType::F16).then_some((Precision::F16, 0.004));
    for mask in
        [0, 2].map(|route| Mask::teacher_forcing(route)).into_iter().chain([Mask::Causal(Ring::ENDLESS), Mask::Full])
    {
        let of = |cpu: bool, precision: Precision| {
            with_world(&config, cpu, 4, |world| {
                let (world, mut rng) = (World { precision, ..world }, Rng::new(5));
                let windows = world.data.windows(2, world.frames, &mut rng);
                let sigma = vec![0.6; 8];
                let r = world.matching(mask, &windows, &windows.real, &sigma, &mut rng);
                let mut flat = vec![0.0; base.data.len()];
                let (loss, found) = world.gradient(&base, &device(), &r, &mut flat);
                assert_eq!(found, base.entries().len());
                [vec![loss], flat, world.velocity(&base, &device(), mask, &r.input)]
            })
        };
        let expected = of(true, Precision::F32);
        for (precision, most) in [(Precision::F32, 1e-4)].into_iter().chain(half) {
            let found = of(false, precision);
            for ((expected, found), what) in expected.iter().zip(&found).zip(["loss", "gradient", "answer"]) {
                let off = off(expected, found);
                assert!(off < most, "{mask:?}, {precision:?}: the {what} is off by {off}");
            }
        }
    }
}

#[test]
fn a_roll_out_is_the_cpus() {
    let config = tiny();
    let base = weights(&config);
    let of = |cpu: bool| {
        with_world(&config, cpu, 4, |world| {
            let (windows, leaves) = (world.data.windows(2, 4, &mut Rng::new(3)), world.leaves(&base, &device()));
            let engine = world.engine(&base, &leaves);
            let mut rollout = Rollout::new(engine, &config.dit, 3, windows.before.clone()).routed(Best::of(2));
            let mut rng = Rng::new(4);
            let mut step = |f| {
                let (actions, events) = (windows.at(&windows.actions, f), windows.at(&windows.events, f));
                rollout.generate(&[1.0, 0.6], &actions, &events, &mut rng)
            };
            (0..4).flat_map(&mut step).collect::<Vec<f32>>()
        })
    };
    let off = off(&of(true), &of(false));
    assert!(off < 1e-3, "off by {off}");
}

#[test]
fn the_codec_has_the_cpus_gradient() {
    let (config, recording) = (tiny().codec, recording());
    let base = Weights::init(&codec::specs(&config), 3);
    let of = |fast: bool| {
        let stage = codec_stage(&config, &recording, fast, false);
        let state = State::new(base.clone());
        let job = Job { state: &state, rng: Rng::new(5), share: 2, device: device(), done: 0.0 };
        let mut flat = vec![0.0; base.data.len()];
        let (loss, found) = stage.gradient(job, &mut flat);
        assert_eq!(found, base.entries().len());
        [vec![loss], flat]
    };
    for (expected, found) in of(true).iter().zip(&of(false)) {
        let off = off(expected, found);
        assert!(off < 1e-3, "off by {off}");
    }
}
