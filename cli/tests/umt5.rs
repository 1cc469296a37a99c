//! The text encoder against transformers, the tokenizer against SentencePiece, and `causeway embed`: `tests/parity/umt5.py` makes
//! the files and what they must give.

mod common;

use std::fs;

use causeway_runtime::{
    Device, EncodeError, TextEncoder,
    clock::{NoClock, SystemClock},
    config::{FileConfig, Umt5Config, Umt5Family, Umt5Sizes},
    file::{FileError, Umt5File},
    import::Checkpoint,
    text::TextOptions,
};
use causeway_tests::machine;
use common::{Place, Tensors, error, golden, save, shown, tensors, text};

const PROMPTS: usize = 4;

/// Prompts and their embeddings by the reference, padded in one batch there.
fn prompts(all: &Tensors, net: &str) -> (Vec<Vec<u32>>, Vec<Vec<f32>>) {
    let ids = |i| all[&format!("{net}.{i}.ids")].1.iter().map(|&id| id as u32).collect();
    let context = |i| all[&format!("{net}.{i}.context")].1.clone();
    ((0..PROMPTS).map(ids).collect(), (0..PROMPTS).map(context).collect())
}

fn encode(model: &Umt5File<'_>, prompts: &[Vec<u32>], device: &Device) -> Vec<Vec<f32>> {
    let longest = prompts.iter().map(Vec::len).max();
    let options = TextOptions { tokens: longest, prompts: prompts.len(), ..TextOptions::default() };
    let mut encoder = TextEncoder::new(model, device, options).unwrap();
    encoder.begin(prompts).unwrap();
    while !encoder.pump(u64::MAX, &NoClock).unwrap() {}
    (0..prompts.len()).map(|n| encoder.rows(n).unwrap().to_vec()).collect()
}

/// Largest error of all prompts.
fn worst(found: &[Vec<f32>], expected: &[Vec<f32>]) -> f32 {
    found.iter().zip(expected).map(|(found, expected)| error(found, expected)).fold(0.0, f32::max)
}

/// Root of the mean square of errors, relative to that of the values.
fn relative(found: &[f32], expected: &[f32]) -> f64 {
    let square = |list: &mut dyn Iterator<Item = f32>| list.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let errors = square(&mut found.iter().zip(expected).map(|(x, y)| x - y));
    (errors / square(&mut expected.iter().copied())).sqrt()
}

#[test]
fn embeddings_match_transformers() {
    let folder = Place::new("umt5-parity");
    let all = tensors(golden("umt5-parity.safetensors"));
    for (file, net) in [("umt5.pth", "umt5"), ("umt5-hf", "umt5"), ("umt5-shared.safetensors", "shared")] {
        folder.good(&format!("convert {} m.safetensors --to f32", shown(file)));
        let model = Umt5File::open(folder.path("m.safetensors")).unwrap();
        let (tokens, expected) = prompts(&all, net);
        for device in machine::and_gpu(Device::cpu(2)) {
            let error = worst(&encode(&model, &tokens, &device), &expected);
            println!("{file} {device:?}: {error:.1e}");
            assert!(error <= 1e-5, "{file} {device:?}: {error:e}");
        }
    }
}

#[test]
fn quantised_weights_stay_close() {
    let folder = Place::new("umt5-quantised");
    let all = tensors(golden("umt5-parity.safetensors"));
    let (tokens, expected) = prompts(&all, "umt5");
    folder.good(&format!("convert {} full.safetensors --to f32", shown("umt5.pth")));
    for (weights, most) in [("f16", 1e-5), ("q8", 0.1), ("q4", 0.9)] {
        folder.good(&format!("convert {} m.safetensors --to {weights}", shown("umt5.pth")));
        let model = Umt5File::open(folder.path("m.safetensors")).unwrap();
        let found = encode(&model, &tokens, &Device::cpu(2));
        let error = relative(&found.concat(), &expected.concat());
        println!("{weights}: {error:.1e}, at most {:.1e}; {} bytes", worst(&found, &expected), model.file_bytes());
        assert!(error <= most, "{weights}: {error:e}");
        // The same by way of f32.
        folder.good(&format!("quantize full.safetensors q.safetensors --to {weights}"));
        let again = Umt5File::open(folder.path("q.safetensors")).unwrap();
        assert!(encode(&again, &tokens, &Device::cpu(2)) == found, "{weights}");
    }
}

