//! `causeway window`: live in a window, with real key releases.

use std::{
    num::NonZeroU32,
    rc::Rc,
    time::{Duration, Instant},
};

use softbuffer::{Context, Surface};
use winit::{
    application::ApplicationHandler,
    dpi::LogicalSize,
    event::{DeviceEvent, DeviceId, ElementState, MouseButton, WindowEvent},
    event_loop::{ActiveEventLoop, ControlFlow, EventLoop, OwnedDisplayHandle},
    keyboard::{self, NamedKey},
    window::{CursorGrabMode, Window, WindowId},
};

use crate::{
    error::Error,
    options::{
        session::{ModelArgs, SessionArgs},
        typed::TypedArgs,
    },
    stage::{
        keys::{BUTTONS, Key},
        live::{Live, Next, World},
    },
    tools::stop::Stop,
};

/// Pixels of the window's height at the start, roughly.
const HEIGHT: usize = 512;

/// Frames between two updates of the title.
const TITLE: u64 = 10;

/// How long the title tells what the keys do.
const HELP: Duration = Duration::from_secs(10);

/// Options of `window`.
#[derive(Clone, Debug, clap::Args)]
pub struct WindowArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    typed: TypedArgs,
}

/// Plays until the window is closed.
///
/// # Errors
/// Everything that opening and running a world can fail with; no window can be opened.
pub fn run(args: &WindowArgs, stop: &Stop) -> Result<(), Error> {
    let model = args.model.opened()?;
    let world = World { model: &model, args: &args.session, typed: &args.typed, stop };
    let live = Live::new(world, world.typed()?, true)?;
    let events = EventLoop::new().map_err(no_window)?;
    let context = Context::new(events.owned_display_handle()).map_err(no_window)?;
    let mut app = App {
        live,
        context,
        view: None,
        stop: stop.clone(),
        shown: 0,
        held: false,
        help: Instant::now(),
        result: Ok(()),
    };
    events.run_app(&mut app).map_err(no_window)?;
    app.result
}

fn no_window(error: impl std::fmt::Display) -> Error {
    let text = error.to_string();
    let reason = text.lines().next().unwrap_or_default();
    Error::Failed(format!("cannot open a window: {reason}; `causeway play` needs none"))
}

/// The window and the pixels behind it.
struct View {
    window: Rc<Window>,
    surface: Surface<OwnedDisplayHandle, Rc<Window>>,
}

struct App<'a> {
    live: Live<'a>,
    context: Context<OwnedDisplayHandle>,
    view: Option<View>,
    stop: Stop,
    shown: u64,
    /// Whether the mouse is kept in the window.
    held: bool,
    /// When the keys were last asked for.
    help: Instant,
    result: Result<(), Error>,
}

impl App<'_> {
    fn open(&self, events: &ActiveEventLoop) -> Result<View, Error> {
        let (width, height) = self.live.picture();
        let scale = (HEIGHT / height).max(1);
        let size = LogicalSize::new((width * scale) as f64, (height * scale) as f64);
        let attributes =
            Window::default_attributes().with_title(format!("Causeway: {}", self.live.help())).with_inner_size(size);
        let window = Rc::new(events.create_window(attributes).map_err(no_window)?);
        let surface = Surface::new(&self.context, Rc::clone(&window)).map_err(no_window)?;
        Ok(View { window, surface })
    }

    /// Computes for a few milliseconds and asks for a redraw when a frame is due.
    fn advance(&mut self) -> Result<ControlFlow, Error> {
        Ok(match self.live.advance()? {
            Next::Show => {
                if let Some(view) = &mut self.view {
                    view.draw(&self.live)?;
                }
                self.live.shown();
                self.title();
                ControlFlow::Poll
            }
            Next::Again => ControlFlow::Poll,
            Next::Wait(until) => ControlFlow::WaitUntil(until),
        })
    }

    fn title(&mut self) {
        self.shown += 1;
        let now = self.shown.is_multiple_of(TITLE) || self.live.typing();
        if let Some(view) = self.view.as_ref().filter(|_| now) {
            let text =
                if self.help.elapsed() < HELP && !self.live.typing() { self.live.help() } else { self.live.status() };
            view.window.set_title(&format!("Causeway: {text}"));
        }
    }

    /// Keeps the mouse in the window, where its way is an action: from a click on until another window has the keyboard.
    fn hold(&mut self, held: bool) {
        self.held = held && self.live.looks();
        let Some(View { window, .. }) = &self.view else { return };
        let grabs =
            if self.held { &[CursorGrabMode::Locked, CursorGrabMode::Confined][..] } else { &[CursorGrabMode::None] };
        // A system that keeps it free still tells its way.
        _ = grabs.iter().find(|&&grab| window.set_cursor_grab(grab).is_ok());
        window.set_cursor_visible(!self.held);
    }

    /// Ends the loop on an error, which `run` then returns.
    fn check(&mut self, events: &ActiveEventLoop, result: Result<(), Error>) {
        if result.is_err() {
            self.result = result;
            events.exit();
        }
    }
}

impl View {
    /// Draws the frame as large as a whole factor allows, on black.
    fn draw(&mut self, live: &Live<'_>) -> Result<(), Error> {
        let Some(frame) = live.frame() else { return Ok(()) };
        let size = self.window.inner_size();
        // A minimised window has no pixels.
        let (Some(columns), Some(rows)) = (NonZeroU32::new(size.width), NonZeroU32::new(size.height)) else {
            return Ok(());
        };
        self.surface.resize(columns, rows).map_err(no_window)?;
        let mut buffer = self.surface.buffer_mut().map_err(no_window)?;
        paint(&mut buffer, (size.width as usize, size.height as usize), frame.pixels, (frame.width, frame.height));
        self.window.pre_present_notify();
        buffer.present().map_err(no_window)
    }
}

