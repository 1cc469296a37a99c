//! Measures a finished model file through the runtime, on held-out episodes, against what a world should be able to do.

use std::collections::BTreeMap;

use causeway_runtime::{BackendChoice, Budget, EventTime, Model, Pump, Session, SessionError, SessionOptions, Start};

use crate::data::{Episodes, psnr};
use crate::recording::Recording;
use crate::sight::{mse, sharpness};

/// Real frames before the first generated one in free roll-outs.
pub const START: usize = 4;

/// One line of the report.
pub struct Row {
    /// What is measured.
    pub what: &'static str,
    /// What is asked for.
    pub required: &'static str,
    /// What was found.
    pub measured: String,
    /// Whether that is enough.
    pub met: bool,
}

/// A model and the held-out data to try it on.
pub struct Trial<'a> {
    /// The model.
    pub model: &'a Model<'a>,
    /// Held-out pictures of the built-in world, with poses.
    pub held: &'a Recording,
    /// Their normalised latents [N, C, H, W].
    pub latents: &'a [f32],
}

/// Real and generated pictures of one roll-out, start frames first.
pub type Pair = [Vec<Vec<u8>>; 2];

impl Trial<'_> {
    /// All figures, and the roll-outs that sharpness was measured on.
    ///
    /// # Errors
    /// [`SessionError`] when the model does not take the recording's actions, events or size.
    pub fn report(&self) -> Result<(Vec<Row>, Vec<Pair>), SessionError> {
        let mut rows = self.prediction()?;
        let (sharp, pairs) = self.crispness()?;
        rows.push(sharp);
        Ok((rows, pairs))
    }

    fn real(&self, i: usize) -> &[u8] {
        let len = self.held.frames.len() / self.held.len();
        &self.held.frames[i * len..(i + 1) * len]
    }

    fn action(&self, i: usize) -> Vec<f32> {
        let len = self.held.info.actions.len();
        self.held.actions[i * len..(i + 1) * len].to_vec()
    }

    /// First frames of up to `count` spread windows of `len` frames inside one episode whose first `calm` frames keep one
    /// settled light.
    fn windows(&self, count: usize, len: usize, calm: usize) -> Vec<usize> {
        let columns = self.held.poses.len() / self.held.len();
        let settled = |i: usize| self.held.poses[i * columns + 4] >= 1.0;
        let fits = |&i: &usize| (i..i + calm).all(|k| self.held.events[k] == self.held.events[i] && settled(k));
        let ranges = Episodes::new(&self.held.episode_starts).ranges();
        let all = ranges.into_iter().flat_map(|r| r.start + 1..(r.end + 1).saturating_sub(len));
        let all: Vec<usize> = all.filter(fits).collect();
        let count = count.min(all.len());
        (0..count).map(|i| all[i * all.len() / count]).collect()
    }

    /// Plays `total` frames, the first `real` of them from latents at `first`; `action` and `event` say what each frame has.
    fn roll(
        &self,
        [first, real, total]: [usize; 3],
        steps: usize,
        action: impl Fn(usize) -> Vec<f32>,
        event: impl Fn(usize) -> u8,
    ) -> Result<Vec<Vec<u8>>, SessionError> {
        let len = self.latents.len() / self.held.len();
        let mut session = Session::new(
            self.model,
            SessionOptions {
                seed: first as u64,
                steps: Some(steps),
                start: Start::Latents(self.latents[first * len..(first + real) * len].to_vec()),
                event: Some(usize::from(event(0))),
                backend: BackendChoice::Cpu,
                ..SessionOptions::default()
            },
        )?;
        let mut out: Vec<Vec<u8>> = Vec::with_capacity(total);
        for t in 0..total {
            session.set_action(&action(t))?;
            if t > 0 && event(t) != event(t - 1) {
                session.queue_event(usize::from(event(t)), EventTime::NextChunk)?;
            }
            while session.pump(Budget::Micros(1_000_000))? != Pump::Frame {}
            if let Some(frame) = session.frame() {
                out.push(frame.pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect());
            }
            session.release();
        }
        Ok(out)
    }

    /// The same with the recording's own actions and events.
    fn replay(&self, first: usize, real: usize, total: usize, steps: usize) -> Result<Vec<Vec<u8>>, SessionError> {
        self.roll([first, real, total], steps, |t| self.action(first + t), |t| self.held.events[first + t])
    }

    /// Reconstruction of the real frames, and the first generated frame after eight of them, at four steps and at two.
    fn prediction(&self) -> Result<Vec<Row>, SessionError> {
        const REAL: usize = 8;
        let windows = self.windows(100, REAL + 1, REAL + 1);
        let n = windows.len().max(1) as f64;
        let (mut codec, mut still, mut next) = (0.0, 0.0, BTreeMap::from([(2, 0.0), (4, 0.0)]));
        for &first in &windows {
            let truth = self.real(first + REAL);
            still += mse(self.real(first + REAL - 1), truth) / n;
            for (&steps, sum) in &mut next {
                let made = self.replay(first, REAL, REAL + 1, steps)?;
                *sum += mse(&made[REAL], truth) / n;
                if steps == 4 {
                    codec += (0..REAL).map(|t| mse(&made[t], self.real(first + t))).sum::<f64>() / REAL as f64 / n;
                }
            }
        }
        let [codec, still, two, four] = [codec, still, next[&2], next[&4]].map(psnr);
        Ok(vec![
            Row {
                what: "autoencoder, held-out frames",
                required: ">= 27 dB",
                measured: format!("{codec:.1} dB"),
                met: codec >= 27.0,
            },
            Row {
                what: "next frame at 4 steps, against the last frame shown again",
                required: ">= 3 dB better",
                measured: format!("{four:.1} against {still:.1} dB: {:+.1} dB", four - still),
                met: four - still >= 3.0,
            },
            Row {
                what: "next frame at 2 steps, against 4 steps",
                required: "at most 0.7 dB below",
                measured: format!("{two:.1} dB: {:+.1} dB", two - four),
                met: four - two <= 0.7,
            },
        ])
    }

    /// Mean gradient of 64 free frames, as a share of that of the real ones.
    fn crispness(&self) -> Result<(Row, Vec<Pair>), SessionError> {
        const FRAMES: usize = 64;
        let (mut made_sum, mut real_sum, mut pairs) = (0.0, 0.0, Vec::new());
        for first in self.windows(8, START + FRAMES, START) {
            let made = self.replay(first, START, START + FRAMES, 4)?;
            let real: Vec<Vec<u8>> = (0..START + FRAMES).map(|t| self.real(first + t).to_vec()).collect();
            let sum =
                |frames: &[Vec<u8>]| frames[START..].iter().map(|f| sharpness(f, self.held.info.width)).sum::<f64>();
            made_sum += sum(&made);
            real_sum += sum(&real);
            pairs.push([real, made]);
        }
        let ratio = made_sum / real_sum;
        let row = Row {
            what: "sharpness of free frames 1-64, share of real",
            required: "0.8 to 1.2",
            measured: format!("{ratio:.2}"),
            met: (0.8..=1.2).contains(&ratio),
        };
        Ok((row, pairs))
    }
}

/// The rows as a Markdown table.
pub fn table(rows: &[Row]) -> String {
    let mut out = String::from("| | required | measured | met |\n|---|---|---|---|\n");
    for row in rows {
        let met = if row.met { "yes" } else { "**no**" };
        out += &format!("| {} | {} | {} | {met} |\n", row.what, row.required, row.measured);
    }
    out
}
