//! Streams of every kind that a session plays, under one script of changes.

use causeway_ops::{Kv, quant::DType};
use causeway_runtime::{
    Budget, DecoderFile, Device, Model, Pump, Session, SessionError, SessionOptions, Start,
    config::Positions,
    sampler::{Sampler, Sampling, Schedule},
    session::{Change, Condition, EventTime, Output, Receipt, Sink, Way},
};
use causeway_tests::{
    stream::script,
    tiny::{Random, model_bytes, tiny_config},
};

use super::{Place, shown};

/// A denoiser and what makes pictures of its latents.
pub struct Cast {
    pub name: &'static str,
    pub model: Model<'static>,
    pub codec: Option<DecoderFile<'static>>,
}

/// Frames of a chunk.
pub const CHUNK: usize = 3;
/// Values in a row of a prompt of the tiny Wan network.
pub const WIDTH: usize = 24;
/// Rows of a prompt.
pub const ROWS: usize = 5;
/// Latent frames of the script.
pub const LATENTS: u64 = 42;

/// A small world, the tiny Wan network with TAEHV, and with the Wan VAE.
pub fn casts(name: &str) -> [Cast; 3] {
    let folder = Place::new(name);
    folder.write("world.safetensors", &model_bytes(&tiny_config(), DType::F32, 1));
    folder.good(&format!("convert {} m.safetensors --heads 2 --text-len 16 --to f32", shown("tiny.pt")));
    let cast = |name, model: &str, codec: Option<&str>| {
        let codec = codec.map(|codec| {
            folder.good(&format!("convert {} {codec}.safetensors --to f32", shown(&format!("{codec}.pth"))));
            DecoderFile::open(folder.path(&format!("{codec}.safetensors"))).unwrap()
        });
        Cast { name, model: Model::open(folder.path(model)).unwrap(), codec }
    };
    [
        cast("world", "world.safetensors", None),
        cast("Wan and TAEHV", "m.safetensors", Some("taehv")),
        cast("Wan and VAE", "m.safetensors", Some("vae")),
    ]
}

/// Names of what [`Cast::options`] varies.
pub const VARIANTS: [&str; 9] =
    ["plain", "first chunk", "guided", "q8", "route", "compact", "latents", "start", "picture"];

impl Cast {
    pub fn prompts(&self) -> bool {
        self.model.config().dit.text.is_some()
    }

    /// Options of a stream of chunks of 3 in a window of 9 with a sink of 3, that can compute its window anew.
    pub fn options(&self, variant: &str) -> SessionOptions {
        let plain = SessionOptions {
            seed: 5,
            window: Some(9),
            sink: Some(3),
            chunk: Some(CHUNK),
            positions: Some(Positions::Absolute),
            sampling: Some(Sampling::few(&[1.0, 0.8])),
            start: Start::Empty,
            recache: true,
            ..SessionOptions::default()
        };
        let plain = match self.prompts() {
            true => SessionOptions {
                size: Some((32, 16)),
                prompt_slots: Some(5),
                prompt_rows: Some(ROWS),
                prompt_length: Some(16),
                ..plain
            },
            false => plain,
        };
        match variant {
            "first chunk" => {
                let first = Some(Schedule::of(&[1.0, 0.9, 0.7, 0.4]));
                let sampling = Some(Sampling { first, ..Sampling::few(&[1.0, 0.8]) });
                SessionOptions { first_chunk: Some(1), sampling, ..plain }
            }
            "guided" => {
                let guidance = if self.prompts() { 3.0 } else { 1.0 };
                let sampling = Sampling {
                    sampler: Sampler::Euler,
                    schedule: Schedule::euler(3, 5.0),
                    guidance,
                    ..Sampling::few(&[])
                };
                SessionOptions { sampling: Some(sampling), ..plain }
            }
            "q8" => SessionOptions { kv: Kv::Q8, ..plain },
            "route" => {
                let sampling =
                    Sampling { sampler: Sampler::UniPc, schedule: Schedule::unipc(3, 5.0), ..Sampling::few(&[]) };
                SessionOptions { route: Some(2), sampling: Some(sampling), ..plain }
            }
            "compact" => SessionOptions { positions: Some(Positions::Compact), queue: 5, ..plain },
            "latents" => SessionOptions { output: Output::Latents, ..plain },
            "start" if self.prompts() => {
                SessionOptions { start: Start::Latents(random(1, 2 * CHUNK * 4 * 2 * 4)), ..plain }
            }
            "start" => SessionOptions { start: Start::Stored, ..plain },
            // TAEHV does not encode.
            "picture" if self.name != "Wan and TAEHV" => {
                let (width, height) = plain.size.unwrap_or((64, 64));
                let colour = |at: usize| (at * at / 7 + at) as u8;
                SessionOptions { start: Start::Image((0..4 * width * height).map(colour).collect()), ..plain }
            }
            _ => plain,
        }
    }

