//! Measures a finished model file through the runtime, on held-out episodes, against what a world should be able to do.

use std::collections::BTreeMap;

use causeway_runtime::{BackendChoice, Budget, EventTime, Model, Pump, Session, SessionError, SessionOptions, Start};

use crate::data::{Episodes, psnr};
use crate::recording::Recording;
use crate::sight::{Nearest, mean_colour, mse, sharpness, shift};
use crate::world::{Light, render, view_from_row};

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
        rows.push(self.turning()?);
        rows.push(self.drift()?);
        rows.push(self.events()?);
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

    /// Whether the picture moves against the turn that is held, and how often it does in the real world.
    fn turning(&self) -> Result<Row, SessionError> {
        const FRAMES: usize = 32;
        let width = self.held.info.width;
        let (mut right, mut real_right, mut count) = (0usize, 0usize, 0usize);
        for first in self.windows(8, START, START) {
            let columns = self.held.poses.len() / self.held.len();
            let last = first + START - 1;
            let event = self.held.events[last];
            let view = view_from_row(&self.held.poses[last * columns..(last + 1) * columns], event);
            for (side, sign) in [("left", 1), ("right", -1)] {
                let held: Vec<f32> = self.held.info.actions.iter().map(|n| f32::from(u8::from(n == side))).collect();
                let action = |t: usize| if t < START { self.action(first + t) } else { held.clone() };
                let made = self.roll([first, START, START + FRAMES], 4, action, |_| event)?;
                let agrees = |a: &[u8], b: &[u8]| usize::from(shift(a, b, width, 12).signum() == sign);
                right += made[START..].windows(2).map(|w| agrees(&w[0], &w[1])).sum::<usize>();
                count += FRAMES - 1;
                if let Some(view) = view {
                    let at = |t: i32| render(view.pose.turned(-sign * t), view.light);
                    real_right += (1..FRAMES as i32).map(|t| agrees(&at(t), &at(t + 1))).sum::<usize>();
                }
            }
        }
        let share = |n: usize| 100.0 * n as f64 / count.max(1) as f64;
        Ok(Row {
            what: "turning: frames that move the right way (real frames by the same method)",
            required: ">= 90 %",
            measured: format!("{:.1} % ({:.1} %)", share(right), share(real_right)),
            met: share(right) >= 90.0,
        })
    }

    /// Likeness to any real frame, early and late in roll-outs of 300 frames.
    fn drift(&self) -> Result<Row, SessionError> {
        let nearest = Nearest::new((0..self.held.len()).map(|i| self.real(i)).collect(), self.held.info.width);
        let (mut early, mut late, mut count) = (0.0, 0.0, 0.0);
        for first in self.windows(24, START + 300, START) {
            let made = self.replay(first, START, START + 300, 4)?;
            let mean = |from: usize| (0..=10).map(|t| nearest.psnr(&made[START - 1 + from + t])).sum::<f64>() / 11.0;
            early += mean(20);
            late += mean(290);
            count += 1.0;
        }
        let (early, late) = (early / count, late / count);
        Ok(Row {
            what: "drift: PSNR to the nearest real frame, frames 290-300 against 20-30",
            required: "at most 2 dB lower",
            measured: format!("{late:.1} against {early:.1} dB: {:+.1} dB", late - early),
            met: early - late <= 2.0,
        })
    }

    /// How many switches of light bring the mean colour three quarters of the way to the new condition, and how soon.
    fn events(&self) -> Result<Row, SessionError> {
        const WITHIN: usize = 8;
        let (mut took, mut count) = (Vec::new(), 0usize);
        let columns = self.held.poses.len() / self.held.len();
        for first in self.windows(8, START, START) {
            let last = first + START - 1;
            let old = self.held.events[last];
            let row = &self.held.poses[last * columns..(last + 1) * columns];
            let Some(view) = view_from_row(row, old) else { continue };
            for new in Light::ALL.into_iter().filter(|light| light.index() != old) {
                let idle = vec![0.0; self.held.info.actions.len()];
                let action = |t: usize| if t < START { self.action(first + t) } else { idle.clone() };
                // Two quiet frames, then the switch.
                let event = |t: usize| if t < START + 2 { old } else { new.index() };
                let made = self.roll([first, START, START + 2 + WITHIN], 4, action, event)?;
                let (from, to) = (mean_colour(&render(view.pose, view.light)), mean_colour(&render(view.pose, new)));
                let way: f64 = from.iter().zip(&to).map(|(a, b)| (b - a) * (b - a)).sum();
                let come = |picture: &[u8]| {
                    let at = mean_colour(picture);
                    (0..3).map(|c| (at[c] - from[c]) * (to[c] - from[c])).sum::<f64>() / way
                };
                took.extend(made[START + 2..].iter().position(|picture| come(picture) >= 0.75).map(|t| t + 1));
                count += 1;
            }
        }
        took.sort_unstable();
        let median = took.get(took.len() / 2).map_or("never".to_string(), |t| format!("frame {t}"));
        Ok(Row {
            what: "events: mean colour 75 % of the way to the new light within 8 frames",
            required: "every switch",
            measured: format!("{} of {count} switches, median {median}", took.len()),
            met: count > 0 && took.len() == count,
        })
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
