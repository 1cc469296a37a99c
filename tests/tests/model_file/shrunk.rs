//! Files that are no files, or not as long as they were: an error each time, never a signal.

use std::{fs::OpenOptions, path::Path};

use causeway_ops::{BackendError, quant::DType};
use causeway_runtime::{
    Budget, Pump, Session, SessionError, SessionOptions,
    file::{FileError, Info, Model, quantize_to},
};
use causeway_tests::{stream::one, tiny::tiny_model_bytes};

use crate::round_trip::Folder;

fn cut(path: &Path, bytes: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

fn frame(session: &mut Session) {
    while session.pump(Budget::Nodes(usize::MAX)).unwrap() != Pump::Frame {}
    session.release();
}

#[test]
fn a_file_that_shrinks_is_an_error_and_sessions_go_on() {
    let folder = Folder::new("shrunk");
    let path = folder.0.join("world.safetensors");
    let bytes = tiny_model_bytes(2);
    let wrong = |error: &str| error.contains("bytes now, expected") && error.contains("world.safetensors");
    // Nothing left, the header only, all but the last byte.
    for left in [0, 4096, bytes.len() as u64 - 1] {
        std::fs::write(&path, &bytes).unwrap();
        let model = Model::open(&path).unwrap();
        let part = Model::open_part(&std::fs::File::open(&path).unwrap(), 0, bytes.len()).unwrap();
        let mut session = Session::new(&model, &one(), SessionOptions::default()).unwrap();
        frame(&mut session);
        cut(&path, left);
        let error = Session::new(&model, &one(), SessionOptions::default()).err().expect("weights are gone");
        assert!(matches!(&error, SessionError::Backend(BackendError::WeightLost { .. })), "{left}: {error}");
        assert!(wrong(&error.to_string()), "{left}: {error}");
        assert!(Session::new(&part, &one(), SessionOptions::default()).is_err());
        let error = quantize_to(&model, DType::Q8, Vec::new()).unwrap_err();
        assert!(matches!(&error, FileError::Read(_)), "{left}: {error}");
        // What was checked while the file was whole is known still.
        assert_eq!(Info::of(&model).file_bytes, bytes.len());
        session.restart(4).unwrap();
        frame(&mut session);
    }
}

#[test]
fn a_file_that_comes_back_can_be_used_again() {
    let folder = Folder::new("regrown");
    let path = folder.0.join("world.safetensors");
    let bytes = tiny_model_bytes(2);
    std::fs::write(&path, &bytes).unwrap();
    let model = Model::open(&path).unwrap();
    // Replaced by rename: the open one is the one that was checked.
    std::fs::write(folder.0.join("new"), b"something else").unwrap();
    std::fs::rename(folder.0.join("new"), &path).unwrap();
    assert!(Session::new(&model, &one(), SessionOptions::default()).is_ok());
}

#[test]
fn only_regular_files_are_opened() {
    let folder = Folder::new("regular");
    let error = Model::open(&folder.0).unwrap_err().to_string();
    assert!(error.ends_with("it is a folder, expected a regular file"), "{error}");
    let error = Model::read(&folder.0).unwrap_err().to_string();
    assert!(error.ends_with("it is a folder, expected a regular file"), "{error}");
    #[cfg(unix)]
    {
        let pipe = folder.0.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // Nobody writes to it: opening it would wait for ever.
        for error in [Model::open(&pipe).unwrap_err(), Model::read(&pipe).unwrap_err()] {
            let error = error.to_string();
            assert!(error.ends_with("it is a pipe or a device, expected a regular file"), "{error}");
        }
    }
}
