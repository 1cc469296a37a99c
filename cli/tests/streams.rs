//! Streams of Wan models against `tests/parity/streams.py`: samplers, changes of prompt, routes, types of the ring, length.

mod common;

use causeway_runtime::{
    Device, Exact, Kv, Model, SessionError, SessionOptions, Start,
    config::Positions,
    sampler::{Sampling, Schedule},
    session::{Change, Condition, Way},
};
use causeway_tests::machine;
use common::{Place, TINY, Tensors, error, golden, inputs, psnr, save, shown, tensors, text};

/// Pictures of the small references, whose latents are [4, 8, 8].
const SIZE: Option<(usize, usize)> = Some((64, 64));

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
        for backend in ["cpu", "gpu"].into_iter().filter(|backend| machine::runs_on(backend)) {
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
    let state = |kv, device: &Device| {
        let options = SessionOptions { window: Some(6), chunk: Some(3), size: SIZE, kv, ..SessionOptions::default() };
        Exact::new(&model, device, options).unwrap().session().memory().state
    };
    // Two layers of keys and values, 6 frames of 16 tokens, 2 heads.
    let rows = 2 * 2 * 6 * 16 * 2;
    for device in machine::and_gpu(Device::cpu(0)) {
        let whole = state(Kv::F32, &device);
        // Rows of 32 features: 16 words of two halves; 8 of four bytes and a scale.
        for (kv, words) in [(Kv::F16, 16), (Kv::Q8, 9)] {
            assert_eq!(whole - state(kv, &device), 4 * rows * (32 - words), "{kv} on {device:?}");
        }
    }
}

/// A recorded case of `streams.safetensors`.
struct Recorded {
    all: Tensors,
    cases: serde_json::Map<String, serde_json::Value>,
}

impl Recorded {
    fn open() -> Self {
        let path = golden("streams.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let cases = serde_json::from_str(header["__metadata__"]["cases"].as_str().unwrap()).unwrap();
        Self { all: tensors(path), cases }
    }

    /// Names of cases and their options, those that `wanted` picks by their options.
    fn cases(&self, wanted: impl Fn(&str) -> bool) -> Vec<(&str, String)> {
        let cases = self.cases.iter().map(|(name, options)| (name.as_str(), options.as_str().unwrap()));
        cases.filter(|(_, options)| wanted(options)).map(|(name, options)| (name, options.to_owned())).collect()
    }

    fn values(&self, name: &str) -> &[f32] {
        &self.all[name].1
    }

    /// Writes the inputs of a case, rolls it out, and returns what came out.
    fn roll(&self, folder: &Place, case: &str, options: &str) -> Tensors {
        let start = format!("{case}.");
        let inputs = self.all.iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix(&start).filter(|name| !["latents", "first_flow"].contains(name))?;
            Some((name, tensor)).filter(|(_, tensor)| !tensor.1.is_empty())
        });
        save(folder.path("in.safetensors"), &inputs.collect::<Vec<_>>());
        folder.good(&format!("rollout --model {} {TINY} {options}", shown("tiny.pt")));
        tensors(folder.path("out.safetensors"))
    }

    /// Compares a case on both backends.
    fn check(&self, folder: &Place, case: &str, options: &str) {
        for backend in ["cpu", "gpu"].into_iter().filter(|backend| machine::runs_on(backend)) {
            let out = self.roll(folder, case, &format!("{options} --backend {backend}"));
            for (name, most) in [("first_flow", 2e-4), ("latents", 5e-4)] {
                let error = error(&out[name].1, self.values(&format!("{case}.{name}")));
                println!("{backend} {case} {name}: {error:.1e}");
                assert!(error <= most, "{backend} {case} {name}: {error:e}");
            }
        }
    }
}

/// The ring of the recorded streams.
const RING: &str = "--chunk 3 --window 9 --sink 3";

#[test]
fn schedules_match_diffusers() {
    let recorded = Recorded::open();
    for (name, schedule) in [
        ("euler.32", Schedule::euler(32, 5.0)),
        ("euler.8", Schedule::euler(8, 5.0)),
        ("unipc.50", Schedule::unipc(50, 5.0)),
        ("unipc.8", Schedule::unipc(8, 5.0)),
        ("unipc.20_shift3", Schedule::unipc(20, 3.0)),
    ] {
        for (part, found) in [("sigmas", &schedule.sigmas), ("timesteps", &schedule.timesteps)] {
            let expected = recorded.values(&format!("{name}.{part}"));
            assert_eq!(found.len(), expected.len());
            // Timesteps reach 1000, and f32 knows no more of them than 3e-5.
            let most = if part == "sigmas" { 1e-6 } else { 1e-4 };
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() <= most, "{name} {part}: {found}, expected {expected}");
            }
        }
    }
}

