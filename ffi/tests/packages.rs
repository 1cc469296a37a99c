//! The packages of tools/dist.sh, each unpacked elsewhere and used as its users do. Not run by a bare `cargo test`: `tools/dist-check.sh` makes them and then
//! asks for this test.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder of the packages.
fn dist() -> PathBuf {
    PathBuf::from(std::env::var_os("CAUSEWAY_DIST").expect("CAUSEWAY_DIST names the folder that tools/dist.sh fills"))
}

/// The one package whose name ends so.
fn package(ending: &str) -> PathBuf {
    let all = fs::read_dir(dist()).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<_> = all.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
    assert_eq!(found.len(), 1, "{ending}: {found:?}");
    found[0].clone()
}

/// A fresh folder.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The release folder, unpacked where it was not made.
fn unpacked(name: &str) -> PathBuf {
    let folder = scratch(name);
    common::run(Command::new("tar").arg("-xzf").arg(package("x86_64-linux.tar.gz")).arg("-C").arg(&folder));
    fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words of a table that begin so, without the beginning.
fn after<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    text.split(|c: char| c.is_whitespace() || "()[]@,*".contains(c))
        .filter_map(|word| word.strip_prefix(prefix))
        .collect()
}

#[test]
fn the_library_names_itself_exports_the_header_and_needs_no_newer_glibc_than_is_told() {
    let root = unpacked("library");
    let library = root.join("lib/libcauseway.so");
    let dynamic = common::run(Command::new("readelf").args(["-dW"]).arg(&library));
    assert!(dynamic.contains("soname: [libcauseway.so]"), "{dynamic}");
    let needed: Vec<_> = dynamic.lines().filter(|line| line.contains("(NEEDED)")).collect();
    assert!(
        needed.iter().all(|line| ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"]
            .iter()
            .any(|name| line.contains(name))),
        "{needed:?}"
    );

    let table = common::run(Command::new("nm").args(["-D", "--defined-only"]).arg(&library));
    let mut exported: Vec<_> = table.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    exported.sort_unstable();
    let header = read(&root.join("include/causeway.h"));
    let calls = |line: &&str| !line.starts_with([' ', '/', '*']) && line.contains('(');
    let names = header.lines().filter(calls).flat_map(|line| after(line.split('(').next().unwrap(), "cw_").pop());
    let mut declared: Vec<_> = names.map(|name| format!("cw_{name}")).collect();
    declared.sort_unstable();
    assert_eq!(exported, declared);

    let versions = common::run(Command::new("objdump").arg("-T").arg(&library));
    let number = |text: &str| text.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
    let floor = after(&versions, "GLIBC_").into_iter().filter(|text| text.starts_with("2.")).map(number).max().unwrap();
    let script = read(&common::root().join("tools/dist.sh"));
    let told = script.lines().find_map(|line| line.strip_prefix("GLIBC=")).unwrap().replace('_', ".");
    assert!(floor <= number(&told), "the library needs glibc {floor:?}, tools/dist.sh says {told}");
    let versioning = read(&common::root().join("docs/versioning.md"));
    assert!(versioning.contains(&format!("glibc {told}")), "docs/versioning.md does not say glibc {told}");

    // Stripped, and what was taken off fits.
    let sections = common::run(Command::new("readelf").args(["-SW"]).arg(&library));
    assert!(!sections.contains(".symtab") && sections.contains(".gnu_debuglink"), "{sections}");
    let symbols = common::run(Command::new("nm").arg(root.join("symbols/libcauseway.so.debug")));
    assert!(symbols.lines().count() > 500, "{}", symbols.lines().count());
}

#[test]
fn every_crate_in_the_library_has_its_notice() {
    let root = unpacked("notices");
    let (notices, bill) = (read(&root.join("THIRD-PARTY.md")), read(&root.join("sbom.cdx.json")));
    let list = notices.lines().take_while(|line| !line.starts_with("## "));
    let listed: Vec<_> = list.filter_map(|line| line.strip_prefix("* ")).collect();
    assert!(listed.len() > 15, "{listed:?}");
    assert_eq!(bill.matches("\"purl\": \"pkg:cargo/").count(), listed.len(), "{bill}");
    for line in listed {
        let name = line.split(',').next().unwrap();
        let heads = notices.lines().filter(|line| line.starts_with("## "));
        assert!(heads.flat_map(|head| head.split([':', ','])).any(|head| head.trim() == name), "no text for {name}");
        let (crate_name, version) = name.split_once(' ').unwrap();
        assert!(
            bill.contains(&format!("\"pkg:cargo/{crate_name}@{version}\"")),
            "{name} is not in the bill of materials"
        );
    }
    assert!(notices.contains("Permission is hereby granted") && notices.contains("The Rust Project Contributors"));
}

/// What the program of these lines prints, with the package moved.
fn plays(program: &Path) {
    let printed = common::run(Command::new(program).arg(common::model()).arg("5"));
    assert_eq!(printed.lines().collect::<Vec<_>>(), common::headless_frames(5));
}

