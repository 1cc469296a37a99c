//! How strongly LoRAs are merged: files of other writers (`tests/parity/loras.py`), and every source of alpha.

mod common;

use std::fs;

use common::{Place, error, golden, shown, tensors, text};
use serde_json::{Value, json};

/// A tensor to be written: name, type, shape, bytes.
type Stored<'a> = (&'a str, &'a str, Vec<usize>, Vec<u8>);

fn save(folder: &Place, name: &str, metadata: &Value, list: &[Stored<'_>]) {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    if !metadata.is_null() {
        header.insert("__metadata__".into(), metadata.clone());
    }
    for (name, dtype, shape, bytes) in list {
        let offsets = [data.len(), data.len() + bytes.len()];
        data.extend(bytes);
        header.insert((*name).into(), json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}));
    }
    let header = Value::from(header).to_string();
    folder.write(name, &[&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat());
}

const DIM: usize = 64;
const RANK: usize = 4;

/// Factors A [rank, DIM] and B [DIM, rank].
fn factors() -> (Vec<f32>, Vec<f32>) {
    let values = |seed: usize| (0..RANK * DIM).map(|at| ((at * 37 + seed) % 17) as f32 / 64.0 - 0.125).collect();
    (values(3), values(8))
}

/// A LoRA of one matrix, under a name as diffusers (`A`) or kohya write it.
fn lora<'a>(down: &'a str, up: &'a str, more: &[Stored<'a>]) -> Vec<Stored<'a>> {
    let bytes = |values: Vec<f32>| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let (a, b) = factors();
    let pair = [(down, "F32", vec![RANK, DIM], bytes(a)), (up, "F32", vec![DIM, RANK], bytes(b))];
    pair.into_iter().chain(more.iter().cloned()).collect()
}

/// How many times the factors' product was added to the base's matrix.
fn strength(folder: &Place, lora: &str) -> Result<(f32, String), String> {
    let base = tensors(golden("tiny-base.safetensors"));
    let output = folder
        .run(&format!("convert {} m.safetensors --heads 2 --to f32 --lora {lora}", shown("tiny-base.safetensors")));
    let message = text(&output.stderr);
    if !output.status.success() {
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(!folder.path("m.safetensors").exists(), "{message}");
        return Err(message);
    }
    let merged = tensors(folder.path("m.safetensors")).remove(&format!("dit.{MATRIX}")).unwrap().1;
    fs::remove_file(folder.path("m.safetensors")).unwrap();
    let (a, b) = factors();
    let (mut dot, mut square) = (0.0, 0.0);
    let differences: Vec<f64> =
        merged.iter().zip(&base[MATRIX].1).map(|(x, y)| f64::from(*x) - f64::from(*y)).collect();
    let product = |at: usize| (0..RANK).map(|k| f64::from(b[at / DIM * RANK + k] * a[k * DIM + at % DIM])).sum::<f64>();
    for (at, difference) in differences.iter().enumerate() {
        dot += difference * product(at);
        square += product(at) * product(at);
    }
    let scale = dot / square;
    for (at, difference) in differences.iter().enumerate() {
        assert!((difference - scale * product(at)).abs() < 1e-5, "{lora}: not a multiple of the product at {at}");
    }
    Ok((scale as f32, message))
}

const MATRIX: &str = "blocks.0.self_attn.q.weight";
const DOWN: &str = "transformer.blocks.0.attn1.to_q.lora_A.weight";
const UP: &str = "transformer.blocks.0.attn1.to_q.lora_B.weight";

#[test]
fn loras_of_diffusers_peft_and_kohya_merge_as_their_libraries_merge() {
    let folder = Place::new("loras-golden");
    let expected = tensors(golden("loras.safetensors"));
    for (case, file, said) in [
        (
            "diffusers",
            "lora-diffusers.safetensors",
            "2 at scale 0.5 (alpha 2 of lora_adapter_metadata, alpha_pattern of ffn.net.2, rank 4)",
        ),
        ("peft", "lora-peft", "at scale 3 (alpha 6 of adapter_config.json, lora_alpha, over the root of rank 4)"),
        ("peft", "lora-peft/adapter_model.safetensors", "at scale 1.5 (alpha 3 of adapter_config.json"),
        (
            "kohya",
            "lora-kohya.safetensors",
            "at scale 0.25 (alpha 1 of its own tensor, rank 4); ss_network_alpha is 16 and is not used",
        ),
    ] {
        let output = folder.run(&format!(
            "convert {} m.safetensors --heads 2 --to f32 --lora {}",
            shown("tiny.pt"),
            shown(file)
        ));
        let message = text(&output.stderr);
        assert!(output.status.success() && message.contains(said), "{case}: {message}");
        let found = tensors(folder.path("m.safetensors"));
        let list: Vec<_> = expected
            .iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix(case)?.strip_prefix('.')?, tensor)))
            .collect();
        assert!(list.len() >= 2);
        for (name, (_, values)) in list {
            let error = error(&found[&format!("dit.{name}")].1, values);
            assert!(error <= 1e-6, "{case} {name}: {error:e}");
        }
    }
}