#[test]
fn samplers_match_diffusers() {
    let (folder, recorded) = (Place::new("streams-samplers"), Recorded::open());
    let cases = recorded.cases(|options| !options.contains("--switch") && !options.contains("--route"));
    assert_eq!(cases.len(), 7);
    for (case, options) in cases {
        recorded.check(&folder, case, &options);
    }
}

#[test]
fn changes_of_prompt_match_the_whole_history() {
    let (folder, recorded) = (Place::new("streams-switch"), Recorded::open());
    let cases = recorded.cases(|options| options.contains("--switch"));
    assert_eq!(cases.len(), 10);
    for (case, options) in cases {
        recorded.check(&folder, case, &options);
    }
}

#[test]
fn routes_match_their_definition() {
    let (folder, recorded) = (Place::new("streams-route"), Recorded::open());
    let cases = recorded.cases(|options| options.contains("--route"));
    assert_eq!(cases.len(), 4);
    for (case, options) in cases {
        recorded.check(&folder, case, &options);
        // A packed ring keeps its key means in f32; queries still differ a little from layer to layer.
        for (kv, least) in [("f16", 40.0), ("q8", 30.0)] {
            let out = recorded.roll(&folder, case, &format!("{options} --kv {kv}"));
            let psnr = psnr(&out["latents"].1, recorded.values(&format!("{case}.latents")));
            println!("{case}, {kv} ring: {psnr:.1} dB");
            assert!(psnr >= least, "{case}, {kv} ring: {psnr} dB");
        }
    }
    // A route that keeps all there is to see is dense.
    let dense = recorded.roll(&folder, "dense", &format!("{RING} --steps 1000,500 --route 0"));
    let all = recorded.roll(&folder, "dense", &format!("{RING} --steps 1000,500 --route 9"));
    assert_eq!(dense["latents"], all["latents"]);
}

/// More frames than the network was ever given positions for: with compact positions a long stream is a short one.
#[test]
fn long_streams_are_as_short_ones() {
    let folder = Place::new("streams-long");
    let model = tiny(&folder);
    let (len, chunk, frames) = (4 * 8 * 8, 3, 1101);
    let options = |start| SessionOptions {
        window: Some(9),
        sink: Some(3),
        chunk: Some(chunk),
        size: SIZE,
        positions: Some(Positions::Compact),
        sampling: Some(Sampling::few(&[1.0])),
        start,
        ..SessionOptions::default()
    };
    let mut state = 1u64;
    let mut random = |count: usize| -> Vec<f32> {
        let mut unit = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        };
        (0..count).map(|_| 3.4 * unit()).collect()
    };
    let (text, noise) = (random(5 * 24), random(frames * len));
    let begun = |start| {
        let mut exact = Exact::new(&model, &Device::cpu(1), options(start)).unwrap();
        exact.session().set_prompt(0, &text).unwrap();
        exact.session().queue(Change::to(Condition::Prompt(0))).unwrap();
        exact
    };
    let mut long = begun(Start::Empty);
    let latents = long.run(&noise, &[], |_| Ok::<_, SessionError>(())).unwrap();
    assert_eq!((long.session().position(), latents.len()), (frames as u64, frames * len));
    assert!(latents.iter().all(|x| x.is_finite()));
    // What a chunk depends on: the sink, and through two layers the 6 frames before each of the 6 visible ones. A fresh stream that is
    // given these has the same window.
    let recent = latents.len() - 18 * len;
    let mut fresh = begun(Start::Latents([&latents[..3 * len], &latents[recent..]].concat()));
    let chunk = random(chunk * len);
    let flows = [&mut long, &mut fresh].map(|stream| stream.flow(&chunk, &[500.0; 3]).unwrap());
    let error = error(&flows[1], &flows[0]);
    println!("after {frames} frames: {error:.1e}");
    assert!(error <= 1e-5, "after {frames} frames the window differs by {error:e}");
}

