//! Streams against what they gave before sessions and rollouts became one: `tests/parity/goldens` recorded them, in the arithmetic that is the
//! same on every CPU.

mod common;

use std::fs::File;

use causeway_tests::machine;
use common::{Place, Tensor, Tensors, error, golden, save, shown, tensors, text};

/// A recorded file: its metadata, and its tensors as bytes.
struct Recorded {
    header: serde_json::Value,
    data: Vec<u8>,
}

impl Recorded {
    fn open() -> Self {
        let bytes = std::fs::read(golden("goldens.safetensors")).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        Self { header, data: bytes[8 + length..].to_vec() }
    }

    fn metadata(&self, key: &str) -> &str {
        self.header["__metadata__"][key].as_str().unwrap()
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        let at = self.header.get(name)?["data_offsets"].as_array().unwrap();
        let at: Vec<usize> = at.iter().map(|at| at.as_u64().unwrap() as usize).collect();
        Some(&self.data[at[0]..at[1]])
    }

    fn latents(&self, case: &str) -> Vec<f32> {
        let bytes = self.bytes(&format!("{case}.latents")).unwrap();
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// Name, case of `streams.safetensors` that has the inputs, options.
    fn cases(&self) -> Vec<(String, String, String)> {
        let cases: serde_json::Map<String, serde_json::Value> = serde_json::from_str(self.metadata("cases")).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        cases.iter().map(|(name, case)| (name.clone(), text(&case["inputs"]), text(&case["options"]))).collect()
    }
}

/// A folder with the tiny network and both decoders.
fn place(name: &str) -> Place {
    let folder = Place::new(name);
    folder.good(&format!("convert {} m.safetensors --heads 2 --text-len 16 --to f32", shown("tiny.pt")));
    for codec in ["taehv", "vae"] {
        folder.good(&format!("convert {} {codec}.safetensors --to f32", shown(&format!("{codec}.pth"))));
    }
    folder
}

/// The tensors of a case that it is given, without its prefix.
fn given<'a>(all: &'a Tensors, source: &str, options: &str) -> Vec<(&'a str, &'a Tensor)> {
    let own = all.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(&format!("{source}."))?, tensor)));
    let wanted = |name: &str| match name {
        "noise" | "renoise" | "context" | "negative" => true,
        "context2" => options.contains("--switch"),
        _ => false,
    };
    own.filter(|(name, tensor)| wanted(name) && !tensor.1.is_empty()).collect()
}

/// Colours of the pictures in a folder, RGBA.
fn pictures(folder: &Place, name: &str) -> Vec<u8> {
    let mut paths: Vec<_> = std::fs::read_dir(folder.path(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let mut reader = png::Decoder::new(std::io::BufReader::new(File::open(path).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        match info.color_type {
            png::ColorType::Rgba => all.extend_from_slice(&pixels),
            png::ColorType::Rgb => all.extend(pixels.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255])),
            other => panic!("{other:?}"),
        }
    }
    all
}

#[test]
fn latents_are_those_recorded() {
    let (recorded, all) = (Recorded::open(), tensors(golden("streams.safetensors")));
    let folder = place("goldens-latents");
    assert_eq!(recorded.cases().len(), 11);
    for (case, source, options) in recorded.cases() {
        save(folder.path("in.safetensors"), &given(&all, &source, &options));
        let expected = recorded.latents(&case);
        let strict = if case == "unipc" { 2e-5 } else { 2e-6 };
        for (backend, most) in [("cpu --strict", strict), ("cpu", 5e-4), ("gpu", 5e-4)] {
            if !machine::runs_on(backend) {
                continue;
            }
            folder.good(&format!(
                "rollout --model m.safetensors --in in.safetensors --out out.safetensors --backend {backend} {options}"
            ));
            let error = error(&tensors(folder.path("out.safetensors"))["latents"].1, &expected);
            println!("{case}, {backend}: {error:.1e}");
            assert!(error <= most, "{case}, {backend}: {error:e}");
        }
    }
}

#[test]
fn pictures_are_those_recorded() {
    let (recorded, all) = (Recorded::open(), tensors(golden("streams.safetensors")));
    let folder = place("goldens-pictures");
    let mut compared = 0;
    for (case, source, options) in recorded.cases() {
        let prompts: Vec<_> =
            given(&all, &source, &options).into_iter().filter(|(name, _)| !name.ends_with("noise")).collect();
        save(folder.path("prompt.safetensors"), &prompts);
        for codec in ["taehv", "vae"] {
            let Some(expected) = recorded.bytes(&format!("{case}.{codec}")) else { continue };
            let out = format!("{case}-{codec}");
            folder.good(&format!(
                "generate --model m.safetensors --decoder {codec}.safetensors --prompt prompt.safetensors --backend cpu --strict --record {out} {} {options}",
                recorded.metadata("pictures")
            ));
            let found = pictures(&folder, &out);
            assert_eq!(found.len(), expected.len(), "{out}");
            let differences = || found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
            let (largest, other) = (differences().max().unwrap(), differences().filter(|&d| d > 0).count());
            println!("{out}: {other} of {} bytes differ, by at most {largest}", found.len());
            assert!(largest <= 1 && other * 1000 <= found.len(), "{out}: {other} bytes, {largest}");
            compared += 1;
        }
    }
    assert_eq!(compared, 11 + 4);
    // The option that makes them so is the CPU's; on a GPU it changes nothing and is no error.
    assert!(text(&folder.run("generate --help").stdout).contains("--strict"));
}
