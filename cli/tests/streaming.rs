//! What a conversion holds in memory: no tensor whole, whatever its format. Tensors here are large and all zeros, in files that are mostly
//! holes.

mod common;

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::PathBuf,
};

use causeway_runtime::import::{Checkpoint, Entry};
use common::{
    Place, golden,
    torch::{checkpoint, dict, pickle, tensor, tensor_v3},
};

/// Times the base's sizes: a width of 1024, and 16384 in the middle of the network's blocks.
fn large(size: usize) -> usize {
    match size {
        32 => 1024,
        64 => 16 * 1024,
        192 => 6 * 1024,
        small => small,
    }
}

/// The base's tensors, as large.
fn network() -> Vec<(String, Vec<usize>)> {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/torch/base.safetensors");
    let base = Checkpoint::open(base).unwrap();
    let entry = |entry: &Entry| (entry.name.clone(), entry.shape.iter().map(|&size| large(size)).collect());
    base.entries().iter().map(entry).collect()
}

/// Values of the largest tensor.
const LARGEST: usize = 16 << 20;

fn matrix(name: &str, shape: &[usize]) -> bool {
    name.starts_with("blocks.") && shape.len() == 2 && name.ends_with(".weight")
}

/// A header, and as many zeros as it tells of.
fn sparse(path: PathBuf, header: &[u8], data: usize) {
    let mut file = File::create(path).unwrap();
    file.write_all(header).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.set_len((header.len() + data) as u64).unwrap();
}

/// Name, type, shape, bytes of a value.
type Stored = (String, &'static str, Vec<usize>, usize);

fn safetensors(path: PathBuf, list: Vec<Stored>) {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, dtype, shape, width) in list {
        let start = end;
        end += shape.iter().product::<usize>() * width;
        header.insert(name, serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]}));
    }
    let header = serde_json::Value::from(header).to_string();
    sparse(path, &[&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat(), end);
}

/// A scale's name, and its shape by its matrix's.
type Scale<'a> = (&'a str, fn(&[usize]) -> Vec<usize>);

/// The network with its matrices of eight bits, and scales.
fn eight(path: PathBuf, dtype: &'static str, scale: Option<Scale<'_>>) {
    let mut list = Vec::new();
    for (name, shape) in network() {
        if !matrix(&name, &shape) {
            list.push((name, "BF16", shape, 2));
            continue;
        }
        if let Some((last, of)) = scale {
            list.push((name.replace("weight", last), "F32", of(&shape), 4));
        }
        list.push((name, dtype, shape, 1));
    }
    safetensors(path, list);
}

/// The network or an encoder in GGUF, its matrices in blocks of `block` values and `bytes` bytes; perhaps one part of two.
fn gguf(path: PathBuf, list: &[(String, Vec<usize>)], (kind, block, bytes): (u32, usize, usize), part: Option<u16>) {
    let string = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let keys = if part.is_some() { 2u64 } else { 0 };
    let mut header = [b"GGUF\x03\0\0\0", &(list.len() as u64).to_le_bytes()[..], &keys.to_le_bytes()].concat();
    if let Some(part) = part {
        for (key, value) in [("split.no", part), ("split.count", 2)] {
            header.extend([string(key), 2u32.to_le_bytes().to_vec(), value.to_le_bytes().to_vec()].concat());
        }
    }
    let mut end = 0usize;
    for (name, shape) in list {
        let values: usize = shape.iter().product();
        let blocks = shape.len() == 2 && name.ends_with(".weight") && shape[1].is_multiple_of(block);
        let (kind, size) = if blocks { (kind, values / block * bytes) } else { (0, 4 * values) };
        // Four dimensions at most: outputs and channels as one.
        let shape = if shape.len() == 5 { [&[shape[0] * shape[1]], &shape[2..]].concat() } else { shape.clone() };
        header.extend(string(name));
        header.extend((shape.len() as u32).to_le_bytes());
        header.extend(shape.iter().rev().flat_map(|&dim| (dim as u64).to_le_bytes()));
        header.extend(kind.to_le_bytes());
        header.extend((end as u64).to_le_bytes());
        end = (end + size).next_multiple_of(32);
    }
    header.resize(header.len().next_multiple_of(32), 0);
    sparse(path, &header, end);
}

fn peak(folder: &Place, arguments: &str) -> usize {
    let report = folder.json(&format!("convert {arguments} m.safetensors --to q8 --json"));
    std::fs::remove_file(folder.path("m.safetensors")).unwrap();
    report["peak_bytes"].as_u64().unwrap() as usize
}

