//! `bench frame-cost`: does a stream stay as cheap as it began?

use std::time::Instant;

use causeway_runtime::Budget;
use serde_json::{Value, json};

use super::common::Common;
use crate::{
    error::Error,
    stage::film::step,
    stage::tour::Tour,
    tools::{
        allocation,
        progress::progress,
        stop::Stop,
        table::{Table, bytes, median_p95},
    },
};

/// Frames measured around each of the two.
const AROUND: u64 = 25;

/// Options of `bench frame-cost`.
#[derive(Clone, Debug, clap::Args)]
pub struct FrameCostArgs {
    #[command(flatten)]
    common: Common,
    /// The early frame
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    early: u64,
    /// The late frame
    #[arg(long, default_value_t = 5000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    late: u64,
}

/// What the stream was like around one frame.
struct Point {
    frame: u64,
    ms: f64,
    heap: usize,
    resident: Option<usize>,
}

pub fn run(args: &FrameCostArgs, stop: &Stop) -> Result<(), Error> {
    let common = &args.common;
    let model = common.open()?;
    let mut session = common.session.session(&model, stop)?;
    let tour = Tour::new(session.actions(), session.events().len(), session.event(), 400, model.config().latch);
    let bar = progress(args.late + AROUND, "frames");
    let mut points = Vec::new();
    let mut frame = 0;
    for middle in [args.early, args.late] {
        if middle < frame + AROUND {
            return Err(Error::Usage(format!("--early and --late must lie {} frames apart", 2 * AROUND)));
        }
        let mut times = Vec::with_capacity(2 * AROUND as usize);
        while frame < middle + AROUND {
            stop.check()?;
            let start = Instant::now();
            step(&mut session, &tour, Budget::Frame, stop)?;
            session.release();
            if frame + AROUND >= middle {
                times.push(1e3 * start.elapsed().as_secs_f64());
            }
            frame += 1;
            bar.inc(1);
        }
        let (heap, resident) = (allocation::live_bytes(), allocation::resident_bytes());
        points.push(Point { frame: middle, ms: median_p95(&times).0, heap, resident });
    }
    bar.finish_and_clear();
    let ratio = points[1].ms / points[0].ms;
    let mut table = Table::new(&["frame", "ms", "heap bytes", "resident"]);
    for Point { frame, ms, heap, resident } in &points {
        let resident = resident.map_or("-".to_owned(), bytes);
        table.row([frame.to_string(), format!("{ms:.3}"), heap.to_string(), resident]);
    }
    let text =
        format!("{}medians of {} frames\n\n{table}late / early: {ratio:.4}\n", common.heading(&model), 2 * AROUND);
    let list = points
        .iter()
        .map(|p| json!({"frame": p.frame, "ms": p.ms, "heap_bytes": p.heap, "resident_bytes": p.resident}));
    let value = json!({"machine": common.machine(), "points": list.collect::<Vec<Value>>(), "ratio": ratio});
    common.report(&text, &value)
}
