//! `causeway play`: live in a terminal, or a scripted tour into a file.

use std::{
    io::IsTerminal,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    files::record::Recording,
    options::{
        session::{ModelArgs, SessionArgs, parse_action},
        typed::TypedArgs,
    },
    stage::film,
    stage::{
        colour::Colours,
        keys::Key,
        live::{Live, Next, World},
        screen::Screen,
        terminal::{Input, Terminal},
        tour::Tour,
        typed::Typed,
    },
    tools::{output::print, stop::Stop},
};

/// Where a recording goes when nobody said.
const DEFAULT_RECORDING: &str = "out/tour.gif";

/// Frames of a recording when nobody said.
const FRAMES: u64 = 160;

/// How long the help stays on the status line.
const HELP: Duration = Duration::from_secs(6);

/// Options of `play`.
#[derive(Clone, Debug, clap::Args)]
pub struct PlayArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    typed: TypedArgs,
    /// Record a scripted tour to FILE.mp4, .gif or .png (a contact sheet), or as numbered PNGs into a folder [default: out/tour.gif where
    /// there is no terminal, or with --frames, --action or --scale]
    #[arg(long, value_name = "OUT")]
    record: Option<PathBuf>,
    /// Frames of a recording [default: 160]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    frames: Option<u64>,
    /// Hold this action vector through the recording instead of the tour, such as 1,0,0,0,0, or actions by name
    #[arg(long, value_name = "A,B,..", allow_hyphen_values = true)]
    action: Option<String>,
    /// Whole factor by which recorded pictures are enlarged [default: about 256 pixels high]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    scale: Option<u32>,
}

/// Plays or records.
///
/// # Errors
/// Everything that opening and running a world can fail with.
pub fn run(args: &PlayArgs, stop: &Stop) -> Result<(), Error> {
    let model = args.model.opened()?;
    let world = World { model: &model, args: &args.session, typed: &args.typed, stop };
    let (config, scenes) = (model.model().config(), model.scenes());
    // What only a recording has asks for one.
    let recorded = args.record.is_some() || args.action.is_some() || args.frames.is_some() || args.scale.is_some();
    if !recorded && std::io::stdout().is_terminal() {
        return live(world);
    }
    let mut typed = world.typed()?;
    let rows = typed.as_ref().map(Typed::rows);
    let mut session = SessionArgs { typed: rows, ..args.session.clone() }.play(&model, stop)?;
    typed.as_mut().map_or(Ok(()), |typed| typed.start(&mut session, scenes.slots))?;
    let frames = args.frames.unwrap_or(FRAMES);
    let tour = match &args.action {
        Some(text) => Tour::holding(parse_action(text, session.actions())?),
        None => {
            let first = if args.session.event.is_some() { session.event() } else { 0 };
            Tour::new(session.actions(), scenes.names.len(), first, frames, config.latch)
        }
    };
    let path = args.record.clone().unwrap_or_else(|| DEFAULT_RECORDING.into());
    let (width, height) = session.picture();
    let scale = args.scale.map_or((256 / height).max(1), |scale| scale as usize);
    let recording = Recording { path: path.clone(), width, height, scale, fps: config.fps, frames };
    film::tour(session, &scenes, &tour, &recording, stop)?;
    print(&format!("{}\n", path.display()))
}

/// Plays in the terminal until the player leaves.
fn live(world: World<'_>) -> Result<(), Error> {
    // What cannot be opened is said before the terminal is taken.
    let typed = world.typed()?;
    let mut live = Live::new(world, typed, false)?;
    let mut terminal = Terminal::enter()?;
    live.set_releases(terminal.releases());
    let (columns, rows) = terminal.size()?;
    let colours = Colours::of_environment();
    let mut screen = Screen::new(columns, rows, colours);
    let mut began = Instant::now();
    while !world.stop.requested() {
        let wait = match live.advance()? {
            Next::Show => {
                let status = if began.elapsed() < HELP && !live.typing() { live.help() } else { live.status() };
                if let Some(frame) = live.frame() {
                    let text = screen.draw(frame.pixels, (frame.width, frame.height), &status);
                    terminal.write(text)?;
                }
                live.shown();
                Duration::ZERO
            }
            Next::Again => Duration::ZERO,
            Next::Wait(until) => until.saturating_duration_since(Instant::now()),
        };
        let mut input = terminal.input(wait, live.typing())?;
        while let Some(happened) = input {
            match happened {
                Input::Press(Key::Char('?')) if !live.typing() => began = Instant::now(),
                Input::Press(key) if live.press(key)? => return Ok(()),
                Input::Press(_) => {}
                Input::Release(key) => live.release(key),
                Input::Away => live.release_all(),
                Input::Resize(columns, rows) => screen = Screen::new(columns, rows, colours),
                Input::Interrupt => return Ok(()),
            }
            input = terminal.input(Duration::ZERO, live.typing())?;
        }
    }
    Ok(())
}