/// A name, metadata, options, and the scale with words about it, or words about what is wrong.
type Case<'a> = (&'a str, Value, &'a str, Result<(f32, &'a str), &'a str>);

/// Settings in `__metadata__`, other options, and the scale or what is wrong.
#[test]
fn alpha_is_found_wherever_it_is_written() {
    let folder = Place::new("loras-metadata");
    let json = |settings: Value| json!({"format": "pt", "lora_adapter_metadata": settings.to_string()});
    let parts = |count: usize| Value::from_iter((0..count).map(|part| (format!("p{part}.lora_alpha"), json!(8))));
    let raw = |text: &str| json!({"lora_adapter_metadata": text});
    let table: Vec<Case<'_>> = vec![
        ("nothing", json!(null), "", Ok((1.0, "no alpha is named"))),
        ("other keys", json!({"modelspec.title": "x", "ss_tag": "{}"}), "", Ok((1.0, "no alpha is named"))),
        ("asked", json!(null), "--lora-alpha 8", Ok((2.0, "as asked for"))),
        ("asked and strength", json!(null), "--lora-alpha 8 --lora-strength -0.5", Ok((-1.0, "strength -0.5"))),
        (
            "json",
            json(json!({"transformer.r": 4, "transformer.lora_alpha": 8, "transformer.use_rslora": false})),
            "",
            Ok((2.0, "transformer.lora_alpha")),
        ),
        (
            "json of the module itself",
            json(json!({"transformer.blocks.0.attn1.to_q.lora_alpha": 2, "transformer.lora_alpha": 8})),
            "",
            Ok((0.5, "to_q.lora_alpha")),
        ),
        ("json of all", json(json!({"lora_alpha": 6.0})), "", Ok((1.5, "lora_alpha"))),
        (
            "json of the original name",
            json(json!({"blocks.0.self_attn.lora_alpha": 2, "lora_alpha": 6})),
            "",
            Ok((0.5, "self_attn")),
        ),
        (
            "json of the text encoder",
            json(json!({"text_encoder.lora_alpha": 8})),
            "",
            Ok((1.0, "text_encoder.lora_alpha is of no layer here")),
        ),
        (
            "rslora",
            json(json!({"transformer.lora_alpha": 8, "transformer.use_rslora": true})),
            "",
            Ok((4.0, "over the root of rank 4")),
        ),
        (
            "rslora, asked",
            json(json!({"transformer.lora_alpha": 8, "transformer.use_rslora": true})),
            "--lora-alpha 2",
            Ok((1.0, "lora_alpha is 8 and is not used")),
        ),
        ("rslora without alpha", json(json!({"use_rslora": true})), "", Err("use_rslora and no alpha")),
        (
            "pattern",
            // PEFT takes the first that fits.
            raw("{\"lora_alpha\": 8, \"alpha_pattern\": {\"to_k\": 1, \"to_q\": 2, \"attn1.to_q\": 3}}"),
            "",
            Ok((0.5, "alpha_pattern of to_q")),
        ),
        (
            "pattern of the whole name",
            json(json!({"lora_alpha": 8, "alpha_pattern": {"^to_q": 1, "^blocks\\.0\\.attn1\\.to_q": 2}})),
            "",
            Ok((0.5, "alpha_pattern")),
        ),
        (
            "pattern beyond names",
            json(json!({"lora_alpha": 8, "alpha_pattern": {"blocks.[01].attn1.to_q": 1}})),
            "",
            Err("is not a name"),
        ),
        (
            "rank pattern",
            json(json!({"r": 16, "lora_alpha": 8, "rank_pattern": {"attn1.to_q": 4}})),
            "",
            Ok((2.0, "rank 4")),
        ),
        (
            "another rank",
            json(json!({"transformer.r": 8, "transformer.lora_alpha": 8})),
            "",
            Err("transformer.r is 8, but the factors of transformer.blocks.0.attn1.to_q have rank 4"),
        ),
        ("another rank, asked", json(json!({"r": 8, "lora_alpha": 8})), "--lora-alpha 4", Ok((1.0, "have rank 4"))),
        ("alpha twice", raw("{\"lora_alpha\": 8, \"lora_alpha\": 4}"), "", Err("is 8, but")),
        ("not JSON", raw("{lora_alpha: 8}"), "", Err("lora_adapter_metadata")),
        ("too many parts", json(parts(3000)), "", Err("more than 2048 parts")),
        (
            "too many patterns",
            json(json!({"lora_alpha": 8, "alpha_pattern": parts(5000)})),
            "",
            Err("more than 4096 entries"),
        ),
        ("not JSON, asked", raw("{"), "--lora-alpha 8", Ok((2.0, "cannot be read"))),
        ("NaN in JSON", raw("{\"lora_alpha\": NaN}"), "", Err("lora_adapter_metadata")),
        ("a list", raw("{\"lora_alpha\": [8]}"), "", Err("expected a number")),
        ("no alpha of it", json(json!({"lora_alpha": null})), "", Ok((1.0, "no alpha is named"))),
        (
            "dora of the text encoder",
            json(json!({"transformer.lora_alpha": 8, "text_encoder.use_dora": true})),
            "",
            Ok((2.0, "transformer.lora_alpha")),
        ),
        ("dora", json(json!({"lora_alpha": 8, "use_dora": true})), "", Err("use_dora, which is not merged")),
        ("pissa", json(json!({"lora_alpha": 8, "init_lora_weights": "pissa_niter_4"})), "", Err("pissa")),
        (
            "flat",
            json!({"transformer.r": "4", "transformer.lora_alpha": "8", "lora_alpha": "8", "network_alpha": "8"}),
            "",
            Ok((2.0, "lora_alpha")),
        ),
        ("flat, network_alpha", json!({"network_alpha": "2.0", "network_dim": "4"}), "", Ok((0.5, "network_alpha"))),
        ("flat, kohya", json!({"ss_network_alpha": "8", "ss_network_dim": "4"}), "", Ok((2.0, "ss_network_alpha"))),
        (
            "flat, kohya resized",
            json!({"ss_network_alpha": "Dynamic", "ss_network_dim": "Dynamic"}),
            "",
            Ok((1.0, "no alpha is named")),
        ),
        (
            "flat, kohya of another rank",
            json!({"ss_network_alpha": "8", "ss_network_dim": "32"}),
            "",
            Err("ss_network_dim is 32"),
        ),
        (
            "flat, contradiction",
            json!({"lora_alpha": "8", "network_alpha": "4"}),
            "",
            Err("lora_alpha is 8, but network_alpha is 4"),
        ),
        (
            "flat, contradiction, asked",
            json!({"lora_alpha": "8", "network_alpha": "4"}),
            "--lora-alpha 2",
            Ok((0.5, "but network_alpha is 4")),
        ),
        (
            "json against flat",
            json!({"lora_adapter_metadata": "{\"transformer.lora_alpha\": 8}", "lora_alpha": "4"}),
            "",
            Err("is 8, but lora_alpha is 4"),
        ),
        ("words", json!({"lora_alpha": "eight"}), "", Err("lora_alpha is eight, expected a number")),
        ("negative", json!({"lora_alpha": "-8"}), "", Err("lora_alpha is -8, expected a number above 0")),
        ("zero", json!({"lora_alpha": "0"}), "", Err("expected a number above 0")),
        ("infinite", json!({"lora_alpha": "inf"}), "", Err("expected a number above 0")),
        ("not a number", json!({"lora_alpha": "nan"}), "", Err("expected a number above 0")),
        ("absurd", json!({"lora_alpha": "1e30"}), "", Err("at most 65536")),
        ("asked for nonsense", json!(null), "--lora-alpha NaN", Err("the alpha asked for is NaN")),
        ("strength nonsense", json!(null), "--lora-alpha 4 --lora-strength inf", Err("strength is inf")),
    ];
    for (case, metadata, options, expected) in table {
        save(&folder, "l.safetensors", &metadata, &lora(DOWN, UP, &[]));
        match (strength(&folder, &format!("l.safetensors {options}")), expected) {
            (Ok((scale, message)), Ok((right, said))) => {
                assert!((scale - right).abs() < 1e-5, "{case}: {scale}, expected {right}: {message}");
                assert!(
                    message.contains(&format!("at scale {right} (")) && message.contains(said),
                    "{case}: {message}"
                );
            }
            (Err(message), Err(said)) => assert!(message.contains(said), "{case}: {message}"),
            (found, expected) => panic!("{case}: {found:?}, expected {expected:?}"),
        }
    }
}

