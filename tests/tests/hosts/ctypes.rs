//! The declarations of the Python package, written from the Rust source of the C interface, as the C header is.

use std::{fmt::Write, path::Path};

use syn::{FnArg, Item, ReturnType, Type};

use crate::bindings::{integer, parse};

/// Text of `_native.py` for the crate whose `src` folder this is.
pub fn python(source: &Path) -> String {
    let items: Vec<Item> = ["types", "api"].iter().flat_map(|name| parse(&source.join(name))).collect();
    let mut out = String::from(
        "# Written by `CAUSEWAY_BLESS=1 cargo test -p causeway-tests --test hosts bindings` from the source of include/causeway.h. Do not edit.\n\
         \"\"\"The C interface, name by name. `causeway` is easier to use.\"\"\"\n\nfrom ctypes import *\n",
    );
    for item in &items {
        match item {
            Item::Struct(item) if !item.fields.iter().any(|field| field.ident.as_ref().unwrap() == "_opaque") => {
                write!(out, "\n\nclass {}(Structure):\n    _fields_ = [\n", item.ident).unwrap();
                for field in &item.fields {
                    writeln!(out, "        (\"{}\", {}),", field.ident.as_ref().unwrap(), name(&field.ty)).unwrap();
                }
                out.push_str("    ]\n");
            }
            _ => {}
        }
    }
    out.push_str("\n\n");
    for item in &items {
        match item {
            Item::Const(item) if item.ident.to_string().starts_with("CW_") => {
                writeln!(out, "{} = {}", item.ident, integer(&item.expr)).unwrap();
            }
            _ => {}
        }
    }
    out.push_str("\n# What a function gives, and what it takes.\nFUNCTIONS = {\n");
    for item in &items {
        let Item::Fn(function) = item else { continue };
        let called = function.sig.ident.to_string();
        if function.sig.abi.is_none() || !called.starts_with("cw_") {
            continue;
        }
        let takes = function.sig.inputs.iter().map(|argument| match argument {
            FnArg::Typed(argument) => name(&argument.ty),
            FnArg::Receiver(_) => panic!("{called} takes self"),
        });
        let takes = takes.collect::<Vec<_>>().join(", ");
        let gives = match &function.sig.output {
            ReturnType::Default => "None".to_owned(),
            ReturnType::Type(_, ty) if matches!(**ty, Type::Ptr(_)) => "c_char_p".to_owned(),
            ReturnType::Type(_, ty) => name(ty),
        };
        writeln!(out, "    \"{called}\": ({gives}, [{takes}]),").unwrap();
    }
    out.push_str("}\n");
    out
}

/// The type's name in `ctypes`. Pointers are addresses: callers pass arrays, `byref`s, bytes and buffers alike.
fn name(ty: &Type) -> String {
    match ty {
        Type::Path(path) => match path.path.segments.last().unwrap().ident.to_string().as_str() {
            "u8" | "c_char" | "c_uchar" => "c_uint8",
            "i32" | "c_int" | "CwStatus" => "c_int32",
            "u32" => "c_uint32",
            "i64" => "c_int64",
            "u64" => "c_uint64",
            "usize" => "c_size_t",
            "f32" => "c_float",
            "f64" => "c_double",
            _ => "c_void_p",
        }
        .to_owned(),
        Type::Array(array) => format!("{} * {}", name(&array.elem), integer(&array.len)),
        _ => "c_void_p".to_owned(),
    }
}
