//! Which files a path stands for: one, the shards of an index, the parts of a split file, or what a folder holds of these.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::printable;
use crate::import::ImportError;

/// Endings of files that hold weights.
const WEIGHTS: [&str; 6] = ["safetensors", "pt", "pth", "bin", "gguf", "ckpt"];
/// Folders of a diffusers pipeline whose weights can be converted, the one that is taken first.
const COMPONENTS: [&str; 3] = ["transformer", "vae", "text_encoder"];
/// Most parts of a file.
const MAX_PARTS: usize = 4096;
/// Most files that a sentence names.
const LISTED: usize = 8;

/// What to open.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    File(PathBuf),
    /// A JSON file that places tensors in files.
    Index(PathBuf),
    /// All parts of a split file, in order.
    Parts(Vec<PathBuf>),
}

/// Finds what `path` stands for; what was chosen among several is said in `notes`.
///
/// # Errors
/// `Io`; `Unrecognised` for a folder of none or several, and for parts that are missing.
pub fn find(path: &Path, notes: &mut Vec<String>) -> Result<Found, ImportError> {
    if path.is_dir() {
        return folder(path, notes);
    }
    if path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json")) {
        return Ok(Found::Index(path.to_owned()));
    }
    parts(path)
}

/// The place of a part among the others: `NAME-00001-of-00003.EXT` is part 1 of 3.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    stem: String,
    digits: usize,
    count: usize,
    extension: String,
}

impl Part {
    /// What a file's name says, and its number from 1 on.
    fn of(path: &Path) -> Option<(Self, usize)> {
        let (stem, extension) = (path.file_stem()?.to_str()?, path.extension()?.to_str()?);
        let (stem, count) = stem.rsplit_once("-of-")?;
        let (stem, number) = stem.rsplit_once('-')?;
        let digits = number.len();
        let numeral =
            |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse::<usize>().ok()).flatten();
        let (number, count) = (numeral(number)?, numeral(count)?);
        let part = Self { stem: stem.to_owned(), digits, count, extension: extension.to_owned() };
        (1..=MAX_PARTS).contains(&count).then_some((part, number)).filter(|_| (1..=count).contains(&number))
    }

    fn name(&self, number: usize) -> String {
        let Self { stem, digits, count, extension } = self;
        format!("{stem}-{number:0digits$}-of-{count:0digits$}.{extension}")
    }
}

/// The file itself, or all parts if its name says that it is one.
fn parts(path: &Path) -> Result<Found, ImportError> {
    let Some((part, number)) = Part::of(path).filter(|(part, _)| part.count > 1) else {
        return Ok(Found::File(path.to_owned()));
    };
    let beside = |number| path.with_file_name(part.name(number));
    let missing: Vec<usize> = (1..=part.count).filter(|&number| !beside(number).is_file()).collect();
    if let Some(&first) = missing.first() {
        let more = if missing.len() > 1 { format!(" and {} more", missing.len() - 1) } else { String::new() };
        return Err(ImportError::Unrecognised(format!(
            "part {number} of {}; {}{more} must lie beside it",
            part.count,
            printable(&part.name(first))
        )));
    }
    Ok(Found::Parts((1..=part.count).map(beside).collect()))
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| printable(&name.to_string_lossy()))
}

/// Names for a sentence.
fn listed<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> String {
    let names: Vec<String> = files.into_iter().map(|file| name(file)).collect();
    let more = if names.len() > LISTED { format!(" and {} more", names.len() - LISTED) } else { String::new() };
    format!("{}{more}", names[..names.len().min(LISTED)].join(", "))
}

fn folder(path: &Path, notes: &mut Vec<String>) -> Result<Found, ImportError> {
    let entries = std::fs::read_dir(path).map_err(ImportError::io("read", path))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let shown = path.display();
    let (indices, mut rest): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(|file| name(file).ends_with(".index.json"));
    rest.retain(|file| {
        let ending = file.extension().map(|ext| ext.to_string_lossy().to_ascii_lowercase());
        ending.is_some_and(|ext| WEIGHTS.contains(&ext.as_str())) && !file.is_dir()
    });
    // Of a split file one stands for all.
    let mut sets: BTreeMap<Result<Part, PathBuf>, PathBuf> = BTreeMap::new();
    for file in rest {
        let key = Part::of(&file).map_or_else(|| Err(file.clone()), |(part, _)| Ok(part));
        sets.entry(key).or_insert(file);
    }
    match (indices.as_slice(), sets.len()) {
        ([], 0) => pipeline(path, notes),
        ([], 1) => sets.values().next().map_or_else(|| pipeline(path, notes), |file| parts(file)),
        ([], _) => {
            let what = format!(
                "the folder {shown} holds {} checkpoints; name one file: {}",
                sets.len(),
                listed(sets.values())
            );
            Err(ImportError::Unrecognised(what))
        }
        ([index], _) => {
            let stem = name(index);
            let stem = stem.split('.').next().unwrap_or_default();
            let others: Vec<&PathBuf> = sets.values().filter(|file| !name(file).starts_with(stem)).collect();
            if !others.is_empty() {
                notes.push(format!("{} is taken; beside it are {}", name(index), listed(others)));
            }
            Ok(Found::Index(index.clone()))
        }
        (several, _) => {
            let what = format!("the folder {shown} holds {} indices; name one of {}", several.len(), listed(several));
            Err(ImportError::Unrecognised(what))
        }
    }
}

/// What a diffusers pipeline's root holds: folders of networks.
fn pipeline(path: &Path, notes: &mut Vec<String>) -> Result<Found, ImportError> {
    let there: Vec<&str> = COMPONENTS.into_iter().filter(|part| path.join(part).is_dir()).collect();
    let shown = path.display();
    let Some((&first, others)) = there.split_first() else {
        return Err(ImportError::Unrecognised(format!("the folder {shown} holds no checkpoint")));
    };
    if first != COMPONENTS[0] && !others.is_empty() {
        let what = format!("the folder {shown} is a pipeline without a denoiser; name one of {}", there.join(", "));
        return Err(ImportError::Unrecognised(what));
    }
    let second = path.join("transformer_2").is_dir().then_some("transformer_2");
    let others: Vec<&str> = others.iter().copied().chain(second).collect();
    let more = if others.is_empty() { String::new() } else { format!("; name the folder for {}", others.join(", ")) };
    notes.push(format!("a pipeline of diffusers, of which {first} is taken{more}"));
    folder(&path.join(first), notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_their_names() {
        let part = |name: &str| Part::of(Path::new(name)).map(|(part, number)| (number, part.count, part.name(number)));
        for (name, number, count) in
            [("a/m-00001-of-00003.safetensors", 1, 3), ("x-of-y-2-of-2.gguf", 2, 2), ("m-00001-of-00001.bin", 1, 1)]
        {
            let short = name.rsplit('/').next().unwrap();
            assert_eq!(part(name), Some((number, count, short.to_owned())), "{name}");
        }
        for name in ["m.gguf", "m-4-of-3.gguf", "m-0-of-3.gguf", "m-1-of-5000.gguf", "m-a-of-b.gguf", "m--of-.gguf", ""]
        {
            assert_eq!(part(name), None, "{name}");
        }
    }
}
