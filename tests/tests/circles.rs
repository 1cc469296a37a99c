//! No files of a crate import each other in a circle.
//!
//! A file imports another when its code names an item that is defined there, by a `use` or by a path. A module that passes on what its
//! children define (`pub use`) does not import them by that, tests do not count, and methods of a value name no file.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, ForeignItem, ImplItemFn, Item, ItemMod, ItemUse, Macro, Meta, UseTree, Visibility,
    buffer::{Cursor, TokenBuffer},
    visit::{self, Visit},
};

/// Crates of the workspace, and how many files and imports they have at least.
const CRATES: [(&str, usize, usize); 7] = [
    ("shaders", 1, 0),
    ("ops", 95, 350),
    ("runtime", 100, 380),
    ("ffi", 24, 85),
    ("cli", 60, 230),
    ("distill", 105, 500),
    ("tests", 7, 2),
];

/// Texts of a crate's files by their paths below `src`.
type Sources = BTreeMap<PathBuf, String>;
/// What each file imports: of which file which items.
type Imports = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;
/// Names that are being looked up, and where, so that two modules that pass on all of each other are no endless way.
type Seen = BTreeSet<(usize, String)>;

/// A `use` of one name, or of all.
struct Use {
    path: Vec<String>,
    /// `None` for `*`.
    name: Option<String>,
    /// Whether others may name it by this module.
    passed_on: bool,
}

/// A module: a file, or a part of one.
#[derive(Default)]
struct Module {
    name: String,
    file: PathBuf,
    parent: Option<usize>,
    /// Several of a name are there for different platforms.
    children: BTreeSet<(String, usize)>,
    /// Names of what is defined here.
    items: BTreeSet<String>,
    uses: Vec<Use>,
    /// Paths in the code.
    paths: BTreeSet<Vec<String>>,
    /// Macros that are called by their name alone.
    calls: BTreeSet<String>,
}

/// What a path leads to: a module, an item of a module, or another crate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Module(usize),
    Item(usize),
    Elsewhere,
}

/// The modules of a crate.
struct Modules<'a> {
    sources: &'a Sources,
    all: Vec<Module>,
    /// The one that is read.
    at: usize,
    /// Files of tests, without their endings.
    tests: Vec<PathBuf>,
    /// Where macros are defined: after that they are in scope everywhere.
    macros: BTreeMap<String, usize>,
}

impl<'a> Modules<'a> {
    fn read(sources: &'a Sources, root: &str) -> Self {
        let mut modules = Self { sources, all: Vec::new(), at: 0, tests: Vec::new(), macros: BTreeMap::new() };
        modules.file(Module { file: root.into(), ..Module::default() });
        modules
    }

    fn file(&mut self, module: Module) {
        let shown = module.file.display();
        let text = self.sources.get(&module.file).unwrap_or_else(|| panic!("there is no {shown}"));
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{shown}: {error}"));
        self.module(module, &file.items);
    }

