//! From keys to actions, the same for terminal and window.
//!
//! A key that was pressed stays down at least until a frame shows it, so that a tap between two chunks is never lost.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use causeway_runtime::{
    ModelConfig,
    config::{ControlConfig, printable},
};

/// A key that matters to a world. Letters are lower-case, but where a prompt is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Escape.
    Escape,
    /// Ends a line.
    Enter,
    /// Takes a letter back.
    Erase,
    /// A letter, a digit or the space.
    Char(char),
    /// Shift, where a window tells.
    Shift,
    /// Control, where a window tells.
    Control,
    /// The tabulator.
    Tab,
    /// A button of the mouse, where there is one.
    Mouse(&'static str),
}

/// The buttons of a mouse that worlds are played with, as files call them.
pub const BUTTONS: [&str; 3] = ["mouse-left", "mouse-middle", "mouse-right"];

impl Key {
    /// As it is called in one line of help.
    fn label(self) -> String {
        match self {
            Key::Up => "up".to_owned(),
            Key::Down => "down".to_owned(),
            Key::Left => "left".to_owned(),
            Key::Right => "right".to_owned(),
            Key::Escape => "esc".to_owned(),
            Key::Enter => "enter".to_owned(),
            Key::Erase => "backspace".to_owned(),
            Key::Char(' ') => "space".to_owned(),
            Key::Char(letter) => letter.to_string(),
            Key::Shift => "shift".to_owned(),
            Key::Control => "ctrl".to_owned(),
            Key::Tab => "tab".to_owned(),
            Key::Mouse(button) => button.to_owned(),
        }
    }

    /// The key that files call `name`; none for one that only others have.
    fn named(name: &str) -> Option<Self> {
        let mut letters = name.chars();
        Some(match name {
            "up" => Key::Up,
            "down" => Key::Down,
            "left" => Key::Left,
            "right" => Key::Right,
            "space" => Key::Char(' '),
            "shift" => Key::Shift,
            "ctrl" => Key::Control,
            "tab" => Key::Tab,
            _ => match (letters.next(), letters.next()) {
                (Some(letter), None) => Key::Char(letter.to_ascii_lowercase()),
                _ => Key::Mouse(BUTTONS.into_iter().find(|button| *button == name)?),
            },
        })
    }
}

/// What a key asks for besides an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// End.
    Quit,
    /// Back to the first frame.
    Reset,
    /// Another memory.
    Memory,
    /// A prompt is going to be typed.
    Type,
    /// Fewer denoise steps, or more.
    Steps {
        /// More.
        more: bool,
    },
    /// Switch to the event of this index.
    Event(usize),
}

/// Most terminals report no releases. A key counts as down for this long after it repeated, and for [`FIRST`] after it went down: the first
/// repeat of a held key takes half a second in most systems, then they come some 30 times a second.
const HOLD: Duration = Duration::from_millis(150);
const FIRST: Duration = Duration::from_millis(600);

/// Actions of which the newer ends the older, so that a tap to turn back does not wait for the end of the first.
const OPPOSITE: [(&str, &str); 2] = [("forward", "back"), ("left", "right")];

/// What the keys do, before it is known in which world.
pub const HELP: &str = "\
Keys, by the names of the model's actions:
  forward, back, left, right  arrows or W S A D
  attack, use                 space
  others                      E F C V X Z T G B Y H N U J I K O L P, in the model's order
  its events                  1 to 9
  a file may name other keys, and what the mouse does in a window
  R starts anew; M changes what it sees of its past: routed, all of the window, its newest frames (from the first
  frame on, where the model was not trained with routes); - and + change the denoise steps
  / takes a prompt in words, with --text-encoder: Enter sends it, Esc leaves the line
  Q or Esc leaves, ? shows the keys of this world again";

/// Keys for the actions that worlds usually have.
const USUAL: [(&str, &[Key]); 6] = [
    ("forward", &[Key::Up, Key::Char('w')]),
    ("back", &[Key::Down, Key::Char('s')]),
    ("left", &[Key::Left, Key::Char('a')]),
    ("right", &[Key::Right, Key::Char('d')]),
    ("attack", &[Key::Char(' ')]),
    ("use", &[Key::Char(' ')]),
];

/// Keys for other actions, in the order of the model file.
const SPARE: &str = "efcvxztgbyhnujikolp";

/// What a key does: its action becomes `value`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Binding {
    key: Key,
    action: usize,
    value: f32,
}

