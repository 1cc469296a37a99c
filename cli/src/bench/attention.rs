//! `bench attention`: what routing saves over a long history.

use causeway_ops::plan::PassId;
use causeway_runtime::{Model, Session};
use serde_json::{Value, json};

use super::{Common, time_nodes};
use crate::{
    error::Error,
    record::{progress, step},
    stop::Stop,
    table::Table,
    tour::Tour,
};

/// Frames a query keeps if nobody says.
const KEEP: usize = 8;

/// Batches measured.
const ROUNDS: usize = 31;

/// Options of `bench attention`.
#[derive(Clone, Debug, clap::Args)]
pub struct AttentionArgs {
    #[command(flatten)]
    common: Common,
    /// Frames of history
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4000))]
    history: u64,
}

/// One way of attending.
struct Way {
    name: &'static str,
    route: usize,
    /// Attention, and routing where there is any, of all layers of one denoise step.
    attention: f64,
    /// The whole denoise step.
    denoise: f64,
}

pub fn run(args: &AttentionArgs, stop: &Stop) -> Result<(), Error> {
    let common = &args.common;
    let model = common.open()?;
    let keep = match common.session.route {
        Some(route) => route,
        None => KEEP.min(args.history as usize),
    };
    if keep == 0 {
        return Err(Error::Usage("--route 0 is dense attention; name the frames that a query keeps".to_owned()));
    }
    let ways = [measure(args, &model, "dense", 0, stop)?, measure(args, &model, "routed", keep, stop)?];
    let mut table = Table::new(&["", "frames kept", "attention ms", "denoise step ms"]);
    for Way { name, route, attention, denoise } in &ways {
        let kept = if *route == 0 { args.history as usize } else { *route };
        table.row([(*name).to_owned(), kept.to_string(), format!("{attention:.3}"), format!("{denoise:.3}")]);
    }
    let ratio = |f: fn(&Way) -> f64| f(&ways[1]) / f(&ways[0]);
    let ratios = (ratio(|way| way.attention), ratio(|way| way.denoise));
    table.row(["routed / dense".to_owned(), String::new(), format!("{:.3}", ratios.0), format!("{:.3}", ratios.1)]);
    let text = format!("{}history of {} frames, per denoise step\n\n{table}", common.heading(&model), args.history);
    let list = ways.iter().map(
        |way| json!({"name": way.name, "route": way.route, "attention_ms": way.attention, "denoise_ms": way.denoise}),
    );
    let value = json!({
        "machine": common.machine(),
        "history": args.history,
        "ways": list.collect::<Vec<Value>>(),
        "attention_ratio": ratios.0,
        "denoise_ratio": ratios.1,
    });
    common.report(&text, &value)
}

/// Fills the history by playing, then times the attention nodes of a denoise step.
fn measure(
    args: &AttentionArgs,
    model: &Model<'_>,
    name: &'static str,
    route: usize,
    stop: &Stop,
) -> Result<Way, Error> {
    let history = args.history as usize;
    let mut options = args.common.session.clone();
    options.window = Some(history + model.config().dit.chunk);
    options.route = Some(route);
    let mut session = options.session(model)?;
    let tour = Tour::new(session.actions(), session.events().len(), session.event(), args.history);
    let bar = progress(args.history + 1, "frames of history");
    // One more than fits: with a full ring, tables are as they will stay.
    for _ in 0..=history {
        stop.check()?;
        step(&mut session, &tour)?;
        session.release();
        bar.inc(1);
    }
    bar.finish_and_clear();
    let pass = session.world().passes.denoise;
    let nodes = session.plan().pass(pass).nodes.len();
    let denoise = time_nodes(&mut session, pass, 0..nodes, ROUNDS)?;
    Ok(Way { name, route, attention: attention(&mut session, pass)?, denoise })
}

fn attention(session: &mut Session, pass: PassId) -> Result<f64, Error> {
    let ops = session.plan().pass(pass).nodes.iter().enumerate();
    let nodes: Vec<usize> = ops.filter(|(_, op)| ["attention", "route"].contains(&op.name())).map(|(i, _)| i).collect();
    let mut total = 0.0;
    for node in nodes {
        total += time_nodes(session, pass, node..node + 1, ROUNDS)?;
    }
    Ok(total)
}
