//! Small files that ask for much memory: what a reader takes is held to a multiple of the file. The allocator counts.

mod common;

use std::{
    fs,
    time::{Duration, Instant},
};

use causeway_runtime::{Model, import::Checkpoint};
use causeway_tests::counting::{self, Counting};
use common::{
    Place, golden,
    torch::{call, checkpoint, dict, global, int, pickle, storage, tensor, text, tuple, zip},
};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Most memory of a reader: this for each byte of the file, and some in any case.
const BYTES_PER_BYTE: usize = 48;
const FREE_BYTES: usize = 6 << 20;
/// Longest that an answer may take; tests run beside each other.
const LONGEST: Duration = Duration::from_secs(20);

/// `part` over and over.
fn times(part: &[u8], count: usize) -> Vec<u8> {
    part.repeat(count)
}

fn put(at: u8) -> Vec<u8> {
    vec![b'q', at]
}

/// Pickles that recall, share, nest and loop.
fn pickles() -> Vec<(&'static str, Vec<u8>)> {
    let long = "k".repeat(200_000);
    let id = [text("storage"), global("torch", "FloatStorage"), text(&long), text("cpu"), int(1)];
    let key = [&b"}"[..], &tuple(&id), b"q\x000", &times(b"h\0Q", 100_000)].concat();
    let ones = [&b"("[..], &times(b"K\x01", 50_000), b"t"].concat();
    let shape = {
        let arguments = [&b"("[..], b"h\x01K\0h\x02h\x02t"].concat();
        let once = [&b"h\0"[..], &arguments, b"R"].concat();
        let made = global("torch._utils", "_rebuild_tensor_v2");
        [&b"}"[..], &made, b"q\x000", &storage("FloatStorage", "0"), b"q\x010", &ones, b"q\x020", &times(&once, 20_000)]
            .concat()
    };
    // Each tuple or dict holds the one before it twice.
    let doubled = [&b")q\0"[..], &times(b"h\0\x86q\0h\0", 60)].concat();
    let laughs = {
        let deeper = [text("a"), b"h\0s".to_vec(), text("b"), b"h\0s".to_vec()].concat();
        let deeper = [&b"}"[..], &deeper, b"q\0"].concat();
        [&dict(&[("w", tensor("FloatStorage", 0, &[1], &[1]))])[..], b"q\0", &times(&deeper, 7)].concat()
    };
    // A dict of many, under many long names.
    let names = {
        let weight = [&tensor("FloatStorage", 0, &[1], &[1])[..], b"q\0", b"0"].concat();
        let inner: Vec<u8> = (0..3000).flat_map(|n| [text(&format!("{n}")), b"h\0s".to_vec()].concat()).collect();
        let outer: Vec<u8> = (0..100).flat_map(|n| [text(&format!("{n:0900}")), b"h\x01s".to_vec()].concat()).collect();
        [&weight[..], b"}", &inner, b"q\x010}", &outer].concat()
    };
    let wide = {
        let pairs: Vec<u8> = (0..50_000).flat_map(|n: i32| [&b"J"[..], &n.to_le_bytes(), b"h\0"].concat()).collect();
        [&b"}q\0("[..], &pairs, b"u"].concat()
    };
    let cycle = [&b"}q\0"[..], &times(&[text("a"), b"h\0s".to_vec()].concat(), 200)].concat();
    let unreadable = {
        let long = global("torch._utils", &format!("_rebuild_{}", "x".repeat(100_000)));
        let pairs: Vec<u8> = (0..20_000).flat_map(|n: i32| [&b"J"[..], &n.to_le_bytes(), b"h\0)R"].concat()).collect();
        [&long[..], b"q\0", b"0}(", &pairs, b"u"].concat()
    };
    let strided = {
        let made = tensor("FloatStorage", 0, &[1; 16], &[0; 16]);
        let pairs: Vec<u8> = (0..60_000).flat_map(|n: i32| [&b"J"[..], &n.to_le_bytes(), b"h\0"].concat()).collect();
        [&made[..], b"q\0", b"0}(", &pairs, b"u"].concat()
    };
    let stack = |part: &[u8]| [&b"}"[..], &times(part, 300_000)].concat();
    let named = [&text(&"m".repeat(100_000))[..], b"q\x000", &times(b"h\0h\0\x930", 20_000), b"}"].concat();
    vec![
        ("recalled long key", key),
        ("recalled large shape", shape),
        ("tuples in tuples", doubled),
        ("dicts in dicts", laughs),
        ("dicts under long names", names),
        ("one dict in itself many times", wide),
        ("a dict in itself", cycle),
        ("unreadable tensors", unreadable),
        ("a tensor under many names", strided),
        (
            "appended again and again",
            [&b"]q\0("[..], &times(b"h\0", 200_000), b"e", &times(b"(h\0h\0e", 50_000)].concat(),
        ),
        ("many dicts", stack(b"}")),
        ("many lists", stack(b"]")),
        ("many tuples", stack(b")")),
        ("many marks", stack(b"(")),
        ("many copies", stack(b"2")),
        ("many Nones", stack(b"N")),
        ("many calls", stack(b"2)R")),
        ("many objects", [&b"}(ca\nb\nq\0"[..], &times(b"h\0)\x81", 100_000)].concat()),
        ("many pairs of tuples", stack(b"22\x87")),
        ("all remembered", [&b"}"[..], &times(b"\x94", 300_000)].concat()),
        ("remembered far away", [&b"}r"[..], &0x3f_ffffu32.to_le_bytes()].concat()),
        ("long names", named),
        ("a text that claims 4 GB", b"X\xff\xff\xff\xff".to_vec()),
        ("bytes that claim 2^63", [&b"\x8e"[..], &(1u64 << 63).to_le_bytes()].concat()),
        ("an integer that claims 2 GB", b"\x8b\xff\xff\xff\x7f".to_vec()),
        ("one that ends in the middle", call("a", "b", &[put(0)])),
    ]
}