/// A key that is down, or was when the last action was sent.
#[derive(Clone, Copy, Debug)]
struct Held {
    key: Key,
    action: usize,
    value: f32,
    /// When it counts as released; None until a release is reported.
    until: Option<Instant>,
    /// Ticket of the first action sent with it.
    ticket: Option<u64>,
    /// A frame has shown it.
    shown: bool,
}

/// The keyboard of one world.
#[derive(Debug)]
pub struct Keys {
    bindings: Vec<Binding>,
    /// What holds while nothing is pressed: actions and their values.
    rest: Vec<(usize, f32)>,
    mouse: Mouse,
    /// The action that ends when this one begins, by its number.
    opposite: Vec<Option<usize>>,
    /// Whether releases are reported.
    releases: bool,
    held: Vec<Held>,
    vector: Vec<f32>,
}

impl Keys {
    /// Keys for a model: those that its file names, or the usual ones of its actions. `releases` tells whether [`Self::release`] will be called.
    pub fn of(config: &ModelConfig, releases: bool) -> Self {
        let actions = &config.dit.actions;
        if config.controls.is_empty() {
            return Self::new(actions, releases);
        }
        let mut keys = Self { bindings: Vec::new(), ..Self::new(actions, releases) };
        // A chunk is told what the mouse did while the one before it lasted.
        let frames = (config.dit.chunk * config.codec.time_factor()) as f32;
        keys.mouse.lasts = Duration::from_secs_f32(frames / config.fps);
        keys.mouse.frames = frames;
        for ControlConfig { key, action, value } in &config.controls {
            let (Some(index), value) = (actions.iter().position(|name| name == action), *value) else { continue };
            match key.as_str() {
                "rest" => keys.rest.push((index, value)),
                "mouse-x" => keys.mouse.ways.push((0, index, value)),
                "mouse-y" => keys.mouse.ways.push((1, index, value)),
                name => keys.bindings.extend(Key::named(name).map(|key| Binding { key, action: index, value })),
            }
        }
        keys
    }

    /// The usual keys of these actions.
    fn new(actions: &[String], releases: bool) -> Self {
        let mut spare = SPARE.chars();
        let mut bindings = Vec::new();
        for (action, name) in actions.iter().enumerate() {
            let bound = |key| Binding { key, action, value: 1.0 };
            match USUAL.iter().find(|(usual, _)| usual == name) {
                Some((_, keys)) => bindings.extend(keys.iter().map(|&key| bound(key))),
                None => bindings.extend(spare.next().map(|letter| bound(Key::Char(letter)))),
            }
        }
        let opposite = |name: &String| {
            let pair = OPPOSITE.iter().find(|(a, b)| a == name || b == name)?;
            let other = if pair.0 == name { pair.1 } else { pair.0 };
            actions.iter().position(|action| action == other)
        };
        let opposite = actions.iter().map(opposite).collect();
        let (rest, mouse, held, vector) = (Vec::new(), Mouse::default(), Vec::new(), vec![0.0; actions.len()]);
        Self { bindings, rest, mouse, opposite, releases, held, vector }
    }

    /// One line: what the keys do in a world of these actions and events.
    pub fn help(&self, actions: &[String], events: &[String]) -> String {
        let mut parts = Vec::new();
        for (index, action) in actions.iter().enumerate() {
            let bound = self.bindings.iter().filter(|bound| bound.action == index).map(|bound| bound.key.label());
            let moved = self.releases && self.mouse.ways.iter().any(|way| way.1 == index);
            let keys: Vec<_> = bound.chain(moved.then(|| "mouse".to_owned())).collect();
            // More actions than letters: those are for programs.
            if !keys.is_empty() {
                parts.push(format!("{} {}", keys.join("/"), printable(action)));
            }
        }
        parts.extend(events.iter().take(9).enumerate().map(|(i, name)| format!("{} {}", i + 1, printable(name))));
        format!("{}, r anew, m memory, -/+ steps, q leaves", parts.join(", "))
    }

