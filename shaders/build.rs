//! Composes every kernel permutation of `wgsl/`, validates it with naga and writes the table that `src/lib.rs` includes.
//! A kernel that does not parse, does not validate without optional capabilities, or leaves the portable tier fails the build.

#[path = "build/compose.rs"]
mod compose;
#[path = "build/table.rs"]
mod table;

use std::{env, error::Error, fs, path::Path};

fn main() {
    if let Err(error) = build() {
        eprintln!("{error}"); // unlike a returned error, with its lines intact
        std::process::exit(1);
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=wgsl");
    println!("cargo::rerun-if-changed=build");
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("wgsl");
    let out = env::var("OUT_DIR")?;
    let mut files: Vec<_> = fs::read_dir(&root)?.collect::<Result<Vec<_>, _>>()?.iter().map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "wgsl"));
    files.sort();
    let mut load = |name: &str| fs::read_to_string(root.join(format!("{name}.wgsl")));
    let mut rows = String::new();
    let mut names = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let permutations = compose::permutations(&text);
        if permutations.is_empty() {
            return Err(format!("{}: no //!kernel line", file.display()).into());
        }
        for (name, flags) in permutations {
            let source = compose::compose(&text, &flags, &mut load).map_err(|e| format!("{name}: {e}"))?;
            rows += &table::row(&name, &source)?;
            fs::write(Path::new(&out).join(format!("{name}.wgsl")), source)?;
            names.push(name.to_uppercase());
        }
    }
    rows += &format!("/// Every kernel permutation.\npub const ALL: &[&Kernel] = &[&{}];\n", names.join(", &"));
    fs::write(Path::new(&out).join("table.rs"), rows)?;
    Ok(())
}
