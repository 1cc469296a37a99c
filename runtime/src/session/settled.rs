//! Options after the model file's defaults are filled in and everything is checked.

use alloc::{vec, vec::Vec};

use super::{
    quality::{Qualities, Quality},
    ring::Ring,
    rules::Rules,
};
use crate::{
    config::{DitConfig, HealthConfig, LimitsConfig},
    model::{CodecSource, Groups, Levels, Past, Recache, StreamShape},
    sampler::{Sampling, Schedule},
};

/// What a session's options come to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settled {
    /// The denoiser at the stream's chunk and size.
    pub dit: DitConfig,
    /// Of each group of layers, the first of those that no other has.
    pub rings: Vec<Ring>,
    pub groups: Groups,
    pub first: usize,
    /// Frames of those given that are committed at once: the first time, and later.
    pub given: [usize; 2],
    /// How chunks are sampled at first, and all lists of noise levels that they may step through, the longest first.
    pub sampling: Sampling,
    pub lists: Vec<Schedule>,
    pub context_timestep: f32,
    pub event: usize,
    /// Rows that prompts are padded to, and the most they may have; 0 where the model reads none.
    pub length: usize,
    pub rows: usize,
    pub slots: usize,
    pub recache: bool,
    pub limits: LimitsConfig,
    pub health: HealthConfig,
    /// Whether the host may give pictures to start from.
    pub picture: bool,
    pub exact: bool,
}

impl Settled {
    /// Newest frames that a recache may ask for.
    pub fn newest(&self) -> usize {
        if self.recache { self.ring().window } else { 0 }
    }

    /// The ring of the first group.
    pub fn ring(&self) -> &Ring {
        &self.rings[0]
    }

    /// What a session of these options accepts, whose actions last `latch` latent frames and whose chunks have `pictures` pictures, and which
    /// can be given one of `placed` bytes.
    pub fn rules(&self, latch: usize, pictures: usize, placed: usize) -> Rules {
        Rules {
            actions: self.dit.actions.clone(),
            events: self.dit.events.clone(),
            latch,
            pictures,
            placed,
            width: self.dit.text.map_or(0, |text| text.dim),
            rows: self.rows,
            whole: self.dit.game().is_some(),
            slots: self.slots,
            limits: self.limits,
            guided: self.sampling.guided(),
            recache: self.recache,
            qualities: self.qualities(),
        }
    }

    /// What the plan depends on.
    pub fn shape<'a>(&'a self, codec: Option<CodecSource<'a>>) -> StreamShape<'a> {
        StreamShape {
            dit: &self.dit,
            first: self.first,
            given: self.given,
            groups: self.groups.clone(),
            text_rows: if self.dit.text.is_some() { self.text_rows() } else { 0 },
            guided: self.sampling.guided(),
            recache: if self.recache { self.recaches() } else { Vec::new() },
            levels: if self.exact && self.dit.waypoint().is_none() { Levels::Given } else { self.levels() },
            sampler: self.sampling.sampler,
            exact: self.exact,
            codec,
            picture: self.picture,
        }
    }

    /// Rows of text: the one after the last stands for the padding, which a picture's features have none of.
    pub fn text_rows(&self) -> usize {
        self.rows + usize::from(self.dit.game().is_none())
    }

    /// Rows of actions of the stream's first latent frame and of every other: one for each of the `pictures` that they make, in a game whether
    /// these are made or not.
    pub fn rows_each(&self, pictures: [usize; 2]) -> [usize; 2] {
        self.dit.game().map_or(pictures, |game| [1, game.pictures])
    }

    /// Whether so many frames can be given in whole programs.
    pub fn whole(&self, frames: usize) -> bool {
        let [first, later] = self.given;
        frames == 0 || frames >= first && (frames - first).is_multiple_of(later)
    }

    /// The noise levels that a chunk of so many steps goes through, which may be the stream's first.
    pub fn schedule(&self, first: bool, steps: usize) -> &Schedule {
        let own = self.sampling.first.as_ref().filter(|_| first);
        let of = || self.lists.iter().find(|list| list.len() == steps);
        own.or_else(of).unwrap_or(&self.sampling.schedule)
    }

    /// Timesteps: of all lists, of the first chunk where it has its own, of clean frames.
    fn levels(&self) -> Levels {
        let all = self.lists.iter().chain(&self.sampling.first).flat_map(|list| &list.timesteps);
        Levels::Table(all.copied().chain([self.context_timestep]).collect())
    }

    /// Row of the table of timesteps for clean frames.
    pub fn clean_row(&self) -> u32 {
        self.lists.iter().chain(&self.sampling.first).map(Schedule::len).sum::<usize>() as u32
    }

    /// Row of the table of timesteps for a denoise step of a chunk of so many steps.
    pub fn row(&self, first: bool, steps: usize, step: usize) -> u32 {
        let before = |list: &&Schedule| (first && self.sampling.first.is_some()) || list.len() != steps;
        (self.lists.iter().take_while(before).map(Schedule::len).sum::<usize>() + step) as u32
    }

    /// The qualities that a stream can have.
    pub fn qualities(&self) -> Qualities {
        let (ring, past) = (self.ring(), self.groups.pasts[0]);
        let Past { route, most_route, route_sink, route_recent, .. } = past;
        let own = Quality { steps: self.sampling.schedule.len(), route, window: ring.window };
        // A world's chunk needs a frame before it.
        let least = ring.sink.max(usize::from(self.dit.text.is_none()));
        Qualities {
            steps: self.lists.iter().map(Schedule::len).collect(),
            route: if most_route == 0 { (0, 0) } else { (route_sink + route_recent, most_route) },
            room: ring.max_history(),
            window: ((ring.chunk + least).min(ring.window), ring.window),
            own,
        }
    }

    /// What there can be to compute anew: all of a stream that its window still holds from the first frame on, as it is after each chunk; then
    /// the window, behind its sink where that is kept.
    fn recaches(&self) -> Vec<Recache> {
        let &Ring { window, sink, chunk, .. } = self.ring();
        let from = if self.given[1] < chunk { 1 } else { self.first.min(self.given[0]) };
        let young = |from: usize| (from..=window).step_by(if self.given[1] < chunk { 1 } else { chunk });
        let wanted: Vec<usize> = young(from).chain(young(self.first)).chain(young(chunk)).chain([window]).collect();
        let frames = (1..=window).filter(|frames| wanted.contains(frames)).collect();
        let mut recaches = vec![Recache { history: 0, frames }];
        if sink > 0 {
            recaches.push(Recache { history: sink, frames: vec![window - sink] });
        }
        recaches
    }
}
