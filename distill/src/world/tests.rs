//! What training relies on: exact repeatability, the sense of turning, the meaning of events.

use super::*;

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

fn mean(frame: &[u8]) -> [f32; 3] {
    [0, 1, 2].map(|c| frame.iter().skip(c).step_by(3).map(|&v| f32::from(v)).sum::<f32>() / (SIZE * SIZE) as f32)
}

/// Mean absolute difference of picture `a` moved right by `shift` pixels from picture `b`.
fn mismatch(a: &[u8], b: &[u8], shift: i32) -> f32 {
    let size = SIZE as i32;
    let (mut sum, mut count) = (0u64, 0u64);
    for y in 0..size {
        for x in shift.max(0)..(size + shift).min(size) {
            for c in 0..3 {
                let (i, j) = (((y * size + x - shift) * 3 + c) as usize, ((y * size + x) * 3 + c) as usize);
                sum += u64::from(a[i].abs_diff(b[j]));
                count += 1;
            }
        }
    }
    sum as f32 / count as f32
}

const HALL: Pose = Pose { x: 6.5, y: 6.5, heading: 1800 };

#[test]
fn a_seed_gives_the_same_pixels_everywhere() {
    let first = play(1, 0, 200, || ());
    assert_eq!(hash(&first.frames), hash(&play(1, 0, 200, || ()).frames));
    assert_ne!(hash(&first.frames), hash(&play(2, 0, 200, || ()).frames));
    assert_ne!(hash(&first.frames), hash(&play(1, 1, 200, || ()).frames));
    // Changes whenever the world's look does; it holds on every machine.
    assert_eq!(hash(&first.frames), GOLDEN, "hash is now {:#018x}", hash(&first.frames));
}

const GOLDEN: u64 = 0xf5b5_1b31_af13_9155;

#[test]
fn turning_left_moves_the_picture_right() {
    let still = render(HALL, Light::Daylight);
    let left = render(HALL.after(Action { left: true, ..Action::default() }), Light::Daylight);
    let best = (-12..=12).min_by(|&a, &b| mismatch(&still, &left, a).total_cmp(&mismatch(&still, &left, b)));
    // 6 degrees are 4.4 pixels in the middle of the picture and 7 at its sides.
    assert!(best.is_some_and(|s| (3..=7).contains(&s)), "best shift {best:?}");
}

#[test]
fn events_change_the_mean_colour_as_defined() {
    let day = mean(&render(HALL, Light::Daylight));
    for light in Light::ALL {
        let seen = mean(&render(HALL, light));
        let (filter, tint) = light.effect();
        for c in 0..3 {
            let expected = day[c] * filter.0[c] + tint.0[c] * 255.0;
            // Bytes are rounded and bright sky may clip.
            assert!((seen[c] - expected).abs() < 4.0, "{} channel {c}: {} not {expected}", light.name(), seen[c]);
        }
    }
}

#[test]
fn a_switch_fades_over_three_frames() {
    let mut world = World::new(HALL, Light::Daylight);
    let mut fades = Vec::new();
    for i in 0..5 {
        world.step(Action::default(), (i == 1).then_some(Light::Night));
        fades.push((world.view().light, (world.view().fade * 3.0).round()));
    }
    let night = Light::Night;
    assert_eq!(fades, [(Light::Daylight, 3.0), (night, 1.0), (night, 2.0), (night, 3.0), (night, 3.0)]);
}

#[test]
fn an_attack_shows_for_two_frames() {
    let mut world = World::new(HALL, Light::Night);
    let dark = render_view(world.view());
    let shown: Vec<bool> = (0..4)
        .map(|i| {
            world.step(Action { attack: i == 0, ..Action::default() }, None);
            render_view(world.view()) != dark
        })
        .collect();
    assert_eq!(shown, [true, true, false, false]);
}

#[test]
fn poses_give_back_every_frame() {
    let shard = play(5, 0, 150, || ());
    let rows = shard.poses.chunks_exact(POSE_COLUMNS.len());
    for (i, (row, frame)) in rows.zip(shard.frames.chunks_exact(FRAME)).enumerate() {
        let view = view_from_row(row, shard.events[i]).expect("a row of six with known lights");
        assert!(render_view(&view) == frame, "frame {i}");
    }
}

#[test]
fn shards_are_whole_and_start_episodes() {
    let shard = play(9, 2, 1300, || ());
    assert_eq!(shard.events.len(), 1300);
    assert_eq!(shard.frames.len(), 1300 * FRAME);
    assert_eq!(shard.episode_starts[0], 1);
    let episodes = shard.episode_starts.iter().filter(|&&s| s == 1).count();
    assert!((3..=4).contains(&episodes), "{episodes} episodes");
}

#[test]
fn recording_nothing_is_an_error() {
    assert!(matches!(record(Path::new("nowhere"), 1, 0, 10), Err(RecordError::Empty { .. })));
}
