//! The preprocessor. Its directives are WGSL comments, so that editors still understand the files:
//!
//! * `//!kernel NAME FLAG...` declares a permutation: a kernel name and the flags that are set for it;
//! * `//!import PATH` inserts `wgsl/PATH.wgsl`, once;
//! * `//!if FLAG`, `//!else`, `//!end` keep lines by flag and nest;
//! * `//!repeat NAME FROM END`, `//!end` write lines once for each number from FROM to END - 1, which stands where they say `{NAME}`. It
//!   unrolls loops over what must be named variables to be registers;
//! * `//!numbers SLOT ACCESS NAME SIZE` declares a binding of group 1, an array of f32 or of vectors of SIZE of them, and for ACCESS `read`,
//!   `write` or `update` the functions `load_NAME(at)` and `store_NAME(at, value)`. With the flag `HALVES_NAME` the numbers lie in half
//!   precision, two in a word, and are f32 to the kernel all the same; single ones (SIZE 1) are then stored two at a time, the first at an even
//!   place.
//!
//! A flag may have a number, `NAME=NUMBER`. `{NAME}` stands for that or for a number of the device that a text is made for, and `{A/B}` for
//! a quotient of such numbers, which may be bounds of repetitions too.
//!
//! Files are embedded in the library and composed when a kernel is compiled: unrolled permutations would take six times the room.

use alloc::{
    borrow::ToOwned,
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};

/// A file without what no text needs: comments, empty lines, indentation.
#[allow(dead_code, reason = "the build script's")]
pub fn strip(text: &str) -> String {
    let kept = |line: &&str| !line.is_empty() && (!line.starts_with("//") || line.starts_with("//!"));
    let directive = |line: &&str| !line.starts_with("//!kernel ");
    text.lines().map(str::trim).filter(kept).filter(directive).flat_map(|line| [line, "\n"]).collect()
}

/// Kernel names and flags declared by a file.
#[allow(dead_code, reason = "the build script's")]
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
///
/// # Errors
/// A directive that is none, or misses its other half, and imports that are not there: in which line.
pub fn compose<'a>(
    text: &str,
    flags: &[&str],
    values: &[(&str, u32)],
    load: &dyn Fn(&str) -> Option<&'a str>,
) -> Result<String, String> {
    let mut composer = Composer { flags, values, load, imported: BTreeSet::new(), out: String::new() };
    composer.append(text)?;
    Ok(composer.out)
}

struct Composer<'a, 'b> {
    flags: &'b [&'b str],
    values: &'b [(&'b str, u32)],
    load: &'b dyn Fn(&str) -> Option<&'a str>,
    imported: BTreeSet<String>,
    out: String,
}

/// A line and its number.
type Line = (usize, String);

