//! What the build script asks of linkers that are not here: it is run for each system.

use std::{path::Path, process::Command};

/// What it prints for a system of these `CARGO_CFG_TARGET_...`.
fn told(script: &Path, target: &[(&str, &str)]) -> String {
    let mut run = Command::new(script);
    run.env_clear().envs(target.iter().map(|(name, value)| (format!("CARGO_CFG_TARGET_{name}"), value)));
    let output = run.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_system_gets_a_library_with_a_name_and_pages_that_its_stores_take() {
    let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("link-script");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition", "2024", "-o"]).arg(&script);
    let built = rustc.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs")).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));

    let told = |target: &[(&str, &str)]| told(&script, target);
    let (name, pages) = ("-Wl,-soname,libcauseway.so", "-Wl,-z,max-page-size=16384");
    let (apple, keep) = ("-Wl,-install_name,@rpath/libcauseway.dylib", "-Wl,-z,nodelete");
    let asked =
        |text: &str| [name, pages, apple, keep].map(|argument| text.contains(&format!("link-arg={argument}\n")));
    assert_eq!(asked(&told(&[("OS", "linux"), ("ENV", "gnu")])), [true, false, false, false]);
    assert_eq!(asked(&told(&[("OS", "linux"), ("ENV", "musl")])), [true, false, false, true]);
    assert_eq!(asked(&told(&[("OS", "android"), ("ENV", "")])), [true, true, false, true]);
    assert_eq!(asked(&told(&[("OS", "macos"), ("VENDOR", "apple")])), [false, false, true, false]);
    assert_eq!(asked(&told(&[("OS", "ios"), ("VENDOR", "apple")])), [false, false, true, false]);
    assert_eq!(asked(&told(&[("OS", "windows"), ("ENV", "gnu"), ("VENDOR", "pc")])), [false; 4]);
}
