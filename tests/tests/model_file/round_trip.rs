//! What is written reads back, whole, aligned, and with any reader.

use causeway_ops::quant::{DType, WeightSource};
use causeway_runtime::file::{
    ALIGN, FileError, Info, Model, PartialFile, TensorSpec, Writer, expected_tensors, may_quantise, quantize_to,
    write_model, write_model_to,
};
use causeway_tests::tiny::{model_bytes, quantisable_config, random_weights, tiny_config, tiny_model_bytes};
use std::path::PathBuf;

const DTYPES: [DType; 4] = [DType::F32, DType::F16, DType::Q8, DType::Q4];

/// A folder that vanishes with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("causeway-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn every_type_reads_back_within_its_error() {
    // Error of one value relative to the largest of its block: q8 rounds to 1/254, q4 to about 1/14 (half a step, and
    // the search may clip), half precision to 2^-11.
    for (dtype, bound) in [(DType::F32, 0.0), (DType::F16, 4.9e-4), (DType::Q8, 4.5e-3), (DType::Q4, 0.2)] {
        let config = quantisable_config();
        let bytes = model_bytes(&config, dtype, 3);
        let model = Model::from_bytes(&bytes).unwrap();
        assert_eq!(model.config(), &config);
        let expected = expected_tensors(&config);
        assert_eq!(model.tensors().len(), expected.len());
        let mut quantised = 0;
        for (name, shape) in expected {
            let view = model.tensor(&name).unwrap_or_else(|| panic!("{name} is missing"));
            assert_eq!(view.shape, shape, "{name}");
            assert_eq!(view.dtype.is_quantised(), dtype.is_quantised() && may_quantise(&name, &shape), "{name}");
            quantised += usize::from(view.dtype.is_quantised());
            let (read, written) = (view.to_f32().unwrap(), random_weights(&name, &shape, 3));
            for (block, (a, b)) in read.chunks(32).zip(written.chunks(32)).enumerate() {
                let peak = b.iter().fold(0f32, |peak, x| peak.max(x.abs()));
                let allowed = if view.dtype.is_quantised() { bound } else { f32::min(bound, 4.9e-4) } * peak;
                for (x, y) in a.iter().zip(b) {
                    assert!((x - y).abs() <= allowed, "{dtype} {name} block {block}: {y} became {x}");
                }
            }
        }
        assert_eq!(quantised, if dtype.is_quantised() { 2 * 10 } else { 0 });
    }
}

#[test]
fn rows_of_48_stay_plain() {
    let bytes = model_bytes(&tiny_config(), DType::Q8, 1);
    let model = Model::from_bytes(&bytes).unwrap();
    assert_eq!(model.tensor("dit.blocks.1.ffn.2.weight").unwrap().dtype, DType::Q8);
    assert_eq!(model.tensor("dit.blocks.1.ffn.0.weight").unwrap().dtype, DType::F16);
    assert_eq!(model.tensor("dit.head.head.weight").unwrap().dtype, DType::F16);
    assert!(model.tensor("_pad.0").is_none());
    assert!(model.tensor("dit.blocks.1.ffn.2.weight.scale").is_none());
}

#[test]
fn writing_is_deterministic_and_aligned_and_any_reader_opens_it() {
    for dtype in DTYPES {
        let bytes = model_bytes(&quantisable_config(), dtype, 9);
        assert_eq!(bytes, model_bytes(&quantisable_config(), dtype, 9));
        assert_ne!(bytes, model_bytes(&quantisable_config(), dtype, 10));
        assert_eq!(bytes.len() % ALIGN, 0);

        let (length, _) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!((length + 8) % ALIGN, 0);
        let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let ours = Model::from_bytes(&bytes).unwrap();
        let start = bytes.as_ptr().addr();
        let mut seen = 0;
        for (name, view) in theirs.iter().filter(|(name, _)| !name.starts_with("_pad.")) {
            assert_eq!((view.data().as_ptr().addr() - start) % ALIGN, 0, "{dtype} {name}");
            let (tensor, scale) = match name.strip_suffix(".scale") {
                Some(tensor) => (tensor, true),
                None => (name, false),
            };
            let tensor = ours.tensor(tensor).unwrap();
            let bytes = if scale { tensor.scales.unwrap() } else { tensor.data };
            assert_eq!(bytes.read(0..bytes.len(), &mut Vec::new()).unwrap(), view.data(), "{dtype} {name}");
            seen += view.data().len();
        }
        assert_eq!(seen, ours.tensors().map(|(_, view)| view.bytes()).sum::<usize>());
    }
}

