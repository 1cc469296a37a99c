//! Tuning on streams whose event changes, against its definition (spec 5.6, 2.6), and the gradient of its losses.

mod tiny;

use burn::tensor::Device;
use causeway_distill::method::delta_forcing::{DeltaForcing, Options, Radius};
use causeway_distill::method::score::{self, Pair, RATIO, Scores};
use causeway_distill::method::self_rollout::Made;
use causeway_distill::method::streaming::Streaming;
use causeway_distill::net::mask::Mask;
use causeway_distill::net::rollout::{Engine, Rollout};
use causeway_distill::net::weights::Weights;
use causeway_distill::rng::Rng;
use causeway_distill::train::slope::slopes;
use causeway_distill::train::state::State;
use causeway_distill::train::trainer::{Job, Stage};
use causeway_runtime::config::ModelConfig;

use self::tiny::{REACH, assert_slopes, tiny, weights, with_world};

const FRAMES: usize = 5;
/// Frames the student remembers, and those of them that the scores see.
const CONTEXT: usize = 3;
const OVERLAP: usize = 1;

fn config() -> ModelConfig {
    let mut config = tiny();
    let dit = &mut config.dit;
    (dit.dim, dit.layers, dit.ffn_dim) = (24, 1, 48);
    config
}

/// A stage and its student, teacher and critic, three different denoisers.
fn with_stage(f: impl Fn(Streaming<'_>, [&Weights; 3])) {
    let config = config();
    let student = weights(&config);
    let [teacher, critic] = [0.9, 1.1].map(|f: f32| student.with(student.data.iter().map(|w| f * w).collect()));
    with_world(&config, true, FRAMES, |world| {
        let pair = Pair { teacher: &teacher, mask: Mask::Full };
        let stage =
            Streaming { world, pair, steps: 2, context: CONTEXT, overlap: OVERLAP, changes: 0, among: 0, delta: None };
        f(stage, [&student, &teacher, &critic]);
    });
}

#[test]
fn a_stream_is_a_roll_out_and_after_a_change_a_fresh_one_over_the_same_frames() {
    with_stage(|stage, [student, ..]| {
        let (world, c, engine) = (&stage.world, &stage.world.config.dit, Engine::Fast(student));
        let sigmas = world.config.schedule.sigmas(2).expect("a list of two");
        for (seed, switch) in [(1, true), (2, true), (3, false)] {
            let made = stage.stream(engine, 2, switch, &mut Rng::new(seed));
            let (found, given) = (&made.windows, made.given);
            assert_eq!((found.frames, given), (FRAMES, CONTEXT));

            // Under the first event, over all frames.
            let mut rng = Rng::new(seed);
            let mut stream = world.data.windows(2, FRAMES, &mut rng);
            let mut rollout = Rollout::new(engine, c, FRAMES, stream.before.clone());
            for f in 0..FRAMES {
                let (actions, events) = (stream.at(&stream.actions, f), stream.at(&stream.events, f));
                let frame = rollout.generate(&sigmas, &actions, &events, &mut rng);
                stream.put(f, &frame);
            }
            // Under the second, over the newest of them once more; then on, with the last action.
            let last = FRAMES - 1;
            let (force, action) = (stream.at(&stream.events, last), stream.at(&stream.actions, last));
            let event: Vec<u8> = force.iter().map(|&e| if switch { 1 - e } else { e }).collect();
            if switch {
                // The choice of another event, of one.
                (0..2).for_each(|_| assert_eq!(rng.below(c.events.len() - 1), 0));
            }
            let exit = 1 + rng.below(sigmas.len());
            let first = FRAMES - CONTEXT;
            let mut fresh = Rollout::new(engine, c, FRAMES, stream.at(&stream.real, first - 1));
            for f in 0..FRAMES {
                let own = if f < CONTEXT && !switch { stream.at(&stream.events, first + f) } else { event.clone() };
                assert_eq!(found.at(&found.events, f), own, "event of frame {f}");
                if f < CONTEXT {
                    let frame = stream.at(&stream.real, first + f);
                    assert_eq!(found.at(&found.real, f), frame, "frame {f} is not the one made under the first event");
                    fresh.commit(&frame, &stream.at(&stream.actions, first + f), &own);
                } else {
                    let (noisy, frame) = fresh.denoise(&sigmas[..exit], &action, &own, &mut rng);
                    fresh.commit(&frame, &action, &own);
                    assert_eq!(found.at(&found.real, f), frame, "frame {f} is not what follows");
                    assert_eq!(found.at(&made.noisy, f), noisy);
                    assert_eq!(found.at(&made.sigma, f), [sigmas[exit - 1]; 2]);
                }
            }
        }
    });
}

#[test]
fn scores_see_the_overlap_and_not_what_only_the_student_remembers() {
    with_stage(|stage, [student, teacher, critic]| {
        let scores = Scores { real: teacher, fake: critic, mask: Mask::Full };
        let mut made = stage.stream(Engine::Fast(student), 2, true, &mut Rng::new(3));
        assert_eq!((made.given, made.unseen), (CONTEXT, CONTEXT - OVERLAP));
        let judge = |made: &_| scores.judge(&stage.world, &Device::flex(), made, &mut Rng::new(4));
        let before = judge(&made);
        let row = FRAMES * made.windows.len;
        // The newest unseen frame is input as the frame before the first seen one; the oldest is nothing to the scores.
        made.windows.real.chunks_exact_mut(row).for_each(|window| window[..row / FRAMES].fill(9.0));
        let after = judge(&made);
        let seen = made.unseen * made.windows.len;
        for b in 0..2 {
            let (from, to) = (b * row + seen, (b + 1) * row);
            assert_eq!(
                (&before.real[from..to], &before.fake[from..to]),
                (&after.real[from..to], &after.fake[from..to])
            );
            assert!(before.real[from..to] != before.fake[from..to]);
            assert_eq!(after.real[b * row..from], made.windows.real[b * row..from], "unseen, so where it was");
            let levels = &after.level[b * FRAMES..(b + 1) * FRAMES];
            assert!(levels.iter().enumerate().all(|(f, &level)| (level > 0.0) == (f >= made.unseen)), "{levels:?}");
        }
    });
}

#[test]
fn both_networks_have_the_gradient_of_finite_differences() {
    let follows = Options { radius: Radius::Running, levels: Some([0.3, 0.7]), fall: 4.0, ..Options::default() };
    let plain = Options::default();
    for (guarded, mask, changes) in [
        (None, Mask::Full, 0),
        (Some(plain), Mask::Full, 0),
        (Some(plain), Mask::teacher_forcing(0), 0),
        (Some(follows), Mask::Full, 2),
    ] {
        with_stage(|mut stage, [student, teacher, critic]| {
            stage.pair.mask = mask;
            stage.changes = changes;
            let (device, both) = (Device::flex(), student.beside(critic, "critic."));
            let scores = Scores { real: teacher, fake: critic, mask };
            if let Some(options) = guarded {
                let quiet = stage.judged(&both, &device, false, options.levels, 4);
                let mut delta = DeltaForcing::new(options, &quiet);
                // So small that every frame is beyond it.
                delta.radius.iter_mut().for_each(|radius| *radius *= 0.3);
                stage.delta = Some(delta);
            }
            for (seed, step) in [(5, 0), (5, RATIO - 1), (6, RATIO - 1)] {
                let moves = if Pair::student_moves(step) { student } else { critic };
                // What the stage does, with its roll-out and the scores' verdict taken out of the loss: they are constants.
                let mut rng = Rng::new(seed);
                let switch = rng.below(2) == 0;
                let follow = Pair::student_moves(step) && guarded.is_some_and(|o| o.radius == Radius::Running);
                let quiet = follow.then(|| stage.stream(Engine::Fast(student), 2, false, &mut rng));
                let made = stage.stream(Engine::Fast(student), 2, switch, &mut rng);
                let regression = if Pair::student_moves(step) {
                    let verdict = scores.judge(&stage.world, &device, &made, &mut rng);
                    let mut gradient = verdict.matching(&made);
                    if let Some(delta) = &stage.delta {
                        let plain = gradient.clone();
                        let mut told = |made: &_| {
                            let levels = delta.options.levels?;
                            Some(scores.judge_between(&stage.world, &device, made, levels, &mut rng))
                        };
                        let quiet =
                            quiet.as_ref().and_then(|quiet| told(quiet).map(|told| delta.following(quiet, &told)));
                        let (delta, probe) = (quiet.as_ref().unwrap_or(delta), told(&made));
                        let at = switch.then_some(CONTEXT);
                        delta.apply(&made, probe.as_ref().unwrap_or(&verdict), at, &mut gradient, &mut rng);
                        assert!(plain != gradient, "Delta Forcing changed nothing");
                    }
                    made.regression(&stage.world, &gradient)
                } else {
                    score::critic(&stage.world, mask, &made, &mut rng)
                };
                let at = |moved: &Weights| {
                    let mut flat = vec![0.0; moved.data.len()];
                    (stage.world.gradient(moved, &device, &regression, &mut flat).0, flat)
                };
                let (loss, expected) = at(moves);
                assert_slopes("streaming", &slopes(moves, &expected, REACH, |moved| at(moved).0), 0.02);

                let state = State { step, ..State::new(both.clone()) };
                let job = Job { state: &state, rng: Rng::new(seed), share: 2, device: device.clone(), done: 0.0 };
                let mut flat = vec![0.0; both.data.len()];
                let (found, tensors) = stage.gradient(job, &mut flat);
                assert_eq!((found, tensors), (loss, both.entries().len()), "the stage does something else");
                let [mut own, mut other] = [&flat[..student.data.len()], &flat[student.data.len()..]];
                if !Pair::student_moves(step) {
                    std::mem::swap(&mut own, &mut other);
                }
                assert!(own == expected && other.iter().all(|&g| g == 0.0), "step {step}: not this network's gradient");
            }
        });
    }
}

/// A stream that has gone through changes is the window before it, seen anew under another event, again and again.
#[test]
fn a_stream_goes_on_from_where_its_changes_left_it() {
    with_stage(|mut stage, [student, ..]| {
        let (engine, world) = (Engine::Fast(student), stage.world);
        let sigmas = world.config.schedule.sigmas(2).expect("a list of two");
        stage.changes = 3;
        let mut counts = [0; 4];
        for seed in 0..20 {
            let found = stage.stream(engine, 2, true, &mut Rng::new(seed));
            let mut rng = Rng::new(seed);
            let start = world.data.windows(2, FRAMES, &mut rng);
            let mut stream = Made::roll_out(engine, &world, start, 0, &sigmas, &mut rng).windows;
            let changes = rng.below(4);
            counts[changes] += 1;
            for _ in 0..changes {
                let (first, last) = (FRAMES - CONTEXT, FRAMES - 1);
                let events = stream.at(&stream.events, last).iter().map(|&e| 1 - e).collect::<Vec<u8>>();
                (0..2).for_each(|_| assert_eq!(rng.below(1), 0));
                let action = stream.at(&stream.actions, last);
                let mut rollout = Rollout::new(engine, &world.config.dit, FRAMES, stream.at(&stream.real, first - 1));
                let mut next = stream.clone();
                for f in 0..FRAMES {
                    if f < CONTEXT {
                        let frame = stream.at(&stream.real, first + f);
                        rollout.commit(&frame, &stream.at(&stream.actions, first + f), &events);
                        next.put(f, &frame);
                    } else {
                        next.put(f, &rollout.generate(&sigmas, &action, &events, &mut rng));
                    }
                }
                next.actions
                    .chunks_exact_mut(FRAMES * action.len() / 2)
                    .zip(action.chunks_exact(action.len() / 2))
                    .for_each(|(row, last)| row.chunks_exact_mut(last.len()).for_each(|to| to.copy_from_slice(last)));
                next.events.chunks_exact_mut(FRAMES).zip(&events).for_each(|(row, &event)| row.fill(event));
                stream = next;
            }
            let first = FRAMES - CONTEXT;
            for f in 0..CONTEXT {
                let expected = stream.at(&stream.real, first + f);
                assert_eq!(found.windows.at(&found.windows.real, f), expected, "{changes} changes, frame {f}");
            }
        }
        assert!(counts.iter().all(|&n| n > 0), "{counts:?}");
    });
}
