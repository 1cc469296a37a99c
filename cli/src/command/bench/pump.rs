//! `bench pump`: a game with its own work to do gives the world a part of each of its frames. What does that cost the game?

use std::time::{Duration, Instant};

use causeway_runtime::{Budget, Pump, Session};
use serde_json::json;

use super::common::Common;
use crate::{
    error::Error,
    stage::tour::Tour,
    tools::{
        progress::progress,
        stop::Stop,
        table::{Table, median_p95},
    },
};

/// Options of `bench pump`.
#[derive(Clone, Debug, clap::Args)]
pub struct PumpArgs {
    #[command(flatten)]
    common: Common,
    /// Microseconds of each game frame that the world gets
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    budget: u32,
    /// Frames a second of the game
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Milliseconds of each frame that the game's own work takes on one core, alone
    #[arg(long, default_value_t = 8, value_name = "MS", value_parser = clap::value_parser!(u32).range(0..=1000))]
    load: u32,
    /// Game frames to measure with the world; as many are measured without it
    #[arg(long, default_value_t = 900, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    frames: u64,
}

/// Game frames with the world, then as many without it, and so on, so that both see the same machine.
const TURN: u64 = 60;

/// Work of a game: the same sums every frame, over more memory than the small caches hold, so that it suffers when the world disturbs it.
struct Host {
    memory: Vec<u64>,
    rounds: usize,
}

