//! Row 2: the next frame after real ones, for each key by itself.

use super::error::ScoreError;
use super::held::Told;
use super::report::Row;
use super::trial::Trial;
use crate::footage::data::psnr;
use crate::footage::sight::mse;
use crate::stats::bootstrap::estimate;

/// Mean squared errors to the true next frame: of the last real frame shown again, of the dream, of the codec's picture of the
/// truth.
type Errors = [f64; 3];

/// The dreams after frame `at - 1` of the recording, one a seed.
fn one(trial: &Trial<'_>, at: usize) -> Result<Errors, ScoreError> {
    let (real, play) = (trial.held.real(at - 1), trial.held.follow(at - 1, 1));
    let truth = trial.held.frame(at);
    let copy = mse(&trial.held.frame(at - 1), &truth);
    let run: Vec<_> = real.frames.iter().skip(real.frames.len().saturating_sub(8)).chain([&truth]).cloned().collect();
    let codec = trial.dreamer.codec(&run).last().map_or(0.0, |shown| mse(shown, &truth));
    let mut made = 0.0;
    for seed in trial.seeds() {
        let dreams = trial.dreamer.dream(&real, &[&play], trial.options.memory, seed)?;
        made += dreams.iter().flatten().map(|picture| mse(picture, &truth)).sum::<f64>();
    }
    Ok([copy, made / trial.options.seeds.max(1) as f64, codec])
}

/// The row.
///
/// # Errors
/// [`ScoreError`] when the dreamer fails.
pub fn row(trial: &Trial<'_>) -> Result<Row, ScoreError> {
    let mut row = Row::new(
        2,
        "skill of each key",
        "(copy - dream) / (copy - codec) >= 0.8 for every key; no key >= 33 dB",
        "next frame after 24 recorded ones: mean squared errors of the last real frame shown again, of the dream and of what the \
         codec makes of the true frame; up to as many windows as starts a key, lights in turn",
    );
    let names = &trial.held.recording.info.actions;
    let kinds = (0..names.len()).map(Told::Key).chain([Told::Nothing, Told::Several]);
    let windows: Vec<(Told, usize)> = kinds
        .flat_map(|kind| {
            // The frame before it ends a start, and no light is switched with it.
            let events = &trial.held.recording.events;
            let fits = |i: usize| {
                i > 0 && trial.held.told(i) == kind && trial.held.is_start(i - 1, 1) && events[i] == events[i - 1]
            };
            trial.held.spread(trial.options.starts, fits).into_iter().map(move |at| (kind, at))
        })
        .collect();
    let found = trial.each("next frames", windows.len(), |i| one(trial, windows[i].1))?;
    let (mut parts, mut met) = (Vec::new(), true);
    let mut kinds: Vec<Told> = windows.iter().map(|w| w.0).collect();
    kinds.dedup();
    for kind in kinds {
        let errors: Vec<Errors> = windows.iter().zip(&found).filter(|(w, _)| w.0 == kind).map(|(_, &e)| e).collect();
        let n = errors.len();
        let name = match kind {
            Told::Key(k) => names[k].as_str(),
            Told::Nothing => "no key",
            Told::Several => "several keys",
        };
        if kind == Told::Nothing {
            let all = |k: usize| {
                let sum = |picked: &[usize]| picked.iter().map(|&i| errors[i][k]).sum::<f64>() / picked.len() as f64;
                estimate(n, |picked| Some(psnr(sum(picked))))
            };
            let (like, codec) = (all(1), all(2));
            let (like, codec) = (row.figure("no key PSNR", like), row.figure("no key PSNR, codec", codec));
            if let (Some(like), Some(codec)) = (like, codec) {
                met &= like.value >= 33.0;
                parts.push(format!("no key {like} dB (codec {:.1})", codec.value));
            }
            continue;
        }
        let skill = estimate(n, |picked| {
            let sum = |k: usize| picked.iter().map(|&i| errors[i][k]).sum::<f64>();
            let (copy, codec) = (sum(0), sum(2));
            // Where the picture changes less than the codec errs, copying cannot be beaten.
            (copy > codec).then(|| (copy - sum(1)) / (copy - codec))
        });
        match row.figure(format!("skill of {name}"), skill) {
            Some(skill) => {
                met &= kind == Told::Several || skill.value >= 0.8;
                parts.push(format!("{name} {skill:.2}"));
            }
            None => parts.push(format!("{name}: its pictures change less than the codec errs")),
        }
    }
    let idle = (0..names.len()).filter(|&k| windows.iter().all(|w| w.0 != Told::Key(k))).count();
    if parts.is_empty() {
        return Ok(row.missing(&trial.too_short(1)));
    }
    if idle > 0 {
        parts.push(format!("{idle} of {} keys are never pressed alone", names.len()));
    }
    // What was never tried is neither met nor missed.
    let met = if met && idle > 0 { None } else { Some(met) };
    Ok(row.found(parts.join("; "), met))
}
