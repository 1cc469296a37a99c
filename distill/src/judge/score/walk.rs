//! Rows 1, 3 and 6: how long a walk holds its place, how like the truth it stays, how crisp and how near to any true view.

use crate::footage::data::psnr;
use crate::footage::sight::sharpness;

use super::dreamer::{LEAD, Picture, Play, Real};
use super::probe::{Gallery, near};
use super::report::Row;
use super::target::{Like, PERFECT, Target};
use super::trial::{Start, Trial};
use super::truth;
use crate::stats::bootstrap::{self, lower_quartile, mean, median, over};

/// Frames at which likeness is asked for, counted from 1.
pub const MARKS: [usize; 3] = [16, 64, 256];
/// Frames that the sheet shows.
pub const SHEET: [usize; 5] = [1, 8, 32, 128, 512];
/// Wrong frames running that make a place lost.
const RUN: usize = 4;
/// Frames of a window of sharpness.
const CRISP: usize = 8;
/// Spots of a walk at which the truth itself is looked at through codec and probe.
const SPOTS: usize = 8;

/// A walk to take, with all that is known of it before a dream.
pub struct Walk {
    /// The truth.
    pub play: Play,
    targets: Vec<(Target, Like)>,
    gallery: Option<Gallery>,
    spots: Vec<usize>,
    own: Vec<f64>,
    own_crisp: [f64; 2],
    probe: Option<[usize; 2]>,
    paces: Option<[usize; 2]>,
}

/// What one dream of a walk came to.
#[derive(Default)]
pub struct Walked {
    /// Frames until the place was lost; all where it was not, none where nothing tells.
    held: Option<usize>,
    /// Of the dream, of the codec's picture, of an unrelated one, at each of [`MARKS`] reached.
    likes: Vec<[Like; 3]>,
    crisp: Vec<[f64; 2]>,
    near: Vec<f64>,
    own: Vec<f64>,
    own_crisp: [f64; 2],
    probe: Option<[usize; 2]>,
    paces: Option<[usize; 2]>,
    /// True and dreamt frames at [`SHEET`].
    pub pictures: [Vec<Picture>; 2],
}

impl Walk {
    /// The walk from `start`: a fixed one where there is a renderer, else what was recorded.
    pub fn new(trial: &Trial<'_>, start: &Start, number: usize) -> Self {
        let frames = trial.options.frames;
        let mut gallery = None;
        let mut paces = None;
        let play = match (&trial.truth, &start.world) {
            (Ok(truth), Some(world)) => {
                let keys = truth::walk(truth.scene.map, world.body(), number as u64, frames);
                gallery = Some(truth.probe.gallery(world.view()));
                paces = Some(truth::paces(truth.scene.map, world.body(), &keys));
                truth.play(world, &keys, &[])
            }
            _ => trial.held.follow(start.at, frames.min(trial.held.after(start.at))),
        };
        let total = play.truth.len();
        let spots: Vec<usize> = (1..=SPOTS).map(|k| k * total / SPOTS).filter(|&at| at > 0).map(|at| at - 1).collect();
        let marks = MARKS.into_iter().filter(|&mark| mark <= total);
        let targets = marks.filter_map(|mark| {
            let target = Target::new(trial, &start.real, &play, mark - 1)?;
            let floor = target.like(&trial.unrelated(start, &play, mark - 1)?)?;
            Some((target, floor))
        });
        let targets = targets.collect();
        let mut walk = Self { play, targets, gallery, spots, own: Vec::new(), own_crisp: [0.0; 2], probe: None, paces };
        walk.look(trial, &start.real);
        walk
    }

    /// What codec and probe make of the truth itself.
    fn look(&mut self, trial: &Trial<'_>, real: &Real) {
        let all: Vec<&Picture> = real.frames.iter().chain(&self.play.truth).collect();
        let mut probe = [0, 0];
        for &spot in &self.spots {
            let end = real.frames.len() + spot + 1;
            let from = end.saturating_sub(1 + LEAD);
            let shown = trial.dreamer.codec(&all[from..end].iter().map(|&f| f.clone()).collect::<Vec<_>>());
            self.own.extend(shown.last().and_then(|last| self.distance(trial, last)));
            let width = trial.held.recording.info.width;
            for (sum, last) in self.own_crisp.iter_mut().zip([shown.last(), Some(all[end - 1])]) {
                *sum += last.map_or(0.0, |last| sharpness(last, width));
            }
            // The second half of the run, where the codec is in its stride.
            for (k, picture) in shown.iter().enumerate().skip(LEAD / 2) {
                let Some(t) = (from + k).checked_sub(real.frames.len()) else { continue };
                if let (Some(gallery), Some(view)) = (&self.gallery, self.play.views.get(t)) {
                    probe = [probe[0] + usize::from(gallery.is_at(picture, view.pose)), probe[1] + 1];
                }
            }
        }
        self.probe = (probe[1] > 0).then_some(probe);
    }

