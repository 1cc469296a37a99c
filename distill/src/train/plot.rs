//! The loss curve of a run as a PNG: every stage in its own colour and named, one after the other, minutes to the right, loss on a
//! logarithmic axis.

use std::path::Path;

use causeway_runtime::file::regular;

use crate::judge::sheet::write_png;
use crate::train::letters;
use crate::train::state::StateError;

const WIDTH: usize = 900;
const HEIGHT: usize = 420;
/// Room around the curves, for numbers.
const MARGIN: usize = 48;
/// Pixels of a letter's pixel.
const ZOOM: usize = 2;
const TEXT: [u8; 3] = [170; 3];
const POINTS: usize = 150;
const COLOURS: [[u8; 3]; 4] = [[90, 160, 250], [250, 160, 60], [120, 210, 110], [230, 100, 160]];

/// Points of one stage: (seconds, loss).
type Curve = (String, Vec<(f64, f64)>);

/// Draws `metrics.jsonl` of the run folder `dir` to `loss.png` beside it; a folder without metrics is left alone.
///
/// # Errors
/// [`StateError`] when the picture cannot be written.
pub fn loss(dir: &Path) -> Result<(), StateError> {
    let Ok(text) = regular::read_to_string(dir.join("metrics.jsonl")) else { return Ok(()) };
    let curves = curves(&text);
    let points = curves.iter().flat_map(|c| &c.1);
    let (low, high) = points.fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.1.ln()), h.max(p.1.ln())));
    let total: f64 = curves.iter().filter_map(|c| c.1.last()).map(|p| p.0).sum();
    if total <= 0.0 {
        return Ok(());
    }
    let mut canvas = Canvas { pixels: vec![24; WIDTH * HEIGHT * 3] };
    // A faint line and its number at every power of two, or at so many that the numbers have room.
    let (bottom, top) = ((low / 2f64.ln()).floor() as i32, (high / 2f64.ln()).ceil() as i32);
    for power in (bottom..=top).step_by(1 + (top - bottom) as usize / 16) {
        let y = height(f64::from(power) * 2f64.ln(), low, high);
        if y < MARGIN as f64 / 2.0 || y > (HEIGHT - MARGIN / 2) as f64 {
            continue;
        }
        canvas.line((MARGIN as f64, y), ((WIDTH - MARGIN) as f64, y), [52; 3]);
        canvas.text((4, y as usize - letters::ROWS), &number(2f64.powi(power)), TEXT);
    }
    // Minutes, ten numbers at most.
    let step = minutes(total / 60.0);
    for i in 0..=(total / 60.0 / step) as usize {
        let at = step * i as f64;
        let x = MARGIN as f64 + at * 60.0 / total * (WIDTH - 2 * MARGIN) as f64;
        canvas.line((x, (HEIGHT - MARGIN) as f64), (x, (HEIGHT - MARGIN + 6) as f64), TEXT);
        canvas.text((x as usize - 4, HEIGHT - MARGIN + 12), &number(at), TEXT);
    }
    canvas.text((WIDTH / 2, HEIGHT - 16), "minutes", TEXT);
    canvas.text((4, 8), "loss", TEXT);
    let mut before = 0.0;
    let mut right = MARGIN;
    for (i, (name, points)) in curves.iter().enumerate() {
        canvas.text((right, 8), name, COLOURS[i % COLOURS.len()]);
        right += (name.chars().count() + 2) * letters::ADVANCE * ZOOM;
        let place = |p: &(f64, f64)| {
            let x = MARGIN as f64 + (before + p.0) / total * (WIDTH - 2 * MARGIN) as f64;
            (x, height(p.1.ln(), low, high))
        };
        for pair in points.windows(2) {
            canvas.line(place(&pair[0]), place(&pair[1]), COLOURS[i % COLOURS.len()]);
        }
        before += points.last().map_or(0.0, |p| p.0);
    }
    write_png(&dir.join("loss.png"), WIDTH, HEIGHT, &canvas.pixels)
}

fn height(value: f64, low: f64, high: f64) -> f64 {
    MARGIN as f64 + (high - value) / (high - low).max(1e-9) * (HEIGHT - 2 * MARGIN) as f64
}

/// A number of few letters.
fn number(value: f64) -> String {
    if value >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        let digits = format!("{value:.4}");
        digits.trim_end_matches('0').to_owned()
    }
}

/// Minutes between two numbers on an axis of `total` minutes: 1, 2 or 5 times a power of ten.
fn minutes(total: f64) -> f64 {
    let power = 10f64.powf((total / 10.0).max(1e-6).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| total / step <= 10.0).unwrap_or(total)
}

/// The losses of each stage in order of first appearance; lines without a loss are looks at the model.
fn curves(text: &str) -> Vec<Curve> {
    let mut out: Vec<Curve> = Vec::new();
    for line in text.lines() {
        let Ok(json) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let (Some(stage), Some(seconds), Some(loss)) =
            (json["stage"].as_str(), json["seconds"].as_f64(), json["loss"].as_f64())
        else {
            continue;
        };
        if loss <= 0.0 {
            continue;
        }
        match out.iter_mut().find(|c| c.0 == stage) {
            Some(curve) => curve.1.push((seconds, loss)),
            None => out.push((stage.to_owned(), vec![(seconds, loss)])),
        }
    }
    out.iter_mut().for_each(|curve| curve.1 = smooth(&curve.1));
    out
}

/// At most [`POINTS`] points: means of neighbouring steps, whose losses are noisy one by one.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let run = points.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        (part.iter().map(|p| p.0).sum::<f64>() / n, part.iter().map(|p| p.1).sum::<f64>() / n)
    };
    points.chunks(run).map(mean).collect()
}

struct Canvas {
    pixels: Vec<u8>,
}

impl Canvas {
    /// Writes `text` with its upper left corner at `place`; what would lie outside is left out.
    fn text(&mut self, place: (usize, usize), text: &str, colour: [u8; 3]) {
        for (x, y) in letters::pixels(text) {
            for (dx, dy) in (0..ZOOM * ZOOM).map(|i| (i % ZOOM, i / ZOOM)) {
                let (x, y) = (place.0 + x * ZOOM + dx, place.1 + y * ZOOM + dy);
                if x < WIDTH && y < HEIGHT {
                    self.pixels[(y * WIDTH + x) * 3..][..3].copy_from_slice(&colour);
                }
            }
        }
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: [u8; 3]) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0) as usize;
        for i in 0..=steps {
            let t = i as f64 / steps as f64;
            let (x, y) = (from.0 + (to.0 - from.0) * t, from.1 + (to.1 - from.1) * t);
            let (x, y) = (x.round() as usize, y.round() as usize);
            if x < WIDTH && y < HEIGHT {
                self.pixels[(y * WIDTH + x) * 3..][..3].copy_from_slice(&colour);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_round() {
        let numbers = [0.0, 0.25, 0.0625, 0.0078125, 1.5, 2.0, 512.0, 1234.5].map(number);
        assert_eq!(numbers, ["0", "0.25", "0.0625", "0.0078", "1.5", "2", "512", "1234"]);
        for total in [0.01, 0.3, 1.0, 7.0, 9.9, 60.0, 100.0, 3000.0] {
            let count = total / minutes(total);
            assert!((2.0..=10.0).contains(&count), "{total}: {count}");
        }
    }
}
