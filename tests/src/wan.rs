//! A tiny text-to-video student and its codec as files, and streams of it that hosts of every language play.
//!
//! The networks are those of `tests/parity`, imported as `causeway convert` imports them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, DecoderFile, Device, EventTime, Model, Session, SessionOptions,
    file::{Bundler, PartKind},
    import::{Checkpoint, DecoderImport, Import, ImportOptions, Settings, Umt5Import},
    session::{Change, Condition, Way},
};

use crate::stream::{hash, next_frame};

/// Noise seed that all hosts use.
pub const SEED: u64 = 7;

/// A file of `tests/parity/golden`.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("parity/golden").join(name)
}

/// Files of a student.
#[derive(Clone, Debug)]
pub struct Student {
    /// The denoiser: chunks of 3 latent frames, a window of 9, a sink of 3, pictures of 48 x 32.
    pub model: PathBuf,
    /// The codec, a TAEHV.
    pub codec: PathBuf,
    /// Two prompts as plain numbers, [5, 24] and [7, 24].
    pub prompts: [PathBuf; 2],
    /// All of it in one file, with the prompts called `first` and `second`.
    pub bundle: PathBuf,
    /// The same in turn, as `causeway generate --prompt` takes them: two, and three.
    pub together: [PathBuf; 2],
}

/// Writes a tiny text encoder with its tokenizer, whose rows fit the student, to a folder.
///
/// # Panics
/// If it cannot be written.
pub fn encoder(folder: &Path) -> PathBuf {
    let tokenizer = fs::read(golden("umt5-tokenizer.json")).unwrap();
    write_encoder(folder.join("encoder.safetensors"), "umt5-shared.safetensors", &tokenizer)
}

/// Writes the text encoder of a golden checkpoint to `path`, with this tokenizer or, if it is empty, none.
///
/// # Panics
/// If it cannot be written.
pub fn write_encoder(path: PathBuf, checkpoint: &str, tokenizer: &[u8]) -> PathBuf {
    let checkpoint = Checkpoint::open(golden(checkpoint)).unwrap();
    let Ok(Ok(import)) = Umt5Import::of(checkpoint, None) else { panic!("no text encoder") };
    let mut config = import.config("umt5", "", "", "");
    config.tokenizer = tokenizer.len();
    fs::write(&path, import.write(Vec::new(), &config, tokenizer, |_, _| DType::F32).unwrap()).unwrap();
    path
}

impl Student {
    /// Writes the files to a folder.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn write(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let path = |name: &str| folder.join(name);
        let import = Import::open(golden("tiny.pt"), &ImportOptions { heads: Some(2), key: None }).unwrap();
        let latent = (4, 6);
        let settings = Settings { window: 9, sink: 3, latent, text_length: 16, ..Settings::default() };
        let config = import.config(&settings).unwrap();
        let bytes = import.write(Vec::new(), &config, |_, _| DType::F32).unwrap();
        fs::write(path("wan.safetensors"), bytes).unwrap();
        let import = DecoderImport::find(golden("taehv.pth"), None).unwrap().unwrap();
        let config = import.config("taehv", "", "", "");
        let bytes = import.write(Vec::new(), &config, DType::F32).unwrap();
        fs::write(path("taehv.safetensors"), bytes).unwrap();
        let file = Checkpoint::open(golden("streams.safetensors")).unwrap();
        let prompt = |name: &str| {
            let entry = file.entries().iter().find(|entry| entry.name == name).unwrap();
            (entry.shape.clone(), file.read_all(entry).unwrap())
        };
        let (first, second) = (prompt("protect.context"), prompt("protect.context2"));
        for ((_, values), name) in [&first, &second].iter().zip(["first.f32", "second.f32"]) {
            fs::write(path(name), bytes_of(values)).unwrap();
        }
        for (name, prompt) in [("first.safetensors", &first), ("second.safetensors", &second)] {
            save(&path(name), &[("context", prompt)]);
        }
        let mut bundler = Bundler::default();
        bundler.add(PartKind::Denoiser, "", &path("wan.safetensors")).unwrap();
        bundler.add(PartKind::Codec, "", &path("taehv.safetensors")).unwrap();
        for name in ["first", "second"] {
            bundler.add(PartKind::Prompt, name, &path(&format!("{name}.safetensors"))).unwrap();
        }
        bundler.write(&path("bundle.safetensors"), |_| Ok(())).unwrap();
        let all = [("context", &first), ("context2", &second), ("context3", &first)];
        let together = [path("two.safetensors"), path("three.safetensors")];
        together.iter().zip([2, 3]).for_each(|(path, count)| save(path, &all[..count]));
        Self {
            model: path("wan.safetensors"),
            codec: path("taehv.safetensors"),
            prompts: [path("first.f32"), path("second.f32")],
            bundle: path("bundle.safetensors"),
            together,
        }
    }

    /// The numbers of a prompt.
    ///
    /// # Panics
    /// If the file cannot be read.
    pub fn prompt(&self, which: usize) -> Vec<f32> {
        let bytes = fs::read(&self.prompts[which]).unwrap();
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }
}

