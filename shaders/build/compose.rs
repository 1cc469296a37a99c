//! The preprocessor. Its directives are WGSL comments, so that editors still understand the files:
//!
//! * `//!kernel NAME FLAG...` declares a permutation: a kernel name and the flags that are set for it;
//! * `//!import PATH` inserts `wgsl/PATH.wgsl`, once;
//! * `//!if FLAG`, `//!else`, `//!end` keep lines by flag and nest;
//! * `//!repeat NAME FROM END`, `//!end` write lines once for each number from FROM to END - 1, which stands where they say `{NAME}`. It
//!   unrolls loops over what must be named variables to be registers.
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
    let text = repeat(text)?;
    // One entry for each open `//!if`: whether its current branch is kept.
    let mut branches: Vec<bool> = Vec::new();
    for (number, line) in text {
        let fail = |what: &str| Err(format!("line {number}: {what}"));
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
                let text = load(path).map_err(|e| format!("line {number}: {path}: {e}"))?;
                append(&text, flags, load, imported, out).map_err(|e| format!("{path}: {e}"))?;
            }
            ("//!import" | "//!kernel", Some(_)) => {}
            (word, _) if word.starts_with("//!") => return fail("unknown directive"),
            (word, _) if kept && !word.is_empty() && !word.starts_with("//") => {
                out.push_str(&line);
                out.push('\n');
            }
            _ => {}
        }
    }
    if branches.is_empty() { Ok(()) } else { Err("//!if without //!end".into()) }
}

/// The lines of a text and their numbers, with those between `//!repeat` and its `//!end` repeated.
fn repeat(text: &str) -> Result<Vec<(usize, String)>, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.to_string())).collect();
    let mut out = Vec::new();
    unroll(lines, &mut out)?;
    Ok(out)
}

fn unroll(lines: Vec<(usize, String)>, out: &mut Vec<(usize, String)>) -> Result<(), String> {
    let mut rest = lines.into_iter();
    while let Some((number, line)) = rest.next() {
        let mut words = line.split_whitespace();
        if words.next() != Some("//!repeat") {
            out.push((number, line));
            continue;
        }
        let bound = |words: &mut std::str::SplitWhitespace<'_>| words.next()?.parse::<u32>().ok();
        let (Some(name), Some(from), Some(end), None) =
            (words.next(), bound(&mut words), bound(&mut words), words.next())
        else {
            return Err(format!("line {number}: //!repeat takes a name and two numbers"));
        };
        let (mut body, mut depth) = (Vec::new(), 1);
        loop {
            let Some((number, line)) = rest.next() else {
                return Err(format!("line {number}: //!repeat without //!end"));
            };
            match line.split_whitespace().next() {
                Some("//!if" | "//!repeat") => depth += 1,
                Some("//!end") => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            body.push((number, line));
        }
        for value in from..end {
            let value = value.to_string();
            let lines = body.iter().map(|(at, line)| (*at, line.replace(&format!("{{{name}}}"), &value)));
            unroll(lines.collect(), out)?;
        }
    }
    Ok(())
}
