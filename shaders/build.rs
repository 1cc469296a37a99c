//! Composes every kernel permutation of `wgsl/`, validates it with naga and writes the table that `src/lib.rs` includes.
//! A kernel that does not parse, does not validate without more capabilities than it says it needs, or exceeds its limits fails the build.

extern crate alloc;

#[path = "src/compose.rs"]
mod compose;
#[path = "build/table.rs"]
mod table;

use std::{collections::BTreeMap, env, error::Error, fs, path::Path};

fn main() {
    if let Err(error) = build() {
        eprintln!("{error}"); // unlike a returned error, with its lines intact
        std::process::exit(1);
    }
}

/// WGSL files of a folder, by name, in order.
fn files(folder: &Path) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "wgsl") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            all.insert(name, fs::read_to_string(path)?);
        }
    }
    Ok(all)
}

fn build() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=wgsl");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=src/compose.rs");
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("wgsl");
    let shared = files(&root.join("shared"))?.into_iter();
    let shared: Vec<_> = shared.map(|(name, text)| (format!("shared/{name}"), compose::strip(&text))).collect();
    let load = |path: &str| shared.iter().find(|file| file.0 == path).map(|file| file.1.as_str());
    let (mut rows, mut names) = (String::new(), Vec::new());
    for (file, text) in files(&root)? {
        let permutations = compose::permutations(&text);
        if permutations.is_empty() {
            return Err(format!("{file}.wgsl: no //!kernel line").into());
        }
        let text = compose::strip(&text);
        rows += &format!("const {}_FILE: &str = {text:?};\n", file.to_uppercase());
        for (name, flags) in permutations {
            let made = |more: &[&str], values: &[(&str, u32)]| {
                let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
                compose::compose(&text, &flags, values, &load).map_err(|e| format!("{name}: {e}"))
            };
            rows += &table::row(&file, &name, &flags, &made)?;
            names.push(name.to_uppercase());
        }
    }
    rows += &format!("/// Files to import, by path.\nconst FILES: &[(&str, &str)] = &{shared:?};\n");
    rows += &format!("/// Every kernel permutation.\npub const ALL: &[&Kernel] = &[&{}];\n", names.join(", &"));
    fs::write(Path::new(&env::var("OUT_DIR")?).join("table.rs"), rows)?;
    Ok(())
}
