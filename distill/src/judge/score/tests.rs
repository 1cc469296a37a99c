//! The score of dreamers whose marks are known, for the renderer itself dreams.

use std::sync::LazyLock;

use causeway_runtime::SessionError;

use super::dreamer::{Dreamer, Memory, Real, SHOWN};
use super::held::Held;
use super::truth::Truth;
use super::*;
use crate::footage::world::facts::Facts;
use crate::footage::world::{KEEP, Key, Scene, Size, View, World};

const SIZE: Size = Size { width: 32, height: 32 };
const SCENE: fn() -> Scene = || Scene { map: &KEEP, size: SIZE };

static FACTS: LazyLock<Facts> = LazyLock::new(|| Facts::new(SCENE()));

/// What a test's dreamer shows.
#[derive(Clone, Copy)]
enum Shows {
    /// The truth.
    Truth,
    /// The last real frame, for ever.
    Frozen,
    /// The truth for so many frames, then a place a quarter turn off.
    Drift(usize),
    /// The truth, but of facts that were out of sight for so many frames: those of a world of first colours and switches off.
    Amnesia(usize),
}

struct Fake {
    shows: Shows,
    memory: (usize, usize),
}

impl Fake {
    fn new(shows: Shows) -> Self {
        Self { shows, memory: (64, 6) }
    }

    fn frames(&self, real: &Real, play: &Play, memory: Memory) -> Vec<Picture> {
        let window = match self.shows {
            Shows::Amnesia(window) => {
                // As a model does, it remembers what it sees: all of its window, or what it is routed to, wherever that lies.
                let (all, _) = self.memory;
                if memory.window.unwrap_or(all) < all { window.min(memory.window.unwrap_or(all)) } else { window }
            }
            _ => 0,
        };
        let last = &real.frames[real.frames.len() - 1];
        let frame = |t: usize| match self.shows {
            Shows::Truth => play.truth[t].clone(),
            Shows::Frozen => last.clone(),
            Shows::Drift(n) if t < n => play.truth[t].clone(),
            Shows::Drift(_) => {
                let mut view = play.views[t];
                view.pose.heading = (view.pose.heading + 900) % 3600;
                SCENE().render(&view)
            }
            Shows::Amnesia(_) => {
                let views: Vec<View> = real.views.iter().chain(&play.views[..=t]).copied().collect();
                let lost = FACTS.unknown(&views, real.views.len(), window);
                SCENE().render(&lost.iter().fold(play.views[t], |view, fact| fact.with(view, 0)))
            }
        };
        (0..play.truth.len()).map(frame).collect()
    }
}

impl Dreamer for Fake {
    fn memory(&self) -> (usize, usize) {
        self.memory
    }

    fn codec(&self, run: &[Picture]) -> Vec<Picture> {
        run.to_vec()
    }

    fn dream(&self, real: &Real, plays: &[&Play], memory: Memory, _: u64) -> Result<Vec<Vec<Picture>>, SessionError> {
        assert!(real.frames.len() >= SHOWN);
        Ok(plays.iter().map(|play| self.frames(real, play, memory)).collect())
    }

    fn cost(&self, _: &Real, _: &Play) -> Result<Option<dreamer::Cost>, SessionError> {
        Ok(None)
    }
}

fn options(rows: &[u8]) -> Options {
    Options { starts: 6, seeds: 1, frames: 96, rows: rows.to_vec(), ..Options::full(2) }
}

fn scored(fake: &Fake, recording: &Recording, scene: Option<Scene>, options: Options) -> Report {
    let (report, _) = Trial::new(fake, recording, scene, options).report().unwrap();
    let table = report.table();
    for text in [&table, &serde_json::to_string(&report).unwrap()] {
        let bad = ["NaN", "nan", "inf ", "inf)", "null,\"low"].iter().find(|bad| text.contains(*bad));
        assert_eq!(bad, None, "{text}");
    }
    report
}

fn keep(shows: Shows, rows: &[u8]) -> Report {
    scored(&Fake::new(shows), &SCENE().recording(1001, 1500, 500), Some(SCENE()), options(rows))
}

