//! What the log tells a host: the lines of docs/embedding.md, each where it says.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use causeway_runtime::{
    Budget, Device, Session, SessionOptions,
    clock::Clock,
    session::{Change, Condition, Way},
};
use causeway_tests::{
    machine,
    stream::{next_frame, one, open, seeded},
    tiny::tiny_model_bytes,
};
use log::{Level, LevelFilter, Log, Metadata, Record};

struct Lines(Mutex<Vec<(Level, String)>>);

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("causeway")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push((record.level(), record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

static LINES: Lines = Lines(Mutex::new(Vec::new()));

/// What was told since the last time.
fn told() -> Vec<(Level, String)> {
    std::mem::take(&mut LINES.0.lock().unwrap())
}

/// Five milliseconds pass each time it is asked.
struct Hasty(AtomicU64);

impl Clock for Hasty {
    fn micros(&self) -> u64 {
        self.0.fetch_add(5_000, Relaxed)
    }
}

/// One test, for a process has one log.
#[test]
fn a_host_is_told_what_was_opened_made_refused_and_late() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(LevelFilter::Info);
    let bytes = tiny_model_bytes(1);
    let model = open(&bytes);
    let opened = format!("opened tiny: {} tensors in {} bytes", model.tensors().len(), bytes.len());
    assert_eq!(told(), [(Level::Info, opened)]);

    let options = || SessionOptions { recache: true, ..seeded(3) };
    let mut session = Session::new(&model, &one(), options()).unwrap();
    let memory = session.memory();
    let lines = told();
    let [(Level::Info, line)] = &lines[..] else { panic!("{lines:?}") };
    let (width, height) = session.picture();
    let (steps, tier) = (session.steps(), session.backend().tier());
    assert!(line.starts_with(&format!("session of tiny: {width}x{height}, {steps} steps, {tier} kernels; ")), "{line}");
    assert!(line.contains(&format!("; {} bytes, of which {} are weights, ", memory.total(), memory.weights)), "{line}");

    (0..3).for_each(|_| drop(next_frame(&mut session, Budget::Frame)));
    assert_eq!(told(), [], "a steady stream says nothing");
    session.queue(Change { way: Way::Recache, ..Change::to(Condition::Event(1)) }).unwrap();
    next_frame(&mut session, Budget::Frame);
    let lines = told();
    let [(Level::Info, line)] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.ends_with(" frames of the window are computed anew behind 0, at frame 3"), "{line}");

    // Each slice is late; of so many not every one is told.
    let clock = Some(Box::new(Hasty(AtomicU64::new(0))) as Box<dyn Clock>);
    let mut late = Session::new(&model, &one(), SessionOptions { clock, ..options() }).unwrap();
    told();
    for _ in 0..200 {
        late.pump(Budget::Micros(1_000)).unwrap();
    }
    let lines = told();
    assert!((4..10).contains(&lines.len()), "{lines:?}");
    for (n, (level, line)) in lines.iter().enumerate() {
        let number = format!("; number {}", 1 << n);
        assert!(
            *level == Level::Warn && line.starts_with("a slice of work took ") && line.ends_with(&number),
            "{line}"
        );
    }

    // GPUs in software are left to those who ask for them.
    if machine::gpu(Device::gpu("")).is_none() {
        return;
    }
    let lines = told();
    assert!(lines.iter().any(|(_, line)| line.starts_with("GPU: ") && line.ends_with(" kernels")), "{lines:?}");
    if Device::auto(one()).is_gpu() {
        return;
    }
    let lines = told();
    for part in [" is not taken: it is software", "computing on the CPU, for no GPU can be used: "] {
        assert!(lines.iter().any(|(level, line)| *level == Level::Info && line.contains(part)), "{part}: {lines:?}");
    }
}
