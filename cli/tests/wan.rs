//! Wan checkpoints against diffusers: `tests/parity/regenerate.py` makes the files and what they must give.

mod common;

use std::{collections::BTreeMap, fs, path::PathBuf};

use causeway_runtime::{
    Device, Exact, Model, SessionOptions,
    config::ScheduleConfig,
    file::expected_tensors,
    import::{Checkpoint, Settings, wan_1_3b},
    session::{Change, Condition},
};
use causeway_tests::machine;
use common::{Place, TINY, error, golden, inputs, psnr, shown, tensors, text};

/// Name, options, tolerance: chunks and windows as in `regenerate.py`.
const CASES: [(&str, &str); 7] = [
    ("chunks", "--chunk 3 --window -1 --steps 1000,750,500,250"),
    ("frames", "--chunk 1 --window 6 --steps 1000,500"),
    ("evict", "--chunk 3 --window 6 --steps 1000,500"),
    ("sink", "--chunk 3 --window 9 --sink 3 --steps 1000,500"),
    ("odd_sink", "--chunk 1 --window 4 --sink 2 --steps 1000,500"),
    ("first", "--chunk 3 --first-chunk 1 --window 7 --sink 1 --steps 1000,500"),
    ("noisy_context", "--chunk 3 --window 6 --context-noise 14 --steps 1000,500"),
];

#[test]
fn rollouts_match_block_causal_full_attention() {
    let folder = Place::new("wan-rollout");
    let all = tensors(golden("parity.safetensors"));
    // Three chunks that see all, and five of which the last three see a sink and less.
    assert_eq!([all["chunks.noise"].0[0], all["sink.noise"].0[0]], [3 * 3, 5 * 3]);
    for backend in ["cpu", "gpu"].into_iter().filter(|backend| machine::runs_on(backend)) {
        for (case, options) in CASES {
            inputs(&folder, &all, case);
            folder.good(&format!("rollout --model {} {TINY} {options} --backend {backend}", shown("tiny.pt")));
            let out = tensors(folder.path("out.safetensors"));
            for name in ["first_flow", "latents"] {
                let error = error(&out[name].1, &all[&format!("{case}.{name}")].1);
                let most = if name == "latents" { 5e-4 } else { 2e-4 };
                println!("{backend} {case} {name}: {error:.1e}");
                assert!(error <= most, "{backend} {case} {name}: {error:e}");
            }
            // The converted checkpoint is gone.
            assert_eq!(folder.list(), ["in.safetensors", "out.safetensors", "tiny.safetensors"]);
        }
    }
}

#[test]
fn forwards_match_with_a_timestep_a_frame() {
    let folder = Place::new("wan-forward");
    let all = tensors(golden("parity.safetensors"));
    for (case, file, heads) in
        [("tiny_forward", "tiny.pt", 2), ("unpadded_forward", "tiny.pt", 2), ("wide_forward", "wide.safetensors", 1)]
    {
        folder.good(&format!("convert {} m.safetensors --heads {heads} --text-len 16 --to f32", shown(file)));
        let model = Model::open(folder.path("m.safetensors")).unwrap();
        let part = |name: &str| &all[&format!("{case}.{name}")];
        let (shape, latents) = part("latents");
        for device in machine::and_gpu(Device::cpu(0)) {
            let size = Some((8 * shape[3], 8 * shape[2]));
            let (chunk, window) = (Some(shape[0]), Some(shape[0]));
            let options = SessionOptions { chunk, window, size, ..SessionOptions::default() };
            let mut exact = Exact::new(&model, &device, options).unwrap();
            exact.session().set_prompt(0, &part("text").1).unwrap();
            exact.session().queue(Change::to(Condition::Prompt(0))).unwrap();
            let flow = exact.flow(latents, &part("timesteps").1).unwrap();
            let error = error(&flow, &part("flow").1);
            println!("{device:?} {case}: {error:.1e}");
            assert!(error <= 2e-4, "{device:?} {case}: {error:e}");
        }
    }
}

#[test]
fn schedules_match_the_flow_matching_scheduler() {
    let all = tensors(golden("parity.safetensors"));
    for steps in 1..=4 {
        let part = |name: &str| all[&format!("schedule.{steps}.{name}")].1.clone();
        let lists = BTreeMap::from([(steps, part("nominal"))]);
        let schedule = ScheduleConfig {
            shift: 5.0,
            steps: lists,
            first: Vec::new(),
            sampler: causeway_runtime::sampler::Sampler::Few,
            default_steps: steps,
            context_noise: 0.0,
        };
        for (sigma, expected) in schedule.sigmas(steps).unwrap().iter().zip(part("sigmas")) {
            assert!((sigma - expected).abs() <= 1e-6, "{steps} steps: {sigma} {expected}");
        }
    }
}

