//! `bench attention`: what routing saves over a long history, for the model's own pictures and for larger ones.

use causeway_runtime::{Budget, Model, Session, model::StreamPlan};
use serde_json::{Value, json};

use super::common::{Common, params, resized, time_nodes};
use crate::{
    error::Error,
    stage::film::step,
    stage::tour::Tour,
    tools::{
        progress::progress,
        stop::Stop,
        table::{Table, median_p95},
    },
};

/// Frames a query keeps if nobody says.
const KEEP: usize = 5;

/// Rounds measured, dense and routed in turn, so that a busy machine disturbs both alike.
const ROUNDS: usize = 9;

/// Pictures that are measured beside the model's own if nobody names a size: so many times as wide and high. How much queries that
/// a kernel takes together have in common depends on how many there are.
const LARGER: [[usize; 2]; 2] = [[1, 3], [3, 4]];

/// Options of `bench attention`.
#[derive(Clone, Debug, clap::Args)]
pub struct AttentionArgs {
    #[command(flatten)]
    common: Common,
    /// Frames of history
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=4000))]
    history: u64,
}

/// One way of attending, in milliseconds a denoise step.
#[derive(Clone, Copy)]
struct Way {
    /// Attention, and routing where there is any, of all layers.
    attention: f64,
    /// The whole step.
    denoise: f64,
}

/// Dense and routed attention for pictures of one size.
struct Shape {
    picture: (usize, usize),
    tokens: usize,
    dense: Way,
    routed: Way,
    /// Dense by routed: medians of the rounds' ratios.
    faster: Way,
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
    let mut shapes = vec![measure_both(args, &model, keep, stop)?];
    if common.size.is_none() {
        let (width, height) = model.config().picture();
        for [wide, high] in LARGER {
            let larger = resized(&model, (wide * width, high * height))?;
            shapes.push(measure_both(args, &larger, keep, stop)?);
        }
    }
    let title = [
        "picture",
        "tokens a frame",
        "attention: dense ms",
        "routed ms",
        "faster",
        "step: dense ms",
        "routed ms",
        "faster",
    ];
    let mut table = Table::new(&title);
    let mut list = Vec::new();
    for shape in &shapes {
        let Shape { picture: (width, height), tokens, dense, routed, faster } = shape;
        let ms = |ms: f64| format!("{ms:.3}");
        table.row([
            format!("{width}x{height}"),
            tokens.to_string(),
            ms(dense.attention),
            ms(routed.attention),
            format!("{:.2}x", faster.attention),
            ms(dense.denoise),
            ms(routed.denoise),
            format!("{:.2}x", faster.denoise),
        ]);
        let way = |way: &Way| json!({"attention_ms": way.attention, "denoise_ms": way.denoise});
        list.push(json!({
            "picture": [width, height],
            "tokens": tokens,
            "dense": way(dense),
            "routed": way(routed),
            "attention_faster": faster.attention,
            "denoise_faster": faster.denoise,
        }));
    }
    let text = format!(
        "{}history of {} frames, of which a query keeps {keep}; attention with routing, and whole denoise steps; larger pictures \
         with random weights\n\n{table}",
        common.heading(&model),
        args.history
    );
    let value =
        json!({"machine": common.machine(), "history": args.history, "route": keep, "shapes": Value::Array(list)});
    common.report(&text, &value)
}

fn measure_both(args: &AttentionArgs, model: &Model<'_>, keep: usize, stop: &Stop) -> Result<Shape, Error> {
    let (mut dense, mut routed) = (session(args, model, 0, stop)?, session(args, model, keep, stop)?);
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        stop.check()?;
        rounds.push([measure(&mut dense)?, measure(&mut routed)?]);
    }
    Ok(Shape {
        picture: model.config().picture(),
        tokens: model.config().dit.tokens_per_frame(),
        dense: medians(rounds.iter().map(|[dense, _]| *dense)),
        routed: medians(rounds.iter().map(|[_, routed]| *routed)),
        faster: medians(rounds.iter().map(|[dense, routed]| Way {
            attention: dense.attention / routed.attention,
            denoise: dense.denoise / routed.denoise,
        })),
    })
}

fn medians(ways: impl Iterator<Item = Way>) -> Way {
    let (attention, denoise): (Vec<f64>, Vec<f64>) = ways.map(|way| (way.attention, way.denoise)).unzip();
    Way { attention: median_p95(&attention).0, denoise: median_p95(&denoise).0 }
}

/// A session that has played until its history was full.
fn session(args: &AttentionArgs, model: &Model<'_>, route: usize, stop: &Stop) -> Result<Session, Error> {
    let history = args.history as usize;
    let mut options = args.common.session.clone();
    options.window = Some(history + model.config().dit.chunk);
    options.route = Some(route);
    let mut session = options.session(model, stop)?;
    let tour =
        Tour::new(session.actions(), session.events().len(), session.event(), args.history, model.config().latch);
    let bar = progress(args.history + 1, "frames of history");
    // One more than fits: with a full ring, tables are as they will stay.
    for _ in 0..=history {
        stop.check()?;
        step(&mut session, &tour, Budget::Frame, stop)?;
        session.release();
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(session)
}

/// Times a denoise step and its attention nodes.
fn measure(session: &mut Session) -> Result<Way, Error> {
    let pass =
        StreamPlan::pass(session.plan(), "denoise").ok_or_else(|| Error::Failed("no denoise pass".to_owned()))?;
    let ops = session.plan().pass(pass).nodes.iter().enumerate();
    let nodes: Vec<usize> = ops.filter(|(_, op)| ["attention", "route"].contains(&op.name())).map(|(i, _)| i).collect();
    let all = session.plan().pass(pass).nodes.len();
    let denoise = time_nodes(session, pass, 0..all, 1)?;
    let mut attention = 0.0;
    for node in nodes {
        // Buffers are shared among nodes, so what this one reads is made anew.
        let params = params(session);
        session.backend().run(pass, 0..node, &params)?;
        attention += time_nodes(session, pass, node..node + 1, 1)?;
    }
    Ok(Way { attention, denoise })
}
