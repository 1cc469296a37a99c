//! What the host of a game writes.

use causeway_ops::BufferId;

/// What a game is told beside a picture's features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GameInputs {
    /// The keys of the rows that a frame sees [most frames of a pass, rows, keys].
    pub keys: BufferId,
    /// The same of the mouse, where there is one.
    pub mouse: Option<BufferId>,
    /// The picture condition [most frames of a pass, height, width, channels].
    pub condition: BufferId,
}
