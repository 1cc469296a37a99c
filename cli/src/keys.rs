//! From keys to actions, the same for terminal and window.
//!
//! A key that was pressed stays down at least until a frame shows it, so that a tap between two chunks is never lost.

use std::time::{Duration, Instant};

/// A key that matters to a world. Letters are lower-case.
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
    /// A letter, a digit or the space.
    Char(char),
}

/// What a key asks for besides an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// End.
    Quit,
    /// Back to the first frame.
    Reset,
    /// Switch to the event of this index.
    Event(usize),
}

/// Terminals report no releases; a key counts as down for this long after its last repeat.
const HOLD: Duration = Duration::from_millis(150);

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
const SPARE: &str = "efcvxztgbyhnujmikolp";

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
    /// Whether releases are reported.
    releases: bool,
    held: Vec<Held>,
    vector: Vec<f32>,
}

impl Keys {
    /// Keys for a model with these actions; `releases` tells whether [`Self::release`] will be called.
    pub fn new(actions: &[String], releases: bool) -> Self {
        let mut spare = SPARE.chars();
        let mut bindings = Vec::new();
        for (index, action) in actions.iter().enumerate() {
            match USUAL.iter().find(|(name, _)| name == action) {
                Some((_, keys)) => bindings.extend(keys.iter().map(|&key| (key, index))),
                None => bindings.extend(spare.next().map(|letter| (Key::Char(letter), index))),
            }
        }
        Self { bindings, releases, held: Vec::new(), vector: vec![0.0; actions.len()] }
    }

    /// A key went down, or repeats.
    pub fn press(&mut self, key: Key, now: Instant) -> Option<Command> {
        match key {
            Key::Escape | Key::Char('q') => return Some(Command::Quit),
            Key::Char('r') => return Some(Command::Reset),
            Key::Char(digit @ '1'..='9') => return Some(Command::Event(digit as usize - '1' as usize)),
            _ => {}
        }
        let action = self.bindings.iter().find(|(bound, _)| *bound == key)?.1;
        let until = (!self.releases).then(|| now + HOLD);
        match self.held.iter_mut().find(|held| held.key == key) {
            Some(held) => held.until = until,
            None => self.held.push(Held { key, action, until, ticket: None, shown: false }),
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
        assert_eq!(keys.vector(now + HOLD / 2), [1.0]);
        keys.press(Key::Up, now + HOLD / 2);
        assert_eq!(keys.vector(now + HOLD), [1.0]);
        assert_eq!(keys.vector(now + 2 * HOLD), [0.0]);
    }
}
