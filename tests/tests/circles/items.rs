//! What items and tokens say: the names that they define, and whether they are tests.

use syn::{
    Attribute, ForeignItem, Item, Meta, UseTree,
    buffer::{Cursor, TokenBuffer},
};

/// What follows `::`.
pub fn colons(cursor: Cursor<'_>) -> Option<Cursor<'_>> {
    let (_, next) = cursor.punct().filter(|(mark, _)| mark.as_char() == ':')?;
    let (_, next) = next.punct().filter(|(mark, _)| mark.as_char() == ':')?;
    Some(next)
}

/// The names of a `use`, and `None` for `*`.
pub fn leaves(tree: &UseTree, path: &mut Vec<String>, add: &mut impl FnMut(Vec<String>, Option<String>)) {
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
pub fn defined(item: &Item) -> Vec<String> {
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

pub fn attributes(item: &Item) -> &[Attribute] {
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
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition: String = list.tokens.to_string().split_whitespace().collect();
            condition == "test" || condition.starts_with("all(test,")
        }
        meta => meta.path().is_ident("test"),
    })
}
