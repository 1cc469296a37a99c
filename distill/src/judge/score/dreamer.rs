//! What is scored: something that goes on from real frames. [`Player`] is a model file in the runtime; tests put the renderer here.

use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::Device;
use causeway_ops::quant::WeightSource;
use causeway_runtime::sampler::Sampling;
use causeway_runtime::{Budget, EventTime, Model, Pump, Session, SessionError, SessionOptions, Start};

use super::error::ScoreError;
use crate::footage::data::{pixels, planar};
use crate::footage::latents;
use crate::footage::world::View;
use crate::net::codec::{self, Past};
use crate::net::codec_tape;
use crate::net::weights::{Weights, floats};
use crate::run::bench::Spent;

/// sRGB bytes [H, W, 3].
pub type Picture = Vec<u8>;

/// Real frames that a roll-out begins with.
pub const SHOWN: usize = 24;
/// Frames before those, for a codec that remembers, at most.
pub const LEAD: usize = 8;

/// Consecutive real frames in one condition: [`SHOWN`], and up to [`LEAD`] before them.
#[derive(Clone, Debug, Default)]
pub struct Real {
    /// The pictures.
    pub frames: Vec<Picture>,
    /// What was told of each of the last [`SHOWN`]: [A].
    pub rows: Vec<Vec<f32>>,
    /// The condition in force.
    pub event: u8,
    /// What each of the last [`SHOWN`] shows exactly; empty where no renderer knows.
    pub views: Vec<View>,
}

/// What happens after the real frames, and what should be seen then.
#[derive(Clone, Debug, Default)]
pub struct Play {
    /// What is told of each frame: [A].
    pub rows: Vec<Vec<f32>>,
    /// The condition in force at each frame.
    pub events: Vec<u8>,
    /// What really comes.
    pub truth: Vec<Picture>,
    /// What that shows exactly; empty where no renderer knows.
    pub views: Vec<View>,
}

/// How much of the past is seen; the model file's own where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Window in latent frames, the one in the making included.
    pub window: Option<usize>,
    /// History frames a query is routed to, 0 for all.
    pub route: Option<usize>,
}

/// What a frame costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Wall-clock seconds.
    pub wall: f64,
    /// Processor seconds of all threads; `None` where the system does not tell.
    pub processor: Option<f64>,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Something that goes on from real frames.
pub trait Dreamer: Sync {
    /// Its window and route, by default.
    fn memory(&self) -> (usize, usize);

    /// What its codec makes of consecutive frames.
    fn codec(&self, run: &[Picture]) -> Vec<Picture>;

    /// One roll-out for each of `plays`, all from the same real frames.
    ///
    /// # Errors
    /// [`SessionError`] when it does not take the actions, the events or the memory asked for.
    fn dream(&self, real: &Real, plays: &[&Play], memory: Memory, seed: u64)
    -> Result<Vec<Vec<Picture>>, SessionError>;

    /// What a frame of `play` costs on all cores, if anything.
    ///
    /// # Errors
    /// As [`Self::dream`].
    fn cost(&self, real: &Real, play: &Play) -> Result<Option<Cost>, SessionError>;
}

/// A model file, played by CPU sessions of the runtime.
pub struct Player<'a> {
    model: &'a Model<'a>,
    codec: Weights,
    sampling: Option<Sampling>,
    file: PathBuf,
}

impl<'a> Player<'a> {
    /// Plays `model`, which was read from `file`, by `sampling` or as it says itself.
    ///
    /// # Errors
    /// [`ScoreError::Model`] if the file makes several frames at a time, or has no encoder, by which real frames come in.
    pub fn new(model: &'a Model<'a>, file: PathBuf, sampling: Option<Sampling>) -> Result<Self, ScoreError> {
        if model.config().dit.chunk != 1 || !codec_tape::encodes(&model.config().codec) {
            return Err(ScoreError::Model("it makes several frames at a time".into()));
        }
        let wanted = codec::specs(&model.config().codec);
        if let Some(missing) = wanted.iter().find(|spec| model.tensor(&spec.name).is_none()) {
            return Err(ScoreError::Model(format!(
                "real frames cannot be shown to it, as its file has no `{}`",
                missing.name
            )));
        }
        let codec = latents::codec_of(model).map_err(|error| ScoreError::Model(error.to_string()))?;
        Ok(Self { model, codec, sampling, file })
    }

