//! The preprocessor.

extern crate alloc;

#[path = "../src/compose.rs"]
mod compose;

use std::collections::HashMap;

fn compose(text: &str, flags: &[&str], files: &[(&str, &str)]) -> Result<String, String> {
    let files: HashMap<_, _> = files.iter().copied().collect();
    compose::compose(text, flags, &[("SIDE", 2)], &|name| files.get(name).copied())
}

#[test]
fn permutations_are_declared_by_the_file() {
    let found = compose::permutations("// a kernel\n//!kernel a X Y\nconst Z = 1;\n//!kernel b\n");
    assert_eq!(found, [("a".into(), vec!["X".into(), "Y".into()]), ("b".into(), vec![])]);
}

#[test]
fn branches_nest() {
    let text = "//!if A\na\n//!if B\nab\n//!else\na!b\n//!end\n//!else\n!a\n//!end\nz\n";
    for (flags, expected) in [(&["A", "B"][..], "a\nab\nz\n"), (&["A"], "a\na!b\nz\n"), (&["B"], "!a\nz\n")] {
        assert_eq!(compose(text, flags, &[]).as_deref(), Ok(expected), "{flags:?}");
    }
}

#[test]
fn imports_come_once_and_see_the_flags() {
    let files = [("shared/a", "//!import shared/b\n//!if F\na\n//!end\n"), ("shared/b", "b\n")];
    let text = "//!import shared/b\n//!import shared/a\n//!import shared/a\nmain // kept\n// dropped\n";
    assert_eq!(compose(text, &["F"], &files).as_deref(), Ok("b\na\nmain // kept\n"));
}

#[test]
fn a_dropped_branch_imports_nothing() {
    assert_eq!(compose("//!if F\n//!import missing\n//!end\nx\n", &[], &[]).as_deref(), Ok("x\n"));
}

#[test]
fn repeated_lines_carry_their_number_and_nest() {
    let text = "//!repeat i 0 2\n//!if F\na{i}\n//!end\n//!repeat j 1 3\nb{i}{j}\n//!end\n//!end\n//!repeat i 3 3\nc\n//!end\nz\n";
    assert_eq!(compose(text, &[], &[]).as_deref(), Ok("b01\nb02\nb11\nb12\nz\n"));
    assert_eq!(compose(text, &["F"], &[]).as_deref(), Ok("a0\nb01\nb02\na1\nb11\nb12\nz\n"));
}

#[test]
fn numbers_of_the_device_are_filled_in() {
    let text = "const S = {SIDE}u; // {OTHER}\n//!repeat i 0 {HEAD/8/SIDE}\na{i} {}\n//!end\n//!import b\n";
    let files = [("b", "b{SIDE}\n")];
    assert_eq!(compose(text, &["HEAD=32"], &files).as_deref(), Ok("const S = 2u; // {OTHER}\na0 {}\na1 {}\nb2\n"));
}

#[test]
fn numbers_lie_in_single_or_in_half_precision() {
    let f32 = "@group(1) @binding(3) var<storage, read_write> x: array<vec2<f32>>;\n\
               fn load_x(at: u32) -> vec2<f32> {\nreturn x[at];\n}\n\
               fn store_x(at: u32, value: vec2<f32>) {\nx[at] = value;\n}\n";
    let text = "//!numbers 3 update x 2\n";
    assert_eq!(compose(text, &["HALVES_y"], &[]).as_deref(), Ok(f32));
    let halves = compose(text, &["HALVES_x"], &[]).unwrap();
    for part in ["read_write> x: array<u32>;", "return unpack2x16float(x[at]);", "x[at] = pack2x16float(clamp(value, "]
    {
        assert!(halves.contains(part), "{part} is not in\n{halves}");
    }
    // Single numbers leave by twos.
    let single = compose("//!numbers 0 write x 1\n", &["HALVES_x"], &[]).unwrap();
    assert!(single.contains("fn store_x(at: u32, value: vec2<f32>)") && single.contains("x[at / 2u] = "), "{single}");
    assert!(!single.contains("load_x"), "{single}");
    assert_eq!(compose("//!if F\n//!numbers 0 write x 1\n//!end\n", &[], &[]).as_deref(), Ok(""));
}

#[test]
fn what_no_text_needs_is_left_out_of_files() {
    let text = "// why\n//!kernel a B\n\n//!if B\n    x // kept\n//!end\n";
    assert_eq!(compose::strip(text), "//!if B\nx // kept\n//!end\n");
}

#[test]
fn mistakes_name_their_line() {
    for (text, expected) in [
        ("a\n//!else\n", "line 2: //!else without //!if"),
        ("//!end\n", "line 1: //!end without //!if"),
        ("//!if F\n", "//!if without //!end"),
        ("a\n//!repeat i 0\n//!end\n", "line 2: //!repeat takes a name and two numbers"),
        ("//!repeat i 0 4\n//!if F\n//!end\n", "line 1: //!repeat without //!end"),
        ("//!repeat i 0 2\n//!improt b\n//!end\n", "line 2: unknown directive"),
        ("\n//!improt b\n", "line 2: unknown directive"),
        ("//!import b\n", "line 1: b: not found"),
        ("//!numbers 1 read x 3\n", "line 1: //!numbers takes a slot, an access, a name and 1, 2 or 4"),
        ("//!numbers 1 take x 2\n", "line 1: //!numbers takes"),
        ("//!numbers 1 read x 2 more\n", "line 1: //!numbers takes"),
    ] {
        let error = compose(text, &["F"], &[]).unwrap_err();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}