    fn module(&mut self, module: Module, items: &[Item]) {
        let (number, before) = (self.all.len(), self.at);
        if let Some(parent) = module.parent {
            self.all[parent].children.insert((module.name.clone(), number));
        }
        self.all.push(module);
        self.at = number;
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            self.all[number].items.extend(defined(item));
            if let Item::Macro(item) = item {
                self.macros.extend(item.ident.as_ref().map(|name| (name.to_string(), number)));
            }
        }
        items.iter().for_each(|item| self.visit_item(item));
        self.at = before;
    }

    /// Where the file of a module below the one that is read may lie, without its ending.
    fn below(&self, name: &str) -> PathBuf {
        let (mut at, mut names) = (&self.all[self.at], vec![name]);
        // Modules within a file are folders, too.
        while let Some(parent) = at.parent.map(|parent| &self.all[parent]).filter(|parent| parent.file == at.file) {
            names.push(&at.name);
            at = parent;
        }
        let mut path = at.file.with_extension("");
        if at.parent.is_none() || at.file.ends_with("mod.rs") {
            path.pop();
        }
        path.extend(names.iter().rev());
        path
    }

    /// What `name` is in a module.
    fn look(&self, number: usize, name: &str, seen: &mut Seen) -> BTreeSet<Found> {
        let mut found = BTreeSet::new();
        if !seen.insert((number, name.to_owned())) {
            return found;
        }
        let module = &self.all[number];
        found.extend(module.children.iter().filter(|child| child.0 == name).map(|child| Found::Module(child.1)));
        found.extend(module.items.contains(name).then_some(Found::Item(number)));
        for one in module.uses.iter().filter(|one| one.name.as_deref() == Some(name)) {
            let leads = self.follow(number, &one.path, seen);
            found.extend(if leads.is_empty() { [Found::Elsewhere].into() } else { leads });
        }
        if found.is_empty() {
            for all in module.uses.iter().filter(|all| all.name.is_none()) {
                for of in self.follow(number, &all.path, seen) {
                    if let Found::Module(of) = of {
                        found.extend(self.look(of, name, seen));
                    }
                }
            }
        }
        seen.remove(&(number, name.to_owned()));
        found
    }

    /// What a path leads to from a module; nothing for one that begins with a name from elsewhere.
    fn follow(&self, from: usize, path: &[String], seen: &mut Seen) -> BTreeSet<Found> {
        let mut found = BTreeSet::from([Found::Module(from)]);
        for name in path {
            let modules = found.iter().filter_map(|found| match found {
                Found::Module(module) => Some(*module),
                _ => None,
            });
            let next: BTreeSet<Found> = match name.as_str() {
                "self" => continue,
                "crate" => [Found::Module(0)].into(),
                "super" => modules.filter_map(|module| self.all[module].parent).map(Found::Module).collect(),
                name => modules.flat_map(|module| self.look(module, name, seen)).collect(),
            };
            if next.is_empty() {
                // What follows a type's name is its own: a variant, a function.
                found.retain(|found| !matches!(found, Found::Module(_)));
                return found;
            }
            found = next;
        }
        found
    }

    fn lies_in(&self, module: usize, folder: usize) -> bool {
        module == folder || self.all[module].parent.is_some_and(|parent| self.lies_in(parent, folder))
    }

    fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (number, module) in self.all.iter().enumerate() {
            let mut add = |found: BTreeSet<Found>, name: String, passed_on: bool| {
                let imported = imports.entry(module.file.clone()).or_default();
                for found in found {
                    let Found::Item(of) = found else { continue };
                    let file = &self.all[of].file;
                    if *file != module.file && !(passed_on && self.lies_in(of, number)) {
                        imported.entry(file.clone()).or_default().insert(name.clone());
                    }
                }
            };
            add(BTreeSet::new(), String::new(), false);
            let uses = module.uses.iter().map(|one| (&one.path, one.passed_on));
            for (path, passed_on) in uses.chain(module.paths.iter().map(|path| (path, false))) {
                let (found, name) = (self.follow(number, path, &mut Seen::new()), path.join("::"));
                let own = ["crate", "self", "super"].contains(&path[0].as_str());
                assert!(!own || !found.is_empty(), "{}: {name} leads nowhere", module.file.display());
                add(found, name, passed_on);
            }
            for name in &module.calls {
                let mut found = self.look(number, name, &mut Seen::new());
                if found.is_empty() {
                    found.extend(self.macros.get(name).map(|of| Found::Item(*of)));
                }
                add(found, format!("{name}!"), false);
            }
        }
        imports
    }

    /// Paths among the tokens of a macro.
    fn tokens(&mut self, mut cursor: Cursor<'_>) {
        let mut after_dot = false;
        while !cursor.eof() {
            let mut dot = false;
            if let Some((inside, _, _, next)) = cursor.any_group() {
                self.tokens(inside);
                cursor = next;
            } else if let Some(next) = colons(cursor) {
                // What follows `::` here belongs to no name of ours: `Vec::<T>::new`.
                (dot, cursor) = (true, next);
            } else if let Some((first, next)) = cursor.ident() {
                let mut path = vec![first.to_string()];
                cursor = next;
                while let Some((next, rest)) = colons(cursor).and_then(|next| next.ident()) {
                    path.push(next.to_string());
                    cursor = rest;
                }
                let called = cursor.punct().filter(|(mark, _)| mark.as_char() == '!');
                match called.and_then(|(_, next)| next.any_group()) {
                    _ if after_dot => {}
                    Some(_) if path.len() == 1 => drop(self.all[self.at].calls.insert(path.remove(0))),
                    _ => drop(self.all[self.at].paths.insert(path)),
                }
            } else if let Some((mark, next)) = cursor.punct() {
                (dot, cursor) = (mark.as_char() == '.', next);
            } else if let Some((_, next)) = cursor.token_tree() {
                cursor = next;
            }
            after_dot = dot;
        }
    }
}