#[cfg(unix)]
#[test]
fn interrupted() {
    let folder = Place::new("umt5-interrupted");
    folder.good(&format!("convert {} m.safetensors --to f32", shown("umt5.pth")));
    folder.write("prompts.txt", format!("{}\n", "a ".repeat(500)).repeat(2000).as_bytes());
    let tokenizer = format!("--tokenizer {} --file prompts.txt", shown("umt5-tokenizer.json"));
    folder.interrupt(&format!("embed --model m.safetensors {tokenizer} --out e.safetensors --backend cpu"));
}

#[test]
fn buckets_are_those_of_the_reference() {
    let all = tensors(golden("umt5-parity.safetensors"));
    let mut compared = 0;
    for (name, (_, expected)) in all.iter().filter(|(name, _)| name.starts_with("buckets.")) {
        let numbers: Vec<usize> = name.split('.').skip(1).map(|number| number.parse().unwrap()).collect();
        let sizes = Umt5Sizes { buckets: numbers[0], max_distance: numbers[1], ..sizes() };
        let half = (expected.len() / 2) as isize;
        for (distance, &bucket) in (-half..=half).zip(expected) {
            assert_eq!(sizes.bucket(distance), bucket as usize, "{name}: {distance}");
            compared += 1;
        }
    }
    assert_eq!(compared, 4 * 1201);
}

fn sizes() -> Umt5Sizes {
    Umt5Sizes {
        vocabulary: 16,
        dim: 32,
        heads: 2,
        head_dim: 16,
        ffn_dim: 64,
        layers: 2,
        buckets: 32,
        max_distance: 128,
        shared_bias: false,
        eps: 1e-6,
        length: 512,
    }
}

#[test]
fn memory_is_known_before_anything_is_computed() {
    let folder = Place::new("umt5-memory");
    folder.good(&format!("convert {} m.safetensors --to q8", shown("umt5.pth")));
    let model = Umt5File::open(folder.path("m.safetensors")).unwrap();
    let options = TextOptions { tokens: Some(3), prompts: 2, ..TextOptions::default() };
    let new = |memory_cap| TextEncoder::new(&model, &Device::cpu(1), TextOptions { memory_cap, ..options });
    let needed = new(None).unwrap().memory().total();
    assert!(new(Some(needed)).is_ok());
    assert_eq!(new(Some(needed - 1)).err(), Some(EncodeError::MemoryCap { needed, cap: needed - 1 }));
    // One layer of three, and no embedding table.
    let file: usize = model.tensors().map(|(_, view)| view.bytes()).sum();
    assert!(new(None).unwrap().memory().weights < file / 2, "{} {file}", new(None).unwrap().memory().weights);
}

#[test]
fn prompts_that_cannot_be_are_refused() {
    let folder = Place::new("umt5-refused");
    folder.good(&format!("convert {} m.safetensors --to f16", shown("umt5.pth")));
    let model = Umt5File::open(folder.path("m.safetensors")).unwrap();
    let new = |tokens: &[Vec<u32>]| {
        let options = TextOptions { prompts: 2, ..TextOptions::default() };
        TextEncoder::new(&model, &Device::cpu(0), options).unwrap().begin(tokens).err()
    };
    let most = 512;
    assert_eq!(new(&[]), Some(EncodeError::NoPrompts));
    assert_eq!(new(&[vec![1], vec![]]), Some(EncodeError::Length { prompt: 1, found: 0, most }));
    assert_eq!(new(&[vec![1; 513]]), Some(EncodeError::Length { prompt: 0, found: 513, most }));
    assert_eq!(new(&[vec![1, 400, 1]]), Some(EncodeError::Token { prompt: 0, at: 1, found: 400, known: 400 }));
    assert_eq!(new(&[vec![1; 512], vec![399]]), None);
    assert_eq!(new(&[vec![1], vec![1], vec![1]]), Some(EncodeError::TooMany { found: 3, most: 2 }));
}

