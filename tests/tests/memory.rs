//! Memory: what a session says it holds is what it holds, and a steady stream allocates nothing.

use causeway_ops::quant::DType;
use causeway_runtime::{Budget, Device, EventTime, Pump, Session, SessionOptions};
use causeway_tests::{
    counting::{Counting, calls, held},
    stream::{open, script, seeded},
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
        play(&mut session, 20);
        let before = calls();
        play(&mut session, 1000);
        assert_eq!(calls() - before, 0, "{dtype:?}: allocations over 1,000 steady frames");
    }
}
