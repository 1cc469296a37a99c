//! Stage `ode`: few-step initialisation by regression onto a teacher's probability-flow trajectories (Causal Forcing stage 2a, spec
//! 5.4; with a bidirectional teacher the initialisation of CausVid and Self Forcing).
//!
//! A trajectory starts from noise and ends, by many Euler steps, in a clean frame. The student is shown a state on the way and must
//! name the end. That is a function only if the end depends on nothing the student does not see. A teacher that reads the past
//! alone fulfils this frame by frame; the end of a bidirectional one also depends on the noise of frames to come, and the student
//! can do no better than their average: blur.

use std::collections::HashMap;
use std::path::Path;
use std::thread::ScopedJoinHandle;

use burn::tensor::Device;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::footage::latents::{Windows, warp};
use crate::method::teacher_forcing::{Regression, World};
use crate::net::dit;
use crate::net::mask::Mask;
use crate::net::weights::Weights;
use crate::rng::Rng;
use crate::train::optim::Rule;
use crate::train::state::{StateError, bytes_of, floats_in, read_if_there, write_whole};
use crate::train::trainer::{Figures, Job, Stage};

/// Euler steps of a trajectory (published: 48). A multiple of the students' steps, so that their levels are on the way.
const EULER: usize = 16;

/// Trajectories integrated at once.
const TOGETHER: usize = 32;

/// Stored trajectories of a teacher.
pub struct Trajectories {
    /// Actions and events; `real` holds the clean history that students get in teacher forcing.
    pub windows: Windows,
    /// Noise levels at which states were kept, falling.
    pub levels: Vec<f32>,
    /// States at these levels, each [B, F, C, H, W].
    pub states: Vec<Vec<f32>>,
    /// Where the trajectories end [B, F, C, H, W].
    pub ends: Vec<f32>,
}

impl Trajectories {
    /// Runs `teacher` from noise over `count` windows. Under [`Mask::TeacherForcing`] every frame continues the real history, which
    /// the windows keep; under [`Mask::Full`] all frames move together, and their ends become the history.
    pub fn record(world: &World<'_>, teacher: &Weights, device: &Device, mask: Mask, count: usize, seed: u64) -> Self {
        Self::record_on(1, world, teacher, device, mask, count, seed)
    }

    /// The same on `threads` threads.
    pub fn record_on(
        threads: usize,
        world: &World<'_>,
        teacher: &Weights,
        device: &Device,
        mask: Mask,
        count: usize,
        seed: u64,
    ) -> Self {
        let mut rng = Rng::new(seed);
        let windows = world.data.windows(count, world.frames, &mut rng);
        let noise = rng.normals(windows.real.len());
        let mut out = Self::along(threads, world, teacher, device, mask, windows, &noise);
        if mask == Mask::Full {
            out.windows.real.clone_from(&out.ends);
        }
        out
    }

    /// Those of `teacher` from the same noise over the same windows, with their clean history.
    #[must_use]
    pub fn retraced(&self, world: &World<'_>, teacher: &Weights, device: &Device, mask: Mask) -> Self {
        // The first level is that of pure noise.
        Self::along(1, world, teacher, device, mask, self.windows.clone(), &self.states[0])
    }

    /// Those from `noise` over `windows`.
    fn along(
        threads: usize,
        world: &World<'_>,
        teacher: &Weights,
        device: &Device,
        mask: Mask,
        windows: Windows,
        noise: &[f32],
    ) -> Self {
        let (count, schedule) = (windows.batch, &world.config.schedule);
        let most = schedule.steps.keys().rev().find(|&steps| EULER.is_multiple_of(*steps));
        let levels = most.and_then(|&steps| schedule.sigmas(steps)).unwrap_or_else(|| vec![1.0]);
        let mut out = Self { levels, states: Vec::new(), ends: Vec::new(), windows: Windows::default() };
        out.states = vec![Vec::with_capacity(noise.len()); out.levels.len()];
        let path = |first: usize| {
            let part = windows.worlds(first, TOGETHER.min(count - first));
            let at = first * windows.frames * windows.len;
            integrate(world, teacher, device, mask, &part, &noise[at..at + part.real.len()])
        };
        let firsts: Vec<usize> = (0..count).step_by(TOGETHER).collect();
        for round in firsts.chunks(threads.max(1)) {
            let paths = std::thread::scope(|scope| {
                let workers: Vec<_> = round.iter().map(|first| scope.spawn(|| path(*first))).collect();
                let join = |w: ScopedJoinHandle<'_, _>| w.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
                workers.into_iter().map(join).collect::<Vec<_>>()
            });
            for (i, state) in paths.into_iter().flat_map(|path| path.into_iter().enumerate()) {
                // The path's nodes that a student starts from are evenly spread over it.
                match (i % (EULER / out.levels.len()), i / (EULER / out.levels.len())) {
                    _ if i == EULER => out.ends.extend(state),
                    (0, kept) => out.states[kept].extend(state),
                    _ => {}
                }
            }
        }
        Self { windows, ..out }
    }