#[test]
fn quantizing_keeps_what_it_should_bit_by_bit() {
    let config = quantisable_config();
    let full = model_bytes(&config, DType::F32, 5);
    let full = Model::from_bytes(&full).unwrap();
    for dtype in DTYPES {
        let converted = quantize_to(&full, dtype, Vec::new()).unwrap();
        assert_eq!(converted, model_bytes(&config, dtype, 5), "{dtype}");
        let model = Model::from_bytes(&converted).unwrap();
        assert_eq!(quantize_to(&model, dtype, Vec::new()).unwrap(), converted, "{dtype} to itself changes nothing");
        // Back to plain values: exactly what the views decode to.
        let plain = quantize_to(&model, DType::F32, Vec::new()).unwrap();
        for (name, view) in Model::from_bytes(&plain).unwrap().tensors() {
            let expected = model.tensor(name).unwrap().to_f32().unwrap();
            assert_eq!(view.to_f32().unwrap(), expected, "{dtype} {name}");
        }
    }
}

#[test]
fn all_ways_to_open_agree() {
    let folder = Folder::new("open");
    let path = folder.0.join("world.safetensors");
    let bytes = tiny_model_bytes(2);
    std::fs::write(&path, &bytes).unwrap();
    let borrowed = Model::from_bytes(&bytes).unwrap();
    let others = [
        Model::open(&path).unwrap(),
        Model::read(&path).unwrap(),
        Model::from_shared(bytes.as_slice().into()).unwrap(),
    ];
    for model in &others {
        for ((name, a), (other, b)) in model.tensors().zip(borrowed.tensors()) {
            assert_eq!((name, a.to_f32().unwrap()), (other, b.to_f32().unwrap()));
        }
    }
    let mut shifted = vec![0; bytes.len() + 4];
    let odd = (1..4).find(|i| !(shifted.as_ptr().addr() + i).is_multiple_of(4)).unwrap();
    shifted[odd..odd + bytes.len()].copy_from_slice(&bytes);
    let error = Model::from_bytes(&shifted[odd..odd + bytes.len()]).unwrap_err();
    assert!(matches!(error, FileError::UnalignedBuffer), "{error}");
    let error = Model::open(folder.0.join("none")).unwrap_err();
    assert!(matches!(&error, FileError::Io { action: "open", path, .. } if path.ends_with("none")), "{error}");
}

