//! `causeway plan`: what a session computes and holds.

use causeway_ops::{Plan, backend::Memory, plan::Cost, plan::PassId};
use causeway_runtime::{
    Session,
    model::{Level, ProgramId, Then},
};
use serde_json::{Value, json};

use crate::{
    error::Error,
    options::session::{FileArgs, SessionArgs},
    tools::{
        output::{print, print_json},
        stop::Stop,
        table::{self, Table},
    },
};

/// Options of `plan`.
#[derive(Clone, Debug, clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    model: FileArgs,
    #[command(flatten)]
    session: SessionArgs,
    /// List every node (`<` reads, `>` writes, `=` updates)
    #[arg(long)]
    nodes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the plan of a session.
///
/// # Errors
/// The session cannot be created.
pub fn run(args: &PlanArgs, stop: &Stop) -> Result<(), Error> {
    let model = args.model.open()?;
    let session = args.session.session(&model, stop)?;
    let config = model.config();
    let steps = args.session.steps.unwrap_or(config.schedule.default_steps);
    let frame = frame_cost(&session, steps);
    if args.json {
        return print_json(&to_json(&session, steps, frame, args.nodes));
    }
    let mut text = passes(session.plan(), args.nodes);
    let gflop = frame.flops as f64 / 1e9;
    text += &format!(
        "\none frame: {steps} denoise steps, {gflop:.3} GFLOP; {:.1} GFLOP/s at {} frames/s\n\n",
        gflop * f64::from(config.fps),
        config.fps
    );
    text += &memory_table(session.memory());
    print(&text)
}

/// Work of one frame in steady play: that of its chunk, shared by the chunk's frames.
fn frame_cost(session: &Session, steps: usize) -> Cost {
    let (plan, mut sum) = (session.plan(), Cost::default());
    let Some(chunk) = session.stream().programs.get(ProgramId::Chunk(false)) else { return sum };
    for step in &chunk.steps {
        let times = if step.level == Level::Step { steps } else { 1 };
        (0..times).for_each(|_| sum += whole(plan, step.pass));
    }
    let frames = chunk.steps.iter().filter(|step| step.then == Then::Give).count().max(1) as u64;
    Cost { flops: sum.flops / frames, bytes: sum.bytes / frames, weights: sum.weights / frames }
}

fn whole(plan: &Plan, pass: PassId) -> Cost {
    plan.cost(pass, 0..plan.pass(pass).nodes.len())
}

fn passes(plan: &Plan, nodes: bool) -> String {
    let mut table = Table::new(&["pass", "nodes", "MFLOP", "activations read and written", "weights read"]);
    let mut lists = String::new();
    for (index, pass) in plan.passes.iter().enumerate() {
        let cost = whole(plan, PassId(index as u32));
        let cells = [pass.name.clone(), pass.nodes.len().to_string()].into_iter().chain(cost_cells(cost));
        table.row(cells);
        if nodes {
            let mut list = Table::new(&["node", "MFLOP", "activations", "weights", "operator"]);
            for (number, op) in pass.nodes.iter().enumerate() {
                let [flops, bytes, weights] = cost_cells(op.cost());
                list.row([number.to_string(), flops, bytes, weights, plan.describe(op)]);
            }
            lists += &format!("\n{}\n{list}", pass.name);
        }
    }
    format!("{table}{lists}")
}

fn cost_cells(cost: Cost) -> [String; 3] {
    let flops = format!("{:.3}", cost.flops as f64 / 1e6);
    [flops, table::bytes(cost.bytes as usize), cost.weights.to_string()]
}

/// Bytes by purpose, as a table.
pub fn memory_table(memory: Memory) -> String {
    let mut table = Table::new(&["memory", "bytes", ""]);
    for (name, bytes) in [
        ("weights", memory.weights),
        ("state (ring, codec)", memory.state),
        ("activations", memory.activations),
        ("overhead", memory.overhead),
        ("total", memory.total()),
    ] {
        table.row([name.to_owned(), bytes.to_string(), table::bytes(bytes)]);
    }
    table.to_string()
}

/// Bytes by purpose, as JSON.
pub fn memory_json(memory: Memory) -> Value {
    json!({
        "weights": memory.weights,
        "state": memory.state,
        "activations": memory.activations,
        "overhead": memory.overhead,
        "total": memory.total(),
    })
}

fn to_json(session: &Session, steps: usize, frame: Cost, nodes: bool) -> Value {
    let plan = session.plan();
    let cost = |cost: Cost| json!({"flops": cost.flops, "bytes": cost.bytes, "weights": cost.weights});
    let passes = plan.passes.iter().enumerate().map(|(index, pass)| {
        let mut value = json!({
            "name": pass.name,
            "nodes": pass.nodes.len(),
            "cost": cost(whole(plan, PassId(index as u32))),
        });
        if nodes {
            let list = pass.nodes.iter().map(|op| json!({"operator": plan.describe(op), "cost": cost(op.cost())}));
            value["list"] = list.collect();
        }
        value
    });
    json!({"passes": passes.collect::<Vec<Value>>(), "steps": steps, "frame": cost(frame), "memory": memory_json(session.memory())})
}