#[test]
fn weights_that_stay_are_read_once_and_give_the_same_rows() {
    let folder = Place::new("umt5-stay");
    folder.good(&format!("convert {} m.safetensors --to q8", shown("umt5.pth")));
    let model = Umt5File::open(folder.path("m.safetensors")).unwrap();
    let all = tensors(golden("umt5-parity.safetensors"));
    let (tokens, _) = prompts(&all, "umt5");
    for device in machine::and_gpu(Device::cpu(2)) {
        let expected = encode(&model, &tokens, &device);
        let options = TextOptions { stream: false, ..TextOptions::default() };
        let mut encoder = TextEncoder::new(&model, &device, options).unwrap();
        let streamed = TextEncoder::new(&model, &device, TextOptions::default()).unwrap();
        assert!(encoder.memory().weights > 2 * streamed.memory().weights, "{:?}", encoder.memory());
        let read = encoder.read_bytes();
        let clock = SystemClock::default();
        for (prompt, expected) in tokens.iter().zip(&expected) {
            assert_eq!(encoder.rows(0).err(), Some(EncodeError::NotDone));
            encoder.begin(core::slice::from_ref(prompt)).unwrap();
            // Given up half-way, and begun again.
            (0..3).for_each(|_| _ = encoder.pump(0, &clock).unwrap());
            encoder.begin(core::slice::from_ref(prompt)).unwrap();
            let mut pumps = 0;
            while !encoder.pump(0, &clock).unwrap() {
                pumps += 1;
            }
            assert!(pumps > 10, "{pumps}");
            assert_eq!(encoder.rows(0).unwrap(), expected);
            assert_eq!(encoder.read_bytes(), 0, "of {read}");
            encoder.begin(core::slice::from_ref(prompt)).unwrap();
        }
        assert_eq!(streamed.read_bytes(), read);
        let seconds = encoder.seconds(512, &clock).unwrap();
        assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
    }
}

/// What `embed` does with prompts that hold spaces, as lines of a file.
fn embed(folder: &Place, model: &str, prompts: &[&str], options: &str) -> serde_json::Value {
    folder.write("prompts.txt", prompts.join("\n").as_bytes());
    let tokenizer = shown("umt5-tokenizer.json");
    folder.json(&format!(
        "embed --model {model} --tokenizer {tokenizer} --file prompts.txt --out e.safetensors --json {options}"
    ))
}

#[test]
fn tokens_are_those_of_the_reference() {
    let folder = Place::new("umt5-tokens");
    folder.good(&format!("convert {} m.safetensors --to q8", shown("umt5-hf")));
    let rows: serde_json::Value = serde_json::from_slice(&fs::read(golden("umt5-tokens.json")).unwrap()).unwrap();
    let rows = rows.as_array().unwrap();
    let mut wrong = Vec::new();
    // SentencePiece's own file says the same, also in a folder.
    fs::create_dir(folder.path("folder")).unwrap();
    fs::copy(golden("umt5-spiece.model"), folder.path("folder/spiece.model")).unwrap();
    let tokenizers = [shown("umt5-tokenizer.json"), shown("umt5-spiece.model"), "folder".to_owned()];
    for (row, tokenizer) in tokenizers[..2]
        .iter()
        .flat_map(|one| rows.iter().map(move |row| (row, one)))
        .chain([(&rows[0], &tokenizers[2])])
    {
        let prompt = row["text"].as_str().unwrap();
        let mut command = folder.command("embed --model m.safetensors --backend cpu --out e.safetensors --json");
        command.args(["--tokenizer", tokenizer, "--prompt", prompt]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{prompt:?}: {}", text(&output.stderr));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        if found["tokens"][0] != row["ids"] {
            wrong.push(format!("{prompt:?}: {} instead of {}", found["tokens"][0], row["ids"]));
        }
        assert_eq!(
            text(&output.stderr).contains("the first 511 are used"),
            row["ids"].as_array().unwrap().len() == 512
        );
    }
    assert!(wrong.is_empty() && rows.len() >= 20, "{}", wrong.join("\n"));
}