#[cfg(target_os = "linux")]
#[test]
fn no_tensor_is_ever_whole_in_memory() {
    let folder = Place::new("streaming");
    let little = peak(&folder, &format!("{} --heads 2", golden("tiny.pt").display()));
    let all = network();
    assert_eq!(all.iter().map(|(_, shape)| shape.iter().product::<usize>()).max(), Some(LARGEST));
    let path = |name: &str| folder.path(name);
    eight(path("plain.safetensors"), "F8_E4M3", None);
    eight(path("e5m2.safetensors"), "F8_E5M2", None);
    eight(path("tensor.safetensors"), "F8_E4M3", Some(("scale_weight", |_| vec![1])));
    eight(path("rows.safetensors"), "F8_E4M3", Some(("weight_scale", |shape| vec![shape[0], 1])));
    eight(path("runs.safetensors"), "F8_E4M3", Some(("scale_weight", |shape| vec![shape[0], shape[1] / 64, 1])));
    eight(
        path("blocks.safetensors"),
        "F8_E4M3",
        Some(("weight_scale_inv", |shape| vec![shape[0].div_ceil(128), shape[1].div_ceil(128)])),
    );
    eight(path("int8.safetensors"), "I8", Some(("weight_scale", |shape| vec![shape[0], 1])));
    gguf(path("nl.gguf"), &all, (20, 32, 18), None);
    gguf(path("xs.gguf"), &all, (23, 256, 136), None);
    for part in 0..2u16 {
        let half = all.len() / 2;
        let list = if part == 0 { &all[..half] } else { &all[half..] };
        gguf(path(&format!("s-0000{}-of-00002.gguf", part + 1)), list, (8, 32, 34), Some(part));
    }
    // All tensors of PyTorch's archive share one storage.
    let strides = |shape: &[i64]| (0..shape.len()).map(|at| shape[at + 1..].iter().product()).collect::<Vec<i64>>();
    let make = |name: &str, shape: &[usize]| {
        let sizes: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        if matrix(name, shape) {
            tensor_v3("float8_e4m3fn", &sizes, &strides(&sizes))
        } else {
            tensor("HalfStorage", 0, &sizes, &strides(&sizes))
        }
    };
    let list: Vec<(&str, Vec<u8>)> = all.iter().map(|(name, shape)| (name.as_str(), make(name, shape))).collect();
    folder.write("pytorch_model.bin", &checkpoint(&pickle(&dict(&list)), &vec![0; LARGEST]));
    drop(list);
    let map: serde_json::Map<_, _> = all.iter().map(|(name, _)| (name.clone(), "pytorch_model.bin".into())).collect();
    folder.write("b.index.json", serde_json::json!({"weight_map": map}).to_string().as_bytes());
    // A full difference of the largest tensor.
    let name = "diffusion_model.blocks.0.ffn.0.diff".to_owned();
    safetensors(path("lora.safetensors"), vec![(name, "BF16", vec![16 << 10, 1 << 10], 2)]);
    for arguments in [
        "plain.safetensors",
        "e5m2.safetensors",
        "tensor.safetensors",
        "rows.safetensors",
        "runs.safetensors",
        "blocks.safetensors",
        "int8.safetensors",
        "nl.gguf",
        "xs.gguf",
        "s-00001-of-00002.gguf",
        "pytorch_model.bin",
        "b.index.json",
        "plain.safetensors --lora lora.safetensors=0.5",
    ] {
        let found = peak(&folder, arguments);
        println!(
            "{arguments}: {:.1} MB, {:.1} MB more than a little one",
            found as f64 / 1e6,
            (found as f64 - little as f64) / 1e6
        );
        // 64 MB would be one tensor of f32.
        assert!(found <= little + 3 * LARGEST / 2, "{arguments}: {found} bytes, {little} for a little one");
    }
    // A text encoder: its embedding of 262144 tokens.
    let mut encoder =
        vec![("token_embd.weight".to_owned(), vec![1 << 18, 64]), ("enc.output_norm.weight".to_owned(), vec![64])];
    for (name, shape) in [
        ("attn_q", vec![64, 64]),
        ("attn_k", vec![64, 64]),
        ("attn_v", vec![64, 64]),
        ("attn_o", vec![64, 64]),
        ("ffn_gate", vec![96, 64]),
        ("ffn_up", vec![96, 64]),
        ("ffn_down", vec![64, 96]),
        ("attn_norm", vec![64]),
        ("ffn_norm", vec![64]),
        ("attn_rel_b", vec![32, 4]),
    ] {
        encoder.push((format!("enc.blk.0.{name}.weight"), shape.clone()));
        encoder.push((format!("enc.blk.1.{name}.weight"), shape));
    }
    gguf(path("umt5.gguf"), &encoder, (8, 32, 34), None);
    let found = peak(&folder, "umt5.gguf");
    println!("umt5.gguf: {:.1} MB", found as f64 / 1e6);
    assert!(found <= little + 3 * LARGEST / 2, "{found} bytes, {little} for a little one");
}