#[test]
fn streams_refuse_what_they_cannot_do() {
    let folder = Place::new("streams-refusals");
    let recorded = Recorded::open();
    recorded.roll(&folder, "one_step_only", &format!("{RING} --steps 1000"));
    let run = |options: &str| {
        let output = folder.run(&format!("rollout --model {} {TINY} {RING} {options}", shown("tiny.pt")));
        assert!(!output.status.success(), "{options}");
        text(&output.stderr)
    };
    for (options, expected) in [
        ("--guidance 3 --sampler euler", "negative"),
        ("--switch 3:recache", "prompts"),
        ("--switch 3:sometimes", "recache, keep or reset"),
        ("--route 2 --route-sink 2", "does not hold"),
        ("--steps 1000,500", "renoise"),
        ("--sampler heun", "few"),
    ] {
        let err = run(options);
        assert!(err.contains(expected), "{options}: {err}");
    }
    let model = tiny(&folder);
    let options = |start| SessionOptions { size: SIZE, start, ..SessionOptions::default() };
    let mut exact = Exact::new(&model, &Device::cpu(1), options(Start::Empty)).unwrap();
    let stream = exact.session();
    stream.set_prompt(0, &[0.5; 24]).unwrap();
    let recache = Change { way: Way::Recache, ..Change::to(Condition::Prompt(0)) };
    assert_eq!(stream.queue(recache), Err(SessionError::NoRecache));
    let asked = "negative prompt, for it was created without guidance";
    let takes = "prompts".to_owned();
    assert_eq!(stream.queue(Change::to(Condition::Negative(0))), Err(SessionError::Condition { asked, takes }));
    let part = Exact::new(&model, &Device::cpu(1), options(Start::Latents(vec![0.0; 4 * 8 * 8]))).map(|_| ());
    assert!(part.is_err_and(|error| error.to_string().contains("starts from 1 latent frames")));
}

/// Every prompt is seen, or the command says which would not be.
#[test]
fn switches_that_leave_a_prompt_unseen_are_refused() {
    let folder = Place::new("streams-unseen");
    let all = tensors(golden("parity.safetensors"));
    let part = |name: &str| &all[&format!("evict.{name}")];
    let (noise, renoise, text_of) = (part("noise"), part("renoise"), part("context"));
    let list =
        [("noise", noise), ("renoise", renoise), ("context", text_of), ("context2", text_of), ("context3", text_of)];
    save(folder.path("in.safetensors"), &list);
    let initial = (vec![3, 4, 8, 8], vec![0.1; 3 * 4 * 8 * 8]);
    let list = [&list[..], &[("initial", &initial)]].concat();
    save(folder.path("given.safetensors"), &list);
    assert_eq!(noise.0[0], 12);
    let run = |input: &str, switches: &str| {
        let options = "--out out.safetensors --heads 2 --text-len 16 --chunk 3 --window 6 --steps 1000,500";
        let output =
            folder.run(&format!("rollout --model {} --in {input}.safetensors {options} {switches}", shown("tiny.pt")));
        (output.status.code(), text(&output.stderr))
    };
    for (input, switches, words) in [
        ("in", "--switch 6:keep --switch 3:keep", "--switch 3 comes after --switch 6"),
        ("in", "--switch 6:keep --switch 6:reset", "--switch 6 is given twice"),
        (
            "in",
            "--switch 4:keep --switch 6:keep",
            "--switch 4 and --switch 6 both come with the chunk that begins at latent frame 6: context2",
        ),
        ("in", "--switch 3:keep --switch 400:keep", "--switch 400 is never reached"),
        (
            "in",
            "--switch 3:keep --switch 10:keep",
            "--switch 10 is never reached: no chunk of the 12 latent frames begins there or later, and context3",
        ),
        ("in", "--switch 0:keep --switch 3:keep", "--switch 0 comes before the first chunk: context would"),
        ("given", "--switch 0:keep --switch 3:keep", "both come with the chunk that begins at latent frame 3"),
        ("given", "--switch 3:keep --switch 13:keep", "no chunk of the 15 latent frames"),
        ("in", "--first-chunk 1 --switch 2:keep --switch 4:keep", "latent frame 4"),
    ] {
        let (code, said) = run(input, switches);
        assert!(code == Some(2) && said.contains(words) && said.lines().count() == 1, "{switches}: {said}");
    }
    for (input, switches) in [("in", "--switch 3:keep --switch 9:reset"), ("given", "--switch 0:keep --switch 12:keep")]
    {
        let (code, said) = run(input, switches);
        assert_eq!((code, said.as_str()), (Some(0), ""), "{switches}");
    }
}
