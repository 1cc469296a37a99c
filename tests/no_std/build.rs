//! Writes the tiny model as a blob to link in.

use std::{env, fs, path::Path};

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let bytes = causeway_tests::tiny::tiny_model_bytes(1);
    fs::write(Path::new(&out).join("tiny.safetensors"), bytes).expect("OUT_DIR is writable");
    println!("cargo:rerun-if-changed=build.rs");
    // The C runtime's start-up code calls `main` below.
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        println!("cargo:rustc-link-lib=c");
    }
}
