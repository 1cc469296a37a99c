//! What becomes of a chunk whose health alarms.

/// What becomes of a made chunk of which a figure alarms ([`Health`](super::Health)), before anything remembers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// It is given; its receipts name the alarms.
    #[default]
    Report,
    /// It is dropped, and pumping returns [`SessionError::Unhealthy`](super::SessionError::Unhealthy): the host may rewind, cut, place a picture.
    /// Pumped on, the stream makes that chunk again and gives it.
    Hold,
    /// It is dropped and made again with the smallest window that the session can have, so that far frames are not seen; that one is given.
    Near,
}
