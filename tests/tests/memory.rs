//! Memory: what a session says it holds is what it holds, and a steady stream allocates nothing.

use causeway_ops::quant::DType;
use causeway_runtime::{Budget, Device, EventTime, Model, Pump, Session, SessionOptions};
use causeway_tests::{
    counting::{Counting, calls, held},
    stream::{next_frame, open, script, seeded},
    tiny::{model_bytes, quantisable_config},
};

#[global_allocator]
static COUNTING: Counting = Counting;

fn play(session: &mut Session, frames: usize) {
    for n in 0..frames as u64 {
        let (action, event) = script(n);
        session.set_action(&action).unwrap();
        if let Some(event) = event {
            session.queue_event(event, EventTime::NextChunk).unwrap();
        }
        while session.pump(Budget::Micros(300)).unwrap() != Pump::Frame {}
        assert!(session.release());
    }
}

/// One test, since the counters belong to the whole process.
#[test]
fn bytes_are_as_planned_and_steady_frames_allocate_nothing() {
    let mut config = quantisable_config();
    // Large enough that names and tables are small beside weights and activations, as in a real model.
    config.dit.dim = 192;
    config.dit.heads = 4;
    config.dit.ffn_dim = 384;
    config.history.window = 12;
    for (dtype, route, threads) in [(DType::Q8, 0, 2), (DType::F16, 3, 1)] {
        let bytes = model_bytes(&config, dtype, 1);
        let model = open(&bytes);
        let device = Device::cpu(threads);
        let options = || SessionOptions { route: Some(route), ..seeded(3) };
        // The thread pool and lazily made statics of the process are not the session's.
        play(&mut Session::new(&model, &device, options()).unwrap(), 3);
        let before = held();
        let mut session = Session::new(&model, &device, options()).unwrap();
        let (planned, held) = (session.memory().total(), held() - before);
        let excess = held as f64 / planned as f64 - 1.0;
        println!("{dtype:?}: planned {planned}, held {held}: {:+.2} %", 100.0 * excess);
        assert!(excess.abs() <= 0.03, "{dtype:?}: planned {planned}, held {held}");
        shared(&model, &device, &mut session, options);
        play(&mut session, 20);
        let before = calls();
        play(&mut session, 1000);
        assert_eq!(calls() - before, 0, "{dtype:?}: allocations over 1,000 steady frames");
    }
}

/// Ten sessions hold the weights once, by what they say and by what is allocated; each makes what it would make alone; a cap counts
/// what a session adds; and whoever goes leaves the weights to the others.
fn shared(model: &Model<'_>, device: &Device, first: &mut Session, options: impl Fn() -> SessionOptions) {
    let (alone, before) = (first.memory(), held());
    let added = Session::need(model, None, device, options()).unwrap().memory;
    assert_eq!(added.weights, 0, "the device holds them already");
    let capped = || SessionOptions { memory_cap: Some(added.total()), ..options() };
    let mut others: Vec<_> = (0..9).map(|_| Session::new(model, device, capped()).unwrap()).collect();
    let each = (held() - before) / 9;
    let off = each as f64 / added.total() as f64 - 1.0;
    // The weights' names are held by every plan.
    assert!(off.abs() <= 0.03, "{each} bytes for each of nine more sessions, {} were planned", added.total());
    let all: Vec<_> = others.iter().map(Session::memory).chain([first.memory()]).collect();
    let weights: usize = all.iter().map(|memory| memory.weights).sum();
    assert!(weights <= alone.weights && weights + 10 > alone.weights, "{weights} of {}", alone.weights);
    // Another device, and another opening of the same file, have their own.
    let need =
        |model: &Model<'_>, device: &Device| Session::need(model, None, device, options()).unwrap().memory.weights;
    assert_eq!(need(model, &Device::cpu(1)), alone.weights);
    assert_eq!(need(model, &device.clone().strict()), need(model, &Device::cpu(1).strict()));
    let mut single = Session::new(model, &Device::cpu(1), options()).unwrap();
    let frame = |session: &mut Session| next_frame(session, Budget::Frame);
    let expected: Vec<_> = (0..5).map(|_| frame(&mut single)).collect();
    drop(single);
    for other in &mut others[..2] {
        assert!((0..5).all(|n| frame(other) == expected[n]));
    }
    let mut last = others.pop().unwrap();
    drop(others);
    assert_eq!(last.memory().weights, alone.weights / 2);
    assert!((0..5).all(|n| frame(&mut last) == expected[n]));
}