    /// A key went down, or repeats.
    pub fn press(&mut self, key: Key, now: Instant) -> Option<Command> {
        match key {
            Key::Escape | Key::Char('q') => return Some(Command::Quit),
            Key::Char('r') => return Some(Command::Reset),
            Key::Char('m') => return Some(Command::Memory),
            Key::Char('/') => return Some(Command::Type),
            Key::Char('-') => return Some(Command::Steps { more: false }),
            Key::Char('+' | '=') => return Some(Command::Steps { more: true }),
            Key::Char(digit @ '1'..='9') => return Some(Command::Event(digit as usize - '1' as usize)),
            _ => {}
        }
        let &Binding { action, value, .. } = self.bindings.iter().find(|bound| bound.key == key)?;
        let until = |hold| (!self.releases).then(|| now + hold);
        match self.held.iter_mut().find(|held| held.key == key) {
            Some(held) => held.until = until(HOLD),
            None => {
                if let (Some(other), false) = (self.opposite[action], self.releases) {
                    self.held.iter_mut().filter(|held| held.action == other).for_each(|held| held.until = Some(now));
                }
                self.held.push(Held { key, action, value, until: until(FIRST), ticket: None, shown: false });
            }
        }
        None
    }

    /// A key went up.
    pub fn release(&mut self, key: Key, now: Instant) {
        self.held.iter_mut().filter(|held| held.key == key).for_each(|held| held.until = Some(now));
    }

    /// The mouse went so many pixels to the right and down.
    #[cfg(any(feature = "window", test))]
    pub fn look(&mut self, way: [f32; 2], now: Instant) {
        if !self.mouse.ways.is_empty() {
            self.mouse.moves.push_back((now, way));
        }
    }

    /// Whether the mouse's way is an action.
    #[cfg(feature = "window")]
    pub fn looks(&self) -> bool {
        !self.mouse.ways.is_empty()
    }

    /// All keys went up (the window lost the keyboard, the world was reset).
    pub fn clear(&mut self) {
        self.held.clear();
        self.mouse.moves.clear();
    }

    /// The action vector now, one entry an action.
    pub fn vector(&mut self, now: Instant) -> &[f32] {
        self.held.retain(|held| !held.shown || held.until.is_none_or(|until| now < until));
        self.vector.fill(0.0);
        for held in &self.held {
            self.vector[held.action] = held.value;
        }
        if self.held.is_empty() {
            self.rest.iter().for_each(|&(action, value)| self.vector[action] = value);
        }
        self.mouse.tell(now, &mut self.vector);
        &self.vector
    }

    /// The vector was sent under this ticket; true if it is the first with some key.
    pub fn sent(&mut self, ticket: u64) -> bool {
        let mut fresh = false;
        for held in self.held.iter_mut().filter(|held| held.ticket.is_none()) {
            held.ticket = Some(ticket);
            fresh = true;
        }
        fresh
    }

    /// A frame made with the action of this ticket was shown.
    pub fn shown(&mut self, ticket: u64) {
        let seen = |held: &&mut Held| held.ticket.is_some_and(|sent| sent <= ticket);
        self.held.iter_mut().filter(seen).for_each(|held| held.shown = true);
    }
}

/// The way of the mouse over the last frames that a chunk makes.
#[derive(Debug, Default)]
struct Mouse {
    /// What it does: right or down, of which action, for each pixel in a frame.
    ways: Vec<(usize, usize, f32)>,
    /// Pixels to the right and down, the newest last.
    moves: VecDeque<(Instant, [f32; 2])>,
    /// How long they count, and over how many frames.
    lasts: Duration,
    frames: f32,
}

