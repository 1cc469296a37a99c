//! What training relies on: exact repeatability, views that differ, movements and facts that mean what they say.

use std::collections::BTreeSet;

use super::map::{Decor, SIDES};
use super::*;
use crate::footage::data::psnr;
use crate::footage::sight::mse;

const SIZE: Size = Size { width: 64, height: 64 };

fn keep() -> Scene {
    Scene { map: &KEEP, size: SIZE }
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// The view of a body at rest, first banner colours, all switches off.
fn rest(map: &'static Map, cell: (i32, i32), side: usize, light: Light) -> View {
    *World::new(map, Body::new(cell, side), light, 0, [0, 0]).view()
}

#[test]
fn a_seed_gives_the_same_pixels_everywhere() {
    let first = keep().play(1, 0, 200, || ());
    assert_eq!(hash(&first.frames), hash(&keep().play(1, 0, 200, || ()).frames));
    assert_ne!(hash(&first.frames), hash(&keep().play(2, 0, 200, || ()).frames));
    assert_ne!(hash(&first.frames), hash(&keep().play(1, 1, 200, || ()).frames));
    // Changes whenever the world's look does; it holds on every machine.
    assert_eq!(hash(&first.frames), GOLDEN, "hash is now {:#018x}", hash(&first.frames));
}

const GOLDEN: u64 = 0x7d60_c9d4_8d60_239b;

/// Where two places look alike a model cannot know where it is.
#[test]
fn no_two_rest_views_look_alike() {
    for map in map::all() {
        for &light in &Light::ALL[..map.lights] {
            let scene = Scene { map, size: SIZE };
            let at = |cell| (0..4).map(move |side| (cell, side));
            let views: Vec<_> = map.cells().into_iter().flat_map(at).collect();
            let pictures: Vec<_> =
                views.iter().map(|&(cell, side)| scene.render(&rest(map, cell, side, light))).collect();
            for (i, a) in pictures.iter().enumerate() {
                for (j, b) in pictures[..i].iter().enumerate() {
                    let like = psnr(mse(a, b));
                    assert!(
                        like <= 22.0,
                        "{} {light:?}: {:?} and {:?} are {like:.1} dB alike",
                        map.name,
                        views[i],
                        views[j]
                    );
                }
            }
        }
    }
}

#[test]
fn every_fact_hangs_somewhere_and_shows() {
    for map in map::all() {
        let walls = map.cells().into_iter().flat_map(|cell| (0..4).map(move |side| (cell, side)));
        let hung: Vec<_> = walls.filter_map(|(cell, side)| Some((cell, side, map.decor(cell, side)?))).collect();
        let scene = Scene { map, size: SIZE };
        for n in 0..map.banners {
            let (cell, side, _) = hung.iter().find(|(.., d)| *d == Decor::Banner(n)).expect("a wall for each banner");
            let view = rest(map, *cell, *side, Light::Day);
            let colours: BTreeSet<Vec<u8>> =
                (0..6).map(|c| scene.render(&View { banners: c * 6u32.pow(n as u32), ..view })).collect();
            assert_eq!(colours.len(), 6);
        }
        for n in 0..map.switches {
            let (cell, side, _) = hung.iter().find(|(.., d)| d.switch() == Some(n)).expect("a wall for each switch");
            let view = rest(map, *cell, *side, Light::Day);
            let (off, on) = (scene.render(&view), scene.render(&View { on: 1 << n, ..view }));
            assert!(psnr(mse(&off, &on)) < 30.0, "switch {n}");
        }
        let ornaments = hung.iter().filter(|(.., d)| d.switch().is_none() && !matches!(d, Decor::Banner(_)));
        let distinct: BTreeSet<String> = ornaments.clone().map(|(.., d)| format!("{d:?}")).collect();
        assert_eq!(distinct.len(), ornaments.count());
    }
}

#[test]
fn movements_take_five_frames_and_keys_pressed_meanwhile_do_nothing() {
    let mut world = World::new(&KEEP, Body::new((1, 1), 0), Light::Day, 0, [0, 0]);
    let told: Vec<Action> = [Some(Key::Forward), None, Some(Key::Left), None, Some(Key::Use), None]
        .into_iter()
        .map(|key| world.step(key, None))
        .collect();
    assert_eq!(told, [vec![Some(Key::Forward); 5], vec![None]].concat());
    assert_eq!(world.body(), Body::new((2, 1), 0));
    for key in [Key::Left, Key::Right, Key::Right, Key::Back] {
        (0..5).for_each(|_| assert_eq!(world.step(Some(key), None), Some(key)));
    }
    assert_eq!(world.body(), Body::new((2, 1), 1), "the wall north of it stops a step back");
}

#[test]
fn a_wall_nudges_and_every_frame_of_it_differs() {
    let mut world = World::new(&KEEP, Body::new((1, 1), 2), Light::Day, 0, [0, 0]);
    let still = keep().render(world.view());
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        world.step(Some(Key::Forward), None);
        seen.insert(keep().render(&View { phase: 0, ..*world.view() }));
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.contains(&still));
}

