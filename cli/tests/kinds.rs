//! Every row of the table of kinds has a file here, and says of it what docs/models.md says.
//! `CAUSEWAY_BLESS=1 cargo test -p causeway --test kinds` writes that page's tables anew.

mod common;

use std::{fs, path::PathBuf};

use causeway_runtime::import::{Answer, Checkpoint, ImportError, Kind, Section};
use common::{Place, Tensor, golden, save, text};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/formats").join(name)
}

/// What a file of a kind holds.
enum File {
    Bytes(&'static str, Vec<u8>),
    /// Tensors by name and shape, all zeros.
    Tensors(&'static str, Vec<(&'static str, Vec<usize>)>),
    /// One that is there.
    There(PathBuf),
}

use File::{Bytes, Tensors, There};

/// A Wan network that reads and writes so many channels, as far as kinds are told by it.
fn wan(inputs: usize, outputs: usize) -> Vec<(&'static str, Vec<usize>)> {
    vec![("patch_embedding.weight", vec![32, inputs, 1, 2, 2]), ("head.head.weight", vec![4 * outputs, 32])]
}

fn with(mut list: Vec<(&'static str, Vec<usize>)>, name: &'static str) -> Vec<(&'static str, Vec<usize>)> {
    list.push((name, vec![4]));
    list
}

/// TAEHV, or of pictures TAESD, whose blocks do not take the frame before.
fn tae(channels: usize, frames: usize) -> Vec<(&'static str, Vec<usize>)> {
    vec![("decoder.1.weight", vec![8, channels, 3, 3]), ("decoder.3.conv.0.weight", vec![8, 8 * frames, 3, 3])]
}

fn one(name: &'static str) -> Vec<(&'static str, Vec<usize>)> {
    vec![(name, vec![4, 4])]
}

/// A file for each kind, by the kind's name, in the order of the table.
fn files() -> Vec<(&'static str, File)> {
    let tar = [&[b'a'; 257][..], b"ustar\0", &[0; 300]].concat();
    let spiece = fs::read(golden("umt5-spiece.model")).unwrap();
    vec![
        ("an empty file of 0 bytes", Bytes("empty.safetensors", vec![])),
        ("a download that has not ended", Bytes("model.safetensors.part", vec![1; 100])),
        ("a part of a file that was cut", Bytes("model.gguf.part1of2", b"GGUF\x03\0\0\0".to_vec())),
        ("a git-lfs pointer", There(data("git-lfs-pointer.safetensors"))),
        ("a web page", There(data("web-page.pt"))),
        ("a picture", There(golden("pictures/plain.jpg"))),
        ("a video", Bytes("film.mp4", b"\0\0\0\x20ftypisom\0\0\x02\0".to_vec())),
        ("a pickle outside a zip archive", There(golden("legacy.pt"))),
        ("an archive", Bytes("model.tar", tar)),
        ("an array of NumPy", Bytes("w.npy", b"\x93NUMPY\x01\0\x76\0{'descr': '<f4'}".to_vec())),
        ("weights of TensorFlow or Keras", Bytes("w.h5", b"\x89HDF\r\n\x1a\n\0\0".to_vec())),
        ("a network in ONNX", Bytes("net.onnx", b"\x08\x07\x12\x07pytorch\x1a\x05".to_vec())),
        ("JSON", Bytes("config.bin", b"{\"_class_name\": \"WanTransformer3DModel\"}".to_vec())),
        ("a tokenizer of SentencePiece", Bytes("spiece.model", spiece)),
        ("text", Bytes("readme.pt", b"Once upon a time.\n".to_vec())),
        ("a PyTorch archive", There(golden("tiny.pt"))),
        ("GGUF", There(golden("tiny.gguf"))),
        ("safetensors", There(golden("wide.safetensors"))),
        (
            "weights of bitsandbytes",
            Tensors("b.safetensors", one("blocks.0.ffn.0.weight.quant_state.bitsandbytes__nf4")),
        ),
        ("weights of GPTQ, AWQ or SVDQuant", Tensors("b.safetensors", one("blocks.0.ffn.0.qweight"))),
        ("weights in NVFP4 or MXFP", Tensors("b.safetensors", one("blocks.0.ffn.0.weight_scale_2"))),
        ("floats of 16 bits and more", There(golden("tiny.pt"))),
        ("floats of 8 bits (", There(data("fp8-e5m2.safetensors"))),
        ("floats of 8 bits with scales", There(data("fp8-rows.safetensors"))),
        ("integers of 8 bits with scales", There(data("int8-rows.safetensors"))),
        ("blocks of GGUF", There(data("iq4.gguf"))),
        ("a model file of Causeway", Bytes("model.safetensors", causeway_tests::tiny::tiny_model_bytes(1))),
        ("a LoRA", There(data("lora-kohya.safetensors"))),
        ("CLIP, as Wan and Matrix-Game publish it", There(golden("clip.pth"))),
        ("another CLIP", Tensors("clip.safetensors", one("vision_model.encoder.layers.0.mlp.fc1.weight"))),
        ("Wan VACE", Tensors("v.safetensors", with(wan(16, 16), "vace_blocks.0.self_attn.q.bias"))),
        ("Wan Animate", Tensors("v.safetensors", with(wan(36, 16), "face_adapter.fuser_blocks.0.k_norm.weight"))),
        ("Wan with sound", Tensors("v.safetensors", with(wan(16, 16), "audio_injector.injector.0.q.bias"))),
        ("Matrix-Game 2.0, ForgeWM", There(golden("game/base_distilled_model/base_distill.safetensors"))),
        (
            "Matrix-Game of another version",
            Tensors("v.safetensors", with(wan(48, 48), "blocks.0.action_model.mouse_mlp.0.bias")),
        ),
        ("Wan with a camera", Tensors("v.safetensors", with(wan(36, 16), "control_adapter.conv.bias"))),
        ("Wan Fun-Control", Tensors("v.safetensors", wan(48, 16))),
        ("Wan image-to-video", Tensors("v.safetensors", wan(36, 16))),
        ("Wan with further inputs", Tensors("v.safetensors", wan(20, 16))),
        ("Wan 2.2 TI2V-5B", Tensors("v.safetensors", wan(48, 48))),
        ("one expert of Wan 2.2 A14B", Tensors("wan2.2_t2v_high_noise_14B.safetensors", wan(16, 16))),
        ("Wan 2.1 text-to-video", There(golden("tiny.pt"))),
        ("the VAE of Wan 2.2", Tensors("v.safetensors", vec![("decoder.conv1.weight", vec![8, 48, 3, 3, 3])])),
        ("the VAE of another model", Tensors("v.safetensors", vec![("decoder.conv_in.weight", vec![8, 4, 3, 3])])),
        (
            "the decoder of the Wan 2.1 VAE",
            Tensors("v.safetensors", vec![("decoder.conv1.weight", vec![8, 16, 3, 3, 3])]),
        ),
        ("the Wan 2.1 VAE", There(golden("vae.pth"))),
        ("TAESD", Tensors("t.safetensors", tae(4, 1))),
        ("the TAEHV of Wan 2.2", Tensors("t.safetensors", tae(48, 2))),
        ("the TAEHV of Waypoint 1.5", Tensors("taehv1_5.safetensors", tae(32, 2))),
        ("the TAEHV of HunyuanVideo", Tensors("taehv.safetensors", tae(16, 2))),
        ("the TAEHV of CogVideoX", Tensors("taecvx.safetensors", tae(16, 2))),
        ("TAEHV with its encoder", There(data("tae-both.safetensors"))),
        ("TAEHV (taew2_1)", Tensors("taew2_1.safetensors", tae(16, 2))),
        ("umT5", There(data("umt5-q8_0.gguf"))),
        ("T5", There(golden("umt5-shared.safetensors"))),
        ("a denoiser of another model", Tensors("f.safetensors", one("double_blocks.0.img_attn.qkv.weight"))),
        ("Waypoint 1.5", There(golden("waypoint/waypoint-newer/model.safetensors"))),
        ("a language model", Tensors("l.safetensors", one("model.layers.0.self_attn.q_proj.weight"))),
        ("the state of an optimizer", Tensors("o.safetensors", one("state.0.exp_avg"))),
        ("LoHa, LoKr or OFT", Tensors("lora.safetensors", one("lora_unet_blocks_0_ffn_0.hada_w1_a"))),
        ("DoRA", Tensors("lora.safetensors", one("blocks.0.ffn.0.dora_scale"))),
        ("kohya's names", There(data("lora-kohya.safetensors"))),
        ("full differences", There(data("lora-differences.safetensors"))),
        ("`lora_A` and `lora_B`", There(data("lora-adapter.safetensors"))),
        ("`lora_down` and `lora_up`", There(data("lora-old.safetensors"))),
    ]
}

impl File {
    /// Where it is, written if it is not there.
    fn place(&self, folder: &Place) -> PathBuf {
        match self {
            There(path) => path.clone(),
            Bytes(name, bytes) => {
                folder.write(name, bytes);
                folder.path(name)
            }
            Tensors(name, list) => {
                let zeros = |shape: &Vec<usize>| (shape.clone(), vec![0.0; shape.iter().product()]);
                let list: Vec<(&str, Tensor)> = list.iter().map(|(name, shape)| (*name, zeros(shape))).collect();
                let list: Vec<(&str, &Tensor)> = list.iter().map(|(name, tensor)| (*name, tensor)).collect();
                save(folder.path(name), &list);
                folder.path(name)
            }
        }
    }
}

#[test]
fn every_kind_is_told_from_all_others() {
    let folder = Place::new("kinds");
    let (kinds, files) = (Kind::all().collect::<Vec<_>>(), files());
    assert_eq!(kinds.len(), files.len(), "a kind has no file");
    for (kind, (name, file)) in kinds.iter().zip(&files) {
        assert!(kind.name.starts_with(name), "{}: the file is of {name}", kind.name);
        let path = file.place(&folder);
        let shown = path.display();
        let refused = matches!(kind.answer, Answer::Refused(_));
        let opened = Checkpoint::open(&path);
        match (kind.section(), refused) {
            (Section::Files, true) => {
                let error = opened.err().unwrap_or_else(|| panic!("{name} is read"));
                assert!(
                    matches!(error, ImportError::Kind { kind: found, .. } if found.name == kind.name),
                    "{name}: {error}"
                );
                assert!(error.to_string().ends_with(&format!(": {}", kind.sentence())), "{name}: {error}");
            }
            (Section::Files, false) => assert!(!opened.unwrap().entries().is_empty(), "{name}"),
            (Section::Networks, _) | (Section::Storage, true) => {
                let found = opened.unwrap().kind(None).map(|kind| kind.name);
                assert_eq!(found, Some(kind.name));
            }
            (Section::Storage, false) => {
                let found = opened.unwrap().storage();
                assert!(found.iter().any(|found| found.name == kind.name), "{name}: {found:?}");
            }
            (Section::Loras, _) => {}
        }
        // What the program says: one sentence, and nothing is written.
        let output = if kind.section() == Section::Loras {
            let base = data("../torch/base.safetensors");
            folder.run(&format!("convert {} m.safetensors --heads 2 --lora {shown}", base.display()))
        } else {
            folder.run(&format!("convert {shown} m.safetensors"))
        };
        let said = text(&output.stderr);
        assert!(!said.contains("panicked"), "{name}: {said}");
        if refused {
            assert_eq!(output.status.code(), Some(1), "{name}: {said}");
            assert!(said.contains(kind.name) && said.contains(kind.sentence()), "{name}: {said}");
            assert_eq!(said.lines().count(), 1, "{name}: {said}");
            assert!(!folder.path("m.safetensors").exists(), "{name}");
        } else if matches!(kind.answer, Answer::Warned(_)) {
            assert!(said.starts_with(&format!("{shown}: warning: {kind}\n")), "{name}: {said}");
        } else if kind.section() == Section::Loras {
            assert!(output.status.success(), "{name}: {said}");
        } else {
            assert!(!said.contains("warning"), "{name}: {said}");
        }
        let info = folder.run(&format!("info --model {shown}"));
        let (out, said) = (text(&info.stdout), text(&info.stderr));
        if kind.section() == Section::Files && refused {
            assert!(
                !info.status.success() && said.contains(kind.sentence()) && said.lines().count() == 1,
                "{name}: {said}"
            );
        } else if kind.section() == Section::Networks && kind.name != "a model file of Causeway" {
            assert!(info.status.success() && out.contains(&format!("what     {kind}\n")), "{name}: {out}{said}");
            assert_eq!(out.contains("next     causeway convert"), !refused, "{name}: {out}");
        }
        for file in ["m.safetensors", "v.safetensors", "t.safetensors"] {
            let _ = fs::remove_file(folder.path(file));
        }
    }
}

#[test]
fn sizes_and_keys_are_told() {
    let folder = Place::new("kinds-info");
    let pointer = data("git-lfs-pointer.safetensors");
    let said = text(&folder.run(&format!("convert {} m.safetensors", pointer.display())).stderr);
    assert!(said.contains("a git-lfs pointer for 5676070424 bytes: it only names the file"), "{said}");
    // A training checkpoint with three networks.
    let wan = |part: &str| {
        wan(4, 4).into_iter().map(move |(name, shape)| (format!("{part}.{name}"), shape)).collect::<Vec<_>>()
    };
    let list: Vec<(String, Tensor)> = ["critic", "generator", "generator_ema.model"]
        .iter()
        .flat_map(|part| wan(part))
        .map(|(name, shape)| (name, (shape.clone(), vec![0.0; shape.iter().product()])))
        .collect();
    let list: Vec<(&str, &Tensor)> = list.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    save(folder.path("x.safetensors"), &list);
    let info = folder.good("info --model x.safetensors");
    assert!(
        info.contains("keys     generator_ema, generator, critic (the first is taken unless --key names another)\n"),
        "{info}"
    );
    let found = folder.json("info --model x.safetensors --json");
    assert_eq!(found["kind"], "Wan 2.1 text-to-video");
    assert_eq!((found["convertible"].as_bool(), found["tensors"].as_u64()), (Some(true), Some(6)));
    let only: Vec<(&str, &Tensor)> = list.iter().filter(|(name, _)| name.starts_with("critic")).copied().collect();
    save(folder.path("x.safetensors"), &only);
    let said = text(&folder.run("convert x.safetensors m.safetensors").stderr);
    assert!(said.contains("under the key `critic`; give --key critic to take that"), "{said}");
}

const BEGIN: &str = "<!-- Written by `CAUSEWAY_BLESS=1 cargo test -p causeway --test kinds`. Do not edit. -->\n";
const END: &str = "<!-- Until here. -->\n";

/// The tables of the page.
fn tables() -> String {
    let sections = [
        (Section::Files, "file"),
        (Section::Storage, "values"),
        (Section::Networks, "network"),
        (Section::Loras, "file for `--lora`"),
    ];
    let mut page = String::new();
    for (section, heading) in sections {
        page += &format!("\n| {heading} | |\n|---|---|\n");
        for kind in Kind::all().filter(|kind| kind.section() == section) {
            let answer = match kind.answer {
                Answer::Read(sentence) => format!("read: {sentence}"),
                Answer::Warned(sentence) => format!("read with a warning: {sentence}"),
                Answer::Refused(sentence) => format!("refused: {sentence}"),
            };
            page += &format!("| {} | {answer} |\n", kind.name);
        }
    }
    page
}

#[test]
fn the_page_shows_the_table() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/models.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has no place for the tables");
    let (found, after) = rest.split_once(END).expect("the tables have no end");
    let expected = format!("{}\n", tables());
    if std::env::var_os("CAUSEWAY_BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert!(found == expected, "docs/models.md is not what the table gives; CAUSEWAY_BLESS=1 writes it");
}
