//! Formats that people hold: files found in use and files of other libraries (`tests/data/formats`), each with its values.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use causeway_runtime::{DecoderFile, Encoder, import::Checkpoint};
use common::{Place, Tensors, error, golden, save, shown, tensors, text};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/formats").join(name)
}

fn base() -> String {
    data("../torch/base.safetensors").display().to_string()
}

/// The tensors of a converted network, all as f32, and what was said.
fn converted(folder: &Place, arguments: &str) -> (Tensors, String) {
    let output = folder.run(&format!("convert {arguments} m.safetensors --heads 2 --to f32"));
    let said = text(&output.stderr);
    assert!(output.status.success(), "{arguments}: {said}");
    let found = tensors(folder.path("m.safetensors"));
    fs::remove_file(folder.path("m.safetensors")).unwrap();
    (found, said)
}

/// Every expected tensor has its values; returns how many there are.
fn same(found: &Tensors, expected: &str, most: f32) -> usize {
    let expected = tensors(data(&format!("{expected}.expected.safetensors")));
    for (name, (_, values)) in &expected {
        let error = error(&found[&format!("dit.{name}")].1, values);
        assert!(error <= most, "{name}: {error:e}");
    }
    expected.len()
}

#[test]
fn weights_of_eight_and_four_bits_have_their_values() {
    let folder = Place::new("formats-bits");
    let (plain, _) = converted(&folder, &base());
    for (file, ending) in [
        ("fp8-plain", "safetensors"),
        ("fp8-e5m2", "safetensors"),
        ("fp8-scaled-comfy", "safetensors"),
        ("fp8-rows", "safetensors"),
        ("fp8-runs", "safetensors"),
        ("fp8-described", "safetensors"),
        ("int8-lightx2v", "safetensors"),
        ("int8-rows", "safetensors"),
        ("iq4-nl", "gguf"),
    ] {
        let (found, said) = converted(&folder, &data(&format!("{file}.{ending}")).display().to_string());
        // Scales and markers are used up: nothing is left out.
        assert_eq!(said, "", "{file}");
        assert_eq!(same(&found, file, 1e-6), 10, "{file}");
        // What is not a matrix of a block is what it was, but for the rounding to bf16.
        assert!(error(&found["dit.head.head.weight"].1, &plain["dit.head.head.weight"].1) < 0.005, "{file}");
    }
}

#[test]
fn every_code_and_every_block_has_the_librarys_value() {
    for (file, expected) in [
        ("iq4.gguf", "iq4.expected.safetensors"),
        ("fp8-codes.safetensors", "fp8-codes.expected.safetensors"),
        ("fp8-blocks.safetensors", "fp8-blocks.expected.safetensors"),
    ] {
        let (found, expected) = (tensors(data(file)), tensors(data(expected)));
        assert!(found.keys().eq(expected.keys()), "{file}: {:?}", found.keys());
        for (name, (shape, values)) in expected {
            assert_eq!(found[&name].0, shape);
            for (at, (x, y)) in found[&name].1.iter().zip(&values).enumerate() {
                let same = x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-6 * y.abs();
                assert!(same, "{file} {name}[{at}]: {x} {y}");
            }
        }
    }
    // Parts of a tensor have the scales of their places.
    let file = Checkpoint::open(data("fp8-blocks.safetensors")).unwrap();
    let entry = &file.entries()[0];
    let whole = file.read_all(entry).unwrap();
    for (start, count) in [(0, 1), (127, 3), (259, 2), (127 * 260 + 200, 400), (whole.len() - 1, 1), (5, 0)] {
        let mut part = vec![0.0; count];
        file.read(entry, start, &mut part).unwrap();
        assert_eq!(part, whole[start..start + count], "{start} {count}");
    }
}

/// A safetensors file with its header changed; bytes of tensors stay where they are.
fn changed(name: &str, change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Vec<u8> {
    let bytes = fs::read(data(name)).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    change(header.as_object_mut().unwrap());
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes[8 + length..]].concat()
}

/// Runs what must fail with these words in one line and leave nothing.
fn refused(folder: &Place, arguments: &str, words: &[&str]) {
    let before = folder.list();
    let output = folder.run(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments}: {said}");
    assert_eq!(said.lines().count(), 1, "{arguments}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments}: `{word}` is not in {said}");
    }
    assert_eq!(folder.list(), before, "{arguments}");
}

