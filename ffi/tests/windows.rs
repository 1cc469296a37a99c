//! The library for Windows under Wine. Not run by a bare `cargo test`: `tests/windows/check.sh` builds the library and then asks for this test.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_runtime::Device;

/// On the processor, and by Vulkan on lavapipe, which Wine hands on to its programs where the first one of a prefix has a display.
#[test]
fn the_library_for_windows_shows_the_frames_of_this_machine_under_wine() {
    let library = std::env::var_os("CAUSEWAY_WINDOWS").expect("CAUSEWAY_WINDOWS names the folder of causeway.dll");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("windows");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::copy(Path::new(&library).join("causeway.dll"), folder.join("causeway.dll")).unwrap();
    let compile = |arguments: &[&str], source: &str, out: &str| {
        let mut gcc = Command::new("x86_64-w64-mingw32-gcc");
        gcc.args(arguments).arg("-I").arg(common::root().join("include")).arg(common::root().join(source)).arg("-o");
        common::run(gcc.arg(folder.join(out)).arg("-L").arg(&folder).args(["-l:causeway.dll", "-ladvapi32"]));
    };
    let warnings = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"];
    compile(&[&warnings[..], &["-DCW_API=__declspec(dllimport)"]].concat(), "examples/c/headless.c", "headless.exe");
    compile(&["-shared"], "ffi/tests/windows/random.c", "bcryptprimitives.dll");

    let program = |starter: &[&str]| {
        let mut command = Command::new(starter[0]);
        // Nothing of Wine's own beyond the system: it would ask for a browser and for .NET in a new prefix.
        command
            .args(&starter[1..])
            .current_dir(&folder)
            .env_remove("DISPLAY")
            .env("WINEPREFIX", folder.join("wine"))
            .env("WINEDEBUG", "-all")
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=;bcryptprimitives=n,b")
            .env("MODEL", common::model());
        command
    };
    let both = "wine headless.exe \"$MODEL\" 10 && wine headless.exe \"$MODEL\" 10 gpu llvmpipe";
    let printed = common::run(&mut program(&["xvfb-run", "-a", "sh", "-c", both]));
    let printed: Vec<_> = printed.lines().map(str::trim_end).collect();
    assert_eq!(printed[..10], common::headless_frames(10));
    assert_eq!(printed[10..], common::frames_on(&common::model(), &Device::gpu("llvmpipe").unwrap(), 10));

    // A machine without a GPU: here, one without a display. Wine's server, which had one, may have ended by itself.
    let end = || program(&["wineserver", "-k"]).status().unwrap();
    end();
    let none = "wine headless.exe \"$MODEL\" 1; wine headless.exe \"$MODEL\" 1 gpu llvmpipe";
    let output = program(&["sh", "-c", none]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("no GPU adapter") && said.contains("this machine has none"),
        "{said}"
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1, "the CPU plays there too");
    // The prefix is most of a gigabyte.
    end();
    fs::remove_dir_all(folder).unwrap();
}