    /// Codec latents [N, C, h, w] of consecutive frames.
    fn encode(&self, run: &[Picture]) -> Vec<f32> {
        let (w, h) = self.model.config().picture();
        let frames: Vec<f32> = run.iter().flat_map(|frame| planar(frame)).collect();
        codec_tape::encode(&self.codec, &self.model.config().codec, &frames, [run.len(), h, w])
    }

    /// A session that is about to show the first real frame.
    fn session(&self, real: &Real, memory: Memory, seed: u64, threads: usize) -> Result<Session, SessionError> {
        let dit = &self.model.config().dit;
        let mut start = self.encode(&real.frames);
        start.drain(..(real.frames.len() - SHOWN) * dit.latent_len());
        latents::normalise(&mut start, latents::area(dit), &dit.latent_mean, &dit.latent_std);
        let options = SessionOptions {
            seed,
            window: memory.window,
            route: memory.route,
            sampling: self.sampling.clone(),
            start: Start::Latents(start),
            start_actions: real.rows.concat(),
            event: Some(usize::from(real.event)),
            ..SessionOptions::default()
        };
        Session::new(self.model, &causeway_runtime::Device::cpu(threads), options)
    }
}

fn next(session: &mut Session) -> Result<Picture, SessionError> {
    while session.pump(Budget::Frame)? != Pump::Frame {}
    let shown = |pixels: &[u8]| pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    let picture = session.frame().map(|frame| shown(frame.pixels)).unwrap_or_default();
    session.release();
    Ok(picture)
}

fn play(session: &mut Session, real: &Real, play: &Play) -> Result<Vec<Picture>, SessionError> {
    let mut event = real.event;
    let mut out = Vec::with_capacity(play.rows.len());
    for (row, &now) in play.rows.iter().zip(&play.events) {
        session.set_action(row)?;
        if now != event {
            session.queue_event(usize::from(now), EventTime::NextChunk)?;
            event = now;
        }
        out.push(next(session)?);
    }
    Ok(out)
}

impl Dreamer for Player<'_> {
    fn memory(&self) -> (usize, usize) {
        let history = &self.model.config().history;
        (history.window, history.route)
    }

    fn codec(&self, run: &[Picture]) -> Vec<Picture> {
        let (c, device) = (self.model.config(), Device::flex());
        let (l, net) = (c.dit.latent, self.codec.leaves(&device));
        let z = net.constant(self.encode(run), [run.len(), l.channels, l.height, l.width]);
        let shown = floats(codec::decode(&net, &c.codec, z, run.len(), &mut Past::default()));
        shown.chunks_exact(run.first().map_or(1, Vec::len)).map(pixels).collect()
    }

    fn dream(
        &self,
        real: &Real,
        plays: &[&Play],
        memory: Memory,
        seed: u64,
    ) -> Result<Vec<Vec<Picture>>, SessionError> {
        let mut session = self.session(real, memory, seed, 1)?;
        for _ in 0..SHOWN {
            next(&mut session)?;
        }
        // What all roll-outs share is played once.
        let begun = session.snapshot()?;
        let mut out = Vec::with_capacity(plays.len());
        for (i, one) in plays.iter().enumerate() {
            if i > 0 {
                session.restore(&begun)?;
            }
            out.push(play(&mut session, real, one)?);
        }
        Ok(out)
    }

    fn cost(&self, real: &Real, one: &Play) -> Result<Option<Cost>, SessionError> {
        let mut session = self.session(real, Memory::default(), 0, 0)?;
        for _ in 0..SHOWN {
            next(&mut session)?;
        }
        let (clock, before) = (Instant::now(), Spent::now().seconds);
        let frames = play(&mut session, real, one)?.len().max(1) as f64;
        let processor = Some((Spent::now().seconds - before) / frames).filter(|s| s.is_finite());
        let bytes = std::fs::metadata(&self.file).map_or(0, |about| about.len());
        Ok(Some(Cost { wall: clock.elapsed().as_secs_f64() / frames, processor, bytes }))
    }
}
