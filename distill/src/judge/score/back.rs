//! Row 5, first half: whether going away and coming back ends where it began.

use super::dreamer::{Picture, Play};
use super::light;
use super::report::Row;
use super::target::Target;
use super::trial::{Start, Trial};
use super::truth::there_and_back;
use crate::stats::bootstrap::{mean, median, over};

/// Frames of the way there.
pub const AWAY: [usize; 3] = [5, 15, 30];

/// One way there and back.
pub struct Back {
    /// The truth.
    pub play: Play,
    target: Option<Target>,
}

impl Back {
    /// From `start`, the way of number `number`, one for each of [`AWAY`]; none where there is no renderer. With `through` the light is
    /// switched where the way turns back.
    pub fn all(trial: &Trial<'_>, start: &Start, number: usize, through: bool) -> Vec<Self> {
        let (Ok(truth), Some(world)) = (&trial.truth, &start.world) else { return Vec::new() };
        let one = |away: usize| {
            let movements = (away / usize::from(truth.scene.map.frames)).max(1);
            let keys = there_and_back(truth.scene.map, world.body(), number, movements);
            let to = light::other(truth.scene.map, world.view().light, number).filter(|_| through);
            let switch: Vec<_> = to.map(|to| (keys.len() / 2, to)).into_iter().collect();
            let play = truth.play(world, &keys, &switch);
            let target = Target::new(trial, &start.real, &play, keys.len().saturating_sub(1));
            Self { play, target }
        };
        AWAY.map(one).into()
    }

    /// PSNR of the last frame, and by how much it falls short of the codec.
    pub fn measure(&self, dream: &[Picture]) -> Option<[f64; 2]> {
        let (target, last) = (self.target.as_ref()?, dream.last()?);
        Some([target.like(last)?.psnr, target.deficit(last)?])
    }
}

/// The row; `found` has for each start and dream what [`Back::measure`] says of each of [`AWAY`].
pub fn row(trial: &Trial<'_>, found: &[Vec<Vec<Option<[f64; 2]>>>]) -> Row {
    let row = Row::new(
        5,
        "there and back",
        "within 3 dB of the codec (median), 5, 15 and 30 frames away",
        "steps and turns away and, undone, back again; the last frame against the truth; pixels of facts that no window reached \
         back to are left out",
    );
    filled(row, trial, found)
}

/// The row of ways on which the light changes: what was seen before is never seen in the light it is asked for in.
pub fn through(trial: &Trial<'_>, found: &[Vec<Vec<Option<[f64; 2]>>>]) -> Row {
    let row = Row::new(
        9,
        "there, and back in another light",
        "within 3 dB of the codec (median), 5, 15 and 30 frames away",
        "as there and back, with a switch of light where the way turns",
    );
    filled(row, trial, found)
}

fn filled(mut row: Row, trial: &Trial<'_>, found: &[Vec<Vec<Option<[f64; 2]>>>]) -> Row {
    if let Err(why) = &trial.truth {
        return row.missing(why);
    }
    let (mut parts, mut met) = (Vec::new(), true);
    for (k, away) in AWAY.into_iter().enumerate() {
        let of = |side: usize| -> Vec<Vec<f64>> {
            let one =
                |dreams: &Vec<Vec<Option<[f64; 2]>>>| dreams.iter().filter_map(|d| Some((*d.get(k)?)?[side])).collect();
            found.iter().map(one).collect()
        };
        let like = row.figure(format!("PSNR after {away} and {away}"), over(&of(0), mean));
        let short = row.figure(format!("short of the codec after {away} and {away}"), over(&of(1), median));
        if let (Some(like), Some(short)) = (like, short) {
            parts.push(format!("{away} and {away}: {like} dB, {short} dB short"));
            met &= short.value <= 3.0;
        }
    }
    if parts.is_empty() {
        return row.missing("no start in held");
    }
    row.found(parts.join("<br>"), Some(met))
}
