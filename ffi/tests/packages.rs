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

/// The functions of the package's header.
fn declared(root: &Path) -> Vec<String> {
    let header = read(&root.join("include/causeway.h"));
    let calls = |line: &&str| !line.starts_with([' ', '/', '*']) && line.contains('(');
    let names = header.lines().filter(calls).flat_map(|line| after(line.split('(').next().unwrap(), "cw_").pop());
    let mut declared: Vec<_> = names.map(|name| format!("cw_{name}")).collect();
    declared.sort_unstable();
    declared
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
    assert_eq!(exported, declared(&root));

    let versions = common::run(Command::new("objdump").arg("-T").arg(&library));
    let number = |text: &str| text.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
    let floor = after(&versions, "GLIBC_").into_iter().filter(|text| text.starts_with("2.")).map(number).max().unwrap();
    let script = read(&common::root().join("tools/dist.sh"));
    let told = script.lines().find_map(|line| line.strip_prefix("GLIBC=")).unwrap().replace('_', ".");
    assert!(floor <= number(&told), "the library needs glibc {floor:?}, tools/dist.sh says {told}");
    let versioning = read(&common::root().join("docs/versioning.md"));
    assert!(versioning.contains(&format!("glibc {told}")), "docs/versioning.md does not say glibc {told}");

    // As docs/embedding.md promises (ffi/size.sh).
    let most = if read(&root.join("THIRD-PARTY.md")).contains("* wgpu ") { 9_000_000 } else { 2_000_000 };
    let bytes = fs::metadata(&library).unwrap().len();
    assert!(bytes <= most, "{bytes} bytes, at most {most}");

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

/// Whether a program asks the loader for the shared library.
fn loads_it(program: &Path) -> bool {
    common::run(Command::new("readelf").arg("-d").arg(program)).contains("[libcauseway.so]")
}

/// A CMake project of the C program with this target of the package at `root`, ready to be configured.
fn project(root: &Path, find: &str, target: &str) -> (PathBuf, Command) {
    let folder = scratch(&target.replace("::", "-"));
    let list = format!(
        "cmake_minimum_required(VERSION 3.16)\nproject(game C)\nfind_package({find})\n\
         add_executable(game headless.c)\ntarget_link_libraries(game PRIVATE {target})\n"
    );
    fs::write(folder.join("CMakeLists.txt"), list).unwrap();
    fs::copy(common::root().join("examples/c/headless.c"), folder.join("headless.c")).unwrap();
    let mut cmake = Command::new("cmake");
    cmake.arg("-S").arg(&folder).arg("-B").arg(folder.join("build"));
    cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", root.display()));
    (folder, cmake)
}

/// The same, built.
fn built(root: &Path, find: &str, target: &str) -> PathBuf {
    let (folder, mut cmake) = project(root, find, target);
    common::run(&mut cmake);
    common::run(Command::new("cmake").arg("--build").arg(folder.join("build")));
    folder.join("build/game")
}

/// What CMake says of a package that will not do.
fn refusal(root: &Path, find: &str, target: &str) -> String {
    let output = project(root, find, target).1.output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn cmake_finds_the_libraries_and_says_which_is_not_there() {
    let root = unpacked("cmake");
    let shared = ("causeway 0.1 REQUIRED", "causeway::causeway");
    let fixed = ("causeway 0.1 REQUIRED COMPONENTS static", "causeway::causeway_static");
    let program = built(&root, shared.0, shared.1);
    assert!(loads_it(&program));
    plays(&program);
    let program = built(&root, fixed.0, fixed.1);
    assert!(!loads_it(&program));
    plays(&program);

    let said = refusal(&root, "causeway REQUIRED COMPONENTS plugin", shared.1);
    assert!(said.contains("causeway has no component plugin, only shared and static"), "{said}");
    // Without the one library the other still does.
    for (gone, asked, left) in [("libcauseway.so", shared, fixed), ("libcauseway.a", fixed, shared)] {
        let away = root.join("away");
        fs::rename(root.join("lib").join(gone), &away).unwrap();
        let said = refusal(&root, asked.0, asked.1);
        assert!(said.contains(&format!("has no {gone}: this package is of x86-64 Linux")), "{said}");
        common::run(&mut project(&root, left.0, left.1).1);
        fs::rename(away, root.join("lib").join(gone)).unwrap();
    }
}

/// The program that is linked with these flags of pkg-config's.
fn linked(root: &Path, name: &str, flags: &str) -> PathBuf {
    let program = root.join(name);
    let mut gcc = Command::new("gcc");
    gcc.arg(common::root().join("examples/c/headless.c")).arg("-o").arg(&program).args(flags.split_whitespace());
    common::run(gcc.arg(format!("-Wl,-rpath,{}", root.join("lib").display())));
    program
}

#[test]
fn pkg_config_finds_the_libraries() {
    let root = unpacked("pkg-config");
    let flags = |arguments: &[&str]| {
        let mut tool = Command::new("pkg-config");
        common::run(tool.args(arguments).arg("causeway").env("PKG_CONFIG_PATH", root.join("lib/pkgconfig")))
    };
    let program = linked(&root, "shared", &flags(&["--cflags", "--libs"]));
    assert!(loads_it(&program));
    plays(&program);
    // A linker that finds both takes the shared one.
    let program =
        linked(&root, "static", &flags(&["--static", "--cflags", "--libs"]).replace("-lcauseway", "-l:libcauseway.a"));
    assert!(!loads_it(&program));
    plays(&program);
}

/// Whoever links it has other libraries too, perhaps others of Rust's.
#[test]
fn the_static_library_defines_the_header_and_else_only_helpers_of_compilers() {
    let root = unpacked("static");
    let table = common::run(Command::new("nm").args(["-g", "--defined-only"]).arg(root.join("lib/libcauseway.a")));
    // Lines of three words; nm remarks more on objects with code for LLVM in them.
    let words = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let names = words.filter(|words| words.len() == 3).map(|words| words[2]);
    // As in libgcc; each is in an object of its own, which is taken where nobody else defines it.
    let helper = |name: &&str| name.starts_with("__") || *name == "DW.ref.rust_eh_personality";
    let mut defined: Vec<_> = names.filter(|name| !helper(name)).collect();
    defined.sort_unstable();
    assert_eq!(defined, declared(&root));
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

    // A package of another platform has a library that does not load here.
    let mut place = Command::new(&python);
    let place = common::run(place.current_dir(&folder).args(["-c", "import causeway; print(causeway.__path__[0])"]));
    fs::write(Path::new(place.trim()).join("libcauseway.so"), "of another platform").unwrap();
    let output = Command::new(&python).current_dir(&folder).args(["-c", "import causeway"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let sentence = said.lines().last().unwrap_or_default();
    assert!(sentence.starts_with("ImportError: this package has no library for Linux x86_64"), "{said}");
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

/// As an SDK takes the package: it compiles the sources, allows what the property file allows, and puts the library of this platform beside the program. What
/// NuGet itself does when it restores is not tried: there is no SDK here.
#[test]
fn the_package_for_nuget_compiles_and_plays() {
    let folder = scratch("nuget");
    let archive = package(".nupkg");
    common::run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&archive).arg(&folder));
    // All parts are told, as the format wants it, and all documents can be read.
    let names = common::run(Command::new("python3").args(["-m", "zipfile", "-l"]).arg(&archive));
    let types = read(&folder.join("[Content_Types].xml"));
    for name in names.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
        let ending = name.rsplit('/').next().unwrap().rsplit_once('.').map(|(_, ending)| ending);
        let told = match ending {
            Some(ending) => format!("Extension=\"{ending}\""),
            None => format!("PartName=\"/{name}\""),
        };
        assert!(name == "[Content_Types].xml" || types.contains(&told), "{name} is not in {types}");
    }
    let documents = ["[Content_Types].xml", "_rels/.rels", "Causeway.nuspec", "build/netstandard2.1/Causeway.props"];
    let parse = "import sys, xml.dom.minidom as dom; [dom.parse(name) for name in sys.argv[1:]]";
    common::run(Command::new("python3").current_dir(&folder).args(["-c", parse]).args(documents));
    let specification = read(&folder.join("Causeway.nuspec"));
    assert!(specification.contains("include=\"cs/netstandard2.1/Causeway/*.cs\" buildAction=\"Compile\""));
    assert!(specification.contains(&format!("<version>{}</version>", env!("CARGO_PKG_VERSION"))));
    assert!(read(&folder.join(documents[3])).contains("<AllowUnsafeBlocks>true</AllowUnsafeBlocks>"));
    for path in ["THIRD-PARTY.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(folder.join(path).exists(), "{path}");
    }

    let sources = fs::read_dir(folder.join("contentFiles/cs/netstandard2.1/Causeway")).unwrap();
    let sources: Vec<_> = sources.map(|entry| entry.unwrap().path()).collect();
    let readme = read(&folder.join("README.md"));
    let lines = readme.split_once("```csharp\n").unwrap().1.split_once("```").unwrap().0;
    let example = folder.join("example.cs");
    fs::write(&example, format!("static class Example {{ static void Main() {{\n{lines}}} }}\n")).unwrap();
    let compile = |program: &Path, out: &str| {
        let mut mcs = Command::new("mcs");
        mcs.args(["-warnaserror", "-langversion:7", "-unsafe"]).arg(format!("-out:{}", folder.join(out).display()));
        common::run(mcs.arg(program).args(&sources));
        folder.join(out)
    };
    compile(&example, "example.exe");
    let program = compile(&common::root().join("ffi/tests/programs/nuget.cs"), "game.exe");
    let mut mono = Command::new("mono");
    mono.env("LD_LIBRARY_PATH", folder.join("runtimes/linux-x64/native"));
    let printed = common::run(mono.arg(program).arg(common::model()).arg("5"));
    assert_eq!(printed.lines().collect::<Vec<_>>(), common::headless_frames(5));
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
