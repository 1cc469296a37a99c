//! The interface only grows: every function, constant and struct of the first header is in today's, and structs have grown at
//! their ends only. `include/abi-1.h` is the header as first released; it is never written anew.

mod common;

use std::{collections::BTreeMap, fs, process::Command};

/// Constants, functions and structs (fields in order) of a header, comments left out.
#[derive(Default)]
struct Header {
    lines: Vec<String>,
    structs: BTreeMap<String, Vec<String>>,
}

fn parse(text: &str) -> Header {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        plain += before;
        rest = after.split_once("*/").unwrap().1;
    }
    plain += rest;
    let mut header = Header::default();
    let mut fields: Option<Vec<String>> = None;
    let mut statement = String::new();
    for line in plain.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with("#define CW_") {
            header.lines.push(line.to_owned());
        } else if line.starts_with('#') || line.contains("extern \"C\"") {
        } else if line == "typedef struct {" {
            fields = Some(Vec::new());
        } else if let Some(name) = line.strip_prefix("} ") {
            header.structs.insert(name.trim_end_matches(';').to_owned(), fields.take().unwrap());
        } else {
            statement = format!("{statement} {line}").trim().to_owned();
            if statement.ends_with(';') {
                let done = std::mem::take(&mut statement);
                match &mut fields {
                    Some(fields) => fields.push(done),
                    None => header.lines.push(done.strip_prefix("CW_API ").unwrap_or(&done).to_owned()),
                }
            }
        }
    }
    header
}

fn header(name: &str) -> Header {
    parse(&fs::read_to_string(common::root().join("include").join(name)).unwrap())
}

#[test]
fn nothing_of_the_first_header_is_gone_or_changed() {
    let (first, now) = (header("abi-1.h"), header("causeway.h"));
    assert!(first.lines.len() > 60 && first.structs.len() >= 10, "the first header was not understood");
    for line in first.lines.iter().filter(|line| !line.starts_with("#define CW_ABI_VERSION")) {
        assert!(now.lines.contains(line), "gone or changed: {line}");
    }
    for (name, fields) in &first.structs {
        let grown = now.structs.get(name).unwrap_or_else(|| panic!("struct {name} is gone"));
        assert!(grown.starts_with(fields), "{name} has changed other than at its end: {fields:?} to {grown:?}");
    }
}

/// Offsets as a C compiler has them: a field's type may be spelled alike and be another.
#[test]
fn fields_lie_where_they_lay() {
    let first = header("abi-1.h");
    let offsets = |name: &str| {
        let mut program = format!("#include \"{name}\"\n#include <stdio.h>\nint main(void) {{\n");
        for (name, fields) in &first.structs {
            for field in fields {
                let field = field.trim_end_matches(';').rsplit([' ', '*']).next().unwrap();
                let field = field.split('[').next().unwrap();
                program += &format!(
                    "printf(\"{name}.{field} %zu %zu\\n\", offsetof({name}, {field}), sizeof(({name} *)0)->{field});\n"
                );
            }
        }
        let at = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("offsets-{name}.c"));
        fs::write(&at, program + "return 0;\n}\n").unwrap();
        let out = at.with_extension("bin");
        common::run(Command::new("gcc").arg(&at).arg("-I").arg(common::root().join("include")).arg("-o").arg(&out));
        common::run(&mut Command::new(out))
    };
    let (old, new) = (offsets("abi-1.h"), offsets("causeway.h"));
    assert!(old.lines().count() > 80);
    assert_eq!(old, new);
}

/// Exported names: those of the header, all of them and no other.
#[test]
fn the_library_exports_what_the_header_declares() {
    let library = common::library_folder().join("libcauseway.so");
    let table = common::run(Command::new("nm").args(["-D", "--defined-only"]).arg(library));
    let mut exported: Vec<&str> =
        table.lines().filter_map(|line| line.split(' ').nth(2)).filter(|name| name.starts_with("cw_")).collect();
    let now = header("causeway.h");
    let mut declared: Vec<&str> = now
        .lines
        .iter()
        .filter_map(|line| line.split_once('('))
        .collect::<Vec<_>>()
        .iter()
        .filter_map(|(head, _)| head.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("cw_"))
        .collect();
    exported.sort_unstable();
    declared.sort_unstable();
    assert_eq!(exported, declared);
}

/// A program built against the first header, with the library of today.
#[test]
fn a_client_of_the_first_header_still_works() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("first");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(common::root().join("include/abi-1.h"), folder.join("causeway.h")).unwrap();
    // And one built against a header whose structs have grown, which today's library does not know.
    let later = fs::read_to_string(common::root().join("include/causeway.h")).unwrap();
    let grown = folder.join("grown");
    fs::create_dir_all(&grown).unwrap();
    let later: String =
        later
            .lines()
            .map(|line| {
                if line.starts_with("} Cw") {
                    format!("uint64_t of_tomorrow[3];\n{line}\n")
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
    fs::write(grown.join("causeway.h"), later).unwrap();
    let play = |include: &std::path::Path, name: &str| {
        let program = folder.join(name);
        let mut gcc = Command::new("gcc");
        gcc.args(["-std=c99", "-I"]).arg(include).arg(common::root().join("examples/c/headless.c")).arg("-o");
        gcc.arg(&program).arg("-L").arg(common::library_folder()).arg("-l:libcauseway.so");
        common::run(gcc.arg(format!("-Wl,-rpath,{}", common::library_folder().display())));
        common::run(Command::new(program).arg(common::model()).arg("5"))
    };
    let now = play(&common::root().join("include"), "now");
    assert_eq!(now.lines().count(), 5);
    assert_eq!(play(&folder, "old"), now);
    assert_eq!(play(&grown, "new"), now);
}

/// As its structs were in version 1, in version 3, and are now: the library gives what is missing its default and leaves what lies behind a
/// struct alone.
#[test]
fn clients_of_each_size_of_struct_play_the_same() {
    let program = common::compile("gcc", "-std=c99", "ffi/tests/programs/sizes.c", "sizes");
    let printed = common::run(Command::new(program).arg(common::model()));
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split(' ').collect()).collect();
    let sizes: Vec<_> = lines.iter().map(|line| (line[0], line[1])).collect();
    assert_eq!(sizes[..2], [("1", "80"), ("3", "88")]);
    assert!(sizes.len() == 3 && sizes[2].1.parse::<usize>().unwrap() >= 144, "{sizes:?}");
    assert!(lines.iter().all(|line| line[2] == lines[0][2]), "{printed}");
}
