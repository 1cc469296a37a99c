//! Without a window, with the prompts of a script, and a saved game that it goes on from.

use std::{
    io::{Write, stdout},
    path::PathBuf,
    time::Duration,
};

use bevy::prelude::*;
use causeway_bevy::{
    NeuralWorld, Prompt, WorldFailed, WorldFrame, WorldPrompt, WorldReady, WorldTold,
    runtime::{Device, SessionOptions},
};

use crate::{
    headless::{self, hash},
    saves,
};

/// What is played.
#[derive(Resource)]
struct Tour {
    lines: Vec<(u64, Prompt)>,
    save: PathBuf,
    goes_on: bool,
    /// Frames until it is saved, or ends.
    last: usize,
    played: usize,
    /// The next frame, where its number is known.
    next: Option<u64>,
}

/// Makes `app` a player of `script`.
pub fn play(app: &mut App, (bundle, text): (&str, Option<&String>), script: &str, save: &str) {
    let told = std::fs::read_to_string(script).unwrap_or_else(|error| panic!("{script}: {error}"));
    let number = |word: &str| word.parse::<u64>().unwrap_or_else(|error| panic!("{script}: {word}: {error}"));
    let mut lines = told.lines();
    let head: Vec<_> = lines.next().unwrap_or_default().split(' ').map(number).collect();
    let [seed, frames, more] = head[..] else { panic!("{script}: expected a seed and two numbers of frames") };
    let line = |line: &str| {
        let words: Vec<_> = line.splitn(3, ' ').collect();
        let [frame, how, what] = words[..] else { panic!("{script}: {line}") };
        let prompt = if how == "say" { Prompt::Words(what.into()) } else { Prompt::Stored(number(what) as usize) };
        (number(frame), prompt)
    };
    let save = PathBuf::from(save);
    let goes_on = save.exists();
    let last = if goes_on { more } else { frames } as usize;
    let lines = lines.map(line).collect();
    app.insert_resource(Tour { lines, save, goes_on, last, played: 0, next: (!goes_on).then_some(0) });
    headless::plugins(app);
    let (bundle, text) = (bundle.to_owned(), text.cloned());
    let open = move |mut commands: Commands, mut images: ResMut<Assets<Image>>| -> Result {
        let options = SessionOptions { seed, ..default() };
        let mut world = crate::open((&bundle, text.as_deref()), &Device::cpu(2), options, &mut images)?;
        (world.budget, world.pace) = (Duration::from_millis(20), None);
        crate::show(world, &images, &mut commands);
        Ok(())
    };
    app.add_systems(Startup, open).add_systems(Update, (begin, step, resume, complain).chain());
}

/// Tells what the script tells before the next frame. It waits for that, so that it always shows in the same frame.
fn tell(tour: &Tour, (entity, world): (Entity, &mut NeuralWorld), prompts: &mut MessageWriter<WorldPrompt>) {
    for (_, prompt) in tour.lines.iter().filter(|(frame, _)| Some(*frame) == tour.next) {
        world.playing = false;
        prompts.write(WorldPrompt { world: entity, prompt: prompt.clone() });
    }
}

/// The world is there.
fn begin(
    tour: Res<Tour>,
    world: Single<(Entity, &mut NeuralWorld)>,
    mut ready: MessageReader<WorldReady>,
    mut prompts: MessageWriter<WorldPrompt>,
) -> Result {
    let (entity, mut world) = world.into_inner();
    if ready.read().next().is_some() {
        if tour.goes_on {
            saves::load(&mut world, &tour.save)?;
        }
        tell(&tour, (entity, &mut world), &mut prompts);
    }
    Ok(())
}

/// A frame is there.
fn step(
    mut tour: ResMut<Tour>,
    world: Single<(Entity, &mut NeuralWorld)>,
    images: Res<Assets<Image>>,
    mut frames: MessageReader<WorldFrame>,
    mut prompts: MessageWriter<WorldPrompt>,
    mut exit: MessageWriter<AppExit>,
) -> Result {
    let (entity, mut world) = world.into_inner();
    for frame in frames.read() {
        let pixels = images.get(&world.image()).and_then(|image| image.data.as_deref());
        println!("{} {:016x}", frame.receipt.frame, hash(pixels.ok_or("the image has no pixels")?));
        (tour.played, tour.next) = (tour.played + 1, Some(frame.receipt.frame + 1));
        if tour.played == tour.last && tour.goes_on {
            world.playing = false;
            exit.write(AppExit::Success);
            return Ok(());
        }
        if tour.played == tour.last {
            saves::save(&mut world, &tour.save)?;
            println!("saved");
            stdout().flush()?;
        }
        if tour.played == tour.last + 1000 {
            return Err("nobody ended the game".into());
        }
        tell(&tour, (entity, &mut world), &mut prompts);
    }
    Ok(())
}

fn resume(mut world: Single<&mut NeuralWorld>, mut told: MessageReader<WorldTold>) {
    if told.read().next().is_some() {
        world.playing = true;
    }
}

fn complain(mut failures: MessageReader<WorldFailed>, mut exit: MessageWriter<AppExit>) {
    for failure in failures.read() {
        error!("{}", failure.error);
        exit.write(AppExit::error());
    }
}