/// A stream that hosts play: the first prompt, then at each switch the other one.
#[derive(Clone, Debug)]
pub struct Play {
    /// Pictures.
    pub frames: usize,
    /// The first picture of each switch, which is one of a latent frame that a chunk begins with, and what becomes of the past.
    pub switches: Vec<(u64, Way)>,
    /// Chunks that each of them takes.
    pub blend: usize,
}

/// The streams.
pub fn plays() -> Vec<Play> {
    let play = |frames, switches: &[(u64, Way)], blend| Play { frames, switches: switches.to_vec(), blend };
    vec![
        // The stream is young and all of it is computed anew; then its sink is kept, and the window's other 6 latent frames are.
        play(60, &[(21, Way::Recache), (45, Way::Recache)], 1),
        play(50, &[(21, Way::Recache)], 2),
        play(45, &[(9, Way::Keep)], 3),
        play(40, &[(21, Way::Reset)], 1),
    ]
}

impl Play {
    /// Arguments of a host behind its files and the number of frames: a prompt, and for each switch `FRAME:WAY:CHUNKS` and a prompt.
    ///
    /// # Panics
    /// If a path is not UTF-8.
    pub fn arguments(&self, student: &Student) -> Vec<String> {
        self.of(|n| student.prompts[n % 2].to_str().unwrap().to_owned())
    }

    /// The same with names of prompts that the bundle stores.
    pub fn names(&self) -> Vec<String> {
        self.of(|n| ["first", "second"][n % 2].to_owned())
    }

    fn of(&self, prompt: impl Fn(usize) -> String) -> Vec<String> {
        let mut arguments = vec![prompt(0)];
        for (n, (frame, way)) in self.switches.iter().enumerate() {
            arguments.extend([format!("{frame}:{}:{}", name(*way), self.blend), prompt(n + 1)]);
        }
        arguments
    }

    /// Options of `causeway generate`, which counts latent frames.
    pub fn options(&self) -> String {
        let latent = |picture: u64| picture.div_ceil(4);
        let switches = self.switches.iter().map(|(at, way)| format!(" --switch {}:{}", latent(*at), name(*way)));
        format!("--frames {} --seed {SEED} --blend {}{}", self.frames, self.blend, switches.collect::<String>())
    }

    /// Pictures, RGBA8, by the Rust interface on the CPU.
    ///
    /// # Panics
    /// If the session fails.
    pub fn pictures(&self, student: &Student) -> Vec<Vec<u8>> {
        let (model, codec) = (Model::open(&student.model).unwrap(), DecoderFile::open(&student.codec).unwrap());
        let used: Vec<_> = (0..=self.switches.len().min(1)).map(|n| student.prompt(n)).collect();
        let width = model.config().dit.text.unwrap().dim;
        let options = SessionOptions {
            seed: SEED,
            recache: self.switches.iter().any(|(_, way)| *way == Way::Recache),
            prompt_slots: Some(2),
            prompt_rows: used.iter().map(|prompt| prompt.len() / width).max(),
            ..SessionOptions::default()
        };
        let mut session = Session::with_codec(&model, &codec, &Device::cpu(2), options).unwrap();
        for (slot, prompt) in used.iter().enumerate() {
            session.set_prompt(slot, prompt).unwrap();
        }
        session.queue(Change::to(Condition::Prompt(0))).unwrap();
        for (n, &(frame, way)) in self.switches.iter().enumerate() {
            let change = Change::to(Condition::Prompt((n + 1) % 2));
            session.queue(Change { way, chunks: self.blend, time: EventTime::Frame(frame), ..change }).unwrap();
        }
        (0..self.frames).map(|_| next_frame(&mut session, Budget::Frame)).collect()
    }

    /// What a host prints: number and hash of each picture.
    pub fn printed(pictures: &[Vec<u8>]) -> Vec<String> {
        pictures.iter().enumerate().map(|(n, picture)| format!("{n} {:016x}", hash(picture))).collect()
    }
}

fn name(way: Way) -> &'static str {
    match way {
        Way::Keep => "keep",
        Way::Recache => "recache",
        Way::Reset => "reset",
        Way::Cut => "cut",
    }
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Shape and values.
pub type Tensor = (Vec<usize>, Vec<f32>);

/// Writes a safetensors file of some tensors.
///
/// # Panics
/// If it cannot be written.
pub fn save(path: &Path, tensors: &[(&str, &Tensor)]) {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (name, (shape, values)) in tensors {
        let start = data.len();
        data.extend(bytes_of(values));
        let end = data.len();
        header.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#));
    }
    let header = format!("{{{}}}", header.join(","));
    fs::write(path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()).unwrap();
}
