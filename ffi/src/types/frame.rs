//! Frames on their way to the host.

use core::ffi::c_void;

/// `CwImage.format`: bytes R, G, B, A.
pub const CW_FORMAT_RGBA8: u32 = 0;
/// `CwImage.format`: bytes B, G, R, A.
pub const CW_FORMAT_BGRA8: u32 = 1;
/// `CwImage.format`: bytes R, G, B.
pub const CW_FORMAT_RGB8: u32 = 2;

/// `CwImage.flags`: the first row in memory is the lowest of the picture, as OpenGL and Unity have it.
pub const CW_IMAGE_FLIP_Y: u32 = 1;
/// `CwImage.flags`: linear light in 8 bits instead of sRGB, for targets that do not convert.
pub const CW_IMAGE_LINEAR: u32 = 2;

/// Where `cw_session_poll_frame` writes a frame.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwImage {
    /// Set to sizeof(CwImage).
    pub struct_size: u32,
    /// `CW_FORMAT_...`.
    pub format: u32,
    /// `CW_IMAGE_...`, or-ed.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// First byte of the first row in memory.
    pub pixels: *mut c_void,
    /// Bytes at `pixels`.
    pub bytes: usize,
    /// Bytes from one row to the next; 0 for rows without padding.
    pub row_pitch: usize,
}

/// `CwReceipt.alarms`: the mean of the latents.
pub const CW_ALARM_MEAN: u32 = 1;
/// `CwReceipt.alarms`: their spread.
pub const CW_ALARM_SPREAD: u32 = 2;
/// `CwReceipt.alarms`: their detail: pictures melt, or are noise.
pub const CW_ALARM_DETAIL: u32 = 4;
/// `CwReceipt.alarms`: nothing moves, whatever is pressed.
pub const CW_ALARM_FROZEN: u32 = 8;
/// `CwReceipt.alarms`: the world drifts, though nothing is pressed.
pub const CW_ALARM_DRIFT: u32 = 16;
/// `CwReceipt.alarms`: attention looks for far frames.
pub const CW_ALARM_FAR: u32 = 32;

/// What a frame is the first to show, and when it was made. Tickets come from `cw_session_set_action` and `cw_session_queue_event`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CwReceipt {
    /// Set to sizeof(CwReceipt).
    pub struct_size: u32,
    /// Width of the frame in pixels.
    pub width: u32,
    /// Height of the frame in pixels.
    pub height: u32,
    /// Event in force; of a mix the strongest.
    pub event: u32,
    /// Number of the picture in the stream, from 0; without a codec of the latent frame.
    pub frame: u64,
    /// Ticket of the newest action the frame was made with.
    pub action_ticket: u64,
    /// Ticket of the newest event or other change the frame was made under.
    pub event_ticket: u64,
    /// When the frame's chunk took its action, microseconds on the session's clock.
    pub began: u64,
    /// When its pixels were ready.
    pub ready: u64,
    /// 1 if no earlier frame was made with that action.
    pub first_of_action: u32,
    /// 1 if no earlier frame was made under that ticket.
    pub first_of_event: u32,
    /// Number of its chunk, from 0; what the stream starts from counts too.
    pub chunk: u64,
    /// Number of the picture in its chunk ...
    pub picture: u32,
    /// ... of so many.
    pub pictures: u32,
    /// When it should be shown, microseconds on the session's clock: a chunk's pictures are ready at once, and are to be seen one after the other.
    /// Without a pace as `ready`; 0, which is at once, for frames of a snapshot.
    pub present: u64,
    /// Row of the actions that it was made with; 0 where there is one for all.
    pub action_row: u32,
    /// Of changes that take several chunks: parts in force, in 1/65536; 65536 when none is under way.
    pub share: u32,
    /// Denoise steps that the chunk was made in.
    pub steps: u32,
    /// History frames that each of its queries saw; 0 for all.
    pub route: u32,
    /// Latent frames that it saw, sink and chunk among them.
    pub window: u32,
    /// Mean of the chunk's latents, in standard deviations of what the model was trained on: near 0 while all is well.
    pub latent_mean: f32,
    /// Their standard deviation, in the same: near 1 while all is well.
    pub latent_spread: f32,
    /// 0.
    pub reserved: u32,
    /// `CW_ALARM_...`, or-ed: figures of the chunk that are none that the model's footage has. 0 while all is well.
    pub alarms: u32,
    /// Flatness over the channels of the latents, from 0 to 1: it falls where what is fine is lost, and rises where there is only noise.
    pub latent_detail: f32,
    /// Root mean square of the change of latents from frame to frame, in standard deviations; 0 of a first frame.
    pub latent_change: f32,
    /// The same since the world was left alone, from what the first frames of that showed; 0 while it is not.
    pub latent_drift: f32,
    /// Share of heads that prefer a far frame of the past, one older than the newest half of the window, as of the chunk before.
    pub far_share: f32,
    /// Mean age of the frames that its queries were routed to, in latent frames; 0 without a route.
    pub route_age: f32,
}