#[test]
fn cmake_finds_the_library_and_says_when_it_is_not_there() {
    let root = unpacked("cmake");
    let folder = scratch("cmake-program");
    let list = "cmake_minimum_required(VERSION 3.16)\nproject(game C)\nfind_package(causeway 0.1 REQUIRED)\n\
                add_executable(game headless.c)\ntarget_link_libraries(game PRIVATE causeway::causeway)\n";
    fs::write(folder.join("CMakeLists.txt"), list).unwrap();
    fs::copy(common::root().join("examples/c/headless.c"), folder.join("headless.c")).unwrap();
    let configure = || {
        let mut cmake = Command::new("cmake");
        cmake.arg("-S").arg(&folder).arg("-B").arg(folder.join("build"));
        cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", root.display()));
        cmake
    };
    common::run(&mut configure());
    common::run(Command::new("cmake").arg("--build").arg(folder.join("build")));
    let program = folder.join("build/game");
    let dynamic = common::run(Command::new("readelf").arg("-d").arg(&program));
    assert!(dynamic.contains("[libcauseway.so]"), "{dynamic}");
    plays(&program);

    fs::remove_file(root.join("lib/libcauseway.so")).unwrap();
    fs::remove_dir_all(folder.join("build")).unwrap();
    let output = configure().output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).replace("\n", " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        !output.status.success() && said.contains("has no libcauseway.so: this package is of x86-64 Linux"),
        "{said}"
    );
}

#[test]
fn pkg_config_finds_the_library() {
    let root = unpacked("pkg-config");
    let program = root.join("game");
    let flags = common::run(
        Command::new("pkg-config")
            .args(["--cflags", "--libs", "causeway"])
            .env("PKG_CONFIG_PATH", root.join("lib/pkgconfig")),
    );
    let mut gcc = Command::new("gcc");
    gcc.arg(common::root().join("examples/c/headless.c")).arg("-o").arg(&program).args(flags.split_whitespace());
    common::run(gcc.arg(format!("-Wl,-rpath,{}", root.join("lib").display())));
    plays(&program);
}

/// The five lines of python/README.md in a fresh environment, a world that is told as the C program tells it, and a recording that training reads.
#[test]
fn the_wheel_installs_and_plays() {
    let folder = scratch("wheel");
    common::run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")));
    let python = folder.join("venv/bin/python");
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).arg(package(".whl"));
    common::run(&mut pip);
    let readme = read(&common::root().join("python/README.md"));
    let (_, lines) = readme.split_once("```python\n").unwrap();
    let played =
        common::run(Command::new(&python).current_dir(&folder).args(["-c", lines.split_once("```").unwrap().0]));
    assert_eq!(played.lines().filter(|line| line.contains("(64, 64, 3)")).count(), 20, "{played}");

    let script = common::root().join("ffi/tests/programs/wheel.py");
    let printed = common::run(Command::new(&python).current_dir(&folder).arg(script).arg(common::model()));
    assert_eq!(printed.lines().collect::<Vec<_>>(), common::headless_frames(5));
    let recipe = "out = 'run'\ndata.folder = 'data'\n\
                  model = { name = 'mine', dim = 24, heads = 1, layers = 1, ffn_dim = 48, channels = 4, widths = [8, 8, 6, 6] }\n\
                  defaults = { budget = { steps = 2 }, batch = 2, frames = 6, worlds = 1, horizon = 11 }\nstage = [{ method = 'codec' }]\n";
    fs::write(folder.join("recipe.toml"), recipe).unwrap();
    let trainer = common::library_folder().parent().unwrap().join("causeway-distill");
    common::run(Command::new(trainer).args(["train", "recipe.toml"]).current_dir(&folder));
}

/// Unity installs a tarball with one folder `package`; the same files as `hosts/unity.rs` plays.
#[test]
fn the_tarball_for_unity_holds_the_package_and_the_notices() {
    let folder = scratch("unity");
    common::run(Command::new("tar").arg("-xzf").arg(package(".tgz")).arg("-C").arg(&folder));
    let list =
        |path: &str| fs::metadata(folder.join("package").join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    for path in [
        "package.json",
        "package.json.meta",
        "Third Party Notices.md",
        "Third Party Notices.md.meta",
        "LICENSE.md",
        "Runtime/NeuralWorld.cs",
        "Plugins/Linux/x86_64/libcauseway.so",
        "Plugins/Linux/x86_64/libcauseway.so.meta",
        "Plugins/Linux/x86_64/libcauseway_unity.so",
    ] {
        assert!(list(path).len() > 0, "{path} is empty");
    }
}

#[test]
fn the_plugins_for_unreal_and_godot_hold_libraries_and_notices() {
    let unzip = |archive: &Path, folder: &Path| {
        common::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(archive).arg(folder));
    };
    let folder = scratch("unreal");
    unzip(&package(&format!("unreal-{}.zip", env!("CARGO_PKG_VERSION"))), &folder);
    for path in [
        "Causeway.uplugin",
        "THIRD-PARTY.md",
        "LICENSE-MIT",
        "Binaries/Linux/libcauseway.so",
        "Source/Causeway/Causeway.Build.cs",
    ] {
        assert!(folder.join("Causeway").join(path).exists(), "{path}");
    }
    if std::env::var_os("GODOT").is_none() {
        eprintln!("Godot's addon: LEFT OUT, GODOT does not name the engine's program");
        return;
    }
    let folder = scratch("godot");
    unzip(&package(&format!("godot-{}.zip", env!("CARGO_PKG_VERSION"))), &folder);
    let addon = folder.join("addons/causeway");
    let keys = read(&addon.join("causeway.gdextension"));
    for path in ["bin/libcauseway.so", "bin/libcauseway_godot.so", "THIRD-PARTY.md", "LICENSE-MIT"] {
        assert!(addon.join(path).exists(), "{path}");
    }
    assert!(keys.contains("linux.x86_64 = \"bin/libcauseway_godot.so\""), "{keys}");
    // Who builds for another system finds its place named.
    for system in ["linux.arm64", "windows.x86_64", "windows.arm64", "macos", "android.arm64", "android.x86_64"] {
        let named = |section: &str| {
            keys.split_once(section).unwrap().1.split("\n\n").next().unwrap().contains(&format!("\n{system} = "))
        };
        assert!(named("[libraries]") && named("[dependencies]"), "{system}: {keys}");
    }
}