/// Paints RGBA8 into 0RGB words: enlarged by a whole factor and centred, or from the top left if there is no room.
fn paint(out: &mut [u32], (columns, rows): (usize, usize), rgba: &[u8], (width, height): (usize, usize)) {
    let scale = (columns / width).min(rows / height).max(1);
    let (left, top) = (columns.saturating_sub(width * scale) / 2, rows.saturating_sub(height * scale) / 2);
    for (y, line) in out.chunks_exact_mut(columns).enumerate() {
        let row = y.checked_sub(top).map(|y| y / scale).filter(|&row| row < height);
        for (x, word) in line.iter_mut().enumerate() {
            let column = x.checked_sub(left).map(|x| x / scale).filter(|&column| column < width);
            *word = match (row, column) {
                (Some(row), Some(column)) => {
                    let pixel = &rgba[4 * (row * width + column)..][..3];
                    u32::from_be_bytes([0, pixel[0], pixel[1], pixel[2]])
                }
                _ => 0,
            };
        }
    }
}

impl ApplicationHandler for App<'_> {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        match self.open(events) {
            Ok(view) => self.view = Some(view),
            Err(error) => self.check(events, Err(error)),
        }
    }

    fn window_event(&mut self, events: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => events.exit(),
            WindowEvent::Focused(false) => {
                self.hold(false);
                self.live.release_all();
            }
            WindowEvent::MouseInput { state, button, .. } => {
                let Some(key) = mouse(button) else { return };
                match state {
                    ElementState::Pressed => {
                        self.hold(true);
                        let pressed = self.live.press(key).map(|_| ());
                        self.check(events, pressed);
                    }
                    ElementState::Released => self.live.release(key),
                }
            }
            WindowEvent::KeyboardInput { event, is_synthetic: false, .. } => {
                let Some(key) = key(&event.logical_key, self.live.typing()) else { return };
                match event.state {
                    ElementState::Pressed if key == Key::Char('?') && !self.live.typing() => self.help = Instant::now(),
                    ElementState::Pressed => match self.live.press(key) {
                        Ok(true) => events.exit(),
                        result => self.check(events, result.map(|_| ())),
                    },
                    ElementState::Released => self.live.release(key),
                }
            }
            WindowEvent::RedrawRequested => {
                if let Some(view) = &mut self.view {
                    let drawn = view.draw(&self.live);
                    self.check(events, drawn);
                }
            }
            _ => {}
        }
    }

    fn device_event(&mut self, _: &ActiveEventLoop, _: DeviceId, event: DeviceEvent) {
        if let (DeviceEvent::MouseMotion { delta: (right, down) }, true) = (event, self.held) {
            self.live.look([right as f32, down as f32]);
        }
    }

    fn about_to_wait(&mut self, events: &ActiveEventLoop) {
        if self.stop.requested() {
            return events.exit();
        }
        match self.advance() {
            Ok(ControlFlow::WaitUntil(until)) if until <= Instant::now() => events.set_control_flow(ControlFlow::Poll),
            Ok(flow) => events.set_control_flow(flow),
            Err(error) => self.check(events, Err(error)),
        }
    }
}

/// A key; letters as they are where a prompt is `typed`.
fn key(key: &keyboard::Key, typed: bool) -> Option<Key> {
    Some(match key {
        keyboard::Key::Named(NamedKey::ArrowUp) => Key::Up,
        keyboard::Key::Named(NamedKey::ArrowDown) => Key::Down,
        keyboard::Key::Named(NamedKey::ArrowLeft) => Key::Left,
        keyboard::Key::Named(NamedKey::ArrowRight) => Key::Right,
        keyboard::Key::Named(NamedKey::Escape) => Key::Escape,
        keyboard::Key::Named(NamedKey::Space) => Key::Char(' '),
        keyboard::Key::Named(NamedKey::Enter) => Key::Enter,
        keyboard::Key::Named(NamedKey::Shift) => Key::Shift,
        keyboard::Key::Named(NamedKey::Control) => Key::Control,
        keyboard::Key::Named(NamedKey::Tab) => Key::Tab,
        keyboard::Key::Named(NamedKey::Backspace) => Key::Erase,
        keyboard::Key::Character(text) if typed => Key::Char(text.chars().next()?),
        keyboard::Key::Character(text) => Key::Char(text.chars().next()?.to_ascii_lowercase()),
        _ => return None,
    })
}

/// A button of the mouse that worlds are played with.
fn mouse(button: MouseButton) -> Option<Key> {
    let index = match button {
        MouseButton::Left => 0,
        MouseButton::Middle => 1,
        MouseButton::Right => 2,
        _ => return None,
    };
    Some(Key::Mouse(BUTTONS[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_enlarged_and_centred() {
        let mut out = vec![9; 5 * 2];
        paint(&mut out, (5, 2), &[1, 2, 3, 255, 4, 5, 6, 255], (2, 1));
        let (a, b) = (0x0001_0203, 0x0004_0506);
        assert_eq!(out, [a, a, b, b, 0, a, a, b, b, 0]);
    }

    #[test]
    fn a_window_smaller_than_the_picture_shows_its_corner() {
        let mut out = vec![9; 1];
        paint(&mut out, (1, 1), &[1, 2, 3, 255, 4, 5, 6, 255], (2, 1));
        assert_eq!(out, [0x0001_0203]);
    }
}