#[test]
fn every_kind_of_checkpoint_gives_the_same_rollout() {
    let folder = Place::new("wan-kinds");
    let all = tensors(golden("parity.safetensors"));
    inputs(&folder, &all, "chunks");
    let lora = format!("{} --lora {} --lora-alpha 8", shown("tiny-base.safetensors"), shown("tiny-lora.pt"));
    let mut first: Option<Vec<f32>> = None;
    for kind in [shown("tiny.pt"), shown("tiny-diffusers"), shown("tiny.gguf"), lora] {
        folder.good(&format!("convert {kind} model.safetensors --heads 2 --text-len 16 --to f32"));
        folder.good(&format!("rollout --model model.safetensors {TINY} {}", CASES[0].1));
        let latents = tensors(folder.path("out.safetensors")).remove("latents").unwrap().1;
        let reference = first.get_or_insert_with(|| latents.clone());
        assert!(error(&latents, reference) <= 1e-5, "{kind}: {:e}", error(&latents, reference));
    }
}

#[test]
fn readers_give_what_torch_and_gguf_give() {
    let files = [
        ("formats.pt", "formats"),
        ("views.pt", "views"),
        ("float8.pt", "float8"),
        ("opaque2.pt", "opaque"),
        ("opaque4.pt", "opaque"),
        ("opaque5.pt", "opaque"),
        ("quants.gguf", "quants"),
    ];
    for (name, expected) in files {
        let found = tensors(golden(name));
        let expected = tensors(golden(&format!("{expected}.safetensors")));
        assert!(found.keys().eq(expected.keys()), "{name}: {:?}", found.keys());
        for (tensor, (shape, values)) in expected {
            let (found_shape, found) = &found[&tensor];
            assert_eq!((found_shape, found.len()), (&shape, values.len()), "{name} {tensor}");
            for (index, (x, y)) in found.iter().zip(&values).enumerate() {
                let same = x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
                assert!(
                    same || (name == "quants.gguf" && (x - y).abs() <= 1e-6 * y.abs().max(1e-3)),
                    "{name} {tensor}[{index}]: {x} {y}"
                );
            }
        }
    }
}

/// Name, dimensions outermost first, type, data, and the offset that is told where it is not the true one.
type GgufTensor<'a> = (&'a str, &'a [usize], u32, &'a [u8], Option<u64>);

