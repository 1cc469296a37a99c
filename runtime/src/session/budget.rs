//! How far a call of [`Session::pump`](super::Session::pump) goes, and what it comes to.

/// How far [`Session::pump`](super::Session::pump) may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Until a frame is ready; may wait for the GPU.
    Frame,
    /// About this many microseconds of the session's clock; at least one node.
    Micros(u64),
    /// This many nodes.
    Nodes(usize),
}

/// What a call of [`Session::pump`](super::Session::pump) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pump {
    /// A frame became ready: see [`Session::frame`](super::Session::frame).
    Frame,
    /// The budget is spent, or the GPU is busy; pump again.
    Pending,
    /// The host holds all frame buffers; call [`Session::release`](super::Session::release).
    Full,
    /// The next chunk's time has not come: there is nothing to do for so many microseconds of the session's clock ([`Pace`](super::Pace)).
    Early(u64),
}

/// Counters of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames made.
    pub frames: u64,
    /// Nodes run.
    pub nodes: u64,
    /// Chunks aborted.
    pub aborted: u64,
}

/// What a round of pumping came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A frame was finished.
    Frame,
    /// The budget is spent.
    Pending,
    /// All frame buffers are full.
    Full,
    /// It is paused.
    Paused,
    /// There is nothing to do for so many microseconds.
    Early(u64),
}

/// How often and how long a shared session was pumped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pumped {
    /// Rounds.
    pub rounds: u64,
    /// Microseconds in all, and of the longest round.
    pub micros: u64,
    /// Of the longest round.
    pub longest: u64,
}
