//! Memory of streams that change what they are told: what a session says it holds is what it holds, and a steady stream allocates nothing.

mod common;

use causeway_runtime::{
    Budget, Device, Pump, Session, SessionError, SessionOptions,
    session::{Change, Condition, Output, QualityChange, Sink, Way},
};
use causeway_tests::counting::{Counting, calls, held};
use common::play::{CHUNK, Cast, ROWS, VARIANTS, WIDTH, casts, random};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Chunks of a steady stream.
const CHUNKS: usize = 100;

/// Changes of every kind, again and again: a prompt or event at once, computed anew, in parts, with a new sink, after a cut.
const CHANGES: [(Way, Sink, usize); 6] = [
    (Way::Keep, Sink::Kept, 1),
    (Way::Recache, Sink::Kept, 1),
    (Way::Recache, Sink::Kept, 3),
    (Way::Recache, Sink::Refreshed, 2),
    (Way::Reset, Sink::Kept, 2),
    (Way::Keep, Sink::Kept, 4),
];

/// What a host says and takes, in memory of its own.
struct Host {
    frame: Vec<u8>,
    snapshot: Vec<u8>,
    prompts: Vec<f32>,
    action: Vec<f32>,
    /// Lists of steps, and routes, that the session can have.
    steps: Vec<usize>,
    routes: Vec<usize>,
}

impl Host {
    fn new(session: &mut Session, lists: impl Iterator<Item = usize>, snapshot: usize) -> Self {
        let own = session.quality();
        let mut can = |change| session.set_quality(change).is_ok();
        let steps =
            lists.filter(|&steps| can(QualityChange { steps: Some(steps), ..QualityChange::default() })).collect();
        let routes =
            (0..4).filter(|&route| can(QualityChange { route: Some(route), ..QualityChange::default() })).collect();
        session.set_quality(own.into()).unwrap();
        Self {
            frame: vec![0; session.frame_bytes()],
            snapshot: vec![0; snapshot],
            prompts: random(1, 4 * ROWS * WIDTH),
            action: vec![0.5; session.actions().len()],
            steps,
            routes,
        }
    }

    /// Plays so many chunks, with a change in every other one.
    fn play(&mut self, cast: &Cast, session: &mut Session, chunks: usize) {
        let guided = session.plan().buffers.iter().any(|buffer| buffer.name == "text_offsets.negative");
        for chunk in 0..chunks {
            if chunk % 2 == 0 {
                let slot = chunk / 2 % 3;
                let condition = if cast.prompts() {
                    let rows = 1 + chunk % ROWS;
                    session.set_prompt(slot, &self.prompts[chunk % 50..][..rows * WIDTH]).unwrap();
                    Condition::Prompt(slot)
                } else if slot == 0 {
                    Condition::Mix(&[0.25, 0.25, 0.5])
                } else {
                    Condition::Event(slot)
                };
                let (way, sink, chunks) = CHANGES[chunk / 2 % CHANGES.len()];
                session.queue(Change { way, sink, chunks, ..Change::to(condition) }).unwrap();
                if guided && chunk % 6 == 0 {
                    session.queue(Change { way, ..Change::to(Condition::Negative(slot)) }).unwrap();
                }
            }
            let window = session.ring().window - chunk % 2;
            let some = |all: &[usize]| (!all.is_empty()).then(|| all[chunk / 2 % all.len()]);
            let (steps, route) = (some(&self.steps), some(&self.routes));
            session.set_quality(QualityChange { steps, route, window: Some(window) }).unwrap();
            session.set_action(&self.action).unwrap();
            let end = session.position() + CHUNK as u64;
            let mut aborted = false;
            while session.position() < end {
                if session.pump(Budget::Nodes(37)).unwrap() == Pump::Frame {
                    session.swap_frame(&mut self.frame).unwrap();
                }
                if !aborted {
                    aborted = session.abort_chunk();
                    let bytes = session.snapshot_bytes();
                    session.snapshot_into(&mut self.snapshot[..bytes]).unwrap();
                }
            }
        }
    }
}

/// One test, since the counters belong to the whole process.
#[test]
fn bytes_are_as_planned_and_steady_streams_allocate_nothing() {
    for cast in casts("allocations") {
        // A VAE takes its time.
        let slow = |variant: &&str| cast.name == "Wan and VAE" && !["plain", "guided", "picture"].contains(variant);
        for variant in VARIANTS.into_iter().filter(|variant| !slow(variant)) {
            let what = format!("{} {variant}", cast.name);
            let options = || SessionOptions { prompt_slots: cast.prompts().then_some(3), ..cast.options(variant) };
            let codec = cast.codec.as_ref().filter(|_| options().output == Output::Pictures);
            let need = |options| Session::need(&cast.model, codec, &Device::cpu(1), options).unwrap();
            let (needed, needs) = (need(options()).memory.total(), need(options()));

            let before = held();
            let mut session = cast.create(SessionOptions { memory_cap: Some(needed), ..options() }, 1).unwrap();
            let real = held() - before;
            assert_eq!(session.memory(), needs.memory, "{what}");
            let short = cast.create(SessionOptions { memory_cap: Some(needed - 1), ..options() }, 1).err();
            assert_eq!(short, Some(SessionError::MemoryCap { needed, cap: needed - 1 }), "{what}");
            println!("{what}: planned {needed}, held {real}");
            // The names of actions and events, and what holds the parts together.
            assert!(real.abs_diff(needed) <= 4096, "{what}: planned {needed}, held {real}");

            let lists = cast.model.config().schedule.steps.keys().copied();
            let mut host = Host::new(&mut session, lists, needs.snapshot);
            host.play(&cast, &mut session, 12);
            let before = (calls(), held());
            host.play(&cast, &mut session, CHUNKS);
            assert_eq!((calls() - before.0, held()), (0, before.1), "{what}: the stream allocates");
            assert_eq!(session.memory(), needs.memory, "{what}");
        }
    }
}