    /// Writes them to `path` as the trajectories of `what`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save(&self, path: &Path, what: &str) -> Result<(), StateError> {
        let fail = |e: safetensors::SafeTensorError| StateError::Format { path: path.into(), reason: e.to_string() };
        let (windows, states) = (&self.windows, self.states.concat());
        let arrays = [&self.levels, &states, &self.ends, &windows.real, &windows.before, &windows.actions];
        let mut all: Vec<_> =
            NAMES.into_iter().zip(arrays).map(|(n, a)| (n, Dtype::F32, a.len(), bytes_of(a))).collect();
        all.push(("events", Dtype::U8, windows.events.len(), windows.events.clone()));
        let view = |(name, dtype, len, bytes)| TensorView::new(dtype, vec![len], bytes).map(|view| (name, view));
        let views = all.iter().map(|(name, dtype, len, bytes)| view((*name, *dtype, *len, bytes)));
        let views = views.collect::<Result<Vec<_>, _>>().map_err(fail)?;
        let notes = HashMap::from([("what".to_owned(), what.to_owned())]);
        write_whole(path, &safetensors::serialize(views, Some(notes)).map_err(fail)?)
    }

    /// Reads what [`Self::save`] wrote; `None` if there is no such file, or one of something other than `what`.
    ///
    /// # Errors
    /// [`StateError`] when the file cannot be read or is damaged.
    pub fn load(path: &Path, what: &str) -> Result<Option<Self>, StateError> {
        let Some(bytes) = read_if_there(path)? else { return Ok(None) };
        let fail = |reason: String| StateError::Format { path: path.into(), reason };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| fail(e.to_string()))?;
        if header.metadata().as_ref().and_then(|notes| notes.get("what")).is_none_or(|found| found != what) {
            return Ok(None);
        }
        let file = SafeTensors::deserialize(&bytes).map_err(|e| fail(e.to_string()))?;
        let found = NAMES.map(|name| floats_in(&file, name).ok_or_else(|| fail(format!("no f32 array {name}"))));
        let [levels, states, ends, real, before, actions] = found;
        let (levels, states, ends, real, before, actions) = (levels?, states?, ends?, real?, before?, actions?);
        let events = file.tensor("events").map_err(|e| fail(e.to_string()))?.data().to_vec();
        let batch = before.len() * events.len() / real.len().max(1);
        let frames = events.len() / batch.max(1);
        let len = before.len() / batch.max(1);
        let fits = batch * frames * len == real.len() && ends.len() == real.len() && batch > 0;
        if !fits || states.len() != levels.len() * ends.len() {
            return Err(fail("arrays of sizes that do not belong together".into()));
        }
        let states = states.chunks_exact(ends.len()).map(<[f32]>::to_vec).collect();
        let windows =
            Windows { batch, frames, len, real, before, actions, events, firsts: Vec::new(), blind: Vec::new() };
        Ok(Some(Self { windows, levels, states, ends }))
    }
}

/// The arrays of stored trajectories, but for events.
const NAMES: [&str; 6] = ["levels", "states", "ends", "real", "before", "actions"];

/// The states of `windows` from `noise` [B, F, C, H, W] to the end: [`EULER`] + 1 of them.
pub fn integrate(
    world: &World<'_>,
    teacher: &Weights,
    device: &Device,
    mask: Mask,
    windows: &Windows,
    noise: &[f32],
) -> Vec<Vec<f32>> {
    let level = |i: usize| warp(1.0 - i as f32 / EULER as f32, world.config.schedule.shift);
    let mut path = vec![noise.to_vec()];
    for i in 0..EULER {
        let (x, sigma) = (&path[i], vec![level(i); windows.batch * windows.frames]);
        let v = world.velocity(teacher, device, mask, &windows.arranged(mask, &windows.real, x, &sigma));
        let by = level(i) - level(i + 1);
        path.push(x.iter().zip(&v).map(|(x, v)| x - by * v).collect());
    }
    path
}

/// Regression onto stored trajectories.
pub struct OdeDistillation<'a> {
    /// Settings.
    pub world: World<'a>,
    /// What to learn.
    pub trajectories: &'a Trajectories,
    /// What the student sees: clean history under [`Mask::TeacherForcing`], the noisy states before it under [`Mask::Causal`].
    pub mask: Mask,
}

impl OdeDistillation<'_> {
    /// The student's task on `windows` of trajectories, from the states of one level (spec 5.4: one for all frames).
    pub fn regression(&self, first: usize, batch: usize, level: usize) -> Regression {
        let t = self.trajectories;
        let windows = t.windows.worlds(first, batch);
        let at = first * windows.frames * windows.len;
        let (x, ends) = (&t.states[level][at..][..windows.real.len()], &t.ends[at..][..windows.real.len()]);
        let sigma = vec![t.levels[level]; windows.batch * windows.frames];
        // x - sigma v is to be the end.
        let goal: Vec<f32> = x.iter().zip(ends).map(|(x, end)| x - end).collect();
        Regression {
            mask: self.mask,
            input: windows.arranged(self.mask, &windows.real, x, &sigma),
            goal: dit::to_tokens(&self.world.config.dit, &goal),
            scale: sigma,
        }
    }
}

impl Stage for OdeDistillation<'_> {
    fn name(&self) -> &'static str {
        "ode"
    }

    fn batch(&self) -> usize {
        self.world.batch
    }

    fn rule(&self) -> Rule {
        self.world.rule
    }

    fn gradient(&self, mut job: Job<'_>, flat: &mut [f32]) -> (f32, usize) {
        let (rng, t) = (&mut job.rng, self.trajectories);
        let first = rng.below(t.windows.batch - job.share + 1);
        let r = self.regression(first, job.share, rng.below(t.levels.len()));
        self.world.gradient(&job.state.weights, &job.device, &r, flat)
    }

    fn inspect(&self, net: &Weights, device: &Device, dir: &Path, step: u64) -> Result<Figures, StateError> {
        self.world.roll_few(net, device, dir, (self.name(), step))
    }
}
