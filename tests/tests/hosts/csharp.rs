//! The C# assembly under Mono, which Unity's runtime descends from, and under CoreCLR.

use std::{path::Path, process::Command};

use causeway_tests::{machine, tour::Tour};

use crate::{
    bindings, ctypes,
    program::{below, library, run, scratch},
    prompts::{self, student},
    walk::{assert_same, model, repository, script},
};

/// Builds the assembly and the programs that use it into `folder`; `references` replaces the compiler's own base library.
fn build(folder: &Path, references: &[String]) {
    let mcs = || {
        let mut mcs = Command::new("mcs");
        mcs.args(["-warnaserror", "-langversion:7", "-optimize"]).args(references);
        mcs
    };
    let assembly = folder.join("Causeway.dll");
    let documentation = folder.join("Causeway.xml");
    run(mcs()
        .args(["-unsafe", "-target:library"])
        .arg(format!("-out:{}", assembly.display()))
        .arg(format!("-doc:{}", documentation.display()))
        .args(below(&repository("examples/csharp/Causeway"))));
    for program in ["Walk", "Prompts", "Play"] {
        run(mcs()
            .arg(format!("-out:{}", folder.join(program).with_extension("exe").display()))
            .arg(format!("-r:{}", assembly.display()))
            .args(below(&repository("examples/csharp").join(program))));
    }
}

/// Plays all games of prompts by `host`, which runs a program of that name.
fn tour(name: &str, host: impl Fn(&str) -> Command) {
    for tour in Tour::all(&scratch(&format!("tour-{name}"))) {
        tour.play(name, || host("Play.exe"));
    }
}

/// Plays all streams of prompts by `host`, which runs the program.
fn play_prompts(name: &str, host: impl Fn() -> Command) {
    for (play, expected) in prompts::streams() {
        let student = student();
        let parts = ([&student.model, &student.codec], play.arguments(student));
        for (files, prompts) in [parts, ([&student.bundle, &student.bundle], play.names())] {
            let mut host = host();
            let printed = run(host.args(files).arg(play.frames.to_string()).args(prompts));
            assert_eq!(printed.lines().map(str::trim_end).collect::<Vec<_>>(), *expected, "{name}, {play:?}");
        }
    }
}

#[test]
fn bindings_are_up_to_date() {
    let source = repository("ffi/src");
    for (path, text) in [
        ("examples/csharp/Causeway/Native.cs", bindings::csharp(&source)),
        ("python/causeway/_native.py", ctypes::python(&source)),
    ] {
        let path = repository(path);
        if std::env::var_os("CAUSEWAY_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap();
        let path = path.display();
        assert!(committed == text, "{path} is not what the interface's source gives; CAUSEWAY_BLESS=1 writes it");
    }
}

#[test]
fn mono_plays_the_walk_prompts_and_a_saved_game() {
    if !machine::has(&[&machine::MONO]) {
        return;
    }
    let folder = scratch("mono");
    build(&folder, &[]);
    let mono = |program: &str| {
        let mut mono = Command::new("mono");
        mono.env("LD_LIBRARY_PATH", library()).arg(folder.join(program));
        mono
    };
    assert_same("Mono", &run(mono("Walk.exe").arg(model()).arg(script())), 60);
    play_prompts("Mono", || mono("Prompts.exe"));
    tour("Mono", mono);
}

/// Structs are copied across the border as they are, so C# must lay them out as C does.
#[test]
fn structs_lie_in_csharp_as_in_c() {
    if !machine::has(&[&machine::MONO]) {
        return;
    }
    let folder = scratch("layouts");
    build(&folder, &[]);
    let mut mono = Command::new("mono");
    let printed = run(mono.arg(folder.join("Walk.exe")).arg("--layouts"));
    let mut program = "#include \"causeway.h\"\n#include <stdio.h>\nint main(void) {\n".to_owned();
    for line in printed.lines() {
        let (name, value) = line.split_once(' ').unwrap();
        let measure = match name.split_once('.') {
            None => format!("sizeof({name})"),
            Some((name, field)) => format!("offsetof({name}, {})", snake(field)),
        };
        program += &format!("if ({measure} != {value}) printf(\"{name}: %zu, not {value}\\n\", {measure});\n");
    }
    assert!(printed.lines().count() > 60, "too few fields: {printed}");
    let source = folder.join("layouts.c");
    std::fs::write(&source, program + "return 0;\n}\n").unwrap();
    let out = folder.join("layouts");
    run(Command::new("gcc").arg("-I").arg(repository("include")).arg(source).arg("-o").arg(&out));
    assert_eq!(run(&mut Command::new(out)), "");
}

/// `camelCase` as `snake_case`.
fn snake(name: &str) -> String {
    name.chars().flat_map(|c| [c.is_uppercase().then_some('_'), Some(c.to_ascii_lowercase())]).flatten().collect()
}

/// CoreCLR comes with the Python package `dotnetcore2`, unpacked by .ci/run.
#[test]
fn coreclr_plays_the_walk_prompts_and_a_saved_game() {
    let dotnet = repository("target/hosts/dotnet/dotnetcore2/bin");
    if !machine::has(&[&machine::MONO]) || !machine::coreclr(&dotnet.join("dotnet")) {
        return;
    }
    let folder = scratch("coreclr");
    let versions = dotnet.join("shared/Microsoft.NETCore.App");
    let mut versions = std::fs::read_dir(&versions).unwrap_or_else(|_| panic!("no CoreCLR in {}", versions.display()));
    let runtime = versions.next().unwrap().unwrap().path();
    let names = "System.Private.CoreLib System.Runtime System.Runtime.Extensions System.Console System.IO.FileSystem System.Linq";
    let references = names.split(' ').map(|name| format!("-r:{}", runtime.join(format!("{name}.dll")).display()));
    build(&folder, &[vec!["-nostdlib".to_owned(), "-noconfig".to_owned()], references.collect()].concat());
    let version = runtime.file_name().unwrap().to_str().unwrap();
    let config =
        format!(r#"{{"runtimeOptions":{{"framework":{{"name":"Microsoft.NETCore.App","version":"{version}"}}}}}}"#);
    let host = |program: &str| {
        std::fs::write(folder.join(program).with_extension("runtimeconfig.json"), &config).unwrap();
        let mut host = Command::new(dotnet.join("dotnet"));
        // Without the ICU libraries, which it would look for.
        host.env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1").env("LD_LIBRARY_PATH", library());
        host.arg(folder.join(program));
        host
    };
    assert_same("CoreCLR", &run(host("Walk.exe").arg(model()).arg(script())), 60);
    play_prompts("CoreCLR", || host("Prompts.exe"));
    tour("CoreCLR", host);
}