/// A layer's own tensor, of any type, counts before everything else.
#[test]
fn tensors_of_alpha() {
    let folder = Place::new("loras-tensors");
    let name = "transformer.blocks.0.attn1.to_q.alpha";
    let settings = json!({"lora_alpha": "8"});
    for (case, dtype, shape, bytes, expected) in [
        ("I64", "I64", vec![], 2i64.to_le_bytes().to_vec(), Ok(0.5)),
        ("I32", "I32", vec![1], 2i32.to_le_bytes().to_vec(), Ok(0.5)),
        ("U16", "U16", vec![], 258u16.to_le_bytes().to_vec(), Ok(64.5)),
        ("I8", "I8", vec![1, 1], vec![2], Ok(0.5)),
        ("U8", "U8", vec![], vec![200], Ok(50.0)),
        ("F64", "F64", vec![], 2f64.to_le_bytes().to_vec(), Ok(0.5)),
        ("F32", "F32", vec![], 2f32.to_le_bytes().to_vec(), Ok(0.5)),
        ("BF16", "BF16", vec![], vec![0, 0x40], Ok(0.5)),
        ("negative", "I8", vec![], vec![200], Err("to_q is -56, expected a number above 0")),
        ("beyond", "U64", vec![], vec![0xff; 8], Err("beyond 64 bits")),
        ("none", "I64", vec![0], vec![], Err("not one number")),
        ("two", "I64", vec![2], vec![0; 16], Err("not one number")),
        ("NaN", "F32", vec![], f32::NAN.to_le_bytes().to_vec(), Err("to_q is NaN")),
        ("flag", "BOOL", vec![], vec![1], Err("BOOL")),
    ] {
        save(&folder, "l.safetensors", &settings, &lora(DOWN, UP, &[(name, dtype, shape, bytes)]));
        match (strength(&folder, "l.safetensors --lora-alpha 16"), expected) {
            (Ok((scale, message)), Ok(right)) => {
                assert!((scale - right).abs() < 1e-4, "{case}: {scale}");
                let notes = ["of its own tensor", "asked for is not used", "lora_alpha is 8 and is not used"];
                assert!(notes.iter().all(|note| message.contains(note)), "{case}: {message}");
            }
            (Err(message), Err(said)) => assert!(message.contains(said), "{case}: {message}"),
            (found, expected) => panic!("{case}: {found:?}, expected {expected:?}"),
        }
    }
}

