//! The C# declarations, written from the Rust source of the C interface, as the C header is.

use std::{fmt::Write, path::Path};

use syn::{Attribute, Expr, FnArg, Item, Lit, Pat, ReturnType, Type};

/// Text of `Native.cs` for the crate whose `src` folder this is.
pub fn csharp(source: &Path) -> String {
    let items: Vec<Item> = ["types", "api"].iter().flat_map(|name| parse(&source.join(name))).collect();
    let callbacks = items.iter().filter_map(|item| match item {
        Item::Type(alias) if alias.ident != "CwStatus" => Some(alias.ident.to_string()),
        _ => None,
    });
    let types = Types { callbacks: callbacks.collect() };
    let mut out = String::from(
        "// Written by `CAUSEWAY_BLESS=1 cargo test -p causeway-tests --test hosts bindings` from the source of include/causeway.h. Do not edit.\n\
         #pragma warning disable CS0649, CS0169\n\
         using System;\n\
         using System.Runtime.InteropServices;\n\n\
         namespace Causeway\n{\n",
    );
    items.iter().for_each(|item| types.structure(item, &mut out));
    out.push_str(
        "    /// <summary>The C interface, name by name. <see cref=\"Session\"/> and its neighbours are easier to use.</summary>\n    \
             internal static unsafe class Native\n    {\n\
         #if UNITY_IOS && !UNITY_EDITOR\n        const string Library = \"__Internal\";\n\
         #else\n        const string Library = \"causeway\";\n#endif\n",
    );
    items.iter().for_each(|item| types.constant(item, &mut out));
    items.iter().for_each(|item| types.function(item, &mut out));
    out.push_str("    }\n}\n");
    out
}

/// Items of all files of a folder, by name.
pub fn parse(folder: &Path) -> Vec<Item> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // The same functions, for builds without text encoders.
    files.retain(|file| !file.ends_with("no_text.rs"));
    files.sort();
    let items = files.iter().flat_map(|file| syn::parse_file(&std::fs::read_to_string(file).unwrap()).unwrap().items);
    items.collect()
}

struct Types {
    /// Function pointer types.
    callbacks: Vec<String>,
}

impl Types {
    fn structure(&self, item: &Item, out: &mut String) {
        let Item::Struct(structure) = item else { return };
        let opaque = structure.fields.iter().any(|field| field.ident.as_ref().unwrap() == "_opaque");
        if opaque || !structure.ident.to_string().starts_with("Cw") {
            return;
        }
        summary(&structure.attrs, "    ", out);
        let name = &structure.ident;
        write!(out, "    [StructLayout(LayoutKind.Sequential)]\n    internal unsafe struct {name}\n    {{\n").unwrap();
        for field in &structure.fields {
            summary(&field.attrs, "        ", out);
            let field_name = camel(&field.ident.as_ref().unwrap().to_string());
            match &field.ty {
                Type::Array(array) => {
                    let (of, count) = (self.name(&array.elem), integer(&array.len));
                    writeln!(out, "        public fixed {of} {field_name}[{count}];").unwrap();
                }
                ty => writeln!(out, "        public {} {field_name};", self.name(ty)).unwrap(),
            }
        }
        out.push_str("    }\n\n");
    }

    fn constant(&self, item: &Item, out: &mut String) {
        let Item::Const(constant) = item else { return };
        if constant.ident.to_string().starts_with("CW_") {
            summary(&constant.attrs, "        ", out);
            let (ty, value) = (self.name(&constant.ty), integer(&constant.expr));
            writeln!(out, "        internal const {ty} {} = {value};", constant.ident).unwrap();
        }
    }