    /// Mean squared error of `picture` to the nearest true view, or the nearest held frame where no renderer knows those.
    fn distance(&self, trial: &Trial<'_>, picture: &[u8]) -> Option<f64> {
        match &self.gallery {
            Some(gallery) => gallery.find(picture).map(|found| found.1),
            None => trial.nearest.find(picture).map(|found| found.1),
        }
    }

    /// Frames for which the place is held: until [`RUN`] frames running show another.
    fn hold(&self, dream: &[Picture]) -> Option<usize> {
        let gallery = self.gallery.as_ref()?;
        let mut wrong = 0;
        for (t, (picture, view)) in dream.iter().zip(&self.play.views).enumerate() {
            wrong = if gallery.find(picture).is_some_and(|(found, _)| near(found, view.pose)) { 0 } else { wrong + 1 };
            if wrong == RUN {
                return Some(t + 1 - RUN);
            }
        }
        Some(dream.len())
    }

    /// Measures a dream.
    pub fn measure(&self, trial: &Trial<'_>, dream: &[Picture]) -> Walked {
        let width = trial.held.recording.info.width;
        let crisp = |frames: &[Picture]| frames.iter().map(|frame| sharpness(frame, width)).sum::<f64>();
        let windows = dream.chunks_exact(CRISP).zip(self.play.truth.chunks_exact(CRISP));
        let likes = self
            .targets
            .iter()
            .filter_map(|(target, floor)| Some([target.like(&dream[target.at])?, target.ceiling, *floor]));
        let shown = |frames: &[Picture]| SHEET.iter().filter_map(|&mark| frames.get(mark - 1).cloned()).collect();
        Walked {
            held: self.hold(dream),
            likes: likes.collect(),
            crisp: windows.map(|(made, real)| [crisp(made), crisp(real)]).collect(),
            near: self.spots.iter().filter_map(|&spot| self.distance(trial, &dream[spot])).collect(),
            own: self.own.clone(),
            own_crisp: self.own_crisp,
            probe: self.probe,
            paces: self.paces,
            pictures: [shown(&self.play.truth), shown(dream)],
        }
    }
}

/// The dreams of one start.
pub type Walks = Vec<Walked>;

/// Row 1; `found` has the dreams of each start.
pub fn hold(trial: &Trial<'_>, found: &[Walks]) -> Row {
    let (fps, frames) = (trial.fps(), trial.options.frames);
    let paces: Vec<[usize; 2]> = found.iter().filter_map(|walks| walks.first()?.paces).collect();
    let walked = |k: usize| paces.iter().map(|p| p[k]).min().unwrap_or(0);
    let steps = format!(
        "each moves in at least {:.0} % of its frames and leads over at least {} cells",
        100.0 * walked(0) as f64 / frames.max(1) as f64,
        walked(1)
    );
    let mut row = Row::new(
        1,
        "holds its place",
        "median >= 30 s, lower quartile >= 12 s; the probe right on >= 98 % of true frames",
        &format!(
            "fixed walks of {frames} frames{}; nearest of all poses the renderer can take, in the true light and with the true \
             facts; right within 0.25 cell and 20 degrees; lost at the first frame from which {RUN} frames running are wrong; the \
             probe is tried on what the codec makes of true frames",
            if paces.is_empty() { String::new() } else { format!(", {steps}") }
        ),
    );
    if let Err(why) = &trial.truth {
        return row.missing(why);
    }
    let held: Vec<Vec<f64>> =
        found.iter().map(|walks| walks.iter().filter_map(|w| w.held).map(|n| n as f64 / fps).collect()).collect();
    let all = |walk: &Walked| walk.probe.map(|[right, asked]| right as f64 / asked as f64);
    let probe: Vec<Vec<f64>> = found.iter().map(|walks| walks.first().and_then(all).into_iter().collect()).collect();
    let (middle, quartile) =
        (row.figure("median", over(&held, median)), row.figure("lower quartile", over(&held, lower_quartile)));
    let probe = row.figure("probe on true frames", over(&probe, mean));
    let (Some(middle), Some(quartile), Some(probe)) = (middle, quartile, probe) else {
        return row.missing("no start in held");
    };
    let (asked, end) = ([30.0, 12.0], frames as f64 / fps);
    // A place that was never lost in a shorter test may be lost later.
    let parts = [middle.value, quartile.value].into_iter().zip(asked).map(|(is, want)| match is {
        _ if is >= want => Some(true),
        _ if is >= end => None,
        _ => Some(false),
    });
    let parts: Vec<Option<bool>> = parts.collect();
    let sure = probe.value >= 0.98;
    let met = match () {
        () if !sure || parts.contains(&Some(false)) => Some(false),
        () if parts.contains(&None) => None,
        () => Some(true),
    };
    let count = if sure { "" } else { ": **does not count**" };
    let text = format!(
        "median {middle} s, lower quartile {quartile} s of {end:.1} s; probe right on {:.1} % of true frames{count}",
        100.0 * probe.value
    );
    row.found(text, met)
}