/// Codes never pass for values without their scale, and a scale that is not understood is no reason to leave it out.
#[test]
fn nothing_is_read_without_its_scale() {
    let folder = Place::new("formats-scales");
    let weight = "blocks.0.ffn.2.weight";
    let q = "blocks.0.self_attn.q";
    // The names of tensors change in the header alone, so their bytes are those of others.
    let renamed = |file: &str, from: String, to: String| {
        changed(file, |header| {
            let tensor = header.remove(&from).unwrap_or_else(|| panic!("{from}"));
            header.insert(to, tensor);
        })
    };
    let comfy = |part: &str| format!("model.diffusion_model.{q}.{part}");
    let own = |part: &str| format!("{q}.{part}");
    for (name, bytes, words) in [
        // One of ten scales is missing.
        (
            "missing",
            renamed("fp8-scaled-comfy.safetensors", comfy("scale_weight"), "x.y".into()),
            &["self_attn.q.weight", "stored as F8_E4M3 and its scale is missing", "the tensor scaled_fp8 says"][..],
        ),
        (
            "missing-row",
            renamed("fp8-rows.safetensors", own("weight_scale"), "x.y".into()),
            &["self_attn.q.weight", "its scale is missing: other weights have theirs"],
        ),
        (
            "missing-int",
            renamed("int8-rows.safetensors", own("weight_scale"), "x.y".into()),
            &["self_attn.q.weight", "stored as I8, which cannot be converted: its scale is missing"],
        ),
        (
            "foreign",
            renamed("fp8-rows.safetensors", own("weight_scale"), own("weight_scale_x")),
            &["self_attn.q.weight has ", "weight_scale_x beside it, which is not read"],
        ),
        (
            "zero-point",
            renamed("int8-rows.safetensors", own("bias"), own("weight_zero_point")),
            &["self_attn.q.weight has ", "weight_zero_point beside it"],
        ),
        (
            "twice",
            renamed("fp8-rows.safetensors", own("input_scale"), own("scale_weight")),
            &["self_attn.q.weight has 2 scales"],
        ),
        (
            "shape",
            changed("fp8-rows.safetensors", |header| header[&own("weight_scale")]["shape"] = serde_json::json!([4, 8])),
            &["self_attn.q.weight is [32, 32] and its scale", "is [4, 8], which do not fit"],
        ),
        (
            "layout",
            changed("fp8-described.safetensors", |header| {
                header[&own("weight")]["dtype"] = "F8_E5M2".into();
            }),
            &["self_attn.q.weight is stored in the layout `float8_e4m3fn`"],
        ),
        (
            "described",
            renamed("fp8-described.safetensors", own("weight_scale"), "x.y".into()),
            &["self_attn.q.weight is described by blocks.0.self_attn.q.comfy_quant and its scale is missing"],
        ),
        // A plain file whose name says otherwise.
        (
            "wan_fp8_scaled",
            fs::read(data("fp8-plain.safetensors")).unwrap(),
            &["the file's name says that there is one"],
        ),
        (
            "metadata",
            changed("fp8-plain.safetensors", |header| {
                header.insert("__metadata__".into(), serde_json::json!({"_quantization_metadata": "{}"}));
            }),
            &["the metadata _quantization_metadata say"],
        ),
    ] {
        folder.write(&format!("{name}.safetensors"), &bytes);
        refused(&folder, &format!("convert {name}.safetensors m.safetensors --heads 2"), words);
    }
    // Codes of no number: F8_E4M3's NaN, F8_E5M2's infinity, and a scale that is none.
    for (file, code, part) in [("fp8-plain", 0x7f, "weight"), ("fp8-e5m2", 0x7c, "weight")] {
        let mut bytes = fs::read(data(&format!("{file}.safetensors"))).unwrap();
        let at = place(&bytes, &format!("blocks.0.ffn.2.{part}"));
        bytes[at + 5] = code;
        folder.write("nan.safetensors", &bytes);
        refused(&folder, "convert nan.safetensors m.safetensors --heads 2", &[weight, "finite"]);
    }
    let mut bytes = fs::read(data("int8-lightx2v.safetensors")).unwrap();
    let at = place(&bytes, "blocks.0.ffn.2.weight_scale");
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    folder.write("nan.safetensors", &bytes);
    refused(&folder, "convert nan.safetensors m.safetensors --heads 2", &["ffn.2.weight_scale holds NaN", weight]);
}

/// First byte of a tensor.
fn place(bytes: &[u8], name: &str) -> usize {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    8 + length + header[name]["data_offsets"][0].as_u64().unwrap() as usize
}

fn copy(from: PathBuf, to: PathBuf) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

