//! The features of pictures that games begin from, against transformers' CLIP (`tests/parity/clip.py`).

mod common;

use std::fs;

use causeway_runtime::import::ClipImport;
use causeway_tests::{hollow, machine};
use common::{Place, Tensor, Tensors, error, golden, save, shown, tensors, text};

/// A picture of the golden file as one for `--in`.
fn picture(place: &Place, all: &Tensors, name: &str) {
    save(place.path("picture.safetensors"), &[("frames", &all[&format!("{name}.frames")])]);
}

#[test]
fn features_are_those_of_another_implementation() {
    let place = Place::new("images-parity");
    place.good(&format!("convert {} clip.safetensors --heads 3 --to f32", shown("clip.pth")));
    let all = tensors(golden("clip.safetensors"));
    for backend in ["cpu", "gpu"].into_iter().filter(|backend| machine::runs_on(backend)) {
        for name in ["wide", "tall", "square"] {
            picture(&place, &all, name);
            place.good(&format!(
                "embed-image --model clip.safetensors --in picture.safetensors --out out.safetensors --backend {backend}"
            ));
            let found = &tensors(place.path("out.safetensors"))["context"];
            let expected = &all[&format!("{name}.context")];
            assert_eq!(found.0, expected.0);
            let error = error(&found.1, &expected.1);
            println!("{name}, {backend}: {error:.1e}");
            assert!(error <= 1e-5, "{name}, {backend}: {error:e}");
        }
    }
}

/// Measured errors of packed weights, with some room.
#[test]
fn packed_weights_stay_close() {
    let place = Place::new("images-packed");
    let all = tensors(golden("clip.safetensors"));
    picture(&place, &all, "wide");
    for (weights, most) in [("f16", 2e-3), ("q8", 2e-2), ("q4", 0.3)] {
        place.good(&format!("convert {} clip.safetensors --heads 3 --to {weights}", shown("clip.pth")));
        place.good("embed-image --model clip.safetensors --in picture.safetensors --out out.safetensors");
        let error = error(&tensors(place.path("out.safetensors"))["context"].1, &all["wide.context"].1);
        println!("{weights}: {error:.1e}");
        assert!(error <= most, "{weights}: {error:e}");
    }
}

/// Of a file of the published sizes: the last of 32 layers is not run, and of 31 one at a time is held.
#[test]
fn the_published_tower_is_held_a_layer_at_a_time() {
    let place = Place::new("images-published");
    let import = ClipImport::find(golden("clip.pth"), None, Some(3)).unwrap().unwrap();
    let mut config = import.config("clip", "", "", "");
    let c = &mut config.encoder;
    assert_eq!((c.side, c.patch, c.layers, c.dim), (28, 7, 3, 48));
    (c.side, c.patch, c.dim, c.heads, c.ffn_dim, c.layers) = (224, 14, 1280, 16, 5120, 31);
    let file = hollow::open(&place.path("clip.safetensors"), &config, causeway_ops::quant::DType::F16);
    let values: usize = file.tensors().map(|(_, view)| view.len()).sum();
    assert_eq!(values, 611_086_080);
    let encoder = causeway_runtime::ImageEncoder::new(&file, &causeway_runtime::Device::cpu(1), None).unwrap();
    println!("{:?}", encoder.memory());
    assert!(encoder.memory().total() < 60_000_000, "{:?}", encoder.memory());
}

#[test]
fn files_say_what_they_hold_and_what_is_wrong() {
    let place = Place::new("images-files");
    let clip = shown("clip.pth");
    let said = place.good(&format!("info {clip}"));
    assert!(said.contains("an image encoder for games"), "{said}");
    let said = text(&place.run(&format!("convert {clip} clip.safetensors")).stderr);
    assert!(said.contains("say with --heads"), "{said}");
    let said = place.good(&format!("convert {clip} clip.safetensors --heads 3 --to f32 --license MIT"));
    assert!(said.contains("layers 3") && said.contains("tensors left out"), "{said}");
    let info = place.good("info clip.safetensors");
    for what in ["28 x 28 in patches of 7 x 7: 17 rows of features", "dim 48, heads 3, layers 3, ffn 80", "MIT"] {
        assert!(info.contains(what), "{what}: {info}");
    }
    assert!(place.good("info clip.safetensors --verify").contains("as its header says"));
    place.good("quantize clip.safetensors small.safetensors --to q8");
    assert!(
        fs::metadata(place.path("small.safetensors")).unwrap().len()
            < fs::metadata(place.path("clip.safetensors")).unwrap().len() / 2
    );
    let all = tensors(golden("clip.safetensors"));
    let (shape, values) = &all["wide.frames"];
    let two: Tensor = ([vec![2], shape[1..].to_vec()].concat(), [&values[..], values].concat());
    save(place.path("two.safetensors"), &[("frames", &two)]);
    picture(&place, &all, "wide");
    for (arguments, what) in [
        ("embed-image --model clip.safetensors --in two.safetensors --out o.safetensors", "2 frames, expected one"),
        ("embed-image --model tiny.safetensors --in picture.safetensors --out o.safetensors", "expected clip"),
        (
            "embed-image --model clip.safetensors --in picture.safetensors --out o.safetensors --memory-cap 1KB",
            "the memory cap is 1000",
        ),
        ("play --model clip.safetensors --record o.png", "clip"),
    ] {
        let out = place.run(arguments);
        let said = text(&out.stderr);
        assert!(!out.status.success() && said.contains(what), "{arguments}: {said}");
    }
    assert!(!place.path("o.safetensors").exists());
    // What is missing is named.
    let mut broken = tensors(golden("clip.pth"));
    broken.remove("visual.transformer.1.attn.to_qkv.bias");
    let list: Vec<(&str, &Tensor)> = broken.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    save(place.path("broken.safetensors"), &list);
    let said = text(&place.run("convert broken.safetensors b.safetensors --heads 3").stderr);
    assert!(said.contains("missing: blocks.1.attn.to_qkv.bias"), "{said}");
}
