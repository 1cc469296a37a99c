//! A world on a machine without a desktop: a sign, a kiosk, a board. One static program; no library but the kernel is needed.
//!
//!     edge [--model FILE] [--frames N] [--seed N] [--threads N] [--strict] [--hashes]
//!          [--png FOLDER] [--screen /dev/fb0[,WxHxBITS]] [--keys /dev/input/event0]
//!
//! Without keys it walks by itself, by the script of examples/c/headless.c. On a screen it keeps the world's pace; else it is as fast as it can.

mod keys;
mod options;
mod screen;

use std::{error::Error, fs, io::BufWriter, path::Path, thread, time::Duration};

use causeway_runtime::{Budget, Device, EventTime, Frame, Model, Pump, Session, SessionOptions, session::Pace};

use keys::Keys;
use options::Options;
use screen::Screen;

/// Twelve milliseconds of work, then the keys are looked at.
const SLICE: Budget = Budget::Micros(12_000);

fn main() {
    if let Err(error) = play() {
        eprintln!("edge: {error}");
        std::process::exit(1);
    }
}

fn play() -> Result<(), Box<dyn Error>> {
    let options = Options::of(std::env::args().skip(1))?;
    let model = match &options.model {
        Some(path) => Model::open(path)?,
        None => Model::from_bytes(causeway_demo::keep())?,
    };
    let mut screen = options.screen.as_deref().map(Screen::open).transpose()?;
    let keys = options.keys.as_deref().map(Keys::open).transpose()?;
    if let Some(folder) = &options.png {
        fs::create_dir_all(folder)?;
    }
    let device = Device::cpu(options.threads);
    let device = if options.strict { device.strict() } else { device };
    let pace = if screen.is_some() { Pace::World } else { Pace::Off };
    let mut session = Session::new(&model, &device, SessionOptions { seed: options.seed, pace, ..Default::default() })?;
    let mut told = 0;
    for n in 0..options.frames {
        if keys.is_none() {
            script(&mut session, n)?;
        }
        loop {
            if let Some(keys) = &keys {
                told = keys.tell(&mut session, told)?;
            }
            match session.pump(SLICE)? {
                Pump::Frame => break,
                Pump::Early(micros) => thread::sleep(Duration::from_micros(micros.min(5_000))),
                Pump::Pending | Pump::Full => {}
            }
        }
        if let Some(frame) = session.frame() {
            show(&options, screen.as_mut(), n, &frame)?;
        }
        session.release();
    }
    Ok(())
}

/// Three frames of each action; another event from time to time.
fn script(session: &mut Session, n: u64) -> Result<(), Box<dyn Error>> {
    let (actions, events) = (session.actions().len() as u64, session.events().len() as u64);
    let mut action = vec![0.0; session.actions().len()];
    if let Some(held) = (n / 3).checked_rem(actions) {
        action[held as usize] = 1.0;
        session.set_action(&action)?;
    }
    if n % 7 == 4
        && let Some(event) = (n / 7).checked_rem(events)
    {
        session.queue_event(event as usize, EventTime::NextChunk)?;
    }
    Ok(())
}

fn show(options: &Options, screen: Option<&mut Screen>, n: u64, frame: &Frame<'_>) -> Result<(), Box<dyn Error>> {
    if let Some(screen) = screen {
        screen.show(frame.width, frame.height, frame.pixels)?;
    }
    if let Some(folder) = &options.png {
        write_png(&folder.join(format!("{n:05}.png")), frame)?;
    }
    if options.hashes {
        let fnv = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        println!("{n} {:016x}", frame.pixels.iter().fold(0xcbf2_9ce4_8422_2325, fnv));
    }
    Ok(())
}

fn write_png(path: &Path, frame: &Frame<'_>) -> Result<(), Box<dyn Error>> {
    let file = BufWriter::new(fs::File::create(path).map_err(|error| format!("{}: {error}", path.display()))?);
    let mut encoder = png::Encoder::new(file, frame.width as u32, frame.height as u32);
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header()?.write_image_data(frame.pixels)?;
    Ok(())
}
