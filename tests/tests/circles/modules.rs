//! The modules of a crate, and what a path in one of them leads to.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use syn::{
    Attribute, ImplItemFn, Item, ItemMod, ItemUse, Macro, Visibility,
    buffer::{Cursor, TokenBuffer},
    visit::{self, Visit},
};

use crate::items::{attributes, colons, defined, is_test, leaves};

/// Texts of a crate's files by their paths below `src`.
pub type Sources = BTreeMap<PathBuf, String>;
/// What each file imports: of which file which items.
pub type Imports = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;
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
pub struct Modules<'a> {
    sources: &'a Sources,
    all: Vec<Module>,
    /// The one that is read.
    at: usize,
    /// Files of tests, without their endings.
    pub tests: Vec<PathBuf>,
    /// Where macros are defined: after that they are in scope everywhere.
    macros: BTreeMap<String, usize>,
}

impl<'a> Modules<'a> {
    pub fn read(sources: &'a Sources, root: &str) -> Self {
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

    pub fn imports(&self) -> Imports {
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
