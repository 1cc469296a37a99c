//! Files that are written beside their final name and take it once they are whole.
//!
//! Every writer has a name of its own there, so two processes that write one file do not tear it: the last one's is kept, whole.

use super::{FileError, Sink};
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A file or a folder that is not whole yet, under a name beside its final one. Dropped before [`Partial::commit`] it vanishes, with the
/// folders that were made for it, and what was there before stays as it was.
#[derive(Debug)]
pub struct Partial {
    name: PathBuf,
    path: PathBuf,
    /// Folders that were made for it, the outermost first.
    made: Vec<PathBuf>,
    committed: bool,
}

impl Partial {
    /// What `create` makes under a name beside `path` that nobody else has; the name ends in `.partial`. The folders above are made
    /// where there are none. `create` must refuse a name that is taken.
    ///
    /// # Errors
    /// `Io`; then nothing is left.
    pub fn create<T>(path: impl AsRef<Path>, create: impl Fn(&Path) -> io::Result<T>) -> Result<(T, Self), FileError> {
        let path = path.as_ref().to_owned();
        let made = make_parents(&path).map_err(io_error("make the folder of", &path))?;
        let mut this = Self { name: PathBuf::new(), path, made, committed: false };
        loop {
            this.name = unused(&this.path);
            // Known before it is there: a signal may come between.
            names().push(this.name.clone());
            match create(&this.name) {
                Ok(thing) => return Ok((thing, this)),
                Err(error) => {
                    // What is there is another writer's.
                    names().retain(|name| *name != this.name);
                    if error.kind() != ErrorKind::AlreadyExists {
                        let error = io_error("create", &this.path)(error);
                        this.name = PathBuf::new();
                        return Err(error);
                    }
                }
            }
        }
    }

    /// As [`Self::create`], an empty file.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn file(path: impl AsRef<Path>) -> Result<(File, Self), FileError> {
        Self::create(path, |name| OpenOptions::new().write(true).create_new(true).open(name))
    }

    /// The name until it is whole.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Renames to the final name.
    ///
    /// # Errors
    /// `Io`; what was there before is then still there.
    pub fn commit(mut self) -> Result<(), FileError> {
        fs::rename(&self.name, &self.path).map_err(io_error("write", &self.path))?;
        self.committed = true;
        // The new name is on the disk only when the folder is; not every system can open a folder, and the data are
        // safe.
        if let Some(folder) = self.path.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.committed {
            remove(&self.name);
            // Where nobody has put anything meanwhile.
            self.made.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
        }
        names().retain(|name| *name != self.name);
    }
}

/// Removes everything that this process has not completed: for a program that is to end at once, without a way back through its
/// functions. What is written afterwards has nowhere to go.
pub fn abandon() {
    // Held for good, so that nothing is begun meanwhile.
    let names = std::mem::ManuallyDrop::new(names());
    names.iter().for_each(|name| remove(name));
}

/// A file being written beside its final name, which it takes by [`PartialFile::commit`]. Dropped before that it
/// vanishes, and the file that was there before stays as it was.
#[derive(Debug)]
pub struct PartialFile {
    // Closed before it is removed, which some systems insist on.
    file: BufWriter<File>,
    partial: Partial,
}

impl PartialFile {
    /// Opens a file beside `path` for writing, in a folder that is made if there is none.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let (file, partial) = Partial::file(path)?;
        // Held while the file is open: one that is old and not held has lost its writer. Not every file system has locks.
        let _ = file.try_lock();
        sweep(&partial.path);
        Ok(Self { file: BufWriter::with_capacity(1 << 20, file), partial })
    }

    /// Syncs to the disk and renames to the final name.
    ///
    /// # Errors
    /// `Io`; the file that was there before is then still there.
    pub fn commit(self) -> Result<(), FileError> {
        let Self { file, partial } = self;
        let synced = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        synced.map_err(io_error("write", &partial.path))?;
        partial.commit()
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for PartialFile {
    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)?;
        self.file.seek(SeekFrom::End(0)).map(drop)
    }
}

