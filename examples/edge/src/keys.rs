//! A keyboard as Linux tells of it: a file of records, one for each key that goes down or up.

use std::{
    fs,
    io::Read,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc::{Receiver, channel},
    },
    thread,
};

use causeway_runtime::{EventTime, Session, SessionError};

/// Bytes of a record on 64-bit Linux: a time of 16, then type, code and value.
const RECORD: usize = 24;
/// The type of keys.
const KEY: u16 = 1;

/// The first five actions of a world, as the demo's are called, and the keys that hold them down: arrows, WASD, space and return.
const ACTIONS: [(&str, [u16; 2]); 5] =
    [("forward", [103, 17]), ("back", [108, 31]), ("left", [105, 30]), ("right", [106, 32]), ("use", [57, 28])];

/// Keys that are down, a bit for each of [`ACTIONS`]; and events that were asked for.
pub struct Keys {
    held: Arc<AtomicU64>,
    events: Receiver<usize>,
}

impl Keys {
    /// Listens to a device until it is gone.
    pub fn open(path: &Path) -> Result<Self, String> {
        let mut file = fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let (held, (sender, events)) = (Arc::new(AtomicU64::new(0)), channel());
        let down = held.clone();
        thread::spawn(move || {
            let mut record = [0; RECORD];
            while file.read_exact(&mut record).is_ok() {
                let half = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
                let (kind, code, value) = (half(16), half(18), half(20));
                if kind != KEY {
                    continue;
                }
                // Digits 1 to 9 are codes 2 to 10.
                if value == 1 && (2..=10).contains(&code) && sender.send(usize::from(code) - 2).is_err() {
                    return;
                }
                for (at, (_, codes)) in ACTIONS.iter().enumerate().filter(|(_, (_, codes))| codes.contains(&code)) {
                    let bit = 1 << (2 * at + usize::from(codes[1] == code));
                    // 2 is a key that repeats.
                    if value == 0 {
                        down.fetch_and(!bit, SeqCst)
                    } else {
                        down.fetch_or(bit, SeqCst)
                    };
                }
            }
            down.store(0, SeqCst);
        });
        Ok(Self { held, events })
    }

    /// Tells a world what is held, where that is not what was `told`, and of events; returns what is told now.
    pub fn tell(&self, session: &mut Session, told: u64) -> Result<u64, SessionError> {
        while let Ok(event) = self.events.try_recv() {
            if event < session.events().len() {
                session.queue_event(event, EventTime::NextChunk)?;
            }
        }
        let held = self.held.load(SeqCst);
        if held != told {
            let down = |name: &String| {
                ACTIONS.iter().position(|(action, _)| action == name).is_some_and(|at| held >> (2 * at) & 3 != 0)
            };
            let action: Vec<f32> = session.actions().iter().map(|name| f32::from(u8::from(down(name)))).collect();
            session.set_action(&action)?;
        }
        Ok(held)
    }
}