#[test]
fn every_shape_name_and_split_of_the_base_is_the_base() {
    let folder = Place::new("formats-base");
    let (expected, _) = converted(&folder, &base());
    for part in 1..=3 {
        let name = format!("split-0000{part}-of-00003.gguf");
        copy(data(&name), folder.path(&format!("split/{name}")));
    }
    for part in 1..=2 {
        let name = format!("parts-0000{part}-of-00002.safetensors");
        copy(data(&name), folder.path(&format!("parts/{name}")));
    }
    let shown = |name: &str| data(name).display().to_string();
    for file in [
        shown("patch-linear.safetensors"),
        shown("patch-4d.gguf"),
        shown("bin-index"),
        shown("bin-index/pytorch_model.bin.index.json"),
        common::shown("bin-shards"),
        common::shown("bin-shards/pytorch_model-00002-of-00003.bin"),
        shown("fastvideo.safetensors"),
        shown("prefix.safetensors"),
        format!("{} --key net", shown("prefix.safetensors")),
        "split".into(),
        "split/split-00001-of-00003.gguf".into(),
        "split/split-00003-of-00003.gguf".into(),
        "parts".into(),
        "parts/parts-00002-of-00002.safetensors".into(),
    ] {
        let (found, said) = converted(&folder, &file);
        assert_eq!(said, "", "{file}");
        assert!(found == expected, "{file}");
    }
    // Shards that another writer made: a folder of .bin files with one more.
    copy(data("bin-index/pytorch_model-00001-of-00001.bin"), folder.path("bin/pytorch_model.bin"));
    assert!(converted(&folder, "bin").0 == expected);
    copy(data("prefix.safetensors"), folder.path("bin/other.safetensors"));
    refused(&folder, "convert bin m.safetensors", &["holds 2 checkpoints", "other.safetensors, pytorch_model.bin"]);
    // A part is missing, or bears another name.
    fs::remove_file(folder.path("parts/parts-00001-of-00002.safetensors")).unwrap();
    refused(
        &folder,
        "convert parts m.safetensors",
        &["part 2 of 2; parts-00001-of-00002.safetensors must lie beside it"],
    );
    copy(data("split-00002-of-00003.gguf"), folder.path("alone.gguf"));
    refused(&folder, "convert alone.gguf m.safetensors", &["part 2 of 3 of a split file"]);
    refused(&folder, &format!("convert {} m.safetensors --heads 2", shown("iq3.gguf")), &["stored as IQ3_S", "IQ4_NL"]);
}

/// Folders with more than one thing in them say what is taken, or what to name.
#[test]
fn folders_take_nothing_silently() {
    let folder = Place::new("formats-folders");
    let (expected, _) = converted(&folder, &base());
    copy(data("../torch/base.safetensors"), folder.path("pipe/transformer/diffusion_pytorch_model.safetensors"));
    copy(golden("vae-diffusers.safetensors"), folder.path("pipe/vae/diffusion_pytorch_model.safetensors"));
    folder.write("pipe/model_index.json", b"{}");
    let (found, said) = converted(&folder, "pipe");
    assert!(found == expected);
    assert_eq!(said, "pipe: a pipeline of diffusers, of which transformer is taken; name the folder for vae\n");
    folder.good("convert pipe/vae v.safetensors");

    fs::create_dir(folder.path("pipe/transformer_2")).unwrap();
    let (_, said) = converted(&folder, "pipe");
    assert!(said.contains("name the folder for vae, transformer_2"), "{said}");
    assert!(said.contains("warning: one expert of Wan 2.2 A14B: "), "{said}");

    let index = fs::read(golden("tiny-diffusers/diffusion_pytorch_model.safetensors.index.json")).unwrap();
    for name in fs::read_dir(golden("tiny-diffusers")).unwrap() {
        let name = name.unwrap();
        copy(name.path(), folder.path("two").join(name.file_name()));
    }
    copy(golden("vae.pth"), folder.path("two/vae.pth"));
    let (_, said) = converted(&folder, "two");
    let expected = "two: diffusion_pytorch_model.safetensors.index.json is taken; beside it are vae.pth\n";
    assert_eq!(said, expected);
    folder.write("two/other.index.json", &index);
    refused(
        &folder,
        "convert two m.safetensors",
        &["holds 2 indices; name one of diffusion_pytorch", "other.index.json"],
    );
    fs::create_dir(folder.path("none")).unwrap();
    refused(&folder, "convert none m.safetensors", &["holds no checkpoint"]);
}

#[test]
fn text_encoders_in_gguf_are_those_of_their_writers() {
    let folder = Place::new("formats-umt5");
    let convert = |file: String| {
        folder.good(&format!("convert {file} t.safetensors --to f32"));
        tensors(folder.path("t.safetensors"))
    };
    let expected = convert(shown("umt5-hf"));
    assert!(convert(data("umt5-f16.gguf").display().to_string()) == expected);
    let rough = convert(data("umt5-q8_0.gguf").display().to_string());
    assert!(rough.keys().eq(expected.keys()));
    for (name, (shape, values)) in &expected {
        assert_eq!(shape, &rough[name].0, "{name}");
        // Half a step of 1/127 of the largest value of a block, and its scale is an f16.
        assert!(error(&rough[name].1, values) <= 0.0045, "{name}");
    }
}

