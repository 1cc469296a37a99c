//! `include/causeway.h` is what the crate says. `CAUSEWAY_BLESS=1 cargo test -p causeway-ffi` writes it anew.

use std::{fs, path::Path};

/// The header as cbindgen makes it. The safety sections are for Rust readers; in C the sentences before them say the same.
fn generate() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    let types =
        ["mod", "status", "device", "session", "frame", "picture", "model", "condition", "text", "host", "vulkan"];
    let api = ["library", "model", "session", "state", "text", "vulkan"];
    let types = types.iter().map(|name| format!("types/{name}.rs"));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in types.chain(api.iter().map(|name| format!("api/{name}.rs"))) {
        builder = builder.with_src(here.join("src").join(source));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    let header = String::from_utf8(header).unwrap();
    let mut text = String::new();
    let mut safety = false;
    for line in header.lines() {
        let end = line.trim() == "*/";
        safety = !end && (safety || line.trim() == "# Safety");
        if !safety {
            // The empty comment line before the section.
            if end && text.ends_with("\n\n") {
                text.pop();
            }
            text += line;
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/causeway.h");
    let header = generate();
    if std::env::var_os("CAUSEWAY_BLESS").is_some() {
        fs::write(&path, &header).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let at = header.lines().zip(committed.lines()).position(|(a, b)| a != b);
    assert!(
        header == committed,
        "include/causeway.h is out of date from line {} on; CAUSEWAY_BLESS=1 writes it anew",
        at.map_or(0, |at| at + 1)
    );
}
