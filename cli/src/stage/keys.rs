//! From keys to actions, the same for terminal and window.
//!
//! A key that was pressed stays down at least until a frame shows it, so that a tap between two chunks is never lost.

use std::time::{Duration, Instant};

use causeway_runtime::config::printable;

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
}

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
        }
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
const OPPOSITE: [(&str, &str); 4] = [("forward", "back"), ("left", "right"), ("W", "S"), ("A", "D")];

/// What the keys do, before it is known in which world.
pub const HELP: &str = "\
Keys, by the names of the model's actions:
  forward, back, left, right  arrows or W S A D
  attack, use                 space
  others                      E F C V X Z T G B Y H N U J I K O L P, in the model's order
  buttons (W, SPACE, UP)      the keys of their names
  its events                  1 to 9
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

/// The key that a button's name means: a letter, the space or an arrow. Commands and events keep theirs.
fn named(action: &str) -> Option<Key> {
    match action {
        "UP" => Some(Key::Up),
        "DOWN" => Some(Key::Down),
        "LEFT" => Some(Key::Left),
        "RIGHT" => Some(Key::Right),
        "SPACE" => Some(Key::Char(' ')),
        _ => match action.as_bytes() {
            [letter @ b'A'..=b'Z'] if !b"QRM".contains(letter) => Some(Key::Char(letter.to_ascii_lowercase().into())),
            _ => None,
        },
    }
}

/// Keys for other actions, in the order of the model file.
const SPARE: &str = "efcvxztgbyhnujikolp";

/// A key that is down, or was when the last action was sent.
#[derive(Clone, Copy, Debug)]
struct Held {
    key: Key,
    action: usize,
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
    bindings: Vec<(Key, usize)>,
    /// The action that ends when this one begins, by its number.
    opposite: Vec<Option<usize>>,
    /// Whether releases are reported.
    releases: bool,
    held: Vec<Held>,
    vector: Vec<f32>,
}

impl Keys {
    /// Keys for a model with these actions; `releases` tells whether [`Self::release`] will be called.
    pub fn new(actions: &[String], releases: bool) -> Self {
        // Where keys have the names of buttons, no other action may take them.
        let mut spare = if actions.iter().any(|action| named(action).is_some()) { "" } else { SPARE }.chars();
        let mut bindings = Vec::new();
        for (index, action) in actions.iter().enumerate() {
            match (USUAL.iter().find(|(name, _)| name == action), named(action)) {
                (Some((_, keys)), _) => bindings.extend(keys.iter().map(|&key| (key, index))),
                (None, Some(key)) => bindings.push((key, index)),
                (None, None) => bindings.extend(spare.next().map(|letter| (Key::Char(letter), index))),
            }
        }
        let opposite = |name: &String| {
            let pair = OPPOSITE.iter().find(|(a, b)| a == name || b == name)?;
            let other = if pair.0 == name { pair.1 } else { pair.0 };
            actions.iter().position(|action| action == other)
        };
        let opposite = actions.iter().map(opposite).collect();
        Self { bindings, opposite, releases, held: Vec::new(), vector: vec![0.0; actions.len()] }
    }

    /// One line: what the keys do in a world of these actions and events.
    pub fn help(&self, actions: &[String], events: &[String]) -> String {
        let (mut parts, mut by_name) = (Vec::new(), false);
        for (index, action) in actions.iter().enumerate() {
            let keys: Vec<_> =
                self.bindings.iter().filter(|(_, bound)| *bound == index).map(|(key, _)| key.label()).collect();
            // More actions than letters: those are for programs.
            if named(action).is_some() {
                by_name = true;
            } else if !keys.is_empty() {
                parts.push(format!("{} {}", keys.join("/"), printable(action)));
            }
        }
        if by_name {
            parts.insert(0, "W A S D, space, arrows and all other letters as their names say".to_owned());
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
        let action = self.bindings.iter().find(|(bound, _)| *bound == key)?.1;
        let until = |hold| (!self.releases).then(|| now + hold);
        match self.held.iter_mut().find(|held| held.key == key) {
            Some(held) => held.until = until(HOLD),
            None => {
                if let (Some(other), false) = (self.opposite[action], self.releases) {
                    self.held.iter_mut().filter(|held| held.action == other).for_each(|held| held.until = Some(now));
                }
                self.held.push(Held { key, action, until: until(FIRST), ticket: None, shown: false });
            }
        }
        None
    }

    /// A key went up.
    pub fn release(&mut self, key: Key, now: Instant) {
        self.held.iter_mut().filter(|held| held.key == key).for_each(|held| held.until = Some(now));
    }

    /// All keys went up (the window lost the keyboard, the world was reset).
    pub fn clear(&mut self) {
        self.held.clear();
    }

    /// The action vector now, one entry an action.
    pub fn vector(&mut self, now: Instant) -> &[f32] {
        self.held.retain(|held| !held.shown || held.until.is_none_or(|until| now < until));
        self.vector.fill(0.0);
        for held in &self.held {
            self.vector[held.action] = 1.0;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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

    /// A world whose actions are buttons by name.
    #[test]
    fn buttons_are_the_keys_of_their_names() {
        let now = Instant::now();
        let actions = names(&["mouse_x", "mouse_y", "MOUSE1", "SPACE", "UP", "Q", "S", "W", "wheel"]);
        let mut keys = Keys::new(&actions, false);
        for key in [Key::Char('w'), Key::Char(' '), Key::Up, Key::Char('e')] {
            assert_eq!(keys.press(key, now), None);
        }
        assert_eq!(keys.vector(now), [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(keys.press(Key::Char('q'), now), Some(Command::Quit));
        assert!(
            keys.help(&actions, &[]).starts_with("W A S D, space, arrows and all other letters as their names say, r")
        );
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