    fn function(&self, item: &Item, out: &mut String) {
        let Item::Fn(function) = item else { return };
        let name = function.sig.ident.to_string();
        if function.sig.abi.is_none() || !name.starts_with("cw_") {
            return;
        }
        let arguments = function.sig.inputs.iter().map(|argument| {
            let FnArg::Typed(argument) = argument else { panic!("{name} takes self") };
            let Pat::Ident(pattern) = &*argument.pat else { panic!("{name}: an argument without a name") };
            format!("{} {}", self.argument(&name, &argument.ty), camel(&pattern.ident.to_string()))
        });
        let arguments = arguments.collect::<Vec<_>>().join(", ");
        let result = match &function.sig.output {
            ReturnType::Default => "void".to_owned(),
            ReturnType::Type(_, ty) => self.name(ty),
        };
        out.push('\n');
        summary(&function.attrs, "        ", out);
        writeln!(out, "        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]").unwrap();
        writeln!(out, "        internal static extern {result} {name}({arguments});").unwrap();
    }

    /// Type of an argument: handles are `SafeHandle`s, so that none is freed while a call runs, except where they are made and freed.
    fn argument(&self, function: &str, ty: &Type) -> String {
        match handle(ty) {
            Some((0, kind)) if !function.ends_with("_destroy") => format!("{kind}Handle"),
            Some((0, _)) => "IntPtr".to_owned(),
            Some((1, _)) => "out IntPtr".to_owned(),
            Some(_) => panic!("{function}: a pointer to a pointer to a handle"),
            None => self.name(ty),
        }
    }

    /// C# name of a blittable type.
    fn name(&self, ty: &Type) -> String {
        match ty {
            Type::Path(path) => match path.path.segments.last().unwrap().ident.to_string().as_str() {
                "u8" | "c_char" | "c_uchar" => "byte",
                "i32" | "c_int" | "CwStatus" => "int",
                "u32" => "uint",
                "i64" => "long",
                "u64" => "ulong",
                "usize" => "UIntPtr",
                "f32" => "float",
                "f64" => "double",
                "c_void" => "void",
                name if self.callbacks.iter().any(|callback| callback == name) => "IntPtr",
                name if name.starts_with("Cw") => return name.to_owned(),
                name => panic!("no C# type for {name}"),
            }
            .to_owned(),
            Type::Ptr(pointer) if handle(ty).is_none() => format!("{}*", self.name(&pointer.elem)),
            Type::Ptr(_) => "IntPtr".to_owned(),
            _ => panic!("no C# type for a field or an argument"),
        }
    }
}

/// Kind of the handle that a type points to, and through how many further pointers.
fn handle(ty: &Type) -> Option<(usize, String)> {
    let Type::Ptr(pointer) = ty else { return None };
    match &*pointer.elem {
        Type::Path(path) => {
            let name = path.path.segments.last()?.ident.to_string();
            let kind = name.strip_prefix("Cw")?;
            ["Device", "Model", "Session", "Text", "Vulkan"].contains(&kind).then(|| (0, kind.to_owned()))
        }
        inner => handle(inner).map(|(depth, kind)| (depth + 1, kind)),
    }
}

/// Value of an integer literal, with its sign.
pub fn integer(expression: &Expr) -> String {
    match expression {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(value) => value.base10_digits().to_owned(),
            _ => panic!("not an integer constant"),
        },
        Expr::Unary(unary) => format!("-{}", integer(&unary.expr)),
        _ => panic!("not an integer constant"),
    }
}

/// The doc comment as XML.
fn summary(attributes: &[Attribute], indent: &str, out: &mut String) {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    // What callers must keep to is in C# the wrapper's affair.
    let text = text.split("# Safety").next().unwrap();
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let text = text.trim().lines().map(str::trim).collect::<Vec<_>>().join(&format!("\n{indent}/// "));
    writeln!(out, "{indent}/// <summary>{}</summary>", text.replace("/// \n", "///\n")).unwrap();
}

/// `snake_case` as `camelCase`.
fn camel(name: &str) -> String {
    let mut out = String::new();
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            _ if upper => {
                out.extend(letter.to_uppercase());
                upper = false;
            }
            _ => out.push(letter),
        }
    }
    // Keywords of C# that C and Rust do not have.
    if ["event", "lock", "out", "in", "ref", "params", "object", "string", "base", "fixed"].contains(&out.as_str()) {
        format!("@{out}")
    } else {
        out
    }
}
