//! Playing live, apart from where it is shown: a session, a keyboard, and the pace of the model.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use causeway_runtime::{
    Budget, EventTime, Frame, Pump, Session, Snapshot,
    session::{Alarms, QualityChange},
};

use crate::{
    error::Error,
    options::{
        opened::{Opened, Scenes},
        session::SessionArgs,
        typed::TypedArgs,
    },
    stage::{
        keys::{Command, Key, Keys},
        memory::Memory,
        typed::Typed,
    },
    tools::{stop::Stop, table::median_p95},
};

/// How long one call of [`Live::advance`] computes before the keyboard is asked again.
const SLICE: Budget = Budget::Micros(4_000);

/// A pump that took less found the GPU busy; asking again at once would only heat a core.
const IDLE: Duration = Duration::from_micros(500);

/// Measurements kept for the status line.
const RECENT: usize = 32;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Show [`Live::frame`], then call [`Live::shown`].
    Show,
    /// Look at the keyboard and call [`Live::advance`] again.
    Again,
    /// The same, but not before this moment unless a key comes.
    Wait(Instant),
}

/// A world to play, with whatever memory.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The model.
    pub model: &'a Opened,
    /// How it was asked for.
    pub args: &'a SessionArgs,
    /// Whether somebody may type prompts.
    pub typed: &'a TypedArgs,
    /// What ends its work at once.
    pub stop: &'a Stop,
}

impl World<'_> {
    /// The memory that was asked for.
    pub fn memory(&self) -> Memory {
        Memory::of(self.args, self.model.model().config())
    }

    /// Who may type; prompts to begin with are encoded.
    ///
    /// # Errors
    /// Encoder and tokenizer that cannot be used; a model that takes no prompts.
    pub fn typed(&self) -> Result<Option<Typed>, Error> {
        let dit = &self.model.model().config().dit;
        // What a game takes as its prompt are features of a picture.
        let text = dit.text.filter(|_| dit.game().is_none()).map_or([0, 0], |text| [text.length, text.dim]);
        if self.typed.text_encoder.is_some() && text[0] == 0 {
            return Err(Error::Usage(
                "--text-encoder is for models that take prompts, which this one does not".to_owned(),
            ));
        }
        Typed::open(self.typed, (self.model.scenes().slots > 0, text), &self.args.device(self.stop)?, self.stop)
    }

    /// A session with this memory.
    ///
    /// # Errors
    /// As [`SessionArgs::session`].
    pub fn open(&self, memory: Memory, typed: Option<&mut Typed>) -> Result<Session, Error> {
        let rows = typed.as_ref().map(|typed| typed.rows());
        let config = self.model.model().config();
        let args = SessionArgs { changes: true, typed: rows, ..memory.applied(self.args, config) };
        let mut session = args.play(self.model, self.stop)?;
        typed.map_or(Ok(()), |typed| typed.start(&mut session, self.model.scenes().slots))?;
        Ok(session)
    }
}

/// A world being played.
pub struct Live<'a> {
    world: World<'a>,
    session: Session,
    typed: Option<Typed>,
    memory: Memory,
    scenes: Scenes,
    /// The scene that was asked for last.
    scene: Option<usize>,
    beginning: Snapshot,
    /// The typed prompt in force then.
    first: Option<String>,
    keys: Keys,
    action: Vec<f32>,
    /// Time between frames at the model's pace.
    period: Duration,
    /// When the next frame may be shown.
    due: Instant,
    /// Presses that no frame has shown yet: ticket and moment.
    presses: VecDeque<(u64, Instant)>,
    latencies: VecDeque<f64>,
    intervals: VecDeque<f64>,
    last: Option<Instant>,
    /// What alarms in the frame that was shown last.
    alarms: Alarms,
}

