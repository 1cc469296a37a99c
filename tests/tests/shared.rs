//! A session for several threads, as hosts in Rust use it; the C interface is the same thing in other clothes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use causeway_runtime::{
    Budget, Session,
    session::{Change, Condition, Progress, Shared, SharedError},
};
use causeway_tests::{
    stream::{next_frame, one, open, seeded},
    tiny::tiny_model_bytes,
};

fn session() -> Session {
    let bytes = tiny_model_bytes(1);
    Session::new(&open(&bytes), &one(), seeded(3)).unwrap()
}

/// The next frame's pixels, when there is one.
fn take(shared: &Shared) -> Result<Vec<u8>, SharedError> {
    let mut pixels = Vec::new();
    while shared
        .take(|_, bytes| {
            pixels.extend_from_slice(bytes);
            Ok::<_, SharedError>(())
        })?
        .is_none()
    {
        thread::sleep(Duration::from_micros(200));
    }
    Ok(pixels)
}

/// A worker makes the frames that a plain session makes, while other threads talk to it, save and restore.
#[test]
fn a_worker_makes_the_frames_of_a_plain_session() {
    let mut plain = session();
    let expected: Vec<_> = (0..20).map(|_| next_frame(&mut plain, Budget::Frame)).collect();
    let shared = Arc::new(Shared::new(session(), 2).unwrap());
    shared.start_worker().unwrap();
    assert!(matches!(shared.pump(Budget::Nodes(1)), Err(SharedError::State(_))));
    assert!(matches!(shared.start_worker(), Err(SharedError::State(_))));
    let stop = Arc::new(AtomicBool::new(false));
    // Changes of a far picture, taken back: none is ever in force.
    let talker = {
        let (shared, stop) = (shared.clone(), stop.clone());
        thread::spawn(move || {
            let mut count = 0;
            while !stop.load(SeqCst) || count < 20 {
                let far = Change { time: 1_000_000.into(), ..Change::to(Condition::Event(1)) };
                let ticket = shared.queue(far).unwrap();
                // A snapshot that is restored meanwhile takes the change with it.
                let withdrawn = shared.withdraw(ticket);
                assert!(matches!(withdrawn, Ok(()) | Err(SharedError::State(_))), "{withdrawn:?}");
                count += 1;
            }
            count
        })
    };
    let mut frames = Vec::new();
    while frames.len() < 10 {
        frames.push(take(&shared).unwrap());
    }
    let mut memory = Vec::new();
    let mut saved = Vec::new();
    shared
        .snapshot(|bytes| {
            memory.resize(bytes, 0);
            Ok::<_, SharedError>(Some(&mut memory[..]))
        })
        .unwrap();
    shared
        .save(|bytes| {
            saved.resize(bytes, 0);
            Ok::<_, SharedError>(Some(&mut saved[..]))
        })
        .unwrap();
    let rest: Vec<_> = (0..5).map(|_| take(&shared).unwrap()).collect();
    shared.restore(&memory).unwrap();
    let again: Vec<_> = (0..5).map(|_| take(&shared).unwrap()).collect();
    assert!(rest == again);
    frames.extend(rest);
    assert!(frames == expected[..15]);
    stop.store(true, SeqCst);
    assert!(talker.join().unwrap() >= 20);
    shared.load(&saved).unwrap();
    take(&shared).unwrap();
    let (stats, _, _, pumped) = shared.stats().unwrap();
    // Frames that a snapshot held are taken again and not made again.
    assert!(stats.frames >= 15 && pumped.rounds > 0 && pumped.longest > 0, "{stats:?} {pumped:?}");
    shared.close();
    assert_eq!(shared.pump(Budget::Nodes(1)), Err(SharedError::Closed));
}

/// Without a worker one thread pumps; others that want in are told so, and a pause holds.
#[test]
fn one_thread_pumps_and_others_are_told_so() {
    let shared = Arc::new(Shared::new(session(), 2).unwrap());
    shared.pause(true);
    assert_eq!(shared.pump(Budget::Frame), Ok(Progress::Paused));
    shared.pause(false);
    while shared.pump(Budget::Frame) != Ok(Progress::Full) {}
    let inside = {
        let shared = shared.clone();
        thread::spawn(move || {
            for _ in 0..40 {
                _ = take(&shared);
            }
        })
    };
    let mut busy = 0;
    let other = {
        let shared = shared.clone();
        thread::spawn(move || {
            let mut busy = 0;
            for _ in 0..2000 {
                match shared.stats() {
                    Err(SharedError::Busy(_)) => busy += 1,
                    other => assert!(other.is_ok(), "{other:?}"),
                }
            }
            busy
        })
    };
    while !inside.is_finished() {
        match shared.pump(Budget::Micros(500)) {
            Err(SharedError::Busy(_)) => busy += 1,
            other => assert!(other.is_ok(), "{other:?}"),
        }
    }
    inside.join().unwrap();
    busy += other.join().unwrap();
    println!("{busy} calls found another thread inside");
    // What a hook of the host's calls back is told, too: the write of a frame is outside of the session and may.
    shared.set_action(&[0.0; 5]).unwrap();
    assert!(matches!(shared.set_action(&[0.0; 4]), Err(causeway_runtime::SessionError::ActionLength { .. })));
    // A frame that cannot be written stays.
    while shared.pump(Budget::Frame) != Ok(Progress::Full) {}
    let failed = shared.take(|_, _| Err(SharedError::State("no room".into())));
    assert_eq!(failed, Err(SharedError::State("no room".into())));
    assert!(take(&shared).is_ok());
}

/// What a worker met ends it, and is told once to whoever takes the next frame; another worker may go on.
#[test]
fn a_worker_that_fails_says_why() {
    let shared = Arc::new(Shared::new(session(), 2).unwrap());
    let spawn = |work: Box<dyn FnOnce() + Send>| {
        let thread = std::sync::Mutex::new(Some(thread::spawn(work)));
        Ok::<causeway_ops::parallel::Join, std::io::Error>(Box::new(move || {
            thread.lock().unwrap().take().unwrap().join().unwrap();
        }))
    };
    let told = |shared: &Shared| loop {
        match shared.take(|_, _| Ok::<_, SharedError>(())) {
            Ok(_) => thread::sleep(Duration::from_millis(1)),
            Err(error) => return error,
        }
    };
    shared.start_worker_by(spawn, |_| Err(SharedError::Refused(7))).unwrap();
    assert_eq!(told(&shared), SharedError::Refused(7));
    shared.stop_worker().unwrap();
    shared.start_worker_by(spawn, |_| panic!("a defect")).unwrap();
    assert!(matches!(told(&shared), SharedError::Broken(_)));
    shared.stop_worker().unwrap();
    shared.start_worker().unwrap();
    assert!(take(&shared).is_ok());
    shared.close();
}
