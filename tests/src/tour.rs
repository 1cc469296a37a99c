//! A game of prompts that hosts of every language play: prompts that a bundle stores and typed ones, a saved game, an end by force, and on from
//! the file.
//!
//! A host is given the bundle, a script, a file for the saved game, and perhaps a text encoder. The script's first line holds a seed, the
//! frames of a new game and those of one that goes on; then every line is `FRAME tell N`, a stored prompt, or `FRAME say WORDS`, from that
//! frame on. It prints number and hash of every frame, a line each, and perhaps
//! more that does not begin with a digit. A new game is saved, with the line `saved`, when its frames are played,
//! and goes on until it is killed; where the file of the saved game is there, the host goes on from it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use causeway_runtime::{
    Budget, Device, Pump, Session, SessionOptions, TextEncoder,
    clock::NoClock,
    file::{AnyFile, Bundle, Umt5File},
    session::{Change, Condition, Saved, Way},
    text::{TextOptions, TextTokenizer},
};

use crate::{
    stream::hash,
    wan::{SEED, Student, encoder, golden},
};

/// Frames of a new game; it is saved within a chunk.
const FRAMES: usize = 24;
/// The first frame of the chunk that it is saved in.
const SAVED: u64 = 21;
/// Frames of a game that goes on.
const MORE: usize = 15;
/// What is typed.
const WORDS: &str = "two  foxes & a café";

/// A frame's number and picture.
pub type Shown = (u64, Vec<u8>);

/// A game and its files.
#[derive(Debug)]
pub struct Tour {
    bundle: PathBuf,
    /// Where something is typed.
    encoder: Option<PathBuf>,
    folder: PathBuf,
    /// Frames, which chunks begin with, and what is told there.
    told: Vec<(u64, Told)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Stored(usize),
    Typed,
}

impl Tour {
    /// Games whose files are in `folder`: of stored prompts, and of a stored and a typed one.
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn all(folder: &Path) -> [Self; 2] {
        let student = Student::write(folder);
        let games = [("stored", Told::Stored(1)), ("typed", Told::Typed)];
        games.map(|(name, second)| {
            let of = folder.join(name);
            fs::create_dir_all(&of).unwrap();
            // The first is in force when the game is saved; one is told after it, and the last one in the game that goes on.
            let told = vec![(0, Told::Stored(0)), (9, second), (33, Told::Stored(0))];
            let tour = Self {
                bundle: student.bundle.clone(),
                encoder: (second == Told::Typed).then(|| encoder(&of)),
                folder: of,
                told,
            };
            let mut script = format!("{SEED} {FRAMES} {MORE}\n");
            for (frame, told) in &tour.told {
                script += &match told {
                    Told::Stored(index) => format!("{frame} tell {index}\n"),
                    Told::Typed => format!("{frame} say {WORDS}\n"),
                };
            }
            fs::write(tour.script(), script).unwrap();
            tour
        })
    }

    fn script(&self) -> PathBuf {
        self.folder.join("script.txt")
    }

    /// Has a host play it; it is killed in between.
    ///
    /// # Panics
    /// If it shows anything else than the Rust interface.
    pub fn play(&self, name: &str, host: impl Fn() -> Command) {
        let file = self.folder.join(format!("{name}.save"));
        _ = fs::remove_file(&file);
        let command = || {
            let mut command = host();
            command.arg(&self.bundle).arg(self.script()).arg(&file).args(&self.encoder);
            command.stdout(Stdio::piped());
            command
        };
        let mut child = command().spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        let (mut found, mut saved) = (Vec::new(), None);
        for line in lines {
            // With its number where the host is not the process that was started.
            if let Some(rest) = line.strip_prefix("saved") {
                saved = Some(rest.trim().to_owned());
                break;
            }
            found.push(line);
        }
        let found = frames(found.iter().map(String::as_str));
        match saved.as_deref() {
            Some("") | None => child.kill().unwrap(),
            Some(id) => assert!(Command::new("kill").args(["-KILL", id]).status().unwrap().success(), "{name}: {id}"),
        }
        let status = child.wait().unwrap();
        assert!(saved.is_some() && !status.success(), "{name} ended by itself: {status}, after {found:?}");
        assert_eq!(found, printed(&self.shown(None)), "{name}, a new game");

        let saved = fs::read(&file).unwrap();
        let output = command().stderr(Stdio::piped()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}: {}\n{out}\n{err}", output.status);
        let found = frames(out.lines());
        let expected = self.shown(Some(&saved));
        assert_eq!(found, printed(&expected), "{name}, on from a saved game");
        assert_eq!(expected[0].0, SAVED, "{name} does not go on where it was");
    }

    /// Frames by the Rust interface on the CPU, of a new game or from a saved one on.
    ///
    /// # Panics
    /// If the session fails.
    pub fn shown(&self, saved: Option<&[u8]>) -> Vec<Shown> {
        let mut session = self.session();
        if let Some(saved) = saved {
            session.load(&Saved::from_bytes(saved.to_vec())).unwrap();
        }
        let (mut next, frames) = if saved.is_some() { (None, MORE) } else { (Some(0), FRAMES) };
        self.frames(&mut session, &mut next, frames)
    }

    fn bundle(&self) -> Bundle<'static> {
        match AnyFile::open(&self.bundle).unwrap() {
            AnyFile::Bundle(bundle) => *bundle,
            _ => panic!("{} is no bundle", self.bundle.display()),
        }
    }

    fn session(&self) -> Session {
        let bundle = self.bundle();
        let options = SessionOptions { seed: SEED, recache: true, ..SessionOptions::default() };
        Session::with_codec(bundle.denoiser(), bundle.codec().unwrap(), &Device::cpu(2), options).unwrap()
    }

    fn rows(&self, told: Told) -> Vec<f32> {
        match (told, &self.encoder) {
            (Told::Stored(index), _) => self.bundle().prompt(index).unwrap().unwrap(),
            (Told::Typed, None) => panic!("no encoder"),
            (Told::Typed, Some(file)) => {
                let tokenizer = TextTokenizer::new(&fs::read(golden("umt5-tokenizer.json")).unwrap()).unwrap();
                let file = Umt5File::open(file).unwrap();
                let mut text = TextEncoder::new(&file, &Device::cpu(2), TextOptions::default()).unwrap();
                text.begin(&[tokenizer.tokens(WORDS, 16).unwrap().0]).unwrap();
                while !text.pump(u64::MAX, &NoClock).unwrap() {}
                text.rows(0).unwrap().to_vec()
            }
        }
    }

    fn frames(&self, session: &mut Session, next: &mut Option<u64>, count: usize) -> Vec<Shown> {
        let frame = |_| {
            for (_, told) in self.told.iter().filter(|(frame, _)| Some(*frame) == *next) {
                session.set_prompt(0, &self.rows(*told)).unwrap();
                session.queue(Change { way: Way::Recache, ..Change::to(Condition::Prompt(0)) }).unwrap();
            }
            while session.frame().is_none() {
                assert_ne!(session.pump(Budget::Frame).unwrap(), Pump::Full);
            }
            let frame = session.frame().unwrap();
            let shown = (frame.receipt.frame, frame.pixels.to_vec());
            session.release();
            *next = Some(shown.0 + 1);
            shown
        };
        (0..count).map(frame).collect()
    }
}

/// Of all that a host prints, as engines do, the lines of frames.
fn frames<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    lines
        .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// What a host prints.
pub fn printed(shown: &[Shown]) -> Vec<String> {
    shown.iter().map(|(frame, picture)| format!("{frame} {:016x}", hash(picture))).collect()
}
