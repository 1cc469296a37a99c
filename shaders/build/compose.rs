//! The preprocessor. Its directives are WGSL comments, so that editors still understand the files:
//!
//! * `//!kernel NAME FLAG...` declares a permutation: a kernel name and the flags that are set for it;
//! * `//!import PATH` inserts `wgsl/PATH.wgsl`, once;
//! * `//!if FLAG`, `//!else`, `//!end` keep lines by flag and nest.
//!
//! Comment lines are dropped from the result, which is embedded in the library.

use std::{collections::BTreeSet, io};

/// Kernel names and flags declared by a file.
pub fn permutations(text: &str) -> Vec<(String, Vec<String>)> {
    let declared = text.lines().filter_map(|line| line.trim().strip_prefix("//!kernel "));
    declared
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::to_string);
            Some((words.next()?, words.collect()))
        })
        .collect()
}

/// The text of one permutation; `load` gives the text of an import.
pub fn compose(
    text: &str,
    flags: &[String],
    load: &mut dyn FnMut(&str) -> io::Result<String>,
) -> Result<String, String> {
    let mut out = String::new();
    append(text, flags, load, &mut BTreeSet::new(), &mut out)?;
    Ok(out)
}

fn append(
    text: &str,
    flags: &[String],
    load: &mut dyn FnMut(&str) -> io::Result<String>,
    imported: &mut BTreeSet<String>,
    out: &mut String,
) -> Result<(), String> {
    // One entry for each open `//!if`: whether its current branch is kept.
    let mut branches: Vec<bool> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let fail = |what: &str| Err(format!("line {}: {what}", number + 1));
        let mut words = line.split_whitespace();
        let kept = branches.iter().all(|&branch| branch);
        match (words.next().unwrap_or(""), words.next()) {
            ("//!if", Some(flag)) => branches.push(flags.iter().any(|f| f == flag)),
            ("//!else", None) => match branches.last_mut() {
                Some(branch) => *branch = !*branch,
                None => return fail("//!else without //!if"),
            },
            ("//!end", None) => match branches.pop() {
                Some(_) => {}
                None => return fail("//!end without //!if"),
            },
            ("//!import", Some(path)) if kept && imported.insert(path.into()) => {
                let text = load(path).map_err(|e| format!("line {}: {path}: {e}", number + 1))?;
                append(&text, flags, load, imported, out).map_err(|e| format!("{path}: {e}"))?;
            }
            ("//!import" | "//!kernel", Some(_)) => {}
            (word, _) if word.starts_with("//!") => return fail("unknown directive"),
            (word, _) if kept && !word.is_empty() && !word.starts_with("//") => {
                out.push_str(line);
                out.push('\n');
            }
            _ => {}
        }
    }
    if branches.is_empty() { Ok(()) } else { Err("//!if without //!end".into()) }
}
