//! What a run says while it goes on: a bar in a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Seconds between messages on a terminal's bar.
const DRAWN: f64 = 2.0;

/// Seconds between lines where there is no terminal.
const LINES: f64 = 10.0;

/// Progress of one stage.
pub struct Progress {
    bar: ProgressBar,
    stage: String,
    began: (Instant, f64),
    said: Instant,
    sum: f64,
    count: u32,
}

impl Progress {
    /// Of `stage`, a share `done` of which is over.
    pub fn new(stage: &str, done: f64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr_with_hz(2));
        let style = ProgressStyle::with_template("{prefix:12} [{bar:30}] {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_prefix(stage.to_owned());
        let now = Instant::now();
        Self { bar, stage: stage.into(), began: (now, done), said: now, sum: 0.0, count: 0 }
    }

    /// After a step that saw `batch` samples, when a share `done` is over.
    pub fn step(&mut self, step: u64, loss: f32, batch: usize, done: f64) {
        (self.sum, self.count) = (self.sum + f64::from(loss), self.count + 1);
        self.bar.set_position((1000.0 * done) as u64);
        let since = self.said.elapsed().as_secs_f64();
        let over = done >= 1.0;
        if since < if self.bar.is_hidden() { LINES } else { DRAWN } && !over {
            return;
        }
        let speed = f64::from(self.count) * batch as f64 / since.max(1e-9);
        let mean = self.sum / f64::from(self.count);
        let (start, before) = self.began;
        let pace = (done - before) / start.elapsed().as_secs_f64().max(1e-9);
        let left = if pace > 0.0 { ((1.0 - done).max(0.0) / pace).min(1e9) } else { 0.0 };
        // After the last step comes a look, of which it is not known how long it takes.
        let left = if over {
            "looking at what was learnt".to_owned()
        } else {
            format!("{} left", HumanDuration(Duration::from_secs_f64(left)))
        };
        let message = format!("step {step} loss {mean:.4} {speed:.1}/s, {left}");
        if self.bar.is_hidden() {
            eprintln!("{} {message}", self.stage);
        }
        self.bar.set_message(message);
        (self.said, self.sum, self.count) = (Instant::now(), 0.0, 0);
    }

    /// Says something beside the bar.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// Begins anew after other work, which is no part of the throughput.
    pub fn pause(&mut self) {
        (self.said, self.sum, self.count) = (Instant::now(), 0.0, 0);
    }
}

/// A bar of work that comes in parts.
pub fn parts(what: &str, count: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count as u64), ProgressDrawTarget::stderr_with_hz(2));
    let style = ProgressStyle::with_template("{prefix:12} [{bar:30}] {pos} of {len}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar.set_prefix(what.to_owned());
    bar
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
