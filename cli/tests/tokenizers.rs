//! `tokenizer.json` files that are untrusted input: known kinds are read, all else ends in one sentence and little memory.
#![cfg(unix)]

mod common;

use std::{fs, process::Command};

use causeway_runtime::text::TextTokenizer;
use common::{Place, golden, shown, text};
use serde_json::{Value, json};

/// Most memory of the program, KiB of addresses: the program itself, its threads and the encoder take half of it.
const MOST: usize = 1 << 20;

fn encoder(name: &str) -> (Place, Value) {
    let folder = Place::new(name);
    folder.good(&format!("convert {} m.safetensors --to f32", shown("umt5-shared.safetensors")));
    let file = serde_json::from_slice(&fs::read(golden("umt5-tokenizer.json")).unwrap()).unwrap();
    (folder, file)
}

/// Runs `embed` with this tokenizer: status, standard output, standard error.
fn embed(folder: &Place, tokenizer: &[u8], prompt: &str) -> (Option<i32>, String, String) {
    folder.write("t.json", tokenizer);
    let arguments =
        "embed --model m.safetensors --tokenizer t.json --out e.safetensors --backend cpu --threads 1 --json";
    let program = folder.command(arguments);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -v {MOST}; exec \"$@\""), "sh"]).arg(program.get_program());
    limited.args(program.get_args()).args(["--prompt", prompt]).current_dir(program.get_current_dir().unwrap());
    let output = limited.output().unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn edited(file: &Value, edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut file = file.clone();
    edit(&mut file);
    file.to_string().into_bytes()
}

const PROMPT: &str = "Two  foxes, １２ ﬁsh &amp; a café";

