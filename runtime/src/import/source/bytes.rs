//! What a file is by its first bytes, and now and then by its name: before anything in it is read.

use std::path::Path;

use crate::import::Answer::{self, Read, Refused};
use crate::import::{ImportError, Kind, Section};

/// Bytes that are looked at first.
pub const HEAD: u64 = 512;

/// A file before it is opened as a checkpoint.
pub struct Bytes<'a> {
    /// Its name in small letters.
    name: String,
    head: &'a [u8],
    size: u64,
}

impl<'a> Bytes<'a> {
    pub fn new(path: &Path, head: &'a [u8], size: u64) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        Self { name, head, size }
    }

    /// The kind of a file that is refused for its bytes.
    pub fn kind(&self) -> Option<ImportError> {
        let (kind, _) = FILES.iter().find(|(_, test)| test(self))?;
        if !matches!(kind.answer, Refused(_)) {
            return None;
        }
        Some(ImportError::Kind { kind, detail: self.pointed() })
    }

    /// Its beginning without white space, in small letters.
    fn text(&self) -> String {
        String::from_utf8_lossy(self.head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase()
    }

    /// Whether its beginning is text: a last character may be cut.
    fn is_text(&self) -> bool {
        let valid = match core::str::from_utf8(self.head) {
            Ok(_) => true,
            Err(error) => error.error_len().is_none(),
        };
        valid && !self.head.iter().any(|&c| c < 32 && !c.is_ascii_whitespace())
    }

    /// The size of the file that a git-lfs pointer stands for.
    fn pointed(&self) -> String {
        let text = self.text();
        let line =
            text.lines().find_map(|line| line.strip_prefix("size ")).filter(|_| text.starts_with("version http"));
        let size = line.and_then(|size| size.trim().parse::<u64>().ok());
        size.map_or_else(String::new, |size| format!(" for {size} bytes"))
    }
}

/// A kind, and the test by which a file is known to be of it.
type Row = (Kind, fn(&Bytes<'_>) -> bool);

const fn file(name: &'static str, answer: Answer, test: fn(&Bytes<'_>) -> bool) -> Row {
    (Kind::new(Section::Files, name, answer), test)
}

/// Files by their format. The first row that fits counts.
pub static FILES: &[Row] = &[
    file("an empty file of 0 bytes", Refused("nothing was downloaded or written; fetch it again"), |b| b.size == 0),
    file("a download that has not ended", Refused("wait for it, or begin it again"), |b| {
        [".part", ".crdownload", ".incomplete", ".aria2", ".download", ".tmp"].iter().any(|end| b.name.ends_with(end))
    }),
    file("a part of a file that was cut", Refused("put the parts together in their order: cat NAME.part* > NAME"), cut),
    file(
        "a git-lfs pointer",
        Refused("it only names the file; fetch that with `git lfs pull`, or download it from its page"),
        |b| b.text().starts_with("version https://git-lfs"),
    ),
    file(
        "a web page",
        Refused("the download ended at a login, a licence or an error; open the address in a browser"),
        |b| ["<!doctype html", "<html", "<head", "<?xml", "<error"].iter().any(|start| b.text().starts_with(start)),
    ),
    file("a picture", Refused("pictures go to `causeway encode` and to --start-image; weights are needed here"), |b| {
        let webp = b.head.starts_with(b"RIFF") && b.head.get(8..12) == Some(b"WEBP");
        webp || [&b"\x89PNG"[..], b"\xff\xd8\xff", b"GIF8"].iter().any(|start| b.head.starts_with(start))
    }),
    file("a video", Refused("weights are needed here; `causeway encode` takes a folder of pictures"), |b| {
        let avi = b.head.starts_with(b"RIFF") && b.head.get(8..12) == Some(b"AVI ");
        avi || b.head.get(4..8) == Some(b"ftyp") || b.head.starts_with(b"\x1a\x45\xdf\xa3")
    }),
    file(
        "a pickle outside a zip archive, the PyTorch format before 1.6",
        Refused("load and save it again with a newer PyTorch"),
        |b| matches!(b.head, [0x80, 1..=5, ..]) && b.head.get(8) != Some(&b'{'),
    ),
    file("an archive", Refused("unpack it, and give what is inside"), |b| {
        let starts = [&b"\x1f\x8b"[..], b"7z\xbc\xaf", b"Rar!", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"BZh"];
        starts.iter().any(|start| b.head.starts_with(start)) || b.head.get(257..262) == Some(b"ustar")
    }),
    file("an array of NumPy", Refused("save the weights as safetensors, under their names"), |b| {
        b.head.starts_with(b"\x93NUMPY")
    }),
    file("weights of TensorFlow or Keras (HDF5)", Refused("PyTorch, safetensors and GGUF are read"), |b| {
        b.head.starts_with(b"\x89HDF")
    }),
    file("a network in ONNX", Refused("take the weights that it was made of: .pt, .safetensors or .gguf"), |b| {
        b.name.ends_with(".onnx")
    }),
    file(
        "JSON",
        Refused("settings or a tokenizer; weights are in files beside it, a tokenizer goes to `embed`"),
        |b| {
            // A safetensors file may begin with the same byte, but its length has zeros after it.
            b.head.len() > 1
                && b.is_text()
                && b.text().starts_with(['{', '['])
                && !b.head.iter().take(8).any(|&c| c == 0)
        },
    ),
    file("a tokenizer of SentencePiece", Refused("it goes to `causeway embed --tokenizer`"), |b| {
        b.head.first() == Some(&b'\n') && b.head.windows(5).take(64).any(|at| at == b"<unk>" || at == b"<pad>")
    }),
    file("text", Refused("not a safetensors file, nor any other that is read"), |b| b.is_text()),
    file("a PyTorch archive (.pt, .pth, .bin, .ckpt)", Read("nothing in it is executed"), |b| {
        b.head.starts_with(b"PK")
    }),
    file("GGUF", Read("versions 2 and 3, also split"), |b| b.head.starts_with(b"GGUF")),
    file("safetensors", Read("whole, split, or in the shards of an index"), |b| b.head.get(8) == Some(&b'{')),
];

/// A part that a file was cut into by bytes; what begins it may look sound.
fn cut(b: &Bytes<'_>) -> bool {
    let Some((_, end)) = b.name.rsplit_once('.') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let numbered = end.strip_prefix("part").is_some_and(|rest| {
        digits(rest) || rest.split_once("of").is_some_and(|(part, parts)| digits(part) && digits(parts))
    });
    numbered || (end.len() == 3 && digits(end)) || end.starts_with("part-")
}
