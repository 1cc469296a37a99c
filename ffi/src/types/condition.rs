//! Changes of what a stream is told.

/// `CwCondition.kind`: event number `index`.
pub const CW_CONDITION_EVENT: u32 = 0;
/// `CwCondition.kind`: events in parts, `weights`.
pub const CW_CONDITION_MIX: u32 = 1;
/// `CwCondition.kind`: the prompt in slot `index`.
pub const CW_CONDITION_PROMPT: u32 = 2;
/// `CwCondition.kind`: the prompt in slot `index` as what guidance leads away from.
pub const CW_CONDITION_NEGATIVE: u32 = 3;

/// `CwCondition.way`: the past stays as it is, and the new condition has a slow effect.
pub const CW_WAY_KEEP: u32 = 0;
/// `CwCondition.way`: the window is computed anew under the new condition, and the stream goes on smoothly. The session must have been
/// created with `recache`.
pub const CW_WAY_RECACHE: u32 = 1;
/// `CwCondition.way`: the past is forgotten.
pub const CW_WAY_RESET: u32 = 2;
/// `CwCondition.way`: a new shot. The past stays, and routes find it, but the next chunk need not follow the newest frame.
pub const CW_WAY_CUT: u32 = 3;

/// `CwCondition.sink`: the first frames keep what they have.
pub const CW_SINK_KEPT: u32 = 0;
/// `CwCondition.sink`: the oldest frames of the window take their place.
pub const CW_SINK_REFRESHED: u32 = 1;

/// A change of what a stream is told. Set all that is not used to 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwCondition {
    /// Set to sizeof(CwCondition).
    pub struct_size: u32,
    /// `CW_CONDITION_...`.
    pub kind: u32,
    /// Event, or prompt slot.
    pub index: u32,
    /// `CW_WAY_...`: what becomes of the past.
    pub way: u32,
    /// `CW_SINK_...`, with `CW_WAY_RECACHE`.
    pub sink: u32,
    /// Over so many chunks the old condition goes over into the new one; 0 and 1: at once. A recache follows each part.
    pub chunks: u32,
    /// First picture of the stream (without a codec: latent frame) that may show it; 0: with the next chunk.
    pub frame: u64,
    /// `CW_CONDITION_MIX`: a weight for each event, 0 or more and finite, of sum 1 within 0.001. Copied.
    pub weights: *const f32,
    /// Numbers at `weights`.
    pub weight_count: u32,
    /// 0.
    pub reserved: u32,
}
