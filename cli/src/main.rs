//! Play, inspect and measure neural worlds from the command line.
//!
//! Results go to standard output, progress and errors to standard error. Exit codes: 0 done, 1 failed, 2 a command line that
//! cannot work, 130 interrupted.

mod command;
mod error;
mod files;
mod options;
mod stage;
mod tools;

use std::process::ExitCode;

use clap::Parser;
use command::*;
use error::Error;
use stage::keys;
use tools::{
    environment,
    stop::{self, Stop},
};

/// Play, inspect and measure neural worlds.
///
/// Without a command it plays the demo world, which is in the program: live in a terminal, else into a recording.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, args_conflicts_with_subcommands = true, after_help = keys::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    play: play::PlayArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Play live in the terminal, or record a scripted tour
    #[command(after_help = keys::HELP)]
    Play(play::PlayArgs),
    /// Play in a window
    #[cfg(feature = "window")]
    #[command(after_help = keys::HELP)]
    Window(window::WindowArgs),
    /// Show what a model file says about itself
    Info(info::InfoArgs),
    /// Show what a session computes and holds
    Plan(plan::PlanArgs),
    /// Convert the weights of a model file to another type
    Quantize(quantize::QuantizeArgs),
    /// Put a denoiser, a codec and prompts into one file, or take them out again
    Bundle(bundle::BundleArgs),
    /// Make a model file of a published checkpoint
    Convert(convert::ConvertArgs),
    /// Make text embeddings of prompts
    #[cfg(feature = "text")]
    Embed(embed::EmbedArgs),
    /// Make features of the picture that a game begins from
    EmbedImage(embed_image::EmbedImageArgs),
    /// Denoise given latents exactly
    Rollout(rollout::RolloutArgs),
    /// Make a video of a prompt
    Generate(generate::GenerateArgs),
    /// Make pictures of latents
    Decode(decode::DecodeArgs),
    /// Make latents of pictures
    Encode(encode::EncodeArgs),
    /// Measure speed and memory
    Bench(bench::BenchArgs),
    /// Look at this machine and test every kernel on it
    Doctor(doctor::DoctorArgs),
}

fn main() -> ExitCode {
    environment::tidy();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match stop::caught(|| run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway: {error}");
            ExitCode::from(error.code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    let stop = Stop::install()?;
    match cli.command.unwrap_or(Command::Play(cli.play)) {
        Command::Play(args) => play::run(&args, &stop),
        #[cfg(feature = "window")]
        Command::Window(args) => window::run(&args, &stop),
        Command::Info(args) => info::run(&args),
        Command::Plan(args) => plan::run(&args, &stop),
        Command::Quantize(args) => quantize::run(&args, &stop),
        Command::Bundle(args) => bundle::run(&args, &stop),
        Command::Convert(args) => convert::run(&args, &stop),
        #[cfg(feature = "text")]
        Command::Embed(args) => embed::run(&args, &stop),
        Command::EmbedImage(args) => embed_image::run(&args, &stop),
        Command::Rollout(args) => rollout::run(&args, &stop),
        Command::Generate(args) => generate::run(&args, &stop),
        Command::Decode(args) => decode::run(&args, &stop),
        Command::Encode(args) => encode::run(&args, &stop),
        Command::Bench(args) => bench::run(&args, &stop),
        Command::Doctor(args) => doctor::run(&args, &stop),
    }
}

/// Help and version as clap prints them; an error whole, with its suggestions and the usage.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let shown = tools::output::print(&error.render().to_string());
        return if shown.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let mut text = error.render().to_string();
    // `causeway --model FILE window` is refused because the options would be those of playing.
    if error.kind() == clap::error::ErrorKind::ArgumentConflict && text.contains("subcommand") {
        text = text.replacen(
            "\n\n",
            "\n\n  tip: options go after the command, as in `causeway window --model FILE`\n\n",
            1,
        );
    }
    match text.strip_prefix("error: ") {
        Some(text) => eprint!("causeway: {text}"),
        // A command of commands alone, whose help says which there are.
        None => eprint!("causeway: a command is missing\n\n{text}"),
    }
    ExitCode::from(2)
}