impl Composer<'_, '_> {
    /// The number by a name, or what is a number itself.
    fn number(&self, name: &str) -> Option<u32> {
        let known = self.values.iter().find(|value| value.0 == name).map(|value| value.1);
        let flagged = || self.flags.iter().find_map(|flag| flag.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
        known.or_else(flagged).or_else(|| name.parse().ok())
    }

    /// `A/B/C`.
    fn quotient(&self, text: &str) -> Option<u32> {
        let mut parts = text.split('/').map(|name| self.number(name));
        let first = parts.next()??;
        parts.try_fold(first, |value, divisor| value.checked_div(divisor?))
    }

    /// A line with all numbers that are known; other braces stay.
    fn fill(&self, line: &str) -> String {
        let mut pieces = line.split('{');
        let mut out = pieces.next().unwrap_or("").to_owned();
        for piece in pieces {
            let found = piece.split_once('}').and_then(|(text, rest)| Some((self.quotient(text)?, rest)));
            match found {
                Some((value, rest)) => {
                    out.push_str(&value.to_string());
                    out.push_str(rest);
                }
                None => {
                    out.push('{');
                    out.push_str(piece);
                }
            }
        }
        out
    }

    /// A binding of numbers with what reads and writes it. What is beyond half precision is stored as the largest that it has.
    fn numbers<'w>(&self, slot: &str, mut words: impl Iterator<Item = &'w str>) -> Option<String> {
        let (access, name, size) = (words.next()?, words.next()?, words.next()?);
        let (space, reads, writes) = match access {
            "read" => ("read", true, false),
            "write" => ("read_write", false, true),
            "update" => ("read_write", true, true),
            _ => return None,
        };
        let vector = match size {
            "1" => "f32",
            "2" => "vec2<f32>",
            "4" => "vec4<f32>",
            _ => return None,
        };
        let halves = self.flags.iter().any(|flag| flag.strip_prefix("HALVES_") == Some(name));
        let (stored, value, load, store) = match (halves, size) {
            (false, _) => (vector, vector, format!("return {name}[at];"), format!("{name}[at] = value;")),
            (true, "4") => (
                "vec2<u32>",
                vector,
                format!("return vec4<f32>(unpack2x16float({name}[at].x), unpack2x16float({name}[at].y));"),
                format!(
                    "let some = clamp(value, vec4<f32>(-65504.0), vec4<f32>(65504.0));\n\
                     {name}[at] = vec2<u32>(pack2x16float(some.xy), pack2x16float(some.zw));"
                ),
            ),
            (true, size) => {
                let two = |at: &str| {
                    format!("{name}[{at}] = pack2x16float(clamp(value, vec2<f32>(-65504.0), vec2<f32>(65504.0)));")
                };
                let (load, store) = if size == "1" {
                    let load = format!(
                        "let two = unpack2x16float({name}[at / 2u]);\nreturn select(two.x, two.y, at % 2u == 1u);"
                    );
                    (load, two("at / 2u"))
                } else {
                    (format!("return unpack2x16float({name}[at]);"), two("at"))
                };
                ("u32", "vec2<f32>", load, store)
            }
        };
        let mut text = format!("@group(1) @binding({slot}) var<storage, {space}> {name}: array<{stored}>;\n");
        if reads {
            text += &format!("fn load_{name}(at: u32) -> {vector} {{\n{load}\n}}\n");
        }
        if writes {
            text += &format!("fn store_{name}(at: u32, value: {value}) {{\n{store}\n}}\n");
        }
        words.next().is_none().then_some(text)
    }

    fn append(&mut self, text: &str) -> Result<(), String> {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, self.fill(line))).collect();
        let mut unrolled = Vec::new();
        unroll(lines, &mut unrolled)?;
        // One entry for each open `//!if`: whether its current branch is kept.
        let mut branches: Vec<bool> = Vec::new();
        for (number, line) in unrolled {
            let fail = |what: &str| Err(format!("line {number}: {what}"));
            let mut words = line.split_whitespace();
            let kept = branches.iter().all(|&branch| branch);
            match (words.next().unwrap_or(""), words.next()) {
                ("//!if", Some(flag)) => branches.push(self.flags.contains(&flag)),
                ("//!else", None) => match branches.last_mut() {
                    Some(branch) => *branch = !*branch,
                    None => return fail("//!else without //!if"),
                },
                ("//!end", None) => match branches.pop() {
                    Some(_) => {}
                    None => return fail("//!end without //!if"),
                },
                ("//!import", Some(path)) if kept && self.imported.insert(path.into()) => {
                    let Some(text) = (self.load)(path) else { return fail(&format!("{path}: not found")) };
                    self.append(text).map_err(|e| format!("{path}: {e}"))?;
                }
                ("//!numbers", Some(slot)) if kept => {
                    let Some(text) = self.numbers(slot, words) else {
                        return fail("//!numbers takes a slot, an access, a name and 1, 2 or 4");
                    };
                    self.out.push_str(&text);
                }
                ("//!import" | "//!kernel" | "//!numbers", Some(_)) => {}
                (word, _) if word.starts_with("//!") => return fail("unknown directive"),
                (word, _) if kept && !word.is_empty() && !word.starts_with("//") => {
                    self.out.push_str(&line);
                    self.out.push('\n');
                }
                _ => {}
            }
        }
        if branches.is_empty() { Ok(()) } else { Err("//!if without //!end".into()) }
    }
}

/// A line of a repetition.
fn with(line: &str, name: &str, value: u32) -> String {
    line.replace(&format!("{{{name}}}"), &value.to_string())
}

/// Repeats the lines between `//!repeat` and its `//!end`.
fn unroll(lines: Vec<Line>, out: &mut Vec<Line>) -> Result<(), String> {
    let mut rest = lines.into_iter();
    while let Some((number, line)) = rest.next() {
        let mut words = line.split_whitespace();
        if words.next() != Some("//!repeat") {
            out.push((number, line));
            continue;
        }
        let bound = |words: &mut core::str::SplitWhitespace<'_>| words.next()?.parse::<u32>().ok();
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
            unroll(body.iter().map(|(at, line)| (*at, with(line, name, value))).collect(), out)?;
        }
    }
    Ok(())
}