#[test]
fn a_file_holds_its_tokenizer() {
    let folder = Place::new("umt5-inside");
    let (encoder, tokenizer) = (shown("umt5-shared.safetensors"), shown("umt5-tokenizer.json"));
    folder.good(&format!("convert {encoder} bare.safetensors --to f32"));
    folder.good(&format!("convert {encoder} whole.safetensors --to f32 --tokenizer {tokenizer}"));
    folder.good(&format!("convert {encoder} piece.safetensors --to f32 --tokenizer {}", shown("umt5-spiece.model")));
    folder.good("quantize whole.safetensors q8.safetensors --to q8");
    let json = fs::read(golden("umt5-tokenizer.json")).unwrap();
    for name in ["whole", "q8"] {
        let file = Umt5File::open(folder.path(&format!("{name}.safetensors"))).unwrap();
        let inside = file.tokenizer();
        assert_eq!(inside.read(0..inside.len(), &mut Vec::new()).unwrap(), json, "{name}");
        assert_eq!(file.fingerprint(), Some(file.verify().unwrap()), "{name}");
    }
    let rows = |arguments: &str| {
        folder.good(&format!("embed {arguments} --prompt fox --out e.safetensors --backend cpu"));
        tensors(folder.path("e.safetensors")).remove("context").unwrap().1
    };
    let expected = rows(&format!("--model bare.safetensors --tokenizer {tokenizer}"));
    assert_eq!(rows("--model whole.safetensors"), expected);
    assert_eq!(rows("--model piece.safetensors"), expected);
    assert!(folder.good("info whole.safetensors").contains(&format!("{} bytes of JSON", json.len())));

    // A tensor that is not what the configuration says, and bytes that are no tokenizer.
    let whole = fs::read(folder.path("whole.safetensors")).unwrap();
    let refused = |bytes: &[u8], expected: &str| {
        folder.write("x.safetensors", bytes);
        let output = folder.run("embed --model x.safetensors --prompt fox --out y.safetensors --backend cpu");
        let err = text(&output.stderr);
        assert!(!output.status.success() && err.contains(expected) && err.trim().lines().count() == 1, "{err}");
    };
    let edited = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|bytes| bytes == from.as_bytes()).unwrap();
        [&whole[..at], to.as_bytes(), &whole[at + from.len()..]].concat()
    };
    let length = json.len();
    let other = format!("\\\"tokenizer\\\":{}", length - 1);
    refused(&edited(&format!("\\\"tokenizer\\\":{length}"), &other), "the tokenizer is U8");
    refused(&edited("umt5.tokenizer", "umt5.tokenixer"), "the tokenizer is none, expected U8");
    refused(&edited("\"model\":{", "\"model\":["), "not a tokenizer.json that can be used");
    let output = folder.run(&format!("convert {} x.safetensors --heads 2 --tokenizer {tokenizer}", shown("tiny.pt")));
    assert!(text(&output.stderr).contains("--tokenizer belongs to a text encoder"), "{}", text(&output.stderr));
}

#[test]
fn prompts_become_what_a_rollout_takes() {
    let folder = Place::new("umt5-rollout");
    folder.good(&format!("convert {} m.safetensors --to f32", shown("umt5-shared.safetensors")));
    let prompts = ["a red fox", "two robots play chess in a garden"];
    let report = embed(&folder, "m.safetensors", &prompts, "--backend cpu --threads 2");
    let embeddings = tensors(folder.path("e.safetensors"));
    let model = Umt5File::open(folder.path("m.safetensors")).unwrap();
    for (n, name) in ["context", "context2"].into_iter().enumerate() {
        let tokens = report["tokens"][n].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        let expected = encode(&model, &[tokens], &Device::cpu(2));
        assert_eq!(embeddings[name].0, [expected[0].len() / 24, 24]);
        // Alone or together: the same bits.
        assert_eq!(embeddings[name].1, expected[0]);
    }
    let file = fs::read(folder.path("e.safetensors")).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    assert_eq!(header["__metadata__"], serde_json::json!({"context": prompts[0], "context2": prompts[1]}));

    let all = tensors(golden("parity.safetensors"));
    let mut latents = Vec::new();
    for name in ["context", "context2"] {
        let list =
            [("noise", &all["chunks.noise"]), ("renoise", &all["chunks.renoise"]), ("context", &embeddings[name])];
        save(folder.path("in.safetensors"), &list);
        let wan = format!("--model {} --heads 2 --text-len 32 --window -1", shown("tiny.pt"));
        folder.good(&format!("rollout {wan} --in in.safetensors --out out.safetensors"));
        latents.push(tensors(folder.path("out.safetensors")).remove("latents").unwrap().1);
    }
    assert!(latents[0].iter().all(|x| x.is_finite()) && error(&latents[0], &latents[1]) > 1e-3);
}

