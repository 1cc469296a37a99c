//! The Unity package: assembled, compiled assembly by assembly against declarations of what it uses of Unity, and its component driven
//! as Unity would (examples/unity/tests). The editor itself is not here.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::Command,
};

use causeway_tests::{machine, tour::Tour};

use crate::{
    program::{below, has_extension, json, library, run, scratch},
    walk::{assert_same, model, repository, script},
};

/// The package with the libraries of this build.
fn assemble(folder: &Path) -> PathBuf {
    let shim = folder.join("libcauseway_unity.so");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O2", "-shared", "-fPIC", "-o"]).arg(&shim);
    run(gcc.arg(repository("examples/unity/native/texture_update.c")));
    let package = folder.join("package");
    let mut python = Command::new("python3");
    python.arg(repository("examples/unity/assemble.py")).arg(&package);
    for file in [library().join("libcauseway.so"), shim] {
        python.arg(format!("linux-x86_64={}", file.display()));
    }
    run(&mut python);
    package
}

fn mcs(out: &Path, references: &[PathBuf], sources: &[PathBuf]) {
    let mut mcs = Command::new("mcs");
    mcs.args(["-warnaserror", "-langversion:7.2", "-unsafe", "-define:ENABLE_LEGACY_INPUT_MANAGER"]);
    mcs.arg(if has_extension(out, "exe") { "-target:exe" } else { "-target:library" });
    mcs.args(references.iter().map(|reference| format!("-r:{}", reference.display())));
    run(mcs.arg(format!("-out:{}", out.display())).args(sources));
}

/// Compiles the sources of every .asmdef against what it references, as Unity does; gives the assemblies.
fn compile(package: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut waiting: Vec<_> = below(package).into_iter().filter(|path| has_extension(path, "asmdef")).collect();
    let homes: Vec<PathBuf> = waiting.iter().map(|path| path.parent().unwrap().to_owned()).collect();
    let names: HashSet<String> = waiting.iter().map(|path| json(path)["name"].as_str().unwrap().to_owned()).collect();
    let engine = folder.join("UnityEngine.dll");
    mcs(&engine, &[], &[repository("examples/unity/tests/UnityEngine.cs")]);
    let mut done = vec![engine];
    while !waiting.is_empty() {
        let dll = |name: &str| folder.join(format!("{name}.dll"));
        let ready = waiting.iter().position(|path| {
            let needed = json(path)["references"].as_array().cloned().unwrap_or_default();
            let mut needed = needed.iter().map(|name| name.as_str().unwrap()).filter(|name| !name.starts_with("Unity"));
            needed.all(|name| {
                assert!(names.contains(name), "{} references {name}", path.display());
                done.contains(&dll(name))
            })
        });
        let path = waiting.remove(ready.expect("assemblies reference each other in a circle"));
        let (home, assembly) = (path.parent().unwrap(), json(&path));
        // A source belongs to the nearest .asmdef above it.
        let nearest =
            |file: &Path| homes.iter().filter(|home| file.starts_with(home)).max_by_key(|home| home.as_os_str().len());
        let sources: Vec<_> = below(home).into_iter().filter(|file| has_extension(file, "cs")).collect();
        let sources: Vec<_> =
            sources.into_iter().filter(|file| nearest(file).is_some_and(|nearest| nearest == home)).collect();
        let out = dll(assembly["name"].as_str().unwrap());
        let mut references: Vec<_> = assembly["references"].as_array().cloned().unwrap_or_default();
        references.retain(|name| !name.as_str().unwrap().starts_with("Unity"));
        let mut references: Vec<_> = references.iter().map(|name| dll(name.as_str().unwrap())).collect();
        if assembly["noEngineReferences"] != true {
            references.push(done[0].clone());
        }
        mcs(&out, &references, &sources);
        done.push(out);
    }
    done
}

#[test]
fn unity_component_plays_the_walk_both_ways_of_uploading_and_prompts_through_a_saved_game() {
    if !machine::has(&[&machine::MONO, &machine::PYTHON]) {
        return;
    }
    let folder = scratch("unity");
    let package = assemble(&folder);
    let assemblies = compile(&package, &folder);
    assert_eq!(assemblies.len(), 6, "{assemblies:?}");
    let program = folder.join("Play.exe");
    mcs(&program, &assemblies, &["Play", "Tour"].map(|name| repository(&format!("examples/unity/tests/{name}.cs"))));
    for upload in ["MainThread", "RenderThread"] {
        let mut mono = Command::new("mono");
        mono.env("LD_LIBRARY_PATH", package.join("Plugins/Linux/x86_64"));
        let printed = run(mono.arg(&program).arg(model()).arg(script()).arg(upload));
        assert_same(&format!("Unity, {upload}"), &printed, 60);
    }
    for tour in Tour::all(&folder.join("tour")) {
        tour.play("Unity", || {
            let mut mono = Command::new("mono");
            mono.env("LD_LIBRARY_PATH", package.join("Plugins/Linux/x86_64")).arg(&program).arg("--tour");
            mono
        });
    }
}

/// Unity ignores what has no .meta file in a package, and mixes up what has the identifier of another.
#[test]
fn unity_package_is_complete() {
    if !machine::has(&[&machine::PYTHON]) {
        return;
    }
    let folder = scratch("unity-files");
    let package = assemble(&folder);
    let manifest = json(&package.join("package.json"));
    assert_eq!(manifest["name"], "dev.causeway.world");
    for sample in manifest["samples"].as_array().unwrap() {
        assert!(package.join(sample["path"].as_str().unwrap()).is_dir(), "{sample}");
    }
    let mut identifiers = HashSet::new();
    let visible = |path: &PathBuf| !path.strip_prefix(&package).unwrap().to_str().unwrap().contains('~');
    let files: Vec<_> = below(&package).into_iter().filter(visible).collect();
    let (metas, assets): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| has_extension(path, "meta"));
    assert!(metas.len() == assets.len() && assets.len() > 25, "{} assets, {} .meta files", assets.len(), metas.len());
    for meta in &metas {
        assert!(meta.with_extension("").exists(), "{} is of nothing", meta.display());
        let text = std::fs::read_to_string(meta).unwrap();
        let identifier = text.lines().find_map(|line| line.strip_prefix("guid: ")).unwrap().to_owned();
        assert!(identifier.len() == 32 && identifiers.insert(identifier), "{}", meta.display());
    }
    let plugin = std::fs::read_to_string(package.join("Plugins/Linux/x86_64/libcauseway.so.meta")).unwrap();
    assert!(
        plugin.contains("Standalone: Linux64\n    second:\n      enabled: 1\n      settings:\n        CPU: x86_64")
    );
}