#[test]
fn decoders_under_other_names_and_in_part() {
    let folder = Place::new("formats-decoders");
    let convert = |file: &str| {
        folder.good(&format!("convert {file} d.safetensors --to f32"));
        tensors(folder.path("d.safetensors"))
    };
    let found = convert(&data("tae-prefix.safetensors").display().to_string());
    let raw = tensors(data("tae-prefix.safetensors"));
    assert!(found.len() > 50);
    assert_eq!(found["taehv.decoder.1.weight"].1, raw["taehv.decoder.1.weight"].1);
    assert!(convert(&data("tae-both.safetensors").display().to_string()) == found);

    // The decoder alone is the whole one's, and cannot encode.
    for file in ["vae.pth", "vae-diffusers.safetensors"] {
        let whole = convert(&shown(file));
        let all = tensors(golden(file));
        let encoder =
            |name: &str| name.starts_with("encoder.") || name.starts_with("quant_conv.") || name.starts_with("conv1.");
        let part: Vec<_> =
            all.iter().filter(|(name, _)| !encoder(name)).map(|(name, tensor)| (name.as_str(), tensor)).collect();
        assert!(part.len() < all.len());
        save(folder.path("part.safetensors"), &part);
        let found = convert("part.safetensors");
        assert!(found.len() < whole.len() && found.len() > 50, "{file}: {}", found.len());
        for (name, tensor) in &found {
            assert!(tensor == &whole[name], "{file} {name}");
        }
        assert!(
            whole
                .keys()
                .filter(|name| !found.contains_key(*name))
                .all(|name| name.starts_with("vae.encoder.") || name.starts_with("vae.conv1."))
        );
        let opened = DecoderFile::open(folder.path("d.safetensors")).unwrap();
        let error = Encoder::new(&opened, &causeway_runtime::Device::cpu(1), (4, 4), None).err().unwrap().to_string();
        assert!(error.contains("has no encoder"), "{error}");
        let info = folder.good("info --model d.safetensors");
        assert!(info.contains("latents to pictures"), "{info}");
    }
}

#[test]
fn loras_of_every_writer_merge() {
    let folder = Place::new("formats-loras");
    for (file, options, said) in [
        ("lora-kohya", "", "updates 10 tensors at scale 0.5"),
        ("lora-kohya-diffusers", "", "updates 2 tensors"),
        ("lora-alpha-int64", "", "at scale 0.5"),
        ("lora-alpha-in-metadata", "", "at scale 2"),
        ("lora-alpha-flat-metadata", "", "at scale 2"),
        ("lora-diff-full", "", "adds 15 differences and updates 10 tensors"),
        ("lora-differences", "=-2", "adds 3 differences times -2"),
        ("lora-adapter", "=0.5", "at scale 0.5 (no alpha is named: taken for the rank, 4, strength 0.5)"),
        ("lora-old", "", "updates 1 tensors"),
    ] {
        let path = data(&format!("{file}.safetensors"));
        let (found, told) = converted(&folder, &format!("{} --lora {}{options}", base(), path.display()));
        assert!(told.contains(said) && told.lines().count() == 1, "{file}: {told}");
        same(&found, file, 1e-6);
    }
    // Each of several has its own strength; without one, that of all.
    let file = |name: &str| data(&format!("{name}.safetensors")).display().to_string();
    let loras = format!("--lora {}=-2 --lora {}", file("lora-differences"), file("lora-adapter"));
    let (found, told) = converted(&folder, &format!("{} {loras} --lora-strength 0.5", base()));
    assert_eq!(told.lines().count(), 2, "{told}");
    same(&found, "lora-differences", 1e-6);
    same(&found, "lora-adapter", 1e-6);
    // A name may hold what looks like a strength.
    copy(data("lora-adapter.safetensors"), folder.path("style=2"));
    let (found, told) = converted(&folder, &format!("{} --lora style=2=0.5", base()));
    assert!(told.starts_with("style=2: "), "{told}");
    same(&found, "lora-adapter", 1e-6);
    let (_, told) = converted(&folder, &format!("{} --lora style=2", base()));
    assert!(told.contains("at scale 1 "), "{told}");
    let output = folder.run(&format!("convert {} m.safetensors --lora none=strong", base()));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`strong` is no strength"), "{output:?}");
    assert!(!Path::new(&folder.path("m.safetensors")).exists());
}