impl Mouse {
    /// Adds its mean way in a frame to what keys say.
    fn tell(&mut self, now: Instant, vector: &mut [f32]) {
        while self.moves.pop_front_if(|(then, _)| now.duration_since(*then) > self.lasts).is_some() {}
        for &(axis, action, value) in &self.ways {
            let way: f32 = self.moves.iter().map(|(_, way)| way[axis]).sum();
            vector[action] += value * way / self.frames;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_tests::tiny::tiny_config;

    /// As a file says: a key with another value than 1, what holds at rest, and the mouse's way, spread over the frames that it lasts.
    #[test]
    fn a_file_names_its_keys() {
        let mut config = tiny_config();
        config.dit.actions = names(&["nomove", "jump", "yaw", "pitch"]);
        config.controls = [
            ("rest", "nomove", 1.0),
            ("up", "jump", 1.0),
            ("right", "yaw", 0.1),
            ("mouse-x", "yaw", 0.5),
            ("mouse-left", "pitch", 2.0),
            ("a key of another program", "pitch", 2.0),
        ]
        .map(|(key, action, value)| ControlConfig::new(key, action, value))
        .to_vec();
        let now = Instant::now();
        let mut keys = Keys::of(&config, true);
        let frames = (config.dit.chunk * config.codec.time_factor()) as f32;
        assert_eq!(keys.vector(now), [1.0, 0.0, 0.0, 0.0]);
        keys.look([4.0, 7.0], now);
        assert_eq!(keys.vector(now), [1.0, 0.0, 2.0 / frames, 0.0]);
        let later = now + Duration::from_secs(10);
        keys.press(Key::Right, later);
        keys.press(Key::Mouse("mouse-left"), later);
        assert_eq!(keys.vector(later), [0.0, 0.0, 0.1, 2.0]);
        let help = keys.help(&config.dit.actions, &[]);
        assert!(help.starts_with("up jump, right/mouse yaw, mouse-left pitch, r anew"), "{help}");
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn usual_and_other_actions_have_keys() {
        let now = Instant::now();
        let mut keys = Keys::new(&names(&["left", "jump", "forward", "duck"]), true);
        for key in [Key::Char('a'), Key::Up, Key::Char('e')] {
            assert_eq!(keys.press(key, now), None);
        }
        assert_eq!(keys.vector(now), [1.0, 1.0, 1.0, 0.0]);
        assert_eq!(keys.press(Key::Char('f'), now), None);
        assert_eq!(keys.vector(now), [1.0; 4]);
        assert_eq!(keys.press(Key::Char('3'), now), Some(Command::Event(2)));
        assert_eq!(keys.press(Key::Char('q'), now), Some(Command::Quit));
        assert_eq!(keys.press(Key::Char('r'), now), Some(Command::Reset));
        assert_eq!(keys.press(Key::Char('m'), now), Some(Command::Memory));
        assert_eq!(keys.press(Key::Char('='), now), Some(Command::Steps { more: true }));
    }

    /// Pressed and released between two chunks: still down until a frame has shown it.
    #[test]
    fn a_tap_is_never_lost() {
        let now = Instant::now();
        let mut keys = Keys::new(&names(&["forward"]), true);
        keys.press(Key::Up, now);
        keys.release(Key::Up, now);
        assert_eq!(keys.vector(now), [1.0]);
        assert!(keys.sent(5));
        assert!(!keys.sent(6));
        keys.shown(4);
        assert_eq!(keys.vector(now), [1.0]);
        keys.shown(5);
        assert_eq!(keys.vector(now), [0.0]);
    }

    #[test]
    fn without_releases_a_key_times_out() {
        let now = Instant::now();
        let mut keys = Keys::new(&names(&["forward"]), false);
        keys.press(Key::Up, now);
        keys.sent(1);
        keys.shown(1);
        // Until a held key repeats for the first time, and from one repeat to the next.
        assert_eq!(keys.vector(now + FIRST - HOLD / 2), [1.0]);
        let repeat = now + FIRST - HOLD / 2;
        keys.press(Key::Up, repeat);
        assert_eq!(keys.vector(repeat + HOLD / 2), [1.0]);
        assert_eq!(keys.vector(repeat + HOLD), [0.0]);
    }

    #[test]
    fn a_turn_back_ends_the_turn() {
        let now = Instant::now();
        for releases in [false, true] {
            let mut keys = Keys::new(&names(&["left", "right", "forward"]), releases);
            keys.press(Key::Left, now);
            keys.press(Key::Up, now);
            keys.sent(1);
            keys.shown(1);
            keys.press(Key::Char('d'), now);
            // With releases it is known that both are down.
            assert_eq!(keys.vector(now), [f32::from(u8::from(releases)), 1.0, 1.0], "{releases}");
        }
    }

    #[test]
    fn help_names_the_keys_of_this_world() {
        let actions = names(&["forward", "jump", "use"]);
        let keys = Keys::new(&actions, true);
        let help = keys.help(&actions, &names(&["day", "ni\u{202e}ght"]));
        assert_eq!(help, "up/w forward, e jump, space use, 1 day, 2 ni ght, r anew, m memory, -/+ steps, q leaves");
        // Every action of a large world that has a letter has one of its own.
        let many: Vec<String> = (0..30).map(|i| format!("a{i}")).collect();
        let keys = Keys::new(&many, true);
        assert_eq!(keys.bindings.len(), SPARE.len());
        assert!(HELP.contains(&SPARE.to_uppercase().chars().map(String::from).collect::<Vec<_>>().join(" ")));
    }
}