impl<'a> Live<'a> {
    /// Begins to play `world` in a session of the memory that was asked for; what is typed is for `typed`; `releases` tells whether key releases will be reported, as far as is known.
    ///
    /// # Errors
    /// The backend fails.
    pub fn new(world: World<'a>, mut typed: Option<Typed>, releases: bool) -> Result<Self, Error> {
        let mut session = world.open(world.memory(), typed.as_mut())?;
        let beginning = session.snapshot()?;
        let keys = Keys::of(world.model.model().config(), releases);
        Ok(Self {
            action: vec![0.0; session.actions().len()],
            beginning,
            first: prompt(typed.as_ref()),
            keys,
            session,
            typed,
            memory: world.memory(),
            scenes: world.model.scenes(),
            scene: None,
            world,
            period: Duration::from_secs_f32(1.0 / world.model.model().config().fps),
            due: Instant::now(),
            presses: VecDeque::with_capacity(RECENT),
            latencies: VecDeque::with_capacity(RECENT),
            intervals: VecDeque::with_capacity(RECENT),
            last: None,
            alarms: Alarms::NONE,
        })
    }

    /// Whether key releases will be reported.
    pub fn set_releases(&mut self, releases: bool) {
        self.keys = Keys::of(self.world.model.model().config(), releases);
    }

    /// A key went down or repeats. True if the player wants to leave.
    ///
    /// # Errors
    /// The backend fails on a reset.
    pub fn press(&mut self, key: Key) -> Result<bool, Error> {
        let now = Instant::now();
        if let Some(typed) = self.typed.as_mut().filter(|typed| typed.typing()) {
            if key == Key::Enter {
                self.scene = None;
            }
            return typed.press(key).map(|()| false);
        }
        match self.keys.press(key, now) {
            Some(Command::Quit) => return Ok(true),
            Some(Command::Reset) => {
                let quality = self.session.quality();
                self.session.restore(&self.beginning)?;
                self.session.set_quality(quality.into())?;
                let first = self.first.clone();
                self.typed.iter_mut().for_each(|typed| typed.back(first.clone()));
                self.begin();
            }
            Some(Command::Type) => {
                if let Some(typed) = &mut self.typed {
                    self.keys.clear();
                    typed.ask();
                }
            }
            Some(Command::Memory) => self.remember(self.memory.next())?,
            Some(Command::Steps { more }) => self.step(more),
            // A digit beyond the model's scenes does nothing; a full queue means that the key is held down.
            Some(Command::Event(index)) if index < self.scenes.names.len() => {
                if self.scenes.queue(&mut self.session, index, EventTime::NextChunk).is_ok() {
                    self.scene = Some(index);
                }
            }
            Some(Command::Event(_)) => {}
            None => self.act(now)?,
        }
        Ok(false)
    }

    /// Sees another past from the next chunk on; where that needs another plan, from the first frame on.
    fn remember(&mut self, memory: Memory) -> Result<(), Error> {
        let change = memory.change(self.session.ring());
        if change.is_none_or(|change| self.session.set_quality(change).is_err()) {
            self.session = self.world.open(memory, self.typed.as_mut())?;
            self.beginning = self.session.snapshot()?;
            self.first = prompt(self.typed.as_ref());
            self.begin();
        }
        self.memory = memory;
        Ok(())
    }

    /// Takes the next list of fewer or more denoise steps, if there is one.
    fn step(&mut self, more: bool) {
        let (lists, now) = (&self.world.model.model().config().schedule.steps, self.session.quality().steps);
        let steps = if more { lists.range(now + 1..).next() } else { lists.range(..now).next_back() };
        let steps = steps.map(|(&steps, _)| steps);
        // One that is sampled otherwise has no lists to change between.
        _ = self.session.set_quality(QualityChange { steps, ..QualityChange::default() });
    }

    /// Nothing was pressed yet.
    fn begin(&mut self) {
        self.keys.clear();
        self.presses.clear();
        self.action.fill(0.0);
        self.scene = None;
    }

    /// A key went up.
    pub fn release(&mut self, key: Key) {
        self.keys.release(key, Instant::now());
    }

    /// The mouse went so many pixels to the right and down.
    #[cfg(feature = "window")]
    pub fn look(&mut self, way: [f32; 2]) {
        self.keys.look(way, Instant::now());
    }

    /// Whether the mouse's way is an action.
    #[cfg(feature = "window")]
    pub fn looks(&self) -> bool {
        self.keys.looks()
    }