impl<'ast> Visit<'ast> for Modules<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Mod(module) if is_test(&module.attrs) => self.tests.push(self.below(&module.ident.to_string())),
            item if is_test(attributes(item)) => {}
            item => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let (name, parent) = (item.ident.to_string(), Some(self.at));
        if let Some((_, items)) = &item.content {
            let file = self.all[self.at].file.clone();
            return self.module(Module { name, file, parent, ..Module::default() }, items);
        }
        let path = self.below(&name);
        let own = path.with_extension("rs");
        let file = if self.sources.contains_key(&own) { own } else { path.join("mod.rs") };
        self.file(Module { name, file, parent, ..Module::default() });
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let passed_on = !matches!(item.vis, Visibility::Inherited);
        if item.leading_colon.is_none() {
            leaves(&item.tree, &mut Vec::new(), &mut |path, name| {
                self.all[self.at].uses.push(Use { path, name, passed_on });
            });
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.all[self.at].paths.insert(names);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        match call.path.get_ident() {
            Some(name) => drop(self.all[self.at].calls.insert(name.to_string())),
            None => self.visit_path(&call.path),
        }
        self.tokens(TokenBuffer::new2(call.tokens.clone()).begin());
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// What follows `::`.
fn colons(cursor: Cursor<'_>) -> Option<Cursor<'_>> {
    let (_, next) = cursor.punct().filter(|(mark, _)| mark.as_char() == ':')?;
    let (_, next) = next.punct().filter(|(mark, _)| mark.as_char() == ':')?;
    Some(next)
}

/// The names of a `use`, and `None` for `*`.
fn leaves(tree: &UseTree, path: &mut Vec<String>, add: &mut impl FnMut(Vec<String>, Option<String>)) {
    let with = |name: &syn::Ident| [&path[..], &[name.to_string()]].concat();
    match tree {
        UseTree::Name(one) if one.ident == "self" => add(path.clone(), path.last().cloned()),
        UseTree::Name(one) => add(with(&one.ident), Some(one.ident.to_string())),
        UseTree::Rename(one) => add(with(&one.ident), Some(one.rename.to_string())),
        UseTree::Glob(_) => add(path.clone(), None),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, path, add)),
        UseTree::Path(part) => {
            path.push(part.ident.to_string());
            leaves(&part.tree, path, add);
            path.pop();
        }
    }
}

/// The names that an item defines.
fn defined(item: &Item) -> Vec<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::ForeignMod(block) => {
            let names = block.items.iter().filter_map(|item| match item {
                ForeignItem::Fn(item) => Some(item.sig.ident.to_string()),
                _ => None,
            });
            return names.collect();
        }
        Item::Macro(item) => {
            let mut names = Vec::from_iter(item.ident.as_ref().map(ToString::to_string));
            keywords(TokenBuffer::new2(item.mac.tokens.clone()).begin(), &mut names);
            return names;
        }
        _ => return Vec::new(),
    };
    vec![name.to_string()]
}

/// The names that the tokens of a macro define.
fn keywords(mut cursor: Cursor<'_>, names: &mut Vec<String>) {
    let mut keyword = false;
    while !cursor.eof() {
        let mut next_keyword = false;
        if let Some((inside, _, _, next)) = cursor.any_group() {
            keywords(inside, names);
            cursor = next;
        } else if let Some((name, next)) = cursor.ident() {
            let name = name.to_string();
            next_keyword = ["const", "enum", "fn", "static", "struct", "trait", "type"].contains(&name.as_str());
            names.extend(keyword.then_some(name));
            cursor = next;
        } else if let Some((_, next)) = cursor.token_tree() {
            cursor = next;
        }
        keyword = next_keyword;
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether this is there in tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition: String = list.tokens.to_string().split_whitespace().collect();
            condition == "test" || condition.starts_with("all(test,")
        }
        meta => meta.path().is_ident("test"),
    })
}

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
                ways.push_back([&way[..], &[next.clone()]].concat());
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
        ("b/mod.rs", "mod within; pub use within::Within; use crate::*; pub fn b<T>() -> Item { todo!() }"),
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
