//! The terminal as a stage: raw mode, alternate screen, keys; put back however the program leaves.

use std::{
    io::{Write, stdout},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use crossterm::{
    cursor,
    event::{
        self, DisableFocusChange, EnableFocusChange, KeyCode, KeyEventKind, KeyModifiers, KeyboardEnhancementFlags,
        PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags,
    },
    execute,
    terminal::{self, EnterAlternateScreen, LeaveAlternateScreen},
};

use crate::{error::Error, stage::keys::Key};

/// Something the player did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key went down or repeats.
    Press(Key),
    /// A key went up.
    Release(Key),
    /// The terminal lost the keyboard.
    Away,
    /// The terminal has this many columns and rows now.
    Resize(usize, usize),
    /// Ctrl-C.
    Interrupt,
}

/// A terminal in raw mode until dropped.
#[derive(Debug)]
pub struct Terminal {
    releases: bool,
}

fn refused(source: std::io::Error) -> Error {
    Error::Io { action: "use", path: "the terminal".to_owned(), source }
}

impl Terminal {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// Standard output is no terminal, or it refuses.
    pub fn enter() -> Result<Self, Error> {
        terminal::enable_raw_mode().map_err(refused)?;
        TAKEN.store(true, Relaxed);
        // From here on dropping puts everything back.
        let mut this = Self { releases: false };
        execute!(stdout(), EnterAlternateScreen, cursor::Hide, EnableFocusChange).map_err(refused)?;
        this.releases = cfg!(windows) || terminal::supports_keyboard_enhancement().unwrap_or(false);
        if this.releases && !cfg!(windows) {
            let flags =
                KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES | KeyboardEnhancementFlags::REPORT_EVENT_TYPES;
            execute!(stdout(), PushKeyboardEnhancementFlags(flags)).map_err(refused)?;
            ENHANCED.store(true, Relaxed);
        }
        Ok(this)
    }

    /// Whether key releases are reported.
    pub fn releases(&self) -> bool {
        self.releases
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// The terminal does not tell.
    pub fn size(&self) -> Result<(usize, usize), Error> {
        let (columns, rows) = terminal::size().map_err(refused)?;
        Ok((columns.into(), rows.into()))
    }

    /// Sends text.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn write(&mut self, text: &str) -> Result<(), Error> {
        let mut out = stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(refused)
    }

    /// The next input, waiting for it no longer than `wait`; letters as they are where a prompt is `typed`. None also stands for input that means
    /// nothing here.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn input(&mut self, wait: Duration, typed: bool) -> Result<Option<Input>, Error> {
        if !event::poll(wait).map_err(refused)? {
            return Ok(None);
        }
        Ok(match event::read().map_err(refused)? {
            event::Event::Key(key) => input(key, typed),
            event::Event::Resize(columns, rows) => Some(Input::Resize(columns.into(), rows.into())),
            event::Event::FocusLost => Some(Input::Away),
            _ => None,
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Whether the terminal is taken over, and whether key releases were asked for.
static TAKEN: AtomicBool = AtomicBool::new(false);
static ENHANCED: AtomicBool = AtomicBool::new(false);

/// Puts the terminal back as it was, if it was taken over; from any thread.
pub fn give_back() {
    if !TAKEN.swap(false, Relaxed) {
        return;
    }
    // Nobody is left to tell if this fails.
    if ENHANCED.swap(false, Relaxed) {
        let _ = execute!(stdout(), PopKeyboardEnhancementFlags);
    }
    let _ = execute!(stdout(), DisableFocusChange, cursor::Show, LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}

fn input(event: event::KeyEvent, typed: bool) -> Option<Input> {
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        let interrupt = event.code == KeyCode::Char('c') && event.kind == KeyEventKind::Press;
        return interrupt.then_some(Input::Interrupt);
    }
    let key = match event.code {
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Esc => Key::Escape,
        KeyCode::Enter => Key::Enter,
        KeyCode::Tab => Key::Tab,
        KeyCode::Backspace => Key::Erase,
        KeyCode::Char(letter) if typed => Key::Char(letter),
        KeyCode::Char(letter) => Key::Char(letter.to_ascii_lowercase()),
        _ => return None,
    };
    Some(if event.kind == KeyEventKind::Release { Input::Release(key) } else { Input::Press(key) })
}
