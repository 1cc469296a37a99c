//! What comments cite is there: sections of docs/spec.md, and pages of the documentation.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

/// All sources below `folder`.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if [".rs", ".wgsl", ".h", ".toml"].iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
}

/// The numbers that follow `spec` in `text`: "spec 2.6", "(spec 5.6, 2.6)", "docs/spec.md 2.10".
fn cited(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["spec ", "spec.md "] {
        for (at, _) in text.match_indices(start) {
            for word in text[at + start.len()..].split(", ") {
                let number: String = word.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
                let number = number.trim_end_matches('.');
                if number.is_empty() {
                    break;
                }
                found.push(number.to_owned());
                if number.len() != word.len() {
                    break;
                }
            }
        }
    }
    found
}

/// The pages `docs/NAME.md` that `text` names.
fn pages(text: &str) -> Vec<&str> {
    let names = text.match_indices("docs/").filter_map(|(at, _)| {
        let name = &text[at..];
        let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || "/-_.".contains(c))).unwrap_or(name.len());
        let name = name[..end].trim_end_matches('.');
        name.ends_with(".md").then_some(name)
    });
    names.collect()
}

#[test]
fn what_comments_cite_is_there() {
    let root = root();
    let spec = fs::read_to_string(root.join("docs/spec.md")).expect("docs/spec.md");
    let headings = spec.lines().filter(|line| line.starts_with('#'));
    let sections: BTreeSet<&str> =
        headings.filter_map(|line| line.split(' ').nth(1)).map(|number| number.trim_end_matches('.')).collect();
    assert!(sections.contains("2.6") && sections.contains("4"), "{sections:?}");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let (mut citations, mut missing) = (0, Vec::new());
    for file in files.iter().filter(|file| !file.ends_with("tests/tests/citations.rs")) {
        let text = fs::read_to_string(file).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}", file.strip_prefix(&root).unwrap_or(file).display(), number + 1);
            for section in cited(line) {
                citations += 1;
                if !sections.contains(section.as_str()) {
                    missing.push(format!("{}: spec {section}", place()));
                }
            }
            for page in pages(line) {
                // A crate's own tests make pages of other names elsewhere.
                if page.matches('/').count() == 1 && !root.join(page).exists() {
                    missing.push(format!("{}: {page}", place()));
                }
            }
        }
    }
    assert!(citations > 50, "{citations} citations were found");
    assert!(missing.is_empty(), "cited, but not there:\n{}", missing.join("\n"));
}

#[test]
fn citations_are_found() {
    assert_eq!(cited("// (spec 5.6, 2.6), and spec 4: positions; docs/spec.md 2.10."), ["5.6", "2.6", "4", "2.10"]);
    assert_eq!(cited("a specification, spec no number"), [""; 0]);
    assert_eq!(pages("see docs/spec.md 2.1 and (docs/demo.md)."), ["docs/spec.md", "docs/demo.md"]);
}
