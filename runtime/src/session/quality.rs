//! What chunks are made with: denoise steps, history frames per query, window. It may change from chunk to chunk.

use alloc::{format, vec::Vec};

use super::{
    error::SessionError,
    fields::{Fields, size},
};

/// What a chunk is made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Denoise steps.
    pub steps: usize,
    /// History frames that a query sees; 0 for all.
    pub route: usize,
    /// Latent frames seen at once, sink and chunk among them.
    pub window: usize,
}

impl Quality {
    /// Its fields, for a snapshot.
    pub(super) fn fields(&mut self, fields: &mut dyn Fields) -> Result<(), SessionError> {
        [&mut self.steps, &mut self.route, &mut self.window].into_iter().try_for_each(|value| size(fields, value))
    }
}

/// A change of quality: what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QualityChange {
    /// Denoise steps: as many as one of the model's step lists has.
    pub steps: Option<usize>,
    /// History frames per query, up to `most_route` of the options; 0 for all, where that is as many.
    pub route: Option<usize>,
    /// Window, up to the one that the session was created with.
    pub window: Option<usize>,
}

/// To all of it.
impl From<Quality> for QualityChange {
    fn from(Quality { steps, route, window }: Quality) -> Self {
        Self { steps: Some(steps), route: Some(route), window: Some(window) }
    }
}

/// The qualities that a session can have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Qualities {
    /// Lengths of its step lists, the longest first.
    pub steps: Vec<usize>,
    /// Fewest frames of a route, which are kept by force, and most; 0 where routes are fixed.
    pub route: (usize, usize),
    /// Most history frames that there can be.
    pub room: usize,
    /// Smallest and largest window.
    pub window: (usize, usize),
    /// What the session begins with.
    pub own: Quality,
}

impl Qualities {
    /// `now` with a change made to it.
    ///
    /// # Errors
    /// [`SessionError::Quality`].
    pub fn with(&self, now: Quality, change: QualityChange) -> Result<Quality, SessionError> {
        let refused = |what, asked, possible| Err(SessionError::Quality { what, asked, possible });
        let QualityChange { steps, route, window } = change;
        if let Some(asked) = steps.filter(|steps| !self.steps.contains(steps)) {
            let lists = self.steps.iter().map(|steps| format!("{steps}")).collect::<Vec<_>>();
            return refused("steps", asked, format!("it has lists of {}", lists.join(", ")));
        }
        let (least, most) = self.route;
        let fits = |route: usize| match route {
            0 => most >= self.room,
            _ => (least.max(1)..=most).contains(&route),
        };
        if let Some(asked) = route.filter(|&route| route != self.own.route && !fits(route)) {
            let possible = match (most, most >= self.room) {
                (0, _) => "it was created without `most_route`".into(),
                (_, true) => format!("it keeps {} to {most} frames, or 0 for all", least.max(1)),
                (_, false) => format!("it keeps {} to {most} frames", least.max(1)),
            };
            return refused("route", asked, possible);
        }
        let (smallest, largest) = self.window;
        if let Some(asked) = window.filter(|window| !(smallest..=largest).contains(window)) {
            return refused("window", asked, format!("it may be {smallest} to {largest}"));
        }
        Ok(Quality {
            steps: steps.unwrap_or(now.steps),
            route: route.unwrap_or(now.route),
            window: window.unwrap_or(now.window),
        })
    }

    /// The qualities below one that was asked for, each cheaper than the one before: fewer steps, then half the route and half of that.
    fn below(&self, asked: Quality) -> impl Iterator<Item = Quality> + '_ {
        let steps = self.steps.iter().copied().filter(move |&steps| steps < asked.steps);
        let fewest = self.steps.last().map_or(asked.steps, |&last| last.min(asked.steps));
        let (least, most) = self.route;
        let widest = if asked.route == 0 { self.room } else { asked.route };
        let halves = (1..usize::BITS).map(move |half| widest >> half);
        let routes = halves.take_while(move |&route| most > 0 && route >= least.max(1));
        steps.map(move |steps| Quality { steps, ..asked }).chain(routes.map(move |route| Quality {
            steps: fewest,
            route,
            ..asked
        }))
    }

    /// The quality so many rungs below one that was asked for, or the lowest that there is.
    pub fn eased(&self, asked: Quality, rungs: usize) -> Quality {
        self.below(asked).take(rungs).last().unwrap_or(asked)
    }

    /// How many rungs there are below it.
    pub fn rungs(&self, asked: Quality) -> usize {
        self.below(asked).count()
    }

    /// Whether a session can have such a quality.
    pub fn has(&self, quality: Quality) -> bool {
        self.with(quality, quality.into()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qualities() -> Qualities {
        let own = Quality { steps: 4, route: 8, window: 24 };
        Qualities { steps: [4, 2, 1].into(), route: (2, 16), room: 20, window: (4, 24), own }
    }

    #[test]
    fn a_ladder_goes_down_in_steps_and_then_in_routes() {
        let all = qualities();
        let of = |rungs| all.eased(all.own, rungs);
        let ladder: Vec<_> = (0..6).map(of).map(|quality| (quality.steps, quality.route)).collect();
        assert_eq!(ladder, [(4, 8), (2, 8), (1, 8), (1, 4), (1, 2), (1, 2)]);
        assert_eq!(all.rungs(all.own), 4);
        assert_eq!(all.rungs(Quality { steps: 1, route: 2, window: 9 }), 0);
        let fixed = Qualities { route: (0, 0), ..qualities() };
        assert_eq!(fixed.rungs(fixed.own), 2);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        let all = qualities();
        let with = |steps, route, window| all.with(all.own, QualityChange { steps, route, window });
        assert_eq!(with(Some(1), None, Some(4)), Ok(Quality { steps: 1, route: 8, window: 4 }));
        for (change, says) in [
            (with(Some(3), None, None), "steps cannot be 3 in this session: it has lists of 4, 2, 1"),
            (with(None, Some(0), None), "route cannot be 0 in this session: it keeps 2 to 16 frames"),
            (with(None, Some(17), None), "route cannot be 17 in this session: it keeps 2 to 16 frames"),
            (with(None, None, Some(25)), "window cannot be 25 in this session: it may be 4 to 24"),
        ] {
            assert_eq!(alloc::format!("{}", change.unwrap_err()), says);
        }
        let whole = Qualities { route: (1, 20), ..qualities() };
        assert!(whole.has(Quality { steps: 2, route: 0, window: 24 }));
    }
}