#[test]
fn a_hand_opens_the_door_in_five_frames_and_it_stays_open() {
    // The door of the brick hall is south of (1, 1).
    let mut world = World::new(&KEEP, Body::new((1, 1), 1), Light::Day, 0, [0, 0]);
    let shut = keep().render(world.view());
    let mut views = vec![shut.clone()];
    for _ in 0..5 {
        world.step(Some(Key::Use), None);
        views.push(keep().render(&View { phase: 0, ..*world.view() }));
    }
    assert!(views.windows(2).all(|pair| pair[0] != pair[1]), "it moves in each frame");
    (0..5).for_each(|_| _ = world.step(None, None));
    assert_eq!(views[5], keep().render(&View { phase: 0, ..*world.view() }));
    (0..5).for_each(|_| _ = world.step(Some(Key::Use), None));
    assert_eq!(shut, keep().render(&View { phase: 0, ..*world.view() }));
}

#[test]
fn a_switch_of_light_fades_over_three_frames() {
    let mut world = World::new(&KEEP, Body::new((1, 4), 0), Light::Day, 0, [0, 0]);
    let mut fades = Vec::new();
    for i in 0..5 {
        world.step(None, (i == 1).then_some(Light::Night));
        fades.push((world.view().light, (world.view().fade * 3.0).round()));
    }
    let night = Light::Night;
    assert_eq!(fades, [(Light::Day, 3.0), (night, 1.0), (night, 2.0), (night, 3.0), (night, 3.0)]);
}

#[test]
fn poses_give_back_every_frame() {
    let scene = Scene { map: &KEEP, size: Size { width: 48, height: 32 } };
    let shard = scene.play(5, 0, 1200, || ());
    let rows = shard.poses.chunks_exact(POSE_COLUMNS.len());
    for (i, (row, frame)) in rows.zip(shard.frames.chunks_exact(48 * 32 * 3)).enumerate() {
        let view = view_from_row(row, shard.events[i]).expect("a row of nine with known lights");
        assert!(scene.render(&view) == frame, "frame {i}");
    }
    assert!(
        Scene::of(&scene.info(5, Habits { away: 0.5 }))
            .is_some_and(|found| found.size == scene.size && found.map.name == "keep")
    );
}

/// A model learns what it is shown: every movement often enough, stills of all lengths, all cells.
#[test]
fn the_bot_does_everything() {
    for map in map::all() {
        let (mut keys, mut long, mut frames, mut seen) = ([0usize; 6], 0, 0, BTreeSet::new());
        for episode in 0..200 {
            let mut rng = Rng::new(3, 0, episode);
            let (mut world, mut bot, mut still) = (World::anywhere(map, &mut rng), Bot::default(), 0);
            for _ in 0..500 {
                let told = world.step(bot.act(map, world.body(), &mut rng), None);
                keys[told.map_or(5, |key| key as usize)] += 1;
                still = if told.is_none() { still + 1 } else { 0 };
                long += usize::from(still >= 24);
                frames += 1;
                seen.insert((world.body().cell, world.body().side));
            }
        }
        let share = keys.map(|n| n as f64 / frames as f64);
        assert!((0.18..0.32).contains(&share[5]), "no key: {share:?}");
        assert!(share[..4].iter().all(|&s| s > 0.10) && share[4] > 0.04, "{share:?}");
        assert!(long * 20 > frames, "long stills: {long} of {frames} frames");
        assert_eq!(seen.len(), map.cells().len() * 4);
    }
}

#[test]
fn shards_are_whole_and_start_episodes() {
    let scene = Scene { map: &KEEP, size: Size { width: 16, height: 16 } };
    let shard = scene.play(9, 2, 1300, || ());
    assert_eq!(shard.events.len(), 1300);
    assert_eq!(shard.frames.len(), 1300 * 16 * 16 * 3);
    assert_eq!(shard.episode_starts[0], 1);
    let episodes = shard.episode_starts.iter().filter(|&&s| s == 1).count();
    assert!((3..=4).contains(&episodes), "{episodes} episodes");
}

#[test]
fn recording_nothing_or_nowhere_or_under_a_stop_is_an_error() {
    let record = |frames, stop: bool| {
        keep().record(Path::new("nowhere"), Habits::default(), 1, frames, 10, &AtomicBool::new(stop))
    };
    assert!(matches!(record(0, false), Err(RecordError::Empty { .. })));
    assert!(matches!(record(10, true), Err(RecordError::Stopped)));
    assert!(!Path::new("nowhere").exists());
    assert!(matches!(Scene::named("attic", SIZE), Err(RecordError::Place { .. })));
    assert_eq!(SIDES.map(|(x, y)| x.abs() + y.abs()), [1; 4]);
}
