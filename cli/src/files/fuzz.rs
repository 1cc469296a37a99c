//! The program's own parsers on spoiled files (see tests/tests/fuzz.rs for those of the runtime, and for `CAUSEWAY_FUZZ`).

use std::{fs, path::Path, time::Duration};

use causeway_tests::fuzz::{Place, executions, run};

/// Longest that an answer may take on a busy machine.
const LONGEST: Duration = Duration::from_secs(10);

#[test]
fn pictures() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/parity/golden/pictures");
    let names = ["rgb.png", "palette.png", "plain.jpg", "progressive.jpg", "lossy.webp", "lossless.webp", "film.webp"];
    let bases: Vec<_> = names.iter().map(|name| fs::read(golden.join(name)).unwrap()).collect();
    let place = Place::new("picture");
    let outcome = run("pictures", &bases, executions() / 8, |bytes| {
        place.write(bytes);
        crate::files::picture::load(place.path(), (8, 8), &mut |_| {}).is_ok()
    });
    assert!(outcome.slowest < LONGEST, "{outcome:?}");
    assert!(outcome.taken > 0 && outcome.taken < outcome.files, "{outcome:?}");
}

#[cfg(feature = "text")]
#[test]
fn tokenizers() {
    const SMALL: &str = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[
        {"id":0,"content":"<pad>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
        {"id":1,"content":"</s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true},
        {"id":2,"content":"<unk>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
        "normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},
            {"type":"Replace","pattern":{"String":"  "},"content":" "}]},
        "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},
            {"type":"Metaspace","replacement":"\u2581","prepend_scheme":"always","split":true}]},
        "post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":0}},
            {"SpecialToken":{"id":"</s>","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},
            {"Sequence":{"id":"B","type_id":1}}],
            "special_tokens":{"</s>":{"id":"</s>","ids":[1],"tokens":["</s>"]}}},
        "decoder":null,"model":{"type":"Unigram","unk_id":2,"vocab":[["<pad>",0.0],["</s>",0.0],["<unk>",0.0],
            ["\u2581a",-2.0],["\u2581fox",-3.5],["fo",-4.0],["x",-5.25],["\u2581",-1.5]],"byte_fallback":false}}"#;
    let place = Place::new("tokenizer");
    let outcome = run("tokenizers", &[SMALL.as_bytes().to_vec()], executions() / 8, |bytes| {
        place.write(bytes);
        crate::files::tokenizer::Tokenizer::open(place.path())
            .is_ok_and(|(tokenizer, _)| tokenizer.tokens("a fox, a box", 16).is_ok())
    });
    assert!(outcome.slowest < LONGEST, "{outcome:?}");
    assert!(outcome.taken > 0 && outcome.taken < outcome.files, "{outcome:?}");
}