/// Row 3.
pub fn likeness(trial: &Trial<'_>, found: &[Walks]) -> Row {
    let mut row = Row::new(
        3,
        "likeness to the truth",
        "at frame 256 within 3 dB of the codec (median)",
        "PSNR and SSIM, means over starts, of the dream, of what the codec makes of the true frame, and of an unrelated picture in \
         the same light; pixels of facts drawn per episode that no window reached back to are left out",
    );
    let mut parts = Vec::new();
    let mut met = None;
    for (k, mark) in MARKS.into_iter().enumerate() {
        let of = |get: &dyn Fn(&[Like; 3]) -> f64| -> Vec<Vec<f64>> {
            found.iter().map(|walks| walks.iter().filter_map(|w| w.likes.get(k)).map(get).collect()).collect()
        };
        let names = ["dream", "codec", "unrelated"];
        let mut shown = Vec::new();
        for (side, name) in names.into_iter().enumerate() {
            let psnr = row.figure(format!("{name} PSNR at {mark}"), over(&of(&|l| l[side].psnr), mean));
            let ssim = row.figure(format!("{name} SSIM at {mark}"), over(&of(&|l| l[side].ssim), mean));
            if let (Some(psnr), Some(ssim)) = (psnr, ssim) {
                shown.push(match side {
                    0 => format!("{psnr} dB, {:.2}", ssim.value),
                    _ => format!("{name} {:.1}, {:.2}", psnr.value, ssim.value),
                });
            }
        }
        let short = row.figure(format!("short of the codec at {mark}"), over(&of(&|l| l[1].psnr - l[0].psnr), median));
        if let Some(short) = short {
            parts.push(format!("frame {mark}: {}; {short} dB short", shown.join("; ")));
            met = if mark == 256 { Some(short.value <= 3.0) } else { met };
        }
    }
    if parts.is_empty() {
        return row.missing(&trial.too_short(MARKS[0]));
    }
    row.found(parts.join("<br>"), met)
}

/// Row 6.
pub fn crispness(trial: &Trial<'_>, found: &[Walks]) -> Row {
    let windows = found.iter().flatten().map(|w| w.crisp.len()).min().unwrap_or(0);
    let mut row = Row::new(
        6,
        "sharpness, and nearness to any true view",
        "0.9 to 1.1 of real in every window of 8 frames",
        &format!(
            "mean gradient of the dreams as a share of that of the true frames, all starts together, for each window of {CRISP} \
             frames; PSNR to the nearest {}, beside that of what the codec makes of true frames, at {SPOTS} spots of each walk",
            if trial.truth.is_ok() { "view the renderer can make in this light" } else { "held frame" }
        ),
    );
    if windows == 0 {
        return row.missing(&trial.too_short(CRISP));
    }
    let ratio = |picked: &[usize], window: Option<usize>| {
        let all = picked.iter().flat_map(|&i| &found[i]).flat_map(|walk| match window {
            Some(k) => &walk.crisp[k..=k],
            None => &walk.crisp[..],
        });
        let sums = all.fold([0.0, 0.0], |sum, [made, real]| [sum[0] + made, sum[1] + real]);
        (sums[1] > 0.0).then(|| sums[0] / sums[1])
    };
    let all: Vec<usize> = (0..found.len()).collect();
    let share = row.figure("sharpness", bootstrap::estimate(found.len(), |picked| ratio(picked, None)));
    let each: Vec<f64> = (0..windows).filter_map(|k| ratio(&all, Some(k))).collect();
    let Some(share) = share else { return row.missing("the true frames are flat") };
    let (low, high) = each.iter().fold((f64::MAX, f64::MIN), |(l, h), &x| (l.min(x), h.max(x)));
    let distances = |get: &dyn Fn(&Walked) -> &[f64]| -> Vec<Vec<f64>> {
        found
            .iter()
            .map(|walks| walks.iter().flat_map(|w| get(w).iter().map(|&m| psnr(m).min(PERFECT))).collect())
            .collect()
    };
    let made = row.figure("nearest view, dream", over(&distances(&|w| &w.near), mean));
    let own = row.figure("nearest view, truth", over(&distances(&|w| &w.own), mean));
    let codec = bootstrap::estimate(found.len(), |picked| {
        let all = picked.iter().filter_map(|&i| found[i].first()).map(|walk| walk.own_crisp);
        let sums = all.fold([0.0, 0.0], |sum, [made, real]| [sum[0] + made, sum[1] + real]);
        (sums[1] > 0.0).then(|| sums[0] / sums[1])
    });
    let mut text = format!("{share:.2}; windows {low:.2} to {high:.2}");
    if let Some(codec) = row.figure("sharpness of the codec", codec) {
        text += &format!("; of what the codec makes of the truth {:.2}", codec.value);
    }
    if let (Some(made), Some(own)) = (made, own) {
        text += &format!("; nearest view {made} dB, of the truth {:.1} dB", own.value);
    }
    row.found(text, Some(low >= 0.9 && high <= 1.1))
}
