//! Opening model files from wherever a host keeps them.

use std::{ffi::c_void, path::Path};

use causeway_runtime::Model as Opened;

use crate::{
    error::Error,
    types::{CW_ERROR_HOST, CwModelInfo, CwReader},
};

/// An open model.
pub struct Model(pub Opened<'static>);

impl Model {
    pub fn from_path(path: &str) -> Result<Self, Error> {
        Ok(Self(Opened::open(Path::new(path))?))
    }

    /// Copies the bytes.
    pub fn from_copy(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self(Opened::from_filled(bytes.len(), |target| -> Result<(), Error> {
            target.copy_from_slice(bytes);
            Ok(())
        })?))
    }

    /// Uses the bytes where they are.
    pub fn from_borrowed(bytes: &'static [u8]) -> Result<Self, Error> {
        Ok(Self(Opened::from_bytes(bytes)?))
    }

    #[cfg(unix)]
    pub fn from_fd(fd: i32, offset: u64, bytes: u64) -> Result<Self, Error> {
        use std::os::fd::BorrowedFd;
        if fd < 0 {
            return Err(Error::argument(format!("{fd} is no file descriptor")));
        }
        let bytes =
            usize::try_from(bytes).map_err(|_| Error::argument(format!("{bytes} bytes do not fit in memory")))?;
        // SAFETY: only asks the system to duplicate the number, which it refuses for one that is not open.
        let owned = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
        let owned = owned.map_err(|error| {
            Error::new(crate::types::CW_ERROR_IO, format!("cannot use file descriptor {fd}: {error}"))
        })?;
        let file = std::fs::File::from(owned);
        Ok(Self(Opened::open_part(&file, offset, bytes)?))
    }

    #[cfg(not(unix))]
    pub fn from_fd(_fd: i32, _offset: u64, _bytes: u64) -> Result<Self, Error> {
        Err(Error::new(crate::types::CW_ERROR_UNSUPPORTED, "file descriptors can be opened on Unix systems only"))
    }

    pub fn from_reader(reader: &CwReader) -> Result<Self, Error> {
        let Some(read) = reader.read else { return Err(Error::argument("the CwReader has no `read`")) };
        let bytes = reader.bytes;
        let length =
            usize::try_from(bytes).map_err(|_| Error::argument(format!("{bytes} bytes do not fit in memory")))?;
        Ok(Self(Opened::from_filled(length, |target| {
            // SAFETY: the host's function as it declared it; the target has `bytes` bytes.
            match unsafe { read(reader.user, 0, target.as_mut_ptr().cast::<c_void>(), bytes) } {
                0 => Ok(()),
                code => {
                    Err(Error::new(CW_ERROR_HOST, format!("the host's `read` returned {code} for {bytes} bytes at 0")))
                }
            }
        })?))
    }

    pub fn info(&self) -> CwModelInfo {
        let config = self.0.config();
        let (width, height) = config.picture();
        CwModelInfo {
            struct_size: size_of::<CwModelInfo>() as u32,
            width: width as u32,
            height: height as u32,
            fps: config.fps,
            actions: config.dit.actions.len() as u32,
            events: config.dit.events.len() as u32,
            chunk: config.dit.chunk as u32,
            window: config.history.window as u32,
            sink: config.history.sink as u32,
            route: config.history.route as u32,
            steps: config.schedule.default_steps as u32,
            start_frames: config.start.as_ref().map_or(0, |start| start.count as u32),
            file_bytes: self.0.file_bytes() as u64,
        }
    }
}
