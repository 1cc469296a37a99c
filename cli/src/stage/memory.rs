//! What a session sees of its past, which the key `m` changes while one plays: the same world with routing, with all history, and with a window
//! as short as a route.

use std::fmt;

use causeway_runtime::{
    ModelConfig,
    session::{QualityChange, Ring},
};

use crate::options::session::SessionArgs;

/// History frames of a route where neither the player nor the file names any.
const ROUTE: usize = 6;

/// Which frames of history a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Those of the window that suit it best.
    Routed,
    /// All of the window.
    All,
    /// The newest ones, as many as would be routed.
    Short,
}

/// What a session sees of its past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    kind: Kind,
    /// Frames of a route, and of the short window beside the chunk.
    frames: usize,
}

impl Memory {
    /// What `args` ask for with a model of this configuration.
    pub fn of(args: &SessionArgs, config: &ModelConfig) -> Self {
        let window = args.window.unwrap_or(config.history.window);
        let most = window.saturating_sub(config.dit.chunk).max(1);
        let asked = args.route.unwrap_or(config.history.route);
        let kind = if asked > 0 { Kind::Routed } else { Kind::All };
        let named = [asked, config.history.route].into_iter().find(|&route| route > 0);
        Self { kind, frames: named.unwrap_or(ROUTE).min(most) }
    }

    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        let kind = match self.kind {
            Kind::Routed => Kind::All,
            Kind::All => Kind::Short,
            Kind::Short => Kind::Routed,
        };
        Self { kind, ..self }
    }

    /// The change of quality that makes it so in a session of this ring, where one does: a sink stays in a short window too.
    pub fn change(self, ring: Ring) -> Option<QualityChange> {
        let (route, window) = match self.kind {
            Kind::Routed => (self.frames, ring.window),
            Kind::All => (0, ring.window),
            Kind::Short if ring.sink == 0 => (0, self.frames + ring.chunk),
            Kind::Short => return None,
        };
        Some(QualityChange { route: Some(route), window: Some(window), ..QualityChange::default() })
    }

    /// `args` with this memory.
    pub fn applied(self, args: &SessionArgs, config: &ModelConfig) -> SessionArgs {
        let mut args = args.clone();
        match self.kind {
            Kind::Routed => args.route = Some(self.frames),
            Kind::All => args.route = Some(0),
            Kind::Short => {
                args.route = Some(0);
                args.sink = Some(0);
                args.window = Some(self.frames + config.dit.chunk);
            }
        }
        args
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Routed => write!(f, "routed to {}", self.frames),
            Kind::All => f.write_str("all history"),
            Kind::Short => write!(f, "last {} only", self.frames),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_tests::tiny::tiny_config;

    /// Whatever was asked for, `m` goes through all three, at one cost where there is a choice, and comes back.
    #[test]
    fn m_goes_round() {
        let mut config = tiny_config();
        (config.history.window, config.history.sink, config.history.route, config.dit.chunk) = (12, 1, 0, 1);
        for (line, names) in [
            ("", ["all history", "last 6 only", "routed to 6"]),
            ("--route 4", ["routed to 4", "all history", "last 4 only"]),
            ("--window 4", ["all history", "last 3 only", "routed to 3"]),
        ] {
            let args = SessionArgs::parsed(line);
            let mut memory = Memory::of(&args, &config);
            for name in names {
                assert_eq!(memory.to_string(), name, "{line}");
                let applied = memory.applied(&args, &config);
                let route = applied.route.expect("a route");
                let window = applied.window.unwrap_or(config.history.window);
                let seen = if route > 0 { route } else { window - 1 };
                assert!(name == "all history" || name.contains(&format!(" {seen}")), "{name}: {seen}");
                memory = memory.next();
            }
            assert_eq!(memory, Memory::of(&args, &config));
        }
    }
}