/// The tiny encoder as a safetensors file, with some tensors changed.
fn changed(folder: &Place, name: &str, change: impl FnOnce(&mut Tensors)) -> String {
    let mut all = tensors(golden("umt5-shared.safetensors"));
    change(&mut all);
    let list: Vec<_> = all.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    save(folder.path(name), &list);
    name.to_owned()
}

#[test]
fn hostile_files_end_in_one_error_and_leave_nothing() {
    let folder = Place::new("umt5-hostile");
    let refused = |arguments: &str, expected: &str| {
        let before = folder.list();
        let output = folder.run(arguments);
        let err = text(&output.stderr);
        assert!(!output.status.success() && err.contains(expected), "{arguments}: {err}");
        assert_eq!(err.trim().lines().count(), 1, "{arguments}: {err}");
        assert_eq!(folder.list(), before, "{arguments}");
    };
    let attention = "encoder.block.1.layer.0.SelfAttention";
    let missing = changed(&folder, "missing.safetensors", |all| {
        all.remove(&format!("{attention}.k.weight"));
    });
    let misshapen = changed(&folder, "misshapen.safetensors", |all| {
        all.get_mut(&format!("{attention}.v.weight")).unwrap().0.reverse();
    });
    let heads = changed(&folder, "heads.safetensors", |all| {
        let bias = all.get_mut("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight").unwrap();
        *bias = (vec![32, 3], vec![0.0; 96]);
    });
    let plain = changed(&folder, "plain.safetensors", |all| {
        let gate = all.remove("encoder.block.0.layer.1.DenseReluDense.wi_0.weight").unwrap();
        all.insert("encoder.block.0.layer.1.DenseReluDense.wi.weight".into(), gate);
    });
    let nan = changed(&folder, "nan.safetensors", |all| all.get_mut("shared.weight").unwrap().1[7] = f32::NAN);
    let deep = changed(&folder, "deep.safetensors", |all| {
        all.insert("encoder.block.99999999999.layer.0.layer_norm.weight".into(), (vec![1], vec![1.0]));
    });
    for (file, expected) in [
        (missing, "missing: blocks.1.attn.k.weight"),
        (misshapen, "misshapen: blocks.1.attn.v.weight is [24, 16]"),
        (heads, "16 features of queries do not make 3 heads"),
        (plain, "missing: blocks.0.ffn.gate.0.weight"),
        (nan, "value 7 of tensor umt5.token_embedding.weight is NaN"),
        (deep, "encoder.layers"),
    ] {
        refused(&format!("convert {file} m.safetensors"), expected);
    }
    let shared = shown("umt5-shared.safetensors");
    refused(&format!("convert {shared} m.safetensors --heads 2"), "do not belong to a text encoder");
    refused(&format!("convert {shared} m.safetensors --tensor pos_embedding=q8"), "is quantised");

    folder.good(&format!("convert {shared} m.safetensors --to f32"));
    let tokenizer = shown("umt5-tokenizer.json");
    let whole = fs::read(golden("umt5-tokenizer.json")).unwrap();
    folder.write("cut.json", &whole[..whole.len() / 2]);
    folder.write("spiece.model", b"\x0a\x0e\x0a\x05<pad>");
    let pieces = fs::read(golden("umt5-spiece.model")).unwrap();
    folder.write("cut.model", &pieces[..pieces.len() / 2]);
    // A trainer's settings (field 2) whose kind of model (field 3) is BPE, 2.
    folder.write("bpe.model", &[&pieces[..], &[0x12, 2, 0x18, 2]].concat());
    folder.write("empty.json", b"{}");
    folder.write("model.json", br#"{"model": {"type": "Unigram", "vocab": [], "unk_id": 7}}"#);
    folder.write("endless.json", br#"{"model": {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0}}"#);
    let whole = String::from_utf8(whole).unwrap();
    let foreign = whole.replacen(r#""vocab":[["#, &format!(r#""vocab":[{}["#, r#"["q",-1.0],"#.repeat(500)), 1);
    folder.write("foreign.json", foreign.as_bytes());
    folder.write("long.txt", "fox ".repeat(20_000).as_bytes());
    folder.write("binary.txt", b"\xff\xfe");
    folder.write("none.txt", b"\n  \n");
    let place = "--out e.safetensors --backend cpu";
    let prompt = "--prompt fox";
    for (arguments, expected) in [
        (format!("--model m.safetensors --tokenizer cut.json {prompt}"), "not a tokenizer.json that can be used"),
        (
            format!("--model m.safetensors --tokenizer spiece.model {prompt}"),
            "neither a tokenizer.json nor a spiece.model: its fields are damaged",
        ),
        (format!("--model m.safetensors --tokenizer cut.model {prompt}"), "its fields are damaged"),
        (format!("--model m.safetensors --tokenizer bpe.model {prompt}"), "only Unigram models"),
        (format!("--model m.safetensors --tokenizer empty.json {prompt}"), "not a tokenizer.json that can be used"),
        (format!("--model m.safetensors --tokenizer model.json {prompt}"), "not a tokenizer.json that can be used"),
        (format!("--model m.safetensors --tokenizer endless.json {prompt}"), "no token </s>"),
        (format!("--model m.safetensors --tokenizer foreign.json {prompt}"), "another encoder's tokenizer?"),
        (format!("--model m.safetensors --tokenizer none.json {prompt}"), "cannot open none.json"),
        (format!("--model tiny.safetensors --tokenizer {tokenizer} {prompt}"), "family \"world\", expected umt5"),
        (format!("--model {shared} --tokenizer {tokenizer} {prompt}"), "write the file anew with causeway"),
        (format!("--model m.safetensors --tokenizer {tokenizer} --file long.txt"), "prompt 1 has 80000 bytes"),
        (format!("--model m.safetensors --tokenizer {tokenizer} --file binary.txt"), "cannot read binary.txt"),
        (format!("--model m.safetensors --tokenizer {tokenizer} --file none.txt"), "nothing to embed"),
        (format!("--model m.safetensors --tokenizer {tokenizer} {prompt} --memory-cap 1000"), "the memory cap is 1000"),
        (
            format!("--model m.safetensors --tokenizer {tokenizer} {prompt} --out m.safetensors/e.safetensors"),
            "m.safetensors/e",
        ),
    ] {
        let out = if arguments.contains("--out") { "--backend cpu" } else { place };
        refused(&format!("embed {arguments} {out}"), expected);
    }
    refused("play --model m.safetensors --record x.gif", "family \"umt5\", expected world or wan");
}

#[test]
fn every_size_is_checked() {
    let good = Umt5Config {
        format: 1,
        family: Umt5Family::Umt5,
        name: "t".to_owned(),
        encoder: sizes(),
        tokenizer: 0,
        license: String::new(),
        credits: String::new(),
        provenance: Default::default(),
    };
    good.validate().unwrap();
    type Spoil = fn(&mut Umt5Sizes);
    let table: [(&str, Spoil); 11] = [
        ("encoder.vocabulary", |c| c.vocabulary = 0),
        ("encoder.dim", |c| c.dim = 1 << 40),
        ("encoder.heads", |c| c.heads = 0),
        ("encoder.head_dim", |c| c.head_dim = 7),
        ("encoder.ffn_dim", |c| c.ffn_dim = usize::MAX),
        ("encoder.layers", |c| c.layers = 0),
        ("encoder.buckets", |c| c.buckets = 3),
        ("encoder.buckets", |c| c.buckets = 33),
        ("encoder.max_distance", |c| c.max_distance = 8),
        ("encoder.eps", |c| c.eps = f32::NAN),
        ("encoder.length", |c| c.length = 0),
    ];
    for (field, spoil) in table {
        let mut config = good.clone();
        spoil(&mut config.encoder);
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
    let bytes = fs::read(golden("umt5-shared.safetensors")).unwrap();
    let error = Umt5File::from_shared(bytes.into()).err();
    assert!(matches!(error, Some(FileError::NoConfig | FileError::MisalignedData(_))), "{error:?}");
    assert!(Checkpoint::open(golden("umt5-hf")).is_ok());
}