    /// All keys went up.
    pub fn release_all(&mut self) {
        self.keys.clear();
    }

    fn act(&mut self, now: Instant) -> Result<(), Error> {
        let action = self.keys.vector(now);
        if action == self.action {
            return Ok(());
        }
        self.action.copy_from_slice(action);
        let ticket = self.session.set_action(&self.action)?;
        if self.keys.sent(ticket) && self.presses.len() < RECENT {
            self.presses.push_back((ticket, now));
        }
        Ok(())
    }

    /// Computes for a few milliseconds.
    ///
    /// # Errors
    /// The backend fails, for instance because the device was lost.
    pub fn advance(&mut self) -> Result<Next, Error> {
        let now = Instant::now();
        if self.session.frame().is_some() && now >= self.due {
            return Ok(Next::Show);
        }
        self.act(now)?;
        if let Some(typed) = &mut self.typed {
            typed.advance(&mut self.session, self.scenes.slots)?;
        }
        let pump = self.session.pump(SLICE)?;
        Ok(match pump {
            Pump::Frame => Next::Again,
            Pump::Full => Next::Wait(self.due),
            Pump::Early(micros) => Next::Wait(now + Duration::from_micros(micros)),
            Pump::Pending if now.elapsed() < IDLE => Next::Wait(now + 2 * IDLE),
            Pump::Pending => Next::Again,
        })
    }

    /// The frame to show.
    pub fn frame(&self) -> Option<Frame<'_>> {
        self.session.frame()
    }

    /// The frame is on the screen.
    pub fn shown(&mut self) {
        let now = Instant::now();
        let Some(receipt) = self.session.frame().map(|frame| frame.receipt) else { return };
        let ticket = receipt.action;
        self.alarms = receipt.health.alarms;
        self.keys.shown(ticket);
        while let Some((_, pressed)) = self.presses.pop_front_if(|(sent, _)| *sent <= ticket) {
            keep(&mut self.latencies, now - pressed);
        }
        if let Some(last) = self.last.replace(now) {
            keep(&mut self.intervals, now - last);
        }
        self.session.release();
        // A world that is slower than its pace does not catch up: the past is of no interest.
        self.due = (self.due + self.period).max(now);
    }

    /// Frames a second over the last ones.
    pub fn fps(&self) -> f64 {
        let total: f64 = self.intervals.iter().sum();
        if total > 0.0 { self.intervals.len() as f64 / total } else { 0.0 }
    }

    /// One line: speed, latency (from a key press to the first frame that shows it), place, event, what alarms, memory, steps.
    pub fn status(&self) -> String {
        let (latency, _) = median_p95(self.latencies.iter().copied().collect::<Vec<_>>().as_slice());
        let latency = if self.latencies.is_empty() { "-".to_owned() } else { format!("{:.0} ms", 1e3 * latency) };
        if let Some(text) = self.typed.as_ref().and_then(Typed::status) {
            return text;
        }
        let typed = self.typed.as_ref().filter(|_| self.scene.is_none()).and_then(Typed::prompt);
        let event = typed.unwrap_or_else(|| self.scenes.name(&self.session, self.scene));
        let alarms = if self.alarms.is_empty() { String::new() } else { format!("alarm: {}  ", self.alarms) };
        format!(
            "{:4.1} FPS  latency {latency}  frame {}  {event}  {alarms}{}, {} steps",
            self.fps(),
            self.session.position(),
            self.memory,
            self.session.quality().steps
        )
    }

    /// What the keys do in this world.
    pub fn help(&self) -> String {
        let help = self.keys.help(self.session.actions(), &self.scenes.names);
        if self.typed.is_some() { format!("/ types a prompt, {help}") } else { help }
    }

    /// Whether keys are letters of a prompt.
    pub fn typing(&self) -> bool {
        self.typed.as_ref().is_some_and(Typed::typing)
    }

    /// Picture size in pixels (width, height).
    #[cfg(feature = "window")]
    pub fn picture(&self) -> (usize, usize) {
        self.session.picture()
    }
}

/// The typed prompt in force.
fn prompt(typed: Option<&Typed>) -> Option<String> {
    typed.and_then(Typed::prompt).map(str::to_owned)
}

