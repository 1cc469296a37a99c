//! The Windows library under Wine. Not run by a bare `cargo test`: `tests/windows/check.sh` builds the library and then asks for this test.

mod common;

use std::{fs, path::Path, process::Command};

#[test]
fn the_library_for_windows_shows_the_frames_of_the_rust_interface_under_wine() {
    let library = std::env::var_os("CAUSEWAY_WINDOWS").expect("CAUSEWAY_WINDOWS names the folder of causeway.dll");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("windows");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(Path::new(&library).join("causeway.dll"), folder.join("causeway.dll")).unwrap();
    let compile = |arguments: &[&str], source: &str, out: &str| {
        let mut gcc = Command::new("x86_64-w64-mingw32-gcc");
        gcc.args(arguments).arg("-I").arg(common::root().join("include")).arg(common::root().join(source)).arg("-o");
        common::run(gcc.arg(folder.join(out)).arg("-L").arg(&folder).args(["-l:causeway.dll", "-ladvapi32"]));
    };
    compile(&["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"], "examples/c/headless.c", "headless.exe");
    compile(&["-shared"], "ffi/tests/windows/random.c", "bcryptprimitives.dll");
    // Nothing of Wine's own beyond the system: it would ask for a browser and for .NET in a new prefix.
    let mut wine = Command::new("wine");
    wine.env("WINEPREFIX", folder.join("wine"))
        .env("WINEDEBUG", "-all")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=;bcryptprimitives=n,b");
    let printed = common::run(wine.arg(folder.join("headless.exe")).arg(common::model()).arg("10"));
    assert_eq!(printed.lines().collect::<Vec<_>>(), common::headless_frames(10));
}