impl Host {
    /// Finds how many rounds take `load` milliseconds.
    fn new(load: u32) -> Self {
        let mut host = Self { memory: (0..1 << 17).collect(), rounds: 1 };
        let mut times: Vec<f64> = (0..100).map(|_| host.work().as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        host.rounds = (1e-3 * f64::from(load) / times[times.len() / 2]).round() as usize;
        host
    }

    fn work(&mut self) -> Duration {
        let start = Instant::now();
        for round in 0..self.rounds {
            for word in &mut self.memory {
                *word = (*word ^ round as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            }
        }
        std::hint::black_box(&self.memory);
        start.elapsed()
    }
}

/// What was measured, milliseconds.
#[derive(Default)]
struct Measured {
    pumps: Vec<f64>,
    /// Frames of the game, from their begin to the end of its work and ours.
    with: Vec<f64>,
    without: Vec<f64>,
    delivered: u64,
    /// Seconds of the clock that the frames with the world took, late ones and waiting among them.
    seconds: f64,
    /// Game frames that took longer than there was time for.
    late: [u64; 2],
}

pub fn run(args: &PumpArgs, stop: &Stop) -> Result<(), Error> {
    let model = args.common.open()?;
    let mut session = args.common.session.session(&model, stop)?;
    let tour = Tour::new(session.actions(), session.events().len(), session.event(), 400, model.config().latch);
    // The first frames measure what nodes cost, which later pumps go by.
    for _ in 0..session.ring().window + 5 {
        while !pump(&mut session, &tour, args.budget)? {}
    }
    let measured = measure(&mut session, &tour, args, stop)?;
    let fps = measured.delivered as f64 / measured.seconds;

    let limit = 1.25e-3 * f64::from(args.budget);
    let within = measured.pumps.iter().filter(|&&ms| ms <= limit).count() as f64 / measured.pumps.len() as f64;
    let longest = measured.pumps.iter().copied().fold(0.0, f64::max);
    let bins = histogram(&measured.pumps, 1e-3 * f64::from(args.budget));
    let mut text = args.common.heading(&model);
    text += &format!(
        "a game of {} frames a second with {} ms of work of its own; pump({} us) once a frame, {} frames\n\n",
        args.rate, args.load, args.budget, args.frames
    );
    text += &bars(&bins);
    text += &format!("\nwithin {limit:.2} ms: {:.2} % of pumps; longest {longest:.2} ms\n", 100.0 * within);
    text += &format!("frames of the world delivered: {fps:.1} a second\n\n");
    let mut table = Table::new(&["the game's frames", "median ms", "95 % within", "late"]);
    let sides =
        [("without the world", &measured.without, measured.late[0]), ("with it", &measured.with, measured.late[1])];
    for (name, times, late) in sides {
        let (median, p95) = median_p95(times);
        table.row([name.to_owned(), format!("{median:.2}"), format!("{p95:.2}"), late.to_string()]);
    }
    text += &table.to_string();
    let side = |times: &[f64], late: u64| {
        let (median, p95) = median_p95(times);
        json!({"median_ms": median, "p95_ms": p95, "late": late})
    };
    let value = json!({
        "machine": args.common.machine(),
        "budget_us": args.budget,
        "pumps": measured.pumps.len(),
        "histogram": bins.iter().map(|(from, count)| json!({"from_ms": from, "count": count})).collect::<Vec<_>>(),
        "within_ms": limit,
        "share_within": within,
        "longest_ms": longest,
        "delivered": measured.delivered,
        "fps": fps,
        "without": side(&measured.without, measured.late[0]),
        "with": side(&measured.with, measured.late[1]),
    });
    args.common.report(&text, &value)
}

/// One pump of a game frame; true if a frame was ready and was taken.
fn pump(session: &mut Session, tour: &Tour, budget: u32) -> Result<bool, Error> {
    let next = session.stats().frames;
    session.set_action(tour.action(next))?;
    let ready = session.pump(Budget::Micros(budget.into()))? == Pump::Frame;
    if ready {
        session.release();
    }
    Ok(ready)
}

/// The game's loop.
fn measure(session: &mut Session, tour: &Tour, args: &PumpArgs, stop: &Stop) -> Result<Measured, Error> {
    let mut host = Host::new(args.load);
    let mut measured = Measured::default();
    let period = Duration::from_secs(1) / args.rate;
    let bar = progress(2 * args.frames, "game frames");
    let mut due = Instant::now();
    for n in 0..2 * args.frames.next_multiple_of(TURN) {
        stop.check()?;
        let ours = n / TURN % 2 == 1;
        let times = if ours { &measured.with } else { &measured.without };
        if times.len() as u64 == args.frames {
            continue;
        }
        let start = Instant::now();
        host.work();
        if ours {
            let before = Instant::now();
            measured.delivered += u64::from(pump(session, tour, args.budget)?);
            measured.pumps.push(1e3 * before.elapsed().as_secs_f64());
        }
        let spent = start.elapsed();
        measured.late[usize::from(ours)] += u64::from(spent > period);
        let times = if ours { &mut measured.with } else { &mut measured.without };
        times.push(1e3 * spent.as_secs_f64());
        bar.inc(1);
        // As with vertical sync: a frame that is late waits for the next tick.
        due += period;
        while due < Instant::now() {
            due += period;
        }
        std::thread::sleep(due - Instant::now());
        if ours {
            measured.seconds += start.elapsed().as_secs_f64();
        }
    }
    bar.finish_and_clear();
    Ok(measured)
}

/// Counts by quarters of the budget up to twice the budget; the last bin holds the rest.
fn histogram(times: &[f64], budget: f64) -> Vec<(f64, usize)> {
    let mut bins: Vec<_> = (0..9).map(|at| (0.25 * budget * f64::from(at), 0)).collect();
    for ms in times {
        bins[((4.0 * ms / budget) as usize).min(8)].1 += 1;
    }
    bins
}

fn bars(bins: &[(f64, usize)]) -> String {
    let most = bins.iter().map(|bin| bin.1).max().unwrap_or(0).max(1);
    let mut table = Table::new(&["pump, ms from", "count", ""]);
    for (from, count) in bins {
        table.row([format!("{from:.2}"), count.to_string(), "#".repeat((50 * count).div_ceil(most))]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::histogram;

    #[test]
    fn every_time_falls_into_one_bin() {
        let bins = histogram(&[0.0, 0.4, 0.5, 1.99, 2.0, 3.9, 4.0, 1e6], 2.0);
        let counts: Vec<_> = bins.iter().map(|bin| bin.1).collect();
        assert_eq!(counts, [2, 1, 0, 1, 1, 0, 0, 1, 2]);
        assert_eq!((bins[4].0, bins[8].0), (2.0, 4.0));
    }
}