/// Writes `bytes` as the whole file `path`, by a [`PartialFile`].
///
/// # Errors
/// Those of the system; what was there before is then still there.
pub fn write_whole(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let plain = |error: FileError| match error {
        FileError::Io { source, .. } => source,
        other => io::Error::other(other.to_string()),
    };
    let mut file = PartialFile::create(path).map_err(plain)?;
    file.write_all(bytes)?;
    file.commit().map_err(plain)
}

/// Names of what is not whole yet.
static NAMES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn names() -> MutexGuard<'static, Vec<PathBuf>> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name beside `path`. Random, and not of the process's number: processes of two containers may have the same.
fn unused(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:08x}.partial", RandomState::new().hash_one(0) as u32));
    name.into()
}

fn remove(name: &Path) {
    if fs::remove_file(name).is_err() {
        let _ = fs::remove_dir_all(name);
    }
}

/// How old a file must be before it is asked whether its writer lives: many times what lies between making and locking it.
const STALE: Duration = Duration::from_secs(60);

/// Removes what dead processes left of files beside `path`.
fn sweep(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Some(name), Ok(entries)) = (path.file_name().and_then(|name| name.to_str()), fs::read_dir(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let found = entry.file_name();
        let middle =
            found.to_str().and_then(|found| found.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".partial"));
        let ours =
            middle.is_some_and(|middle| middle.len() == 8 && middle.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let old = |metadata: &fs::Metadata| {
            metadata.is_file() && metadata.modified().is_ok_and(|time| time.elapsed().is_ok_and(|age| age > STALE))
        };
        if ours
            && entry.metadata().is_ok_and(|metadata| old(&metadata))
            && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Makes the folders above `path` that there are not; returns them, the outermost first.
fn make_parents(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folders = path.ancestors().skip(1).take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let mut missing: Vec<PathBuf> = folders.map(Path::to_owned).collect();
    missing.reverse();
    if let Some(inner) = missing.last()
        && let Err(error) = fs::create_dir_all(inner)
    {
        missing.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
        return Err(error);
    }
    Ok(missing)
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.display().to_string();
    move |source| FileError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("causeway-partial-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn list(&self) -> Vec<String> {
            let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn two_writers_of_one_file_leave_it_whole() {
        let folder = Folder::new("two");
        let path = folder.0.join("file");
        let mut writers: Vec<_> = (0..8).map(|_| PartialFile::create(&path).unwrap()).collect();
        // In turns, so that in one file their bytes would mix.
        for _ in 0..1000 {
            for (byte, writer) in writers.iter_mut().enumerate() {
                writer.write_all(&[byte as u8; 1000]).unwrap();
            }
        }
        assert_eq!(folder.list().len(), 8);
        let last = writers.pop().unwrap();
        writers.into_iter().for_each(|writer| writer.commit().unwrap());
        assert_eq!(fs::read(&path).unwrap(), [6; 1_000_000]);
        drop(last);
        assert_eq!(folder.list(), ["file"]);
        assert_eq!(fs::read(&path).unwrap(), [6; 1_000_000]);
    }

    #[test]
    fn folders_are_made_and_taken_back() {
        let folder = Folder::new("parents");
        let path = folder.0.join("a/b/file");
        drop(PartialFile::create(&path).unwrap());
        assert!(folder.list().is_empty());
        write_whole(&path, b"whole").unwrap();
        assert_eq!((fs::read(&path).unwrap(), folder.list()), (b"whole".to_vec(), vec!["a".to_owned()]));
        // A name that is taken by a folder, and a parent that is a file.
        assert!(write_whole(folder.0.join("a"), b"").is_err());
        assert!(write_whole(path.join("c/d"), b"").is_err());
        assert_eq!(folder.list(), ["a"]);
        assert_eq!(fs::read_dir(folder.0.join("a/b")).unwrap().count(), 1);
    }
}
