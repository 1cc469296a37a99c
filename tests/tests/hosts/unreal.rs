//! The Unreal plugin: assembled, compiled against declarations of what it uses of Unreal, and its component driven as Unreal would
//! (examples/unreal/tests). The engine itself is not here.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use causeway_tests::{machine, tour::Tour};

use crate::{
    program::{below, has_extension, json, library, run, scratch},
    walk::{assert_same, model, repository, script},
};

/// The plugin with the library of this build, under these of Unreal's names.
fn assemble(folder: &Path, platforms: &[&str]) -> PathBuf {
    let plugin = folder.join("Causeway");
    let mut python = Command::new("python3");
    python.arg(repository("examples/unreal/assemble.py")).arg(&plugin);
    run(python.args(platforms.iter().map(|platform| format!("{platform}={}/libcauseway.so", library().display()))));
    plugin
}

/// A folder where every header that the plugin includes and does not have stands for the one file of declarations.
fn engine_headers(plugin: &Path, folder: &Path) -> PathBuf {
    let headers = folder.join("engine");
    let files = below(&plugin.join("Source"));
    let sources = files.iter().filter(|path| has_extension(path, "cpp") || has_extension(path, "h"));
    let names: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    for source in sources {
        let text = std::fs::read_to_string(source).unwrap();
        for name in text.lines().filter_map(|line| line.strip_prefix("#include \"")?.strip_suffix('"')) {
            if !names.contains(&name) {
                let header = headers.join(name);
                std::fs::create_dir_all(header.parent().unwrap()).unwrap();
                std::fs::write(header, "#include \"Unreal.h\"\n").unwrap();
            }
        }
    }
    headers
}

/// Compiles the plugin, without exceptions as Unreal does, with a driver; gives the program.
fn compile(plugin: &Path, folder: &Path, driver: &str) -> PathBuf {
    let (tests, source) = (repository("examples/unreal/tests"), plugin.join("Source"));
    let program = folder.join(driver);
    let mut gcc = Command::new("g++");
    gcc.args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-O1", "-fno-exceptions", "-I"]);
    gcc.arg(engine_headers(plugin, folder)).arg("-I").arg(&tests).arg("-I").arg(source.join("Causeway/Public"));
    gcc.arg("-isystem").arg(source.join("ThirdParty/CausewayLibrary/include"));
    gcc.args(below(&source).iter().filter(|path| has_extension(path, "cpp")));
    gcc.arg(tests.join(driver).with_extension("cpp"));
    gcc.arg("-o").arg(&program).arg("-L").arg(plugin.join("Binaries/Linux")).args(["-lcauseway", "-ldl"]);
    run(&mut gcc);
    program
}

#[test]
fn unreal_component_plays_the_walk_through_a_saved_game() {
    if !machine::has(&[&machine::CPP, &machine::PYTHON]) {
        return;
    }
    let folder = scratch("unreal");
    let plugin = assemble(&folder, &["Linux"]);
    let mut play = Command::new(compile(&plugin, &folder, "play"));
    play.env("LD_LIBRARY_PATH", plugin.join("Binaries/Linux")).arg(&plugin).arg(model()).arg(script());
    assert_same("Unreal", &run(&mut play), 60);
}

#[test]
fn unreal_component_plays_prompts_is_killed_and_goes_on() {
    if !machine::has(&[&machine::CPP, &machine::PYTHON]) {
        return;
    }
    let folder = scratch("unreal-tour");
    let plugin = assemble(&folder, &["Linux"]);
    let program = compile(&plugin, &folder, "tour");
    for tour in Tour::all(&folder.join("files")) {
        tour.play("Unreal", || {
            let mut play = Command::new(&program);
            play.env("LD_LIBRARY_PATH", plugin.join("Binaries/Linux")).arg(&plugin);
            play
        });
    }
}

#[test]
fn unreal_build_rules_name_files_that_are_there() {
    if !machine::has(&[&machine::MONO, &machine::PYTHON]) {
        return;
    }
    let folder = scratch("unreal-rules");
    let platforms = ["Linux", "LinuxArm64"];
    let plugin = assemble(&folder, &platforms);
    let module = json(&plugin.join("Causeway.uplugin"))["Modules"][0]["Name"].as_str().unwrap().to_owned();
    assert!(plugin.join(format!("Source/{module}/{module}.Build.cs")).exists(), "no rules for the module {module}");
    let tests = repository("examples/unreal/tests");
    let sources = [below(&plugin.join("Source")), below(&tests)].concat();
    let program = folder.join("Rules.exe");
    let mut mcs = Command::new("mcs");
    mcs.args(["-warnaserror", "-langversion:7"]).arg(format!("-out:{}", program.display()));
    run(mcs.args(sources.iter().filter(|path| has_extension(path, "cs"))));
    for platform in platforms {
        let mut mono = Command::new("mono");
        let files = run(mono.arg(&program).arg(plugin.join("Source/ThirdParty/CausewayLibrary")).arg(platform));
        assert_eq!(files.trim(), "2");
    }
}