fn keep(list: &mut VecDeque<f64>, time: Duration) {
    if list.len() == RECENT {
        list.pop_front();
    }
    list.push_back(time.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_ops::quant::DType;
    use causeway_tests::tiny::{model_bytes, tiny_config};

    /// Plays until so many frames more were shown.
    fn play(live: &mut Live<'_>, frames: usize) {
        for _ in 0..frames {
            live.due = Instant::now();
            while live.advance().unwrap() != Next::Show {}
            live.shown();
        }
    }

    /// In a world that was trained with routes the memory changes, and steps do anywhere, and the stream goes on.
    #[test]
    fn memory_and_steps_change_while_it_plays() {
        let mut config = tiny_config();
        config.history.route = 2;
        let path = std::env::temp_dir().join(format!("causeway-live-{}.safetensors", std::process::id()));
        std::fs::write(&path, model_bytes(&config, DType::F32, 1)).unwrap();
        let model = Opened::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let args = SessionArgs::parsed("--backend cpu");
        let stop = Stop::default();
        let world = World { model: &model, args: &args, typed: &TypedArgs::default(), stop: &stop };
        let mut live = Live::new(world, None, true).unwrap();
        play(&mut live, 4);
        for (key, says) in [
            ('m', "all history, 4 steps"),
            ('-', "all history, 2 steps"),
            ('-', "all history, 2 steps"),
            ('m', "last 2 only, 2 steps"),
            ('=', "last 2 only, 4 steps"),
            ('m', "routed to 2, 4 steps"),
        ] {
            let before = live.session.position();
            live.press(Key::Char(key)).unwrap();
            play(&mut live, 2);
            assert!(live.status().ends_with(says), "{key}: {}", live.status());
            assert!(live.session.position() > before, "{key}");
        }
        live.press(Key::Char('-')).unwrap();
        live.press(Key::Char('r')).unwrap();
        assert!(live.session.position() == 0 && live.status().ends_with("routed to 2, 2 steps"), "{}", live.status());
    }

    /// A prompt is typed, encoded beside the world, and shown by it; keys are letters meanwhile.
    #[cfg(feature = "text")]
    #[test]
    fn prompts_are_typed_while_it_plays() {
        let folder = std::env::temp_dir().join(format!("causeway-typed-{}", std::process::id()));
        let student = causeway_tests::wan::Student::write(&folder);
        let encoder = causeway_tests::wan::encoder(&folder);
        let model = Opened::open(&student.bundle).unwrap();
        let (args, stop) = (SessionArgs::parsed("--backend cpu"), Stop::default());
        let typed = TypedArgs { text_encoder: Some(encoder), ..TypedArgs::default() };
        let world = World { model: &model, args: &args, typed: &typed, stop: &stop };
        let mut live = Live::new(world, world.typed().unwrap(), true).unwrap();
        play(&mut live, 2);
        assert!(live.status().contains("first") && live.help().starts_with("/ types a prompt"), "{}", live.status());
        let press = |live: &mut Live<'_>, keys: &str| {
            keys.chars().for_each(|key| assert!(!live.press(Key::Char(key)).unwrap()));
        };
        press(&mut live, "/Qx");
        live.press(Key::Erase).unwrap();
        assert!(live.typing() && live.status().starts_with("/Q_"), "{}", live.status());
        live.press(Key::Escape).unwrap();
        assert!(!live.typing());
        press(&mut live, "/A red fox");
        live.press(Key::Enter).unwrap();
        assert!(live.status().contains("layers: A red fox"), "{}", live.status());
        play(&mut live, 8);
        assert!(live.status().contains("A red fox"), "{}", live.status());
        press(&mut live, "2");
        play(&mut live, 4);
        assert!(live.status().contains("second"), "{}", live.status());
        // From its first frame on: under the prompt that it began with, and with the typed one at hand.
        press(&mut live, "/a garden");
        live.press(Key::Enter).unwrap();
        press(&mut live, "r");
        play(&mut live, 6);
        assert!(live.status().contains("a garden"), "{}", live.status());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