/// Archives that lie about themselves.
fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let plain = || checkpoint(&pickle(&dict(&[("w", tensor("FloatStorage", 0, &[4], &[1]))])), &[0; 64]);
    // Fields of the end record, which is last: entries, bytes and place of the directory.
    let end = |at: usize, value: u32, width: usize| {
        let mut bytes = plain();
        let from = bytes.len() - 22 + at;
        bytes[from..from + width].copy_from_slice(&value.to_le_bytes()[..width]);
        bytes
    };
    // Fields of the directory's entry of the pickle: method, sizes, lengths, place.
    let listed = |at: usize, value: u32, width: usize| {
        let mut bytes = plain();
        let from = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap() + at;
        bytes[from..from + width].copy_from_slice(&value.to_le_bytes()[..width]);
        bytes
    };
    let wide = |fields: [u64; 3]| {
        let mut bytes = plain();
        let end = bytes.split_off(bytes.len() - 22);
        let record = bytes.len() as u64;
        let [count, length, start] = fields.map(u64::to_le_bytes);
        bytes.extend([&b"PK\x06\x06"[..], &[0; 28], &count, &length, &start].concat());
        bytes.extend([&b"PK\x06\x07\0\0\0\0"[..], &record.to_le_bytes(), &[1, 0, 0, 0]].concat());
        bytes.extend([&end[..10], &[0xff; 10], &end[20..]].concat());
        bytes
    };
    let names: Vec<String> = (0..2000).map(|n| format!("{n:01000}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let short: Vec<String> = (0..60_000).map(|n| format!("{n}")).collect();
    let short: Vec<(&str, &[u8])> = short.iter().map(|name| (name.as_str(), &b""[..])).collect();
    vec![
        ("65535 entries claimed", end(10, 0xfffe, 2)),
        ("a directory of 4 GB", end(12, 0xffff_fffe, 4)),
        ("a directory far away", end(16, 0xffff_fffe, 4)),
        ("a pickle of 4 GB", listed(20, 0xffff_fff0, 4)),
        ("a pickle of 30 MB", listed(20, 30 << 20, 4)),
        ("a compressed pickle", listed(10, 8, 2)),
        ("a compressed pickle of 4 GB", {
            let mut bytes = listed(10, 8, 2);
            let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
            bytes[at + 24..at + 28].fill(0xfe);
            bytes
        }),
        ("a name of 64 KB", listed(28, 0xffff, 2)),
        ("an entry far away", listed(42, 0xffff_fff0, 4)),
        ("2^63 entries", wide([1 << 63, 100, 0])),
        ("a directory of 2^63 bytes", wide([3, 1 << 63, 0])),
        ("a directory at 2^64", wide([3, u64::MAX, u64::MAX])),
        ("many long names", zip(&many)),
        ("many short names", zip(&short)),
    ]
}

/// GGUF files that claim much.
fn ggufs() -> Vec<(&'static str, Vec<u8>)> {
    let header =
        |tensors: u64, keys: u64| [&b"GGUF\x03\0\0\0"[..], &tensors.to_le_bytes(), &keys.to_le_bytes()].concat();
    let name = |name: &str| [&(name.len() as u64).to_le_bytes()[..], name.as_bytes()].concat();
    let array = |kind: u32, count: u64| [&9u32.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes()].concat();
    let one = |kind: u32, count: u64, rest: Vec<u8>| [header(0, 1), name("k"), array(kind, count), rest].concat();
    // An array of arrays that are empty: twelve bytes each.
    let empty = [&0u32.to_le_bytes()[..], &[0; 8]].concat();
    let nested = [&9u32.to_le_bytes()[..], &(1u64 << 40).to_le_bytes()].concat();
    let shape = [name("comfy.gguf.orig_shape.w"), array(4, 1 << 40)].concat();
    let shapes: Vec<u8> =
        (0..20_000).flat_map(|n| [name(&format!("comfy.gguf.orig_shape.{n}")), array(4, 0)].concat()).collect();
    let info = |rank: u32| [name("w"), rank.to_le_bytes().to_vec()].concat();
    let infos: Vec<u8> =
        (0..20_000).flat_map(|n| [name(&format!("{n}")), 0u32.to_le_bytes().to_vec(), vec![0; 12]].concat()).collect();
    vec![
        ("2^40 bytes", one(0, 1 << 40, vec![])),
        ("2^40 numbers", one(12, 1 << 40, vec![0; 1000])),
        ("2^40 texts", one(8, 1 << 40, vec![0; 80_000])),
        ("2^63 texts", one(8, 1 << 63, vec![])),
        ("2^40 arrays", one(9, 1 << 40, times(&empty, 10_000))),
        ("arrays in arrays", one(9, 1 << 40, times(&nested, 10_000))),
        (
            "a text of 2^63 bytes",
            [&header(0, 1)[..], &name("k"), &8u32.to_le_bytes(), &(1u64 << 63).to_le_bytes()].concat(),
        ),
        ("a name of 2^40 bytes", [&header(0, 1)[..], &(1u64 << 40).to_le_bytes()].concat()),
        ("2^40 tensors", header(1 << 40, 0)),
        ("65536 tensors", header(1 << 16, 0)),
        ("2^40 keys", header(0, 1 << 40)),
        ("an original shape of 2^40", [header(0, 1), shape].concat()),
        ("many original shapes", [header(0, 20_000), shapes].concat()),
        ("2^32 dimensions", [header(1, 0), info(u32::MAX)].concat()),
        ("many tensors", [header(20_000, 0), infos, vec![0; 64]].concat()),
    ]
}

/// JSON that nests and repeats, as a safetensors header, an index and a configuration.
fn texts() -> Vec<(&'static str, Vec<u8>)> {
    let header = |json: &str| [&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat();
    let tensors: Vec<String> =
        (0..20_000).map(|n| format!(r#""{n}":{{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#)).collect();
    let eight = |name: &str| format!(r#""{name}":{{"dtype":"F8_E4M3","shape":[],"data_offsets":[0,1]}}"#);
    let scaled = (0..10_000).flat_map(|n| [eight(&format!("{n}.weight")), eight(&format!("{n}.weight_scale"))]);
    let marker = format!("{}.scaled_fp8", "m".repeat(1000));
    let unscaled = (0..10_000).map(|n| eight(&format!("{n}.weight"))).chain([eight(&marker)]);
    // Every weight is beside all that follow.
    let deeper = (0..250).map(|n| eight(&format!("{}weight", "a.".repeat(n))));
    let beside = (0..10_000).map(|n| eight(&format!("{}{n}.weight_scale_x", "a.".repeat(250))));
    let list = |list: Vec<String>| [header(&format!("{{{}}}", list.join(","))), vec![0; 4]].concat();
    vec![
        ("many scales", list(scaled.collect())),
        ("many without a scale", list(unscaled.collect())),
        ("many weights around many scales", list(deeper.chain(beside).collect())),
        ("a header of 2^63 bytes", [&(1u64 << 63).to_le_bytes()[..], b"{"].concat()),
        ("a header of 15 MB", [&(15u64 << 20).to_le_bytes()[..], b"{}"].concat()),
        ("lists in lists", header(&format!(r#"{{"a":{}"#, "[".repeat(500_000)))),
        ("objects in objects", header(&r#"{"a":"#.repeat(200_000))),
        ("many tensors", [header(&format!("{{{}}}", tensors.join(","))), vec![0; 4]].concat()),
    ]
}

/// One test, since the counters belong to the whole process.
#[test]
fn readers_take_a_small_multiple_of_a_file() {
    let folder = Place::new("bombs");
    let (mut bombs, mut worst) = (Vec::new(), 0.0f64);
    let torch = pickles().into_iter().map(|(name, value)| (name, checkpoint(&pickle(&value), &[0; 64])));
    bombs.extend(torch.map(|(name, bytes)| ("pickle", name, "x.pt", bytes)));
    bombs.extend(archives().into_iter().map(|(name, bytes)| ("zip", name, "x.pt", bytes)));
    bombs.extend(ggufs().into_iter().map(|(name, bytes)| ("gguf", name, "x.gguf", bytes)));
    bombs.extend(texts().into_iter().map(|(name, bytes)| ("safetensors", name, "x.safetensors", bytes)));
    let shards: Vec<String> = (0..100_000).map(|n| format!(r#""{n}":"{n}.safetensors""#)).collect();
    let index = format!(r#"{{"weight_map":{{{}}}}}"#, shards.join(","));
    bombs.push(("index", "many shards", "x.index.json", index.into_bytes()));
    let nested = format!(r#"{{"other":{},"weight_map":{{}}}}"#, "[".repeat(1_000_000));
    bombs.push(("index", "lists in lists", "x.index.json", nested.into_bytes()));
    // What is no bomb, for comparison.
    for name in ["tiny.pt", "opaque2.pt", "quants.gguf", "wide.safetensors"] {
        bombs.push(("honest", name, name, fs::read(golden(name)).unwrap()));
    }
    for (format, name, file, bytes) in bombs {
        folder.write(file, &bytes);
        let (path, size, begun) = (folder.path(file), bytes.len(), Instant::now());
        drop(bytes);
        let (answer, peak) = counting::peak(|| Checkpoint::open(&path));
        let took = begun.elapsed();
        let answer = match answer {
            Ok(file) => format!("{} tensors", file.entries().len()),
            Err(error) => error.to_string(),
        };
        let multiple = peak as f64 / size as f64;
        println!("{format}, {name}: {size} bytes, peak {peak} ({multiple:.1} times), {took:.1?}: {answer:.100}");
        assert!(answer.lines().count() == 1 && answer.len() < 3000, "{format}, {name}: {answer}");
        assert!(peak <= FREE_BYTES + BYTES_PER_BYTE * size, "{format}, {name}: {size} bytes, peak {peak}");
        assert!(took < LONGEST, "{format}, {name}: {took:?}");
        assert!(format != "honest" || !answer.contains("refused"), "{answer}");
        if size > 100_000 {
            worst = worst.max(multiple);
        }
    }
    println!("at most {worst:.1} times");
    configurations(&folder);
}

/// Model files whose configuration is as large as may be.
fn configurations(folder: &Place) {
    let whole = folder.read("tiny.safetensors");
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&whole[8..8 + length]).unwrap();
    let config = header["__metadata__"]["causeway"].as_str().unwrap().to_owned();
    for more in [format!("[{}0]", "0,".repeat(450_000)), "[".repeat(900_000), r#"{"a":"#.repeat(150_000)] {
        let spoilt = config.replacen(r#""provenance":{"#, &format!(r#""provenance":{{"x":{more},"#), 1);
        assert_ne!(spoilt, config);
        header["__metadata__"]["causeway"] = spoilt.into();
        let mut text = header.to_string();
        text.push_str(&" ".repeat((text.len() + 8).next_multiple_of(64) - text.len() - 8));
        let bytes = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &whole[8 + length..]].concat();
        folder.write("m.safetensors", &bytes);
        let (answer, peak) = counting::peak(|| Model::open(folder.path("m.safetensors")).map(|_| ()));
        println!("configuration: {} bytes, peak {peak}: {answer:.100?}", bytes.len());
        assert!(peak <= FREE_BYTES + BYTES_PER_BYTE * bytes.len(), "{} bytes, peak {peak}", bytes.len());
    }
}
