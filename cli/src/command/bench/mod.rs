//! `causeway bench`: speed and memory, measured.

mod attention;
mod common;
mod demo;
mod frame_cost;
#[cfg(feature = "gpu")]
mod gpu;
mod matrix_game;
mod pump;
mod rates;
#[cfg(feature = "gpu")]
mod tune;
mod wan;
mod waypoint;

use crate::{error::Error, tools::stop::Stop};

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: Bench,
}

#[derive(Debug, clap::Subcommand)]
enum Bench {
    /// Frames a second, milliseconds by pass, memory
    Demo(demo::DemoArgs),
    /// Routed against dense attention over a long history
    Attention(attention::AttentionArgs),
    /// A late frame against an early one: cost and memory
    FrameCost(frame_cost::FrameCostArgs),
    /// The published 1.3B Wan model's shapes: plan, floor, real chunks
    #[command(name = "wan-1.3b")]
    Wan(wan::WanArgs),
    /// The published Matrix-Game 2.0 network's shapes, with a decoder: plan, floor, real chunks
    #[command(name = "matrix-game-2")]
    MatrixGame(matrix_game::MatrixGameArgs),
    /// The published Waypoint 1.5 networks' shapes: plan, floor, real frames
    Waypoint(waypoint::WaypointArgs),
    /// A GPU's peaks, and how much of them every kernel reaches at the shapes of several models
    #[cfg(feature = "gpu")]
    Gpu(gpu::GpuArgs),
    /// Which of a GPU's kernels are fastest at the shapes of a world, for --tuned
    #[cfg(feature = "gpu")]
    Tune(tune::TuneArgs),
    /// What a game with its own load sees: times of pump, its frames with and without the world
    Pump(pump::PumpArgs),
}

/// Runs a benchmark.
///
/// # Errors
/// Everything that opening and running a world can fail with, and Ctrl-C.
pub fn run(args: &BenchArgs, stop: &Stop) -> Result<(), Error> {
    match &args.what {
        Bench::Demo(args) => demo::run(args, stop),
        Bench::Attention(args) => attention::run(args, stop),
        Bench::FrameCost(args) => frame_cost::run(args, stop),
        Bench::Wan(args) => wan::run(args, stop),
        Bench::MatrixGame(args) => matrix_game::run(args, stop),
        Bench::Waypoint(args) => waypoint::run(args, stop),
        #[cfg(feature = "gpu")]
        Bench::Gpu(args) => gpu::run(args, stop),
        #[cfg(feature = "gpu")]
        Bench::Tune(args) => tune::run(args, stop),
        Bench::Pump(args) => pump::run(args, stop),
    }
}
