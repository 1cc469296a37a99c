//! `bench demo`: a walk through the world, as fast as it goes.

use std::time::Instant;

use causeway_runtime::{
    Budget, Session,
    model::{ProgramId, StreamPlan},
};
use serde_json::json;

use super::common::{Common, time_nodes};
use crate::{
    command::plan,
    error::Error,
    stage::film::step,
    stage::tour::Tour,
    tools::{
        allocation,
        progress::progress,
        stop::Stop,
        table::{self, Table, median_p95},
    },
};

/// Options of `bench demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    #[command(flatten)]
    common: Common,
    /// Frames to measure
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    frames: u64,
    /// Frames before that, at least enough to fill the window
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    warmup: u64,
}

/// One pass of a frame.
struct Pass {
    name: String,
    /// Runs a frame.
    runs: f64,
    ms: f64,
    mflop: f64,
}

pub fn run(args: &DemoArgs, stop: &Stop) -> Result<(), Error> {
    let common = &args.common;
    let model = common.open()?;
    let before = allocation::live_bytes();
    let mut session = common.session.session(&model, stop)?;
    let allocated = allocation::live_bytes() - before;
    let tour = Tour::new(
        session.actions(),
        session.events().len(),
        session.event(),
        args.warmup + args.frames,
        model.config().latch,
    );
    let (times, allocations) = walk(&mut session, &tour, args, stop)?;
    let resident = allocation::resident_bytes();
    let steps = common.session.steps.unwrap_or(model.config().schedule.default_steps);
    let passes = passes(&mut session, steps)?;

    let (median, p95) = median_p95(&times);
    let (fps, slow) = (1e3 / median, 1e3 / p95);
    // On a busy machine the best frame says what the others would cost alone.
    let best = times.iter().copied().fold(f64::INFINITY, f64::min);
    let planned = session.memory().total();
    let mut text = common.heading(&model);
    text += &format!(
        "{steps} steps, {} frames: {fps:.1} FPS (median frame {median:.2} ms, 95 % within {p95:.2} ms, best {best:.2} ms)\n\n",
        times.len()
    );
    text += &pass_table(&passes);
    text += &format!("\n{}", plan::memory_table(session.memory()));
    text += &format!(
        "allocated for the session: {allocated} bytes, {:.4} of the plan\n",
        allocated as f64 / planned as f64
    );
    if let Some(resident) = resident {
        text += &format!("resident memory of the process: {}\n", table::bytes(resident));
    }
    text += &format!("heap allocations in {} steady frames: {allocations}\n", times.len());
    let passes: Vec<_> =
        passes.iter().map(|p| json!({"name": p.name, "runs": p.runs, "ms": p.ms, "mflop": p.mflop})).collect();
    let value = json!({
        "machine": common.machine(),
        "picture": [session.picture().0, session.picture().1],
        "steps": steps,
        "frames": times.len(),
        "fps_median": fps,
        "fps_p95": slow,
        "frame_ms_median": median,
        "frame_ms_p95": p95,
        "frame_ms_best": best,
        "passes": passes,
        "memory": plan::memory_json(session.memory()),
        "allocated_bytes": allocated,
        "resident_bytes": resident,
        "steady_allocations": allocations,
    });
    common.report(&text, &value)
}

/// Milliseconds of every measured frame, from one frame to the next, and the heap allocations made meanwhile.
fn walk(session: &mut Session, tour: &Tour, args: &DemoArgs, stop: &Stop) -> Result<(Vec<f64>, usize), Error> {
    let warmup = args.warmup.max(session.ring().window as u64);
    let bar = progress(warmup + args.frames, "frames");
    let mut times = Vec::with_capacity(args.frames as usize);
    let mut allocations = 0;
    for frame in 0..warmup + args.frames {
        stop.check()?;
        let (calls, start) = (allocation::calls(), Instant::now());
        step(session, tour, Budget::Frame, stop)?;
        session.release();
        if frame >= warmup {
            times.push(1e3 * start.elapsed().as_secs_f64());
            allocations += allocation::calls() - calls;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok((times, allocations))
}

/// Every pass of a frame alone.
fn passes(session: &mut Session, steps: usize) -> Result<Vec<Pass>, Error> {
    let frames = session.stream().programs.get(ProgramId::Chunk(false)).map_or(1, |chunk| chunk.frames) as f64;
    let often = |name: &str| match name {
        "condition" => 0.0,
        "denoise" => steps as f64 / frames,
        "noise" | "commit" => 1.0 / frames,
        _ => 1.0,
    };
    let mut passes = Vec::new();
    for name in ["condition", "noise", "denoise", "decode", "show.0", "commit"] {
        let Some(id) = StreamPlan::pass(session.plan(), name) else { continue };
        let runs = often(name);
        let (name, nodes) = (name.to_owned(), session.plan().pass(id).nodes.len());
        let mflop = session.plan().cost(id, 0..nodes).flops as f64 / 1e6;
        let ms = time_nodes(session, id, 0..nodes, 15)?;
        passes.push(Pass { name, runs, ms, mflop });
    }
    Ok(passes)
}

fn pass_table(passes: &[Pass]) -> String {
    let mut table = Table::new(&["pass", "runs a frame", "ms", "ms a frame", "MFLOP", "GFLOP/s"]);
    for Pass { name, runs, ms, mflop } in passes {
        let often = if *runs == 0.0 { "-".to_owned() } else { format!("{runs:.2}") };
        let cells =
            [format!("{ms:.3}"), format!("{:.3}", ms * runs), format!("{mflop:.2}"), format!("{:.1}", mflop / ms)];
        table.row([name.clone(), often].into_iter().chain(cells));
    }
    let total: f64 = passes.iter().map(|pass| pass.ms * pass.runs).sum();
    table.row(["sum", "", "", &format!("{total:.3}"), "", ""]);
    table.to_string()
}