fn save_gguf(path: PathBuf, tensors: &[GgufTensor<'_>]) {
    let (mut header, mut data) = (b"GGUF\x03\0\0\0".to_vec(), Vec::new());
    header.extend([tensors.len() as u64, 0].map(u64::to_le_bytes).concat());
    for (name, shape, kind, bytes, offset) in tensors {
        data.resize(data.len().next_multiple_of(32), 0);
        header.extend((name.len() as u64).to_le_bytes());
        header.extend(name.as_bytes());
        header.extend((shape.len() as u32).to_le_bytes());
        header.extend(shape.iter().rev().flat_map(|&dim| (dim as u64).to_le_bytes()));
        header.extend(kind.to_le_bytes());
        header.extend(offset.unwrap_or(data.len() as u64).to_le_bytes());
        data.extend(*bytes);
    }
    header.resize(header.len().next_multiple_of(32), 0);
    fs::write(path, [header, data].concat()).unwrap();
}

/// The tiny network as GGUF, one matrix in Q8_0 blocks whose scales are NaN.
fn nan_scales(path: PathBuf) {
    let mut all = tensors(golden("tiny.gguf"));
    let broken = "blocks.0.ffn.0.weight";
    let (shape, values) = all.remove(broken).unwrap();
    let blocks = [&[0x00, 0x7e][..], &[1; 32]].concat().repeat(values.len() / 32);
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let all: Vec<_> = all.iter().map(|(name, (shape, values))| (name, shape, bytes(values))).collect();
    let mut list: Vec<_> =
        all.iter().map(|(name, shape, data)| (name.as_str(), &shape[..], 0, &data[..], None)).collect();
    list.push((broken, &shape, 8, &blocks, None));
    save_gguf(path, &list);
}

#[test]
fn hostile_files_end_in_one_error_and_leave_nothing() {
    // hostile.pt asks for os.system: had it been called, there would be a new file in this folder.
    let folder = Place::new("wan-hostile");
    let cut = fs::read(golden("wide.safetensors")).unwrap();
    fs::write(folder.path("cut.safetensors"), &cut[..cut.len() / 2]).unwrap();
    let whole = fs::read(golden("tiny.pt")).unwrap();
    fs::write(folder.path("cut.pt"), &whole[..whole.len() / 2]).unwrap();
    let header = br#"{"w":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}"#;
    fs::write(folder.path("vast.safetensors"), [&(header.len() as u64).to_le_bytes()[..], header].concat()).unwrap();
    let once = br#""head.head.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let twice = [b"{", &once[..], b",", &once[..], b"}"].concat();
    let twice = [&(twice.len() as u64).to_le_bytes()[..], &twice, &[0; 4]].concat();
    fs::write(folder.path("twice.safetensors"), twice).unwrap();
    save_gguf(folder.path("far.gguf"), &[("w", &[4, 4], 0, &[0; 64], Some(u64::MAX - 32))]);
    save_gguf(folder.path("vast.gguf"), &[("w", &[1 << 32, 1 << 31, 4], 0, &[], None)]);
    let whole = fs::read(golden("tiny.gguf")).unwrap();
    fs::write(folder.path("cut.gguf"), &whole[..whole.len() / 2]).unwrap();
    nan_scales(folder.path("nan.gguf"));
    let table = [
        (shown("hostile.pt"), "system"),
        (shown("legacy.pt"), "PyTorch format before 1.6"),
        ("cut.safetensors".into(), "truncated"),
        ("cut.pt".into(), "truncated"),
        ("vast.safetensors".into(), "multiplies past"),
        ("twice.safetensors".into(), "names \"head.head.bias\" twice"),
        ("far.gguf".into(), "w lies outside"),
        ("vast.gguf".into(), "multiplies past"),
        ("cut.gguf".into(), "truncated"),
        ("nan.gguf --heads 2".into(), "blocks.0.ffn.0.weight"),
        (shown("formats.pt"), "missing: patch_embedding.weight"),
        ("nowhere.pt".into(), "cannot open"),
    ];
    folder.write("out.safetensors", b"from before");
    let before = folder.list();
    for (file, expected) in table {
        let output = folder.run(&format!("convert {file} out.safetensors"));
        let err = text(&output.stderr);
        assert!(!output.status.success() && err.contains(expected) && err.trim().lines().count() == 1, "{file}: {err}");
        assert_eq!(folder.list(), before, "{file}");
    }
    assert_eq!(folder.read("out.safetensors"), b"from before");
}

#[test]
fn quantised_weights_stay_close() {
    let folder = Place::new("wan-quantised");
    let all = tensors(golden("parity.safetensors"));
    inputs(&folder, &all, "chunks");
    for (weights, least) in [("f16", 60.0), ("q8", 35.0), ("q4", 25.0)] {
        for backend in ["cpu", "gpu"].into_iter().filter(|backend| machine::runs_on(backend)) {
            let options = format!("{} --weights {weights} --backend {backend}", CASES[0].1);
            folder.good(&format!("rollout --model {} {TINY} {options}", shown("tiny.pt")));
            let found = tensors(folder.path("out.safetensors")).remove("latents").unwrap().1;
            let psnr = psnr(&found, &all["chunks.latents"].1);
            println!("{weights}, {backend}: {psnr:.1} dB");
            assert!(psnr >= least, "{weights}, {backend}: {psnr} dB");
        }
    }
}

#[test]
fn the_benchmark_has_the_published_shapes() {
    let config = wan_1_3b(&Settings::default());
    let shapes: Vec<usize> = expected_tensors(&config).iter().map(|(_, shape)| shape.iter().product()).collect();
    assert_eq!((shapes.len(), shapes.iter().sum()), (825, 1_418_996_800usize));
}

/// Whatever the bytes, a reader answers: values or one error, without a panic or memory beyond the file's size.
#[test]
fn broken_bytes_end_in_an_answer() {
    let folder = Place::new("wan-fuzz");
    let path = folder.path("broken");
    let mut state = 0x9e37_79b9_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let others = ["fp8-described.safetensors", "fp8-blocks.safetensors", "iq4.gguf"];
    let others = others.map(|name| format!("../../data/formats/{name}"));
    let names = ["formats.pt", "views.pt", "float8.pt", "opaque4.pt", "formats.safetensors", "quants.gguf"];
    for name in names.into_iter().chain(others.iter().map(String::as_str)) {
        let whole = fs::read(golden(name)).unwrap();
        // Everything that is parsed: headers lie in front, a zip's directory at the end.
        let parsed = if name.ends_with(".pt") { whole.len() } else { 1200.min(whole.len()) };
        let (mut good, mut bad) = (0, 0);
        for _ in 0..1500 {
            let mut bytes = whole.clone();
            for _ in 0..=random(3) {
                let at = random(parsed);
                bytes[at] = [random(256) as u8, 0, 0x7f, 0xff, b'0' + random(10) as u8][random(5)];
            }
            bytes.truncate(if random(10) == 0 { random(bytes.len()) } else { bytes.len() });
            fs::write(&path, &bytes).unwrap();
            match Checkpoint::open(&path) {
                Ok(file) => {
                    good += 1;
                    file.entries().iter().for_each(|entry| _ = file.read_all(entry));
                }
                Err(error) => {
                    bad += 1;
                    assert_eq!(error.to_string().lines().count(), 1, "{name}: {error}");
                }
            }
        }
        println!("{name}: {good} read, {bad} refused");
        assert!(good > 0 && bad > 0, "{name}: {good} read, {bad} refused");
    }
}