    /// A session of these options on so many threads, told nothing.
    pub fn create(&self, options: SessionOptions, threads: usize) -> Result<Session, SessionError> {
        self.create_on(&Device::cpu(threads), options)
    }

    /// The same on a device.
    pub fn create_on(&self, device: &Device, options: SessionOptions) -> Result<Session, SessionError> {
        match &self.codec {
            Some(codec) if options.output == Output::Pictures => {
                Session::with_codec(&self.model, codec, device, options)
            }
            _ => Session::new(&self.model, device, options),
        }
    }

    /// The same, told the whole script.
    pub fn told(&self, variant: &str, threads: usize) -> Session {
        let mut session = self.create(self.options(variant), threads).unwrap();
        self.tell(&mut session, variant);
        session
    }

    /// Puts prompts into slots, where the model reads them: of other lengths, one of them empty, one as long as there is room for.
    pub fn fill(&self, session: &mut Session) {
        for (slot, rows) in [3, ROWS, 0, 4, 2].into_iter().enumerate().filter(|_| self.prompts()) {
            session.set_prompt(slot, &random(slot as u64, rows * WIDTH)).unwrap();
        }
    }

    /// Fills slots and queues the script.
    pub fn tell(&self, session: &mut Session, variant: &str) {
        self.fill(session);
        for (latent, which, way, sink, chunks) in SCRIPT {
            let change = Change { way, sink, chunks, time: at(session, latent), ..Change::to(self.condition(which)) };
            session.queue(change).unwrap();
        }
        if variant == "guided" && self.prompts() {
            for (latent, way) in [(0, Way::Keep), (9, Way::Recache)] {
                let change = Change { way, time: at(session, latent), ..Change::to(Condition::Negative(4)) };
                session.queue(change).unwrap();
            }
        }
    }

    /// A prompt or an event.
    pub fn condition(&self, which: usize) -> Condition<'static> {
        match which {
            _ if self.prompts() => Condition::Prompt(which),
            3 => Condition::Mix(&[0.25, 0.5, 0.25]),
            event => Condition::Event(event),
        }
    }
}

/// Latent frame, prompt or event, way, sink, chunks: a young stream's window computed anew, an old one's, a blend that keeps the sink, one
/// that makes a new one, a cut, and a young window again.
#[rustfmt::skip]
const SCRIPT: [(u64, usize, Way, Sink, usize); 8] = [
    (0, 0, Way::Keep, Sink::Kept, 1),
    (3, 1, Way::Keep, Sink::Kept, 1),
    (6, 2, Way::Recache, Sink::Kept, 1),
    (12, 3, Way::Recache, Sink::Kept, 1),
    (15, 0, Way::Recache, Sink::Kept, 3),
    (24, 1, Way::Recache, Sink::Refreshed, 3),
    (33, 2, Way::Reset, Sink::Kept, 2),
    (36, 3, Way::Recache, Sink::Kept, 1),
];

/// When a latent frame is shown.
pub fn at(session: &Session, latent: u64) -> EventTime {
    EventTime::from(session.picture_of(latent))
}

pub fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut random = Random(seed + 1);
    (0..count).map(|_| random.normal()).collect()
}

/// A frame that a stream gave, and what its receipt says beside times.
pub type Given = (Receipt, Vec<u8>);

/// Takes the oldest frame, and presses what is pressed from then on, where the model is told.
pub fn take(session: &mut Session) -> Option<Given> {
    let mut bytes = vec![0; session.frame_bytes()];
    let receipt = session.swap_frame(&mut bytes)?;
    if !session.actions().is_empty() {
        session.set_action(&script(receipt.frame + 1).0).unwrap();
    }
    Some((Receipt { began: 0, ready: 0, present: 0, ..receipt }, bytes))
}

/// Pumps until `frames` frames were taken. What is pressed changes with a frame that is taken, so all pumps between two of them say the same.
pub fn play(session: &mut Session, frames: usize, mut budget: impl FnMut() -> Budget) -> Vec<Given> {
    let mut all: Vec<Given> = Vec::new();
    all.extend(core::iter::from_fn(|| take(session)));
    while all.len() < frames {
        if session.pump(budget()).unwrap() == Pump::Frame {
            all.extend(take(session));
        }
    }
    all
}

/// Frames of the script.
pub fn frames(session: &Session) -> usize {
    session.picture_of(LATENTS) as usize
}
