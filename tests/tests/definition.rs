//! Sessions against the definition: the naive model, which remembers everything, for all of history, routes, groups of layers and given frames.

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, EventTime, Session, SessionError, SessionOptions, Start,
    config::{Descriptors, GroupConfig, ModelConfig, Positions},
};
use causeway_tests::{
    naive::{Naive, Settings},
    stream::{next_frame, one, open, script, seeded},
    tiny::{model_bytes, tiny_config, tiny_model_bytes},
};
use proptest::prelude::*;

/// Latents of the chunk whose first frame just became ready.
fn latents(session: &mut Session) -> Vec<f32> {
    let id = session.stream().latents;
    let mut values = vec![0f32; session.plan().buffer(id).len];
    session.backend().read(id, bytemuck::cast_slice_mut(&mut values)).unwrap();
    values
}

/// Runs `chunks` chunks of both and returns the largest difference relative to the naive output's scale.
fn compare(chunk: usize, settings: Settings, steps: usize, chunks: usize) -> f64 {
    compare_changed(|_| (), chunk, settings, steps, chunks)
}

/// The same with layers that keep other frames; a layer is added for each group.
fn compare_groups(chunk: usize, settings: Settings, groups: Vec<GroupConfig>, steps: usize, chunks: usize) -> f64 {
    let change = |config: &mut ModelConfig| {
        config.dit.layers += groups.len();
        config.history.groups = groups;
    };
    compare_changed(change, chunk, settings, steps, chunks)
}

/// The same of a model that `change` was made to.
fn compare_changed(
    change: impl FnOnce(&mut ModelConfig),
    chunk: usize,
    settings: Settings,
    steps: usize,
    chunks: usize,
) -> f64 {
    let mut config = tiny_config();
    change(&mut config);
    config.dit.chunk = chunk;
    config.history.window = settings.window;
    config.history.sink = settings.sink;
    config.history.positions = settings.positions;
    let bytes = model_bytes(&config, DType::F32, 11);
    let model = open(&bytes);
    let options = SessionOptions {
        start: Start::Empty,
        steps: Some(steps),
        route: Some(settings.route),
        queue: chunk,
        ..seeded(5)
    };
    let mut session = Session::new(&model, &one(), options).unwrap();
    let mut naive = Naive::new(&model, settings, 5);
    let sigmas = config.schedule.sigmas(steps).unwrap();
    let (mut worst, mut event) = (0f64, 0);
    for n in 0..chunks {
        let (action, switch) = script((n * chunk) as u64);
        session.set_action(&action).unwrap();
        if let Some(switch) = switch {
            session.queue_event(switch, EventTime::NextChunk).unwrap();
            event = switch;
        }
        next_frame(&mut session, Budget::Frame);
        let found = latents(&mut session);
        for _ in 1..chunk {
            next_frame(&mut session, Budget::Frame);
        }
        let expected = naive.chunk(&sigmas, &action, event);
        let scale = expected.iter().fold(0f64, |m, x| m.max(x.abs()));
        let error = expected.iter().zip(&found).fold(0f64, |m, (a, b)| m.max((a - f64::from(*b)).abs()));
        worst = worst.max(error / scale);
    }
    worst
}

#[test]
fn dense_history_equals_the_naive_model() {
    for (chunk, window, sink, positions) in [
        (1, 6, 0, Positions::Compact),
        (1, 6, 2, Positions::Compact),
        (1, 5, 1, Positions::Absolute),
        (2, 7, 2, Positions::Compact),
        (3, 8, 1, Positions::Absolute),
    ] {
        let settings = Settings { window, sink, route: 0, positions };
        let error = compare(chunk, settings, 2, 18 / chunk);
        assert!(error < 5e-4, "chunk {chunk}, {settings:?}: {error}");
    }
}

/// Layers that see the last few frames, every second or third frame of a longer past, a sink of these, or routes to them.
#[test]
fn layers_that_keep_different_frames_equal_the_naive_model() {
    let group = |layers: &[usize], window, sink, every, route| GroupConfig {
        layers: layers.into(),
        window,
        sink,
        every,
        route,
    };
    for (chunk, positions) in
        [(1, Positions::Absolute), (1, Positions::Compact), (2, Positions::Absolute), (3, Positions::Absolute)]
    {
        let settings = Settings { window: chunk + 3, sink: 1, route: 0, positions };
        for groups in [
            vec![group(&[1], 5, 0, 2, 0)],
            vec![group(&[2, 0], chunk + 1, 0, 1, 0), group(&[1], 5, 1, 3, 2)],
            vec![group(&[0], 3, 0, 8, 1), group(&[1], 7, 2, 2, 3), group(&[3], 6, 0, 1, 2)],
        ] {
            let error = compare_groups(chunk, settings, groups.clone(), 2, 30 / chunk);
            assert!(error < 5e-4, "chunk {chunk}, {positions:?}, {groups:?}: {error}");
        }
    }
}

/// A group of all that the others would keep anyway changes nothing, bit for bit.
#[test]
fn a_group_of_the_same_frames_changes_nothing() {
    let run = |groups| {
        let mut config = tiny_config();
        (config.history.window, config.history.sink, config.history.groups) = (5, 1, groups);
        let bytes = model_bytes(&config, DType::F32, 11);
        let mut session = Session::new(&open(&bytes), &one(), seeded(5)).unwrap();
        (0..12).map(|_| next_frame(&mut session, Budget::Frame)).collect::<Vec<_>>()
    };
    assert_eq!(run(Vec::new()), run(vec![GroupConfig { layers: vec![1], window: 5, sink: 1, every: 1, route: 0 }]));
}

