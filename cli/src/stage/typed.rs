//! A prompt that is typed while a world plays, and encoded beside it.

use causeway_runtime::{
    Device, Session, SessionError, TextEncoder,
    clock::SystemClock,
    file::Umt5File,
    session::{Change, Condition, Way},
    text::TextOptions,
};

use crate::{
    error::Error,
    files::tokenizer::Tokenizer,
    options::typed::TypedArgs,
    stage::keys::Key,
    tools::{progress::progress, stop::Stop},
};

/// Microseconds that are given to the encoder between two looks at the keyboard.
const SLICE: u64 = 2_000;
/// Longest line in characters.
const LONGEST: usize = 1000;

/// Somebody who may type.
pub struct Typed {
    tokenizer: Tokenizer,
    encoder: TextEncoder<Box<Umt5File<'static>>>,
    clock: SystemClock,
    /// What is being typed.
    line: Option<String>,
    /// What is being encoded.
    encoding: Option<String>,
    /// What was typed last: its text, and its rows.
    prompt: Option<(String, Vec<f32>)>,
    /// Text of what the world was told last; none where that is a stored prompt.
    told: Option<String>,
    /// The rows wait until the world takes them.
    waits: bool,
}

impl Typed {
    /// Opens encoder and tokenizer, and encodes the first prompt, of at most `rows` tokens, for a world that reads rows
    /// of `width` numbers; none where no encoder was named. A world that has
    /// no prompts `stored` begins with one that says nothing.
    ///
    /// # Errors
    /// Files that cannot be used, a prompt that cannot be encoded, Ctrl-C.
    pub fn open(
        args: &TypedArgs,
        (stored, [rows, width]): (bool, [usize; 2]),
        device: &Device,
        stop: &Stop,
    ) -> Result<Option<Self>, Error> {
        let Some(path) = &args.text_encoder else { return Ok(None) };
        let (file, tokenizer) = Tokenizer::with_encoder(path, args.tokenizer.as_deref())?;
        let own = file.config().encoder.dim;
        if own != width {
            return Err(Error::Usage(format!(
                "{}: its prompts have rows of {own} numbers, this world reads rows of {width}: another model's text encoder",
                path.display()
            )));
        }
        let encoder = Self::encoder(file, device, rows)?;
        let clock = SystemClock::default();
        let mut typed =
            Self { tokenizer, encoder, clock, line: None, encoding: None, prompt: None, told: None, waits: false };
        let first = args.prompt.clone().or_else(|| (!stored).then(String::new));
        if let Some(text) = first {
            typed.begin(text)?;
            let bar = progress(typed.encoder.layers() as u64, "layers");
            while typed.encoding.is_some() {
                stop.check()?;
                typed.encode(20_000)?;
                bar.set_position(typed.encoder.layer() as u64);
            }
            bar.finish_and_clear();
        }
        Ok(Some(typed))
    }

    fn encoder(
        file: Umt5File<'static>,
        device: &Device,
        rows: usize,
    ) -> Result<TextEncoder<Box<Umt5File<'static>>>, Error> {
        let tokens = Some(rows.min(file.config().encoder.length));
        Ok(TextEncoder::new(Box::new(file), device, TextOptions { tokens, ..TextOptions::default() })?)
    }

    /// Most rows of a prompt.
    pub fn rows(&self) -> usize {
        self.encoder.most_tokens()
    }

    /// Whether keys are letters of a prompt.
    pub fn typing(&self) -> bool {
        self.line.is_some()
    }

    /// Begins a line.
    pub fn ask(&mut self) {
        self.line = Some(String::new());
    }

    /// A key of the line.
    ///
    /// # Errors
    /// The text cannot be told apart into tokens.
    pub fn press(&mut self, key: Key) -> Result<(), Error> {
        let Some(line) = &mut self.line else { return Ok(()) };
        match key {
            Key::Char(letter) if line.chars().count() < LONGEST => line.push(letter),
            Key::Erase => _ = line.pop(),
            Key::Escape => self.line = None,
            Key::Enter => {
                let text = self.line.take().unwrap_or_default();
                self.begin(text)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, text: String) -> Result<(), Error> {
        let (tokens, _) = self.tokenizer.tokens(&text, self.rows())?;
        self.encoder.begin(&[tokens])?;
        self.encoding = Some(text);
        Ok(())
    }

    fn encode(&mut self, micros: u64) -> Result<(), Error> {
        if self.encoding.is_some()
            && self.encoder.pump(micros, &self.clock)?
            && let Some(text) = self.encoding.take()
        {
            self.prompt = Some((text, self.encoder.rows(0)?.to_vec()));
            self.waits = true;
        }
        Ok(())
    }

    /// Encodes for a short while, and gives the world what is encoded, in slot `slot`; its window is computed anew under it.
    ///
    /// # Errors
    /// The backend fails, or the encoder is of another model.
    pub fn advance(&mut self, session: &mut Session, slot: usize) -> Result<(), Error> {
        self.encode(SLICE)?;
        if self.waits {
            self.waits = !self.put(session, slot, Way::Recache)?;
        }
        Ok(())
    }

    /// Gives a world that begins what is in force.
    ///
    /// # Errors
    /// The encoder is of another model.
    pub fn start(&mut self, session: &mut Session, slot: usize) -> Result<(), Error> {
        if self.prompt.is_some() {
            self.put(session, slot, Way::Keep)?;
        }
        self.waits = false;
        Ok(())
    }

    /// Whether the world took it; it does not while the last one still waits there.
    fn put(&mut self, session: &mut Session, slot: usize, way: Way) -> Result<bool, Error> {
        let Some((text, rows)) = &self.prompt else { return Ok(true) };
        match session
            .set_prompt(slot, rows)
            .and_then(|()| session.queue(Change { way, ..Change::to(Condition::Prompt(slot)) }).map(|_| ()))
        {
            Ok(()) => {
                self.told = Some(text.clone());
                Ok(true)
            }
            Err(SessionError::SlotInUse(_) | SessionError::EventsFull(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What is to be said of it instead of anything else.
    pub fn status(&self) -> Option<String> {
        match (&self.line, &self.encoding) {
            (Some(line), _) => Some(format!("/{line}_  (Enter sends, Esc leaves)")),
            (None, Some(text)) => Some(format!("{} of {} layers: {text}", self.encoder.layer(), self.encoder.layers())),
            (None, None) => None,
        }
    }

    /// The typed prompt in force; none where it is a stored one.
    pub fn prompt(&self) -> Option<&str> {
        self.told.as_deref()
    }

    /// The world is at a moment again at which this was in force.
    pub fn back(&mut self, told: Option<String>) {
        self.told = told;
    }
}