#[test]
fn known_kinds_are_read() {
    let (folder, file) = encoder("tokenizers-good");
    let tokens = |tokenizer: &[u8]| {
        let (code, out, err) = embed(&folder, tokenizer, PROMPT);
        assert_eq!(code, Some(0), "{err}");
        let out: Value = serde_json::from_str(&out).unwrap();
        out["tokens"][0].clone()
    };
    let expected = tokens(&fs::read(golden("umt5-tokenizer.json")).unwrap());
    assert!(expected.as_array().unwrap().len() > 5);
    let precompiled = file["normalizer"].clone();
    let replace = json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "});
    let sequence = |list: Value| json!({"type": "Sequence", "normalizers": list});
    let same: [(&str, Value); 11] = [
        ("normalizer", sequence(json!([precompiled, replace]))),
        ("normalizer", sequence(json!([sequence(json!([sequence(json!([]))])), precompiled, {"type": "Nmt"}]))),
        ("normalizer", sequence(json!([precompiled, {"type": "Strip", "strip_left": true, "strip_right": true}]))),
        ("normalizer", sequence(json!([{"type": "NFKC"}, precompiled]))),
        ("normalizer", json!({"type": "NFKC"})),
        ("pre_tokenizer", json!({"type": "Metaspace", "replacement": "▁", "add_prefix_space": true})),
        ("decoder", json!({"type": "Anything", "pattern": {"Regex": "(a+)+$"}})),
        ("padding", json!({"strategy": {"Fixed": 1_000_000_000}})),
        ("truncation", json!({"max_length": 2, "stride": 99_999_999})),
        ("post_processor", Value::Null),
        ("version", json!("2.0")),
    ];
    for (field, value) in same {
        let name = format!("{field}: {value:.60}");
        assert_eq!(tokens(&edited(&file, |file| file[field] = value)), expected, "{name}");
    }
    // Other kinds do what they say.
    let lower = edited(&file, |file| file["normalizer"] = sequence(json!([precompiled, {"type": "Lowercase"}])));
    assert_ne!(tokens(&lower), expected);
    let around = edited(&file, |file| {
        file["post_processor"]["single"] = json!([
            {"SpecialToken": {"id": "</s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
        ]);
    });
    let mut with = expected.as_array().unwrap().clone();
    with.insert(0, json!(1));
    assert_eq!(tokens(&around), Value::from(with));
}

#[test]
fn hostile_files_end_in_one_sentence() {
    let (folder, file) = encoder("tokenizers-bad");
    let set = |field: &str, value: Value| edited(&file, |file| file[field] = value);
    let charsmap = |base64: &str| set("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": base64}));
    let sequence = |list: Value| set("normalizer", json!({"type": "Sequence", "normalizers": list}));
    let model = |field: &str, value: Value| edited(&file, |file| file["model"][field] = value);
    let more = |tokens: Value| {
        let tokens = tokens.as_array().unwrap().clone();
        edited(&file, |file| file["model"]["vocab"].as_array_mut().unwrap().extend(tokens))
    };
    let added = |token: Value| edited(&file, |file| file["added_tokens"].as_array_mut().unwrap().push(token));
    let template = |field: &str, value: Value| edited(&file, |file| file["post_processor"][field] = value);
    let raw = |from: &str, to: &str| file.to_string().replacen(from, to, 1).into_bytes();
    let grow = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(64)});
    let piece = json!({"Sequence": {"id": "A", "type_id": 0}});
    let token = |id: Value, content: &str| json!({"id": id, "content": content, "special": true});
    let whole = file["normalizer"]["precompiled_charsmap"].as_str().unwrap().to_owned();
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (b'a' + (state >> 33) as u8 % 26) as char
    };
    let scattered: Vec<_> =
        (0..20_000).map(|_| json!([(0..250).map(|_| random()).collect::<String>(), -1.0])).collect();
    let written = |normaliser: &str| {
        let file = String::from_utf8(set("normalizer", json!("HERE"))).unwrap();
        file.replacen(r#""HERE""#, normaliser, 1).into_bytes()
    };
    let deep = |count: usize| {
        let [open, close] = [r#"{"type":"Sequence","normalizers":["#, "]}"].map(|part| part.repeat(count));
        written(&format!("{open}{close}"))
    };
    let wide = |count| {
        let list = r#"{"type":""},"#.repeat(count);
        written(&format!(r#"{{"type":"Sequence","normalizers":[{list}null]}}"#))
    };
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("an empty trie", charsmap("AAAAAA=="), "claims a trie of 0 bytes"),
        ("a trie of 4 GB", charsmap("//////////8="), "claims a trie of 4294967295 bytes"),
        ("no charsmap", charsmap(""), "cut short"),
        ("no base64", charsmap("!!!!"), "not base64"),
        ("half a charsmap", charsmap(&whole[..whole.len() / 8 * 4]), "the table of characters"),
        ("a trie that leads away", charsmap("BAAAAAD///8="), "leads to unit"),
        ("no charsmap at all", set("normalizer", json!({"type": "Precompiled"})), "cut short"),
        ("growing texts", sequence(json!(vec![grow.clone(); 10])), "times longer"),
        ("many steps", sequence(json!(vec![json!({"type": "Nmt"}); 17])), "at most 16"),
        (
            "a long replacement",
            sequence(json!([{"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(65)}])),
            "65 bytes",
        ),
        ("a long prefix", sequence(json!([{"type": "Prepend", "prepend": "a".repeat(1_000_000)}])), "1000000 bytes"),
        (
            "nothing replaced",
            sequence(json!([{"type": "Replace", "pattern": {"String": ""}, "content": "a"}])),
            "nothing",
        ),
        (
            "a slow expression",
            sequence(json!([{"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}])),
            "(a+)+$",
        ),
        (
            "a large expression",
            sequence(json!([{"type": "Replace", "pattern": {"Regex": "(((a{9999}){9999}){9999})"}, "content": ""}])),
            "not known",
        ),
        ("sequences in sequences", deep(100), "nested too deep"),
        ("endless sequences", deep(200_000), "nested too deep"),
        ("a wide sequence", wide(1_000_000), "at most 16"),
        ("an unknown normaliser", set("normalizer", json!({"type": "Nonsense"})), "Nonsense, which is not known"),
        (
            "another normaliser",
            set("normalizer", json!({"type": "BertNormalizer", "lowercase": true})),
            "BertNormalizer",
        ),
        ("bytes", set("pre_tokenizer", json!({"type": "ByteLevel", "add_prefix_space": true})), "ByteLevel"),
        (
            "a slow split",
            set("pre_tokenizer", json!({"type": "Split", "pattern": {"Regex": "(x+x+)+y"}, "behavior": "Removed"})),
            "Split",
        ),
        ("pieces of no length", set("pre_tokenizer", json!({"type": "FixedLength", "length": 0})), "FixedLength"),
        ("a long replacement", set("pre_tokenizer", json!({"type": "Metaspace", "replacement": "ab"})), "can be used"),
        (
            "BPE",
            set("model", json!({"type": "BPE", "vocab": {"a": 0}, "merges": []})),
            "its model is BPE, expected Unigram",
        ),
        ("WordPiece", set("model", json!({"type": "WordPiece", "vocab": {"a": 4_000_000_000u32}})), "WordPiece"),
        ("WordLevel", set("model", json!({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "b"})), "WordLevel"),
        ("no model", set("model", Value::Null), "can be used"),
        ("no vocabulary", model("vocab", json!([])), "its unknown token is 2 of 0"),
        ("an unknown token far away", model("unk_id", json!(u64::MAX)), "its unknown token is 18446744073709551615"),
        ("a negative unknown token", model("unk_id", json!(-1)), "can be used"),
        ("a fractional unknown token", model("unk_id", json!(1e300)), "can be used"),
        ("a long token", more(json!([["a".repeat(1_000_000), 0.0]])), "1000000 bytes"),
        ("scattered tokens", more(json!(scattered)), "different beginnings"),
        ("a vast score", more(json!([["a", 1e300], ["b", -1e300], ["c", 0.0]])), "score"),
        ("an infinite score", raw(r#"["<pad>",0.0]"#, r#"["<pad>",1e999]"#), "out of range"),
        ("a large id", added(token(json!(u64::MAX), "x")), "can be used"),
        ("a negative id", added(token(json!(-1), "x")), "can be used"),
        ("a fractional id", added(token(json!(1e300), "x")), "can be used"),
        ("a long added token", added(token(json!(500), &"x".repeat(1_000_000))), "1000000 bytes"),
        (
            "many added tokens",
            set("added_tokens", json!((0..20_000).map(|n| token(json!(n), &format!("t{n}"))).collect::<Vec<_>>())),
            "adds 20000",
        ),
        ("a text many times", template("single", json!(vec![piece; 1000])), "takes a text 1000 times"),
        ("no text", template("single", json!([])), "takes a text 0 times"),
        ("an unknown special token", template("special_tokens", json!({})), "lacks </s>"),
        (
            "many special tokens",
            template("special_tokens", json!({"</s>": {"id": "</s>", "ids": vec![1; 100_000]}})),
            "more than 16",
        ),
        (
            "another post-processor",
            set("post_processor", json!({"type": "RobertaProcessing", "sep": ["a", 1]})),
            "RobertaProcessing",
        ),
        ("lists", "[".repeat(1_000_000).into_bytes(), "neither a tokenizer.json nor a spiece.model"),
        ("objects", r#"{"a":"#.repeat(200_000).into_bytes(), "can be used"),
    ];
    for (name, tokenizer, expected) in table {
        let (code, _, err) = embed(&folder, &tokenizer, "a fox");
        println!("{name}: {err:.200}");
        assert_eq!(code, Some(1), "{name}: {err:.400}");
        assert!(err.lines().count() == 1 && err.len() < 500 && err.contains(expected), "{name}: {err:.400}");
        assert!(!err.contains("panicked"), "{name}: {err:.400}");
    }
    // An id that is no token of the encoder: what the vocabulary says counts.
    let (code, _, err) = embed(&folder, &added(token(json!(4_000_000_000u32), "fox")), "a fox");
    assert!(code == Some(1) && err.contains("another encoder's tokenizer?"), "{err}");
    // Nor need a prompt name one: the vocabulary is another one's.
    let strange: Vec<_> = (0..2_000).map(|n| json!([format!("strange{n}"), -20.0])).collect();
    let (code, _, err) = embed(&folder, &more(json!(strange)), "a fox");
    assert!(code == Some(1) && err.contains("another encoder's tokenizer?"), "{err}");
    // Texts that grow are refused where they would grow too far.
    let (code, _, err) = embed(&folder, &sequence(json!(vec![grow; 3])), &"a ".repeat(20_000));
    assert!(code == Some(1) && err.contains("times longer"), "{err:.300}");
    // Normalisers that take everything away leave an empty text.
    let nothing = sequence(json!([{"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": ""}]));
    assert_eq!(embed(&folder, &nothing, "   ").0, Some(0));
}

/// The library takes time and memory for each byte: what no row comes of is not looked at.
#[test]
fn long_texts_are_cut_before_they_are_looked_at() {
    let tokenizer = TextTokenizer::new(&fs::read(golden("umt5-tokenizer.json")).unwrap()).unwrap();
    for (text, most, bytes) in
        [("x".repeat(60_000), 16, 1024), ("é ".repeat(20_000), 16, 1024), ("fox ".repeat(9_000), 100, 1600)]
    {
        let (tokens, whole) = tokenizer.tokens(&text, most).unwrap();
        assert!(tokens.len() == most && whole > most && whole <= bytes + 2, "{whole} of {} bytes", text.len());
    }
    let (tokens, whole) = tokenizer.tokens(PROMPT, 512).unwrap();
    assert_eq!(tokens.len(), whole);
}

/// Whatever the bytes, the program answers: tokens or one sentence.
#[test]
fn spoilt_files_end_in_an_answer() {
    let (folder, file) = encoder("tokenizers-fuzz");
    // A short vocabulary and no more than the start of the table, for speed; and the table as it is, with spoilt digits.
    let small = edited(&file, |file| file["normalizer"] = json!({"type": "NFKC"}));
    let whole = file.to_string().into_bytes();
    let mut state = 7u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let table = whole.windows(22).position(|window| window == b"\"precompiled_charsmap\"").unwrap() + 24;
    let (mut good, mut bad) = (0, 0);
    for n in 0..120 {
        let mut bytes = if n % 2 == 0 { small.clone() } else { whole.clone() };
        for _ in 0..=random(4) {
            let at = if n % 2 == 0 { random(bytes.len()) } else { table + random(200_000) };
            bytes[at] = b"0A9z/}]\","[random(if n % 2 == 0 { 9 } else { 5 })];
        }
        let (code, _, err) = embed(&folder, &bytes, PROMPT);
        assert!(matches!(code, Some(0 | 1)) && !err.contains("panicked"), "{code:?} {err:.400}");
        assert!(err.lines().count() <= 1, "{err:.400}");
        if code == Some(0) { good += 1 } else { bad += 1 }
    }
    println!("{good} read, {bad} refused");
    assert!(good > 0 && bad > 0, "{good} read, {bad} refused");
}