/// What a file cannot ask of groups of layers, and what a host cannot do with them.
#[test]
fn faulty_groups_of_layers_are_refused_by_name() {
    let good = GroupConfig { layers: vec![1], window: 5, sink: 0, every: 2, route: 0 };
    let refused = |groups: Vec<GroupConfig>| {
        let mut config = tiny_config();
        config.history.groups = groups;
        config.validate().unwrap_err().to_string()
    };
    for (group, field) in [
        (GroupConfig { layers: vec![2], ..good.clone() }, "groups[0].layers"),
        (GroupConfig { window: 1, ..good.clone() }, "groups[0].window"),
        (GroupConfig { every: 0, ..good.clone() }, "groups[0].every"),
        (GroupConfig { sink: 5, ..good.clone() }, "groups[0].sink"),
        (GroupConfig { route: 5, ..good.clone() }, "groups[0].route"),
    ] {
        let error = refused(vec![group]);
        assert!(error.contains(field), "{field}: {error}");
    }
    let twice = refused(vec![good.clone(), good.clone()]);
    assert!(twice.contains("history.groups is layer 1 in 0 and 1, expected each layer in one"), "{twice}");
    let many = refused(vec![GroupConfig { layers: Vec::new(), ..good.clone() }; 4]);
    assert!(many.contains("history.groups"), "{many}");
    let mut config = tiny_config();
    config.history.groups = vec![good];
    let bytes = model_bytes(&config, DType::F32, 11);
    let options = SessionOptions { recache: true, ..seeded(5) };
    let error = Session::new(&open(&bytes), &one(), options).err().map(|error| error.to_string());
    assert!(error.as_ref().is_some_and(|error| error.contains("recache")), "{error:?}");
    // Chunks that leave no room.
    let options = SessionOptions { chunk: Some(12), window: Some(20), ..seeded(5) };
    let error = Session::new(&open(&bytes), &one(), options).err().map(|error| error.to_string());
    assert!(error.as_ref().is_some_and(|error| error.contains("room")), "{error:?}");
}

/// A stream that starts from frames of another, told what that was told, goes on as that does.
#[test]
fn start_frames_with_their_actions_are_as_good_as_made_ones() {
    const MADE: usize = 5;
    let bytes = tiny_model_bytes(1);
    let model = open(&bytes);
    let (channels, len) = (model.config().dit.latent.channels, model.config().dit.latent_len());
    let mut first = Session::new(&model, &one(), SessionOptions { start: Start::Empty, ..seeded(5) }).unwrap();
    let (mut frames, mut actions) = (Vec::new(), Vec::new());
    for n in 0..=MADE {
        let (action, _) = script(n as u64);
        first.set_action(&action).unwrap();
        next_frame(&mut first, Budget::Frame);
        frames.push(latents(&mut first));
        actions.extend(action);
    }
    let entries = actions.len() / (MADE + 1);
    let (told, last) = actions.split_at(MADE * entries);
    let planar =
        |frame: &Vec<f32>| (0..len).map(|i| frame[i % (len / channels) * channels + i / (len / channels)]).collect();
    let start: Vec<f32> = frames[..MADE].iter().flat_map::<Vec<f32>, _>(planar).collect();
    let options =
        |start_actions: Vec<f32>| SessionOptions { start: Start::Latents(start.clone()), start_actions, ..seeded(5) };
    let next = |start_actions: Vec<f32>| {
        let mut session = Session::new(&model, &one(), options(start_actions)).unwrap();
        session.set_action(last).unwrap();
        (0..=MADE).for_each(|_| _ = next_frame(&mut session, Budget::Frame));
        latents(&mut session)
    };
    let off = |found: &[f32]| found.iter().zip(&frames[MADE]).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(off(&next(told.to_vec())) < 1e-4);
    assert!(off(&next(Vec::new())) > 1e-3, "what was told of the start frames makes no difference");
    let short = Session::new(&model, &one(), options(told[1..].to_vec())).err();
    let (expected, found) = (told.len(), told.len() - 1);
    assert_eq!(short, Some(SessionError::StartSize { what: "actions", expected, found }));
    let mut odd = told.to_vec();
    odd[3] = f32::NAN;
    assert_eq!(Session::new(&model, &one(), options(odd)).err(), Some(SessionError::ActionValue(3)));
}

#[test]
fn routed_history_equals_the_naive_model() {
    for (chunk, window, sink, route) in [(1, 8, 1, 3), (1, 8, 0, 1), (2, 9, 2, 4)] {
        let settings = Settings { window, sink, route, positions: Positions::Compact };
        for descriptors in [Descriptors::Rotated, Descriptors::Plain] {
            let change = |config: &mut ModelConfig| config.history.descriptors = descriptors;
            let error = compare_changed(change, chunk, settings, 2, 18 / chunk);
            assert!(error < 5e-4, "chunk {chunk}, {settings:?}, {descriptors:?}: {error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Ring and router over window, sink, k, chunk and wrap-arounds.
    #[test]
    fn any_ring_and_route_equals_the_naive_model(
        chunk in 1usize..4, extra in 1usize..6, sink in 0usize..4, route in 0usize..4, absolute: bool, plain: bool,
    ) {
        let history = extra;
        let settings = Settings {
            window: chunk + history,
            sink: sink.min(history),
            route: route.min(history),
            positions: if absolute { Positions::Absolute } else { Positions::Compact },
        };
        let descriptors = if plain { Descriptors::Plain } else { Descriptors::Rotated };
        let change = |config: &mut ModelConfig| config.history.descriptors = descriptors;
        let error = compare_changed(change, chunk, settings, 2, 12 / chunk);
        prop_assert!(error < 5e-4, "chunk {}, {:?}, {:?}: {}", chunk, settings, descriptors, error);
    }
}