#[test]
fn an_interrupted_write_leaves_the_old_file() {
    let folder = Folder::new("interrupted");
    let path = folder.0.join("world.safetensors");
    let config = tiny_config();
    write_model(&path, &config, DType::F32, |name, shape| random_weights(name, shape, 1)).unwrap();
    let old = std::fs::read(&path).unwrap();
    assert_eq!(old, tiny_model_bytes(1));

    // A NaN half-way, a writer dropped early, and a process that dies (its partial file stays) all keep the old file.
    let mut asked = 0;
    let error = write_model(&path, &config, DType::F32, |name, shape| {
        asked += 1;
        let mut values = random_weights(name, shape, 2);
        if asked == 20 {
            values[0] = f32::NAN;
        }
        values
    });
    assert!(matches!(error, Err(FileError::NotFinite { index: 0, .. })), "{error:?}");
    assert_eq!(asked, 20);
    drop(PartialFile::create(&path).unwrap());
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
    std::mem::forget(PartialFile::create(&path).unwrap());
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2);
    assert_eq!(std::fs::read(&path).unwrap(), old);

    // Leftovers do not hinder the next writer, which removes those that nobody holds: not the one above, nor a new one.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let age =
        |name: &std::path::Path| std::fs::File::options().write(true).open(name).unwrap().set_modified(old).unwrap();
    let held =
        std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path()).find(|name| *name != path).unwrap();
    let (dead, new) =
        ["0badc0de", "00c0ffee"].map(|hex| folder.0.join(format!("world.safetensors.{hex}.partial"))).into();
    for name in [&dead, &new] {
        std::fs::write(name, b"half").unwrap();
    }
    age(&held);
    age(&dead);
    write_model(&path, &config, DType::F32, |name, shape| random_weights(name, shape, 2)).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), tiny_model_bytes(2));
    assert_eq!([&held, &dead, &new, &path].map(|name| name.exists()), [true, false, true, true]);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 3);
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let config = tiny_config();
    let specs = |dtype| -> Vec<TensorSpec> {
        expected_tensors(&config).into_iter().map(|(name, shape)| TensorSpec { name, dtype, shape }).collect()
    };
    let error = Writer::new(Vec::new(), &config, specs(DType::Q8)).unwrap_err();
    assert!(matches!(error, FileError::NotQuantisable(_)), "{error}");
    let first = specs(DType::F32).remove(0).name;
    let error = Writer::new(Vec::new(), &config, specs(DType::F32).split_off(1)).unwrap_err();
    assert!(matches!(&error, FileError::Tensors(m) if m.missing == [first]), "{error}");
    let mut doubled = specs(DType::F32);
    doubled.push(doubled[0].clone());
    assert!(matches!(Writer::new(Vec::new(), &config, doubled), Err(FileError::Tensors(m)) if m.extra.len() == 1));

    let mut writer = Writer::new(Vec::new(), &config, specs(DType::F16)).unwrap();
    let [next, other] = [0, 1].map(|at| specs(DType::F16).swap_remove(at));
    let count = |spec: &TensorSpec| spec.shape.iter().product();
    let error = writer.put(&other.name, &vec![0.0; count(&other)]).unwrap_err();
    assert!(matches!(error, FileError::WriteOrder { .. }), "{error}");
    let mut values = vec![0.0; count(&next)];
    let error = writer.put(&next.name, &values[1..]).unwrap_err();
    assert!(matches!(error, FileError::WriteOrder { .. }), "{error}");
    values[7] = 65520.0;
    let error = writer.put(&next.name, &values).unwrap_err();
    assert!(matches!(error, FileError::TooLargeForF16 { index: 7, .. }), "{error}");
    assert!(matches!(writer.finish(), Err(FileError::WriteOrder { .. })));

    let mut config = config.clone();
    config.dit.heads = 7;
    let result = write_model_to(Vec::new(), &config, DType::F32, |_, _| Vec::new());
    assert!(matches!(result, Err(FileError::Config(_))));
}

#[test]
fn info_adds_up() {
    for dtype in DTYPES {
        let bytes = model_bytes(&quantisable_config(), dtype, 1);
        let info = Info::of(&Model::from_bytes(&bytes).unwrap());
        assert_eq!(info.file_bytes, bytes.len());
        for shares in [&info.by_type, &info.by_group] {
            let sum: usize = shares.iter().map(|share| share.bytes).sum();
            assert_eq!(sum + info.header_bytes + info.padding_bytes, bytes.len(), "{dtype}");
            let values: usize = shares.iter().map(|share| share.values).sum();
            assert_eq!(values, info.parameters + 2 * 4 * 8 * 8, "{dtype}");
        }
        let text = info.to_string();
        for part in ["tiny", "64 x 64", "CC0-1.0", "random numbers", "dit.blocks", "taehv.decoder", dtype.name()] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }
}