fn row<'a>(report: &'a Report, what: &str) -> &'a Row {
    report.rows.iter().find(|row| row.what.contains(what)).unwrap_or_else(|| panic!("no row {what}"))
}

fn figure(report: &Report, what: &str, name: &str) -> f64 {
    let row = row(report, what);
    row.figures.get(name).unwrap_or_else(|| panic!("no {name} in {row:?}")).value
}

#[test]
fn the_truth_has_full_marks() {
    let report = keep(Shows::Truth, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let fps = 20.0;
    assert_eq!(figure(&report, "holds", "median"), 96.0 / fps);
    assert_eq!(figure(&report, "holds", "lower quartile"), 96.0 / fps);
    assert_eq!(row(&report, "holds").met, None, "a walk of 96 frames does not tell of 30 s");
    assert_eq!(figure(&report, "holds", "probe on true frames"), 1.0);
    for key in ["forward", "back", "left", "right", "use"] {
        assert_eq!(figure(&report, "skill", &format!("skill of {key}")), 1.0);
    }
    assert_eq!(row(&report, "skill").met, Some(true), "{:?}", row(&report, "skill"));
    assert_eq!(figure(&report, "likeness", "dream SSIM at 64"), 1.0);
    assert!(figure(&report, "likeness", "unrelated SSIM at 64") < 0.6);
    assert_eq!(figure(&report, "stillness", "short of the codec"), 0.0);
    assert_eq!(row(&report, "there and back").met, Some(true));
    assert_eq!(figure(&report, "sharpness", "sharpness"), 1.0);
    assert_eq!(figure(&report, "sharpness", "sharpness of the codec"), 1.0);
    assert_eq!(row(&report, "sharpness").met, Some(true));
    assert_eq!(figure(&report, "events", "frames to 90 %"), 3.0);
    assert_eq!(row(&report, "events").met, Some(true));
    // It remembers in a short window too, which no honest model can.
    assert_eq!(figure(&report, "memory", "banner, routed to 6, after 60"), 1.0);
    assert_eq!(figure(&report, "memory", "banner, window of 7, after 60"), 1.0);
    assert_eq!(row(&report, "memory").met, Some(false));
    assert!(row(&report, "cost").measured.contains("not measured"));
}

/// Changes of light are asked about where they are named, and nowhere else.
#[test]
fn changes_of_light_are_told_apart_from_places() {
    let report = keep(Shows::Truth, &[9, 10]);
    assert_eq!(report.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [9, 10]);
    assert_eq!(row(&report, "another light").met, Some(true));
    for part in ["switched, first", "switched, last", "one light, all"] {
        assert_eq!(figure(&report, "switches of light", part), 0.0);
    }
    // A picture that never changes is in the old light when it is asked for in the new one.
    let frozen = keep(Shows::Frozen, &[5, 9, 10]);
    let back = |what: &str| figure(&frozen, what, "short of the codec after 15 and 15");
    assert!(back("another light") > back("there and back") + 10.0, "{frozen:?}");
    assert!(
        figure(&frozen, "switches of light", "switched, all") > figure(&frozen, "switches of light", "one light, all")
    );
    assert!(keep(Shows::Truth, &[]).rows.iter().all(|row| row.number <= 8));
}

#[test]
fn a_frozen_picture_stands_still_and_does_nothing_else() {
    let report = keep(Shows::Frozen, &[1, 2, 4, 6, 7]);
    assert!(figure(&report, "holds", "median") < 1.5, "{:?}", row(&report, "holds"));
    assert_eq!(row(&report, "holds").met, Some(false));
    for key in ["forward", "back", "left", "right"] {
        assert_eq!(figure(&report, "skill", &format!("skill of {key}")), 0.0);
    }
    // Only flames miss.
    assert!(figure(&report, "stillness", "PSNR") > 24.0);
    assert!(row(&report, "events").measured.starts_with("more than 24"), "{:?}", row(&report, "events"));
    assert_eq!(row(&report, "events").met, Some(false));
}

#[test]
fn a_place_is_lost_where_the_dream_drifts() {
    for lost in [10, 40] {
        let report = keep(Shows::Drift(lost), &[1]);
        assert_eq!(figure(&report, "holds", "median"), lost as f64 / 20.0);
        assert_eq!(row(&report, "holds").met, Some(false));
    }
}

#[test]
fn forgotten_facts_are_right_by_chance() {
    let mut options = options(&[3, 5]);
    options.starts = 12;
    let held = SCENE().recording(1001, 1500, 500);
    let report = scored(&Fake::new(Shows::Amnesia(64)), &held, Some(SCENE()), options.clone());
    for kind in ["banner", "torch", "door", "lever"] {
        for (arm, want) in [("routed to 6", 1.0), ("window of 7", 0.0), ("dense", 1.0)] {
            for asked in [30, 60] {
                let found = figure(&report, "memory", &format!("{kind}, {arm}, after {asked}"));
                assert!((found - want).abs() < 1e-9, "{kind}, {arm}, after {asked}: {found}");
            }
        }
    }
    assert_eq!(row(&report, "memory").met, Some(true), "{:?}", row(&report, "memory"));
    // Facts that nothing can know are left out of the likeness: what it forgot cannot be held against it.
    assert_eq!(figure(&report, "likeness", "dream SSIM at 64"), 1.0);
    let forgets = scored(&Fake::new(Shows::Amnesia(8)), &held, Some(SCENE()), options);
    assert!(figure(&forgets, "likeness", "short of the codec at 64") >= 0.0);
    assert_eq!(row(&forgets, "memory").met, Some(false));
}

#[test]
fn a_model_that_is_not_routed_is_not_said_to_remember() {
    let fake = Fake { shows: Shows::Truth, memory: (64, 0) };
    let report = scored(&fake, &SCENE().recording(1001, 1500, 500), Some(SCENE()), options(&[5]));
    let row = row(&report, "memory");
    assert_eq!(row.met, Some(false));
    assert!(row.measured.contains("nothing is routed"), "{row:?}");
}

/// Footage that nobody renders: its frames are those of the keep, its source is not.
fn footage(frames: usize, shard: usize) -> Recording {
    let mut recording = SCENE().recording(7, frames, shard);
    recording.info.source = "somebody's game".into();
    recording.poses.clear();
    recording
}

#[test]
fn footage_without_a_renderer_is_measured_as_far_as_it_goes() {
    let recording = footage(1200, 600);
    assert!(Scene::of(&recording.info).is_none());
    let report = scored(&Fake::new(Shows::Truth), &recording, None, options(&[]));
    assert_eq!(figure(&report, "skill", "skill of left"), 1.0);
    assert_eq!(figure(&report, "likeness", "dream SSIM at 64"), 1.0);
    assert_eq!(figure(&report, "sharpness", "sharpness"), 1.0);
    for what in ["holds", "there and back", "memory", "events"] {
        assert!(row(&report, what).measured.contains("no renderer"), "{:?}", row(&report, what));
        assert_eq!(row(&report, what).met, None);
    }
}

#[test]
fn what_footage_lacks_is_said() {
    let mut walked = footage(600, 300);
    // Somebody holds a key all the time.
    walked.actions.chunks_exact_mut(5).for_each(|row| row.copy_from_slice(&[1.0, 0.0, 0.0, 0.0, 0.0]));
    let report = scored(&Fake::new(Shows::Truth), &walked, None, options(&[2, 4]));
    assert!(row(&report, "stillness").measured.contains("no stretch of 128 frames without a key in held"));
    assert!(row(&report, "skill").measured.contains("4 of 5 keys are never pressed alone"));
    assert_eq!(row(&report, "skill").met, None);
    // Episodes of ten frames, and of one: no roll-out fits.
    for length in [10, 1] {
        let mut short = footage(60, 60);
        short.episode_starts.iter_mut().enumerate().for_each(|(i, s)| *s = u8::from(i % length == 0));
        for scene in [None, Some(SCENE())] {
            let report = scored(&Fake::new(Shows::Truth), &short, scene, options(&[]));
            assert!(
                report.rows.iter().all(|row| row.met.is_none() && row.measured.starts_with("not measured: ")),
                "{report:?}"
            );
        }
    }
    // An episode just long enough for the next frame.
    let mut short = footage(26, 26);
    short.events.fill(0);
    let report = scored(&Fake::new(Shows::Truth), &short, None, options(&[]));
    assert!(row(&report, "likeness").measured.contains("there follow at most 2"), "{:?}", row(&report, "likeness"));
}

#[test]
fn a_renderer_that_makes_other_pictures_is_not_believed() {
    let mut old = SCENE().recording(1001, 600, 600);
    old.frames.iter_mut().for_each(|value| *value ^= 1);
    let report = scored(&Fake::new(Shows::Truth), &old, Some(SCENE()), options(&[1, 3]));
    assert!(
        row(&report, "holds").measured.contains("the renderer does not make frame 0"),
        "{:?}",
        row(&report, "holds")
    );
    // Pose rows that are no poses of the place are no reason to stop, either.
    let mut odd = SCENE().recording(1001, 600, 600);
    odd.poses.chunks_exact_mut(9).for_each(|pose| pose[..2].fill(-3.0));
    assert!(row(&scored(&Fake::new(Shows::Truth), &odd, Some(SCENE()), options(&[1])), "holds").met.is_none());
}

#[test]
fn a_world_goes_on_from_any_frame_as_it_was_recorded() {
    let recording = SCENE().recording(3, 1000, 1000);
    let (held, truth) = (Held::new(&recording), Truth::new(SCENE()));
    let starts = held.spread(20, |i| held.is_start(i, 40) && truth.world(&held, i).is_some());
    assert_eq!(starts.len(), 20);
    let mut kept = 0;
    for at in starts {
        let same = |i: &usize| recording.events[*i] == recording.events[at];
        let until = (at + 1..=at + 40).take_while(same).count();
        let keys: Vec<_> = (at + 1..=at + until)
            .map(|i| match held.told(i) {
                held::Told::Key(key) => Some(Key::ALL[key]),
                _ => None,
            })
            .collect();
        let (play, real) = (truth.play(&truth.world(&held, at).unwrap(), &keys, &[]), held.follow(at, until));
        assert_eq!((play.rows, play.events), (real.rows, real.events));
        assert!(play.truth == real.truth, "from frame {at}");
        kept += until;
    }
    assert!(kept > 400);
}

#[test]
fn walks_are_fixed_and_long_enough() {
    for (n, cell) in KEEP.cells().into_iter().enumerate() {
        let body = crate::footage::world::Body::new(cell, n % 4);
        let keys = truth::walk(&KEEP, body, n as u64, 600);
        assert_eq!(keys, truth::walk(&KEEP, body, n as u64, 600));
        let [moving, cells] = truth::paces(&KEEP, body, &keys);
        assert!(keys.len() == 600 && moving >= 360 && cells >= 50, "{moving} frames move, {cells} cells");
        let short = truth::walk(&KEEP, body, n as u64, 256);
        let [moving, cells] = truth::paces(&KEEP, body, &short);
        assert!(moving * 5 >= 256 * 3 && cells >= 20, "{moving} frames move, {cells} cells");
        for movements in [1, 3, 6] {
            let keys = truth::there_and_back(&KEEP, body, n, movements);
            let world = World::new(&KEEP, body, crate::footage::world::Light::Day, 0, [0, 0]);
            let play = Truth::new(SCENE()).play(&world, &keys, &[]);
            assert_eq!(keys.len(), 10 * movements);
            assert_eq!(play.views.last().unwrap().pose, world.view().pose);
            assert!(play.views.iter().any(|view| view.pose != world.view().pose));
        }
    }
}

#[test]
fn starts_are_spread_over_lights_and_repeat() {
    let recording = SCENE().recording(1001, 3000, 1000);
    let held = Held::new(&recording);
    let starts = held.spread(12, |i| held.is_start(i, 0));
    let of = |event: u8| starts.iter().filter(|&&i| recording.events[i] == event).count();
    assert_eq!([of(0), of(1), of(2)], [4, 4, 4]);
    for &at in &starts {
        let real = held.real(at);
        assert!(real.frames.len() >= SHOWN && real.frames.last() == Some(&held.frame(at)));
        assert!(recording.events[at + 1 - SHOWN..=at].iter().all(|&event| event == real.event));
    }
}