/// PEFT's settings beside the weights, and only there.
#[test]
fn adapter_configs() {
    let folder = Place::new("loras-peft");
    fs::create_dir(folder.path("peft")).unwrap();
    let (down, up) =
        ("base_model.model.blocks.0.attn1.to_q.lora_A.weight", "base_model.model.blocks.0.attn1.to_q.lora_B.weight");
    folder.write(
        "peft/adapter_config.json",
        b"{\"r\": 4, \"lora_alpha\": 8, \"peft_type\": \"LORA\", \"rank_pattern\": {}}",
    );
    save(&folder, "peft/adapter_model.safetensors", &json!({"format": "pt"}), &lora(down, up, &[]));
    let said = |lora: &str| strength(&folder, lora).map(|(scale, _)| scale);
    assert_eq!(said("peft"), Ok(2.0));
    assert_eq!(said("peft/adapter_model.safetensors"), Ok(2.0));
    save(&folder, "peft/adapter_model.safetensors", &json!({"lora_alpha": "2"}), &lora(down, up, &[]));
    let error = said("peft").unwrap_err();
    assert!(error.contains("lora_alpha is 2, but adapter_config.json, lora_alpha is 8"), "{error}");
    // Settings beside a file of another name may be another adapter's.
    fs::rename(folder.path("peft/adapter_model.safetensors"), folder.path("peft/other.safetensors")).unwrap();
    assert_eq!(said("peft/other.safetensors"), Ok(0.5));
    fs::rename(folder.path("peft/other.safetensors"), folder.path("peft/adapter_model.safetensors")).unwrap();
    for broken in [&b"{"[..], b"\xff\xfe", b"[]"] {
        folder.write("peft/adapter_config.json", broken);
        let error = said("peft").unwrap_err();
        assert!(error.contains("adapter_config.json") && error.contains("cannot be read"), "{error}");
    }
}
