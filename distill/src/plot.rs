//! The loss curve of a run as a PNG: every stage in its own colour, one after the other, loss on a logarithmic axis.

use std::path::Path;

use crate::sheet::write_png;
use crate::state::StateError;

const WIDTH: usize = 900;
const HEIGHT: usize = 420;
const MARGIN: usize = 20;
const POINTS: usize = 150;
const COLOURS: [[u8; 3]; 4] = [[90, 160, 250], [250, 160, 60], [120, 210, 110], [230, 100, 160]];

/// Points of one stage: (seconds, loss).
type Curve = (String, Vec<(f64, f64)>);

/// Draws `metrics.jsonl` of the run folder `dir` to `loss.png` beside it; a folder without metrics is left alone.
///
/// # Errors
/// [`StateError`] when the picture cannot be written.
pub fn loss(dir: &Path) -> Result<(), StateError> {
    let Ok(text) = std::fs::read_to_string(dir.join("metrics.jsonl")) else { return Ok(()) };
    let curves = curves(&text);
    let points = curves.iter().flat_map(|c| &c.1);
    let (low, high) = points.fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.1.ln()), h.max(p.1.ln())));
    let total: f64 = curves.iter().filter_map(|c| c.1.last()).map(|p| p.0).sum();
    if total <= 0.0 {
        return Ok(());
    }
    let mut canvas = Canvas { pixels: vec![24; WIDTH * HEIGHT * 3] };
    // A faint line at every power of two.
    for power in (low / 2f64.ln()).floor() as i32..=(high / 2f64.ln()).ceil() as i32 {
        let y = height(f64::from(power) * 2f64.ln(), low, high);
        canvas.line((MARGIN as f64, y), ((WIDTH - MARGIN) as f64, y), [52; 3]);
    }
    let mut before = 0.0;
    for (i, (_, points)) in curves.iter().enumerate() {
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
