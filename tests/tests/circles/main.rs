//! No files of a crate import each other in a circle.
//!
//! A file imports another when its code names an item that is defined there, by a `use` or by a path. A module that passes on what its
//! children define (`pub use`) does not import them by that, tests do not count, and methods of a value name no file.

mod items;
mod modules;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use modules::{Imports, Modules, Sources};

/// Crates of the workspace, and how many files and imports they have at least.
const CRATES: [(&str, usize, usize); 9] = [
    ("shaders", 1, 0),
    ("ops", 95, 350),
    ("runtime", 100, 380),
    ("models", 1, 0),
    ("examples/edge", 4, 3),
    ("ffi", 24, 85),
    ("cli", 60, 230),
    ("distill", 105, 500),
    ("tests", 7, 2),
];

/// The shortest way along imports from a file to itself.
fn shortest(imports: &Imports, file: &Path) -> Option<Vec<PathBuf>> {
    let mut ways = VecDeque::from([vec![file.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in imports[&way[way.len() - 1]].keys() {
            if next == file {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back([&way[..], std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

fn reached<'a>(imports: &'a Imports, from: &'a Path) -> BTreeSet<&'a PathBuf> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        open.extend(imports[file].keys().filter(|next| found.insert(*next)).map(PathBuf::as_path));
    }
    found
}

/// A line for each set of files that all lead to each other.
fn circles(imports: &Imports) -> Vec<String> {
    let reached: BTreeMap<_, _> = imports.keys().map(|file| (file, reached(imports, file))).collect();
    let (mut told, mut lines) = (BTreeSet::new(), Vec::new());
    for file in imports.keys().filter(|file| reached[file].contains(file)) {
        let circle: Vec<_> = reached[file].iter().filter(|other| reached[*other].contains(file)).collect();
        if !told.insert(circle[0]) {
            continue;
        }
        let ways = circle.iter().filter_map(|file| shortest(imports, file));
        let way = ways.min_by_key(Vec::len).expect("a circle");
        let next = way.iter().cycle().skip(1);
        let steps = way.iter().zip(next).map(|(from, to)| {
            let names: Vec<_> = imports[from][to].iter().take(4).cloned().collect();
            format!("\n    {} imports {} for {}", from.display(), to.display(), names.join(", "))
        });
        let steps: String = steps.collect();
        let files: Vec<_> = circle.iter().map(|file| file.display().to_string()).collect();
        lines.push(format!("{} files ({}):{steps}", files.len(), files.join(", ")));
    }
    lines
}

/// The imports of the crate whose sources these are, all of which must belong to it.
fn imports(sources: &Sources) -> Imports {
    let (mut imports, mut tests) = (Imports::new(), Vec::new());
    for root in ["lib.rs", "main.rs"].into_iter().filter(|root| sources.contains_key(Path::new(root))) {
        let mut modules = Modules::read(sources, root);
        imports.extend(modules.imports());
        tests.append(&mut modules.tests);
    }
    for file in sources.keys().filter(|file| !imports.contains_key(*file)) {
        let bare = file.with_extension("");
        assert!(tests.iter().any(|test| bare.starts_with(test)), "{} belongs to nothing", file.display());
    }
    imports
}

fn read(folder: &Path, below: &Path, sources: &mut Sources) {
    for entry in fs::read_dir(folder.join(below)).expect("a folder") {
        let path = below.join(entry.expect("an entry").file_name());
        if folder.join(&path).is_dir() {
            read(folder, &path, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            sources.insert(path.clone(), fs::read_to_string(folder.join(path)).expect("a text"));
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository");
    let members = fs::read_to_string(root.join("Cargo.toml")).expect("Cargo.toml");
    let members = members.lines().find_map(|line| line.strip_prefix("members = ")).expect("the members");
    let members: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    assert_eq!(members, CRATES.iter().map(|found| found.0).collect());
    let mut found = Vec::new();
    for (name, least_files, least_imports) in CRATES {
        let mut sources = Sources::new();
        read(&root.join(name).join("src"), Path::new(""), &mut sources);
        let imports = imports(&sources);
        let count = imports.values().map(BTreeMap::len).sum::<usize>();
        println!("{name}: {} files, {count} imports", imports.len());
        assert!(imports.len() >= least_files && count >= least_imports, "{name}: {} files, {count}", imports.len());
        found.extend(circles(&imports).iter().map(|circle| format!("{name}: {circle}")));
    }
    assert!(found.is_empty(), "files import each other in circles:\n{}", found.join("\n"));
}

/// A crate of these files.
fn small(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(path, text)| (path.into(), (*text).to_owned())).collect()
}

#[test]
fn circles_are_found() {
    // By a path, by what a module passes on, by a glob, in a macro: four files, and a circle of two apart from them.
    let mut files = vec![
        ("lib.rs", "mod a; mod b; mod list; mod x; mod y; pub use list::*;"),
        ("a.rs", "fn a() { crate::b::b::<u8>() } pub struct A;"),
        ("b/mod.rs", "mod within; pub use within::Within; use crate::*; pub fn b<T>() -> Item { Item }"),
        ("b/within.rs", "pub struct Within;"),
        (
            "list.rs",
            "pub struct Item; mod deep { fn f() { println!(\"{}\", super::super::list::last::LAST) } } mod last;",
        ),
        ("list/last.rs", "use crate::a::A as Other; pub const LAST: u8 = 0;"),
        ("x.rs", "pub enum X { One } pub fn f(y: super::y::Y) {}"),
        ("y.rs", "use crate::x::X::One; pub struct Y;"),
    ];
    let found = circles(&imports(&small(&files)));
    let starts = [
        "4 files (a.rs, b/mod.rs, list/last.rs, list.rs):\n    a.rs imports b/mod.rs for crate::b::b\n",
        "2 files (x.rs, y.rs):",
    ];
    assert!(found.len() == 2 && found.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{found:#?}");
    assert!(found[0].ends_with("list/last.rs imports a.rs for crate::a::A"), "{found:#?}");
    // Tests, comments, other crates and what is passed on do not count.
    files.truncate(6);
    files[0].1 = "mod a; mod b; mod list; pub use list::*;";
    files[5].1 =
        "/// [`A`](crate::a::A)\npub const LAST: u8 = 0; use std::a::A; #[cfg(test)] mod tests { use crate::a::A; }";
    assert_eq!(circles(&imports(&small(&files))), [""; 0]);
}

#[test]
#[should_panic(expected = "lost.rs belongs to nothing")]
fn every_file_is_read() {
    imports(&small(&[("lib.rs", "mod a;"), ("a.rs", ""), ("lost.rs", "")]));
}

#[test]
#[should_panic(expected = "a.rs: crate::b::B leads nowhere")]
fn every_path_is_followed() {
    imports(&small(&[("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B;"), ("b.rs", "struct A;")]));
}
