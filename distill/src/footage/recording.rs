//! Recordings of games as training data: numbered safetensors shards in a folder (docs/model-file.md).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use causeway_runtime::file::{regular, write_whole};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a recording says of itself, in the `recording` key of each shard's metadata.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordingInfo {
    /// Width of a frame in pixels.
    pub width: usize,
    /// Height of a frame in pixels.
    pub height: usize,
    /// Frames a second.
    pub fps: f32,
    /// Frames that an action lasts once it has begun, and is named in each of them; 1 where rows say what is pressed.
    #[serde(default = "once")]
    pub latch: usize,
    /// Names of the action columns.
    pub actions: Vec<String>,
    /// Names of the conditions that `events` number.
    pub events: Vec<String>,
    /// Licence of the pictures.
    pub license: String,
    /// Whom to credit for the pictures.
    pub credits: String,
    /// What made the recording.
    pub source: String,
    /// The seed it was made from.
    pub seed: u64,
}

fn once() -> usize {
    1
}

/// Sides of the pictures that a model can be trained on are multiples of this many pixels: 8 a latent, 2 x 2 latents a token.
const SIDE: usize = 16;

impl RecordingInfo {
    /// Whether a model can be trained on the recordings `train`, this one, and `held`, `other`, in the folder `folder`.
    ///
    /// # Errors
    /// [`RecordingError::Content`].
    pub fn fits(&self, other: &Self, folder: &Path) -> Result<()> {
        let (train, held) = (folder.join("train"), folder.join("held"));
        let size = |info: &Self| format!("{} x {} pixels", info.width, info.height);
        let check = Check { path: &train, tensor: "recording" };
        let whole = [self.width, self.height].iter().all(|side| *side > 0 && side.is_multiple_of(SIDE));
        check.that(whole, format!("width and height in multiples of {SIDE}"), size(self))?;
        let check = Check { path: &held, tensor: "recording" };
        let same = |what: &str, ours: String, theirs: String| {
            check.that(ours == theirs, format!("{what} as in the training footage, {ours}"), theirs)
        };
        same("pictures", size(self), size(other))?;
        same("a frame rate", format!("{} a second", self.fps), format!("{} a second", other.fps))?;
        same("actions", self.actions.join(", "), other.actions.join(", "))?;
        same("events", self.events.join(", "), other.events.join(", "))?;
        same("a latch", self.latch.to_string(), other.latch.to_string())
    }
}

/// Why a recording could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A shard is not a safetensors file.
    #[error("{}: not a readable safetensors file: {source}", path.display())]
    Safetensors {
        /// The shard.
        path: PathBuf,
        /// What is wrong with it.
        source: safetensors::SafeTensorError,
    },
    /// The folder holds no shard.
    #[error("{}: no shard named NNNNN.safetensors", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// Two shards have one number.
    #[error("{} and {} have the same number; rename or remove one", path.display(), other.display())]
    Ambiguous {
        /// One shard.
        path: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// A tensor or the metadata is not what the format asks for.
    #[error("{}: `{tensor}`: expected {expected}, found {found}", path.display())]
    Content {
        /// The shard.
        path: PathBuf,
        /// The tensor, or the metadata key `recording`.
        tensor: &'static str,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

type Result<T> = std::result::Result<T, RecordingError>;

/// The frames of one shard, not yet written. N frames of H x W pixels, A actions, P pose columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shard {
    /// sRGB bytes [N, H, W, 3].
    pub frames: Vec<u8>,
    /// [N, A]; row i is what was pressed between frames i-1 and i.
    pub actions: Vec<f32>,
    /// [N]; the condition in force at frame i.
    pub events: Vec<u8>,
    /// [N, P], or empty.
    pub poses: Vec<f32>,
    /// [N]; 1 where an episode begins.
    pub episode_starts: Vec<u8>,
}

/// A whole recording in memory. N frames of H x W pixels, A actions, P pose columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// sRGB bytes [N, H, W, 3].
    pub frames: Vec<u8>,
    /// [N, A]; row i is what was pressed between frames i-1 and i.
    pub actions: Vec<f32>,
    /// [N]; the condition in force at frame i.
    pub events: Vec<u8>,
    /// [N, P], or empty where none were recorded.
    pub poses: Vec<f32>,
    /// [N]; 1 where an episode begins.
    pub episode_starts: Vec<u8>,
    /// What the shards say of themselves.
    pub info: RecordingInfo,
}

/// Names the file and the tensor in every complaint.
struct Check<'a> {
    path: &'a Path,
    tensor: &'static str,
}

impl Check<'_> {
    fn that(&self, ok: bool, expected: impl ToString, found: impl ToString) -> Result<()> {
        if ok { Ok(()) } else { Err(self.fail(expected, found)) }
    }

    fn fail(&self, expected: impl ToString, found: impl ToString) -> RecordingError {
        let (expected, found) = (expected.to_string(), found.to_string());
        RecordingError::Content { path: self.path.to_path_buf(), tensor: self.tensor, expected, found }
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> RecordingError + '_ {
    move |source| RecordingError::Io { path: path.to_path_buf(), source }
}

fn broken(path: &Path) -> impl FnOnce(safetensors::SafeTensorError) -> RecordingError + '_ {
    move |source| RecordingError::Safetensors { path: path.to_path_buf(), source }
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

impl Shard {
    /// Writes the shard as number `index` of the folder `dir` (made if missing): to a `.partial` file, synced, renamed.
    ///
    /// # Errors
    /// [`RecordingError::Content`] if lengths disagree with each other or with `info`; [`RecordingError::Io`] and
    /// [`RecordingError::Safetensors`] if the file cannot be written.
    pub fn write(&self, dir: &Path, index: usize, info: &RecordingInfo) -> Result<()> {
        let path = dir.join(format!("{index:05}.safetensors"));
        let n = self.events.len();
        let pose_columns = self.poses.len().checked_div(n).unwrap_or(0);
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
        let (actions, poses) = (bytes(&self.actions), bytes(&self.poses));
        let mut parts: Vec<(&'static str, Dtype, Vec<usize>, &[u8])> = vec![
            ("frames", Dtype::U8, vec![n, info.height, info.width, 3], &self.frames),
            ("actions", Dtype::F32, vec![n, info.actions.len()], &actions),
            ("events", Dtype::U8, vec![n], &self.events),
            ("episode_starts", Dtype::U8, vec![n], &self.episode_starts),
        ];
        if !poses.is_empty() {
            parts.push(("poses", Dtype::F32, vec![n, pose_columns], &poses));
        }
        let mut views = Vec::new();
        for (tensor, dtype, shape, data) in parts {
            let check = Check { path: &path, tensor };
            let want = shape.iter().product::<usize>() * dtype.bitsize() / 8;
            check.that(data.len() == want, format!("{want} bytes for {shape:?}"), format!("{} bytes", data.len()))?;
            views.push((tensor, TensorView::new(dtype, shape, data).map_err(broken(&path))?));
        }
        let json = serde_json::to_string(info).map_err(|e| io(&path)(e.into()))?;
        let meta = HashMap::from([("recording".to_string(), json)]);
        write_whole(&path, &serialize(views, Some(meta)).map_err(broken(&path))?).map_err(io(&path))
    }

    /// Reads and checks one shard.
    fn read(path: &Path) -> Result<(Self, RecordingInfo)> {
        let bytes = regular::read(path).map_err(io(path))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken(path))?;
        let check = Check { path, tensor: "recording" };
        let json = header.metadata().as_ref().and_then(|m| m.get("recording"));
        let json = json.ok_or_else(|| check.fail("a metadata key `recording`", "none"))?;
        let info: RecordingInfo = serde_json::from_str(json).map_err(|e| check.fail("a JSON description", e))?;
        let file = SafeTensors::deserialize(&bytes).map_err(broken(path))?;

        let get = |tensor: &'static str, dtypes: &[Dtype], rest: &[usize], n: Option<usize>| {
            let check = Check { path, tensor };
            let view = file.tensor(tensor).map_err(|_| check.fail("a tensor of this name", "none"))?;
            let (dtype, shape) = (view.dtype(), view.shape().to_vec());
            let fits = dtypes.contains(&dtype)
                && shape.first().is_some_and(|&len| n.is_none_or(|n| n == len))
                && shape[1..] == *rest;
            let len = n.map_or_else(|| "N".to_string(), |n| n.to_string());
            let types = dtypes.iter().map(|dtype| format!("{dtype:?}")).collect::<Vec<_>>().join(" or ");
            let wanted = std::iter::once(len).chain(rest.iter().map(usize::to_string)).collect::<Vec<_>>().join(", ");
            check.that(fits, format!("{types} [{wanted}]"), format!("{dtype:?} {shape:?}"))?;
            Ok((dtype, shape[0], view.data().to_vec()))
        };
        let (_, n, frames) = get("frames", &[Dtype::U8], &[info.height, info.width, 3], None)?;
        let (dtype, _, actions) = get("actions", &[Dtype::U8, Dtype::F32], &[info.actions.len()], Some(n))?;
        let actions: Vec<f32> =
            if dtype == Dtype::F32 { floats(&actions).collect() } else { actions.into_iter().map(f32::from).collect() };
        let (_, _, events) = get("events", &[Dtype::U8], &[], Some(n))?;
        let (_, _, episode_starts) = get("episode_starts", &[Dtype::U8], &[], Some(n))?;
        let poses = match file.tensor("poses") {
            Ok(view) => get("poses", &[Dtype::F32], view.shape().get(1..).unwrap_or(&[]), Some(n))?.2,
            Err(_) => Vec::new(),
        };
        let poses: Vec<f32> = floats(&poses).collect();

        let none = |tensor, expected: &str, bad: Option<(usize, String)>| match bad {
            None => Ok(()),
            Some((at, value)) => Err(Check { path, tensor }.fail(expected, format!("{value} at place {at}"))),
        };
        let columns = info.actions.len().max(1);
        let bad = actions.iter().position(|a| !a.is_finite());
        let of = |at: usize| format!("{} in row {}", actions[at], at / columns);
        none("actions", "finite values", bad.map(|at| (at % columns, of(at))))?;
        let bad = events.iter().position(|&e| usize::from(e) >= info.events.len());
        let below = format!("numbers below {}", info.events.len());
        none("events", &below, bad.map(|at| (at, events[at].to_string())))?;
        let bad = episode_starts.iter().position(|&s| s > 1);
        none("episode_starts", "0 or 1", bad.map(|at| (at, episode_starts[at].to_string())))?;
        match episode_starts.first() {
            Some(1) => {}
            Some(first) => none("episode_starts", "1 for the first frame", Some((0, first.to_string())))?,
            None => return Err(Check { path, tensor: "episode_starts" }.fail("1 for the first frame", "no frames")),
        }
        Ok((Self { frames, actions, events, poses, episode_starts }, info))
    }
}

impl Recording {
    /// Loads all shards of the folder `dir`, in order, and checks that they belong together.
    ///
    /// # Errors
    /// [`RecordingError`], which names the file and the tensor at fault.
    pub fn open(dir: &Path) -> Result<Self> {
        let paths = shards(dir)?;
        let Some((first, rest)) = paths.split_first() else {
            return Err(RecordingError::Empty { path: dir.to_path_buf() });
        };
        let (mut all, info) = Shard::read(first)?;
        let (n, poses) = (all.events.len(), all.poses.len());
        for path in rest {
            let (shard, other) = Shard::read(path)?;
            let check = |tensor| Check { path, tensor };
            let json = |info: &RecordingInfo| serde_json::to_string(info).unwrap_or_default();
            check("recording").that(other == info, json(&info), json(&other))?;
            check("frames").that(shard.events.len() == n, format!("{n} frames"), shard.events.len())?;
            check("poses").that(shard.poses.len() == poses, format!("{poses} values"), shard.poses.len())?;
            all.frames.extend_from_slice(&shard.frames);
            all.actions.extend_from_slice(&shard.actions);
            all.events.extend_from_slice(&shard.events);
            all.poses.extend_from_slice(&shard.poses);
            all.episode_starts.extend_from_slice(&shard.episode_starts);
        }
        let Shard { frames, actions, events, poses, episode_starts } = all;
        Ok(Self { frames, actions, events, poses, episode_starts, info })
    }

    /// Frame `i`: sRGB bytes [H, W, 3].
    pub fn frame(&self, i: usize) -> &[u8] {
        let len = 3 * self.info.width * self.info.height;
        &self.frames[i * len..(i + 1) * len]
    }

    /// What was pressed before frame `i`: [A].
    pub fn action(&self, i: usize) -> &[f32] {
        let len = self.info.actions.len();
        &self.actions[i * len..(i + 1) * len]
    }

    /// The pose row of frame `i`: [P], empty where none were recorded.
    pub fn pose(&self, i: usize) -> &[f32] {
        let len = self.poses.len() / self.len().max(1);
        &self.poses[i * len..(i + 1) * len]
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// The shards in a folder in the order of their numbers, with zeros before them or without.
fn shards(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(io(dir))? {
        let path = entry.map_err(io(dir))?.path();
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or("");
        let digits = !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_digit());
        if digits && path.extension().is_some_and(|e| e == "safetensors") {
            // As text without its zeros, because it may have any length.
            let number = stem.trim_start_matches('0').to_owned();
            paths.push((number.len(), number, path));
        }
    }
    paths.sort();
    if let Some(pair) = paths.windows(2).find(|pair| pair[0].1 == pair[1].1) {
        return Err(RecordingError::Ambiguous { path: pair[0].2.clone(), other: pair[1].2.clone() });
    }
    Ok(paths.into_iter().map(|(_, _, path)| path).collect())
}

/// SHA-256 of the bytes of all shards in `dir`, in order, in hexadecimal: the name of the data a model was trained on.
///
/// # Errors
/// [`RecordingError::Io`].
pub fn sha256(dir: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for path in shards(dir)? {
        hash.update(regular::read(&path).map_err(io(&path))?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::serialize_to_file;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("recording-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            Self(dir)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn info() -> RecordingInfo {
        let names = |n: &[&str]| n.iter().map(|s| s.to_string()).collect();
        RecordingInfo {
            width: 2,
            height: 1,
            fps: 20.0,
            latch: 1,
            actions: names(&["go", "stop", "turn"]),
            events: names(&["day", "night"]),
            license: "MIT".into(),
            credits: "none".into(),
            source: "test".into(),
            seed: 7,
        }
    }

    fn shard(first: u8) -> Shard {
        Shard {
            frames: (first..first + 24).collect(),
            actions: (0..12u8).map(|i| f32::from(i) * 0.5).collect(),
            events: vec![0, 1, 1, 0],
            poses: (0..8u8).map(f32::from).collect(),
            episode_starts: vec![1, 0, 1, 0],
        }
    }

    fn message(dir: &Path) -> String {
        Recording::open(dir).expect_err("a bad recording was accepted").to_string()
    }

    #[test]
    fn shards_come_back_in_order() {
        let dir = Folder::new("order");
        shard(100).write(&dir.0, 1, &info()).unwrap();
        shard(0).write(&dir.0, 0, &info()).unwrap();
        let all = Recording::open(&dir.0).unwrap();
        assert_eq!(all.frames, [shard(0).frames, shard(100).frames].concat());
        assert_eq!(all.actions, [shard(0).actions, shard(0).actions].concat());
        assert_eq!((all.len(), all.poses.len(), all.info), (8, 16, info()));
        assert_eq!(all.episode_starts, [1, 0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 2, "a partial file was left");
    }

    #[test]
    fn numbers_of_shards_need_no_zeros_but_differ() {
        let dir = Folder::new("numbers");
        for index in 0..3 {
            shard(60 * index).write(&dir.0, index.into(), &info()).unwrap();
        }
        let rename = |from: &str, to: &str| fs::rename(dir.0.join(from), dir.0.join(to)).unwrap();
        rename("00001.safetensors", "9.safetensors");
        rename("00002.safetensors", "10.safetensors");
        let all = Recording::open(&dir.0).unwrap();
        assert_eq!(all.frames, [shard(0).frames, shard(60).frames, shard(120).frames].concat());
        rename("10.safetensors", "0009.safetensors");
        let text = message(&dir.0);
        assert!(text.contains("0009.safetensors and ") && text.contains("have the same number"), "{text}");
        assert!(sha256(&dir.0).is_err());
    }

    #[test]
    fn byte_actions_are_read_and_poses_may_be_missing() {
        let dir = Folder::new("bytes");
        fs::create_dir_all(&dir.0).unwrap();
        let data: Vec<u8> = (0..24).collect();
        let (starts, actions) = ([1, 0, 0, 0], [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1]);
        let view = |shape: &[usize], d| TensorView::new(Dtype::U8, shape.to_vec(), d).unwrap();
        let views = [
            ("frames", view(&[4, 1, 2, 3], &data)),
            ("actions", view(&[4, 3], &actions)),
            ("events", view(&[4], &[0, 0, 1, 1])),
            ("episode_starts", view(&[4], &starts)),
        ];
        let meta = HashMap::from([("recording".to_string(), serde_json::to_string(&info()).unwrap())]);
        serialize_to_file(views, Some(meta), &dir.0.join("00000.safetensors")).unwrap();
        let all = Recording::open(&dir.0).unwrap();
        assert_eq!(all.actions, actions.map(f32::from));
        assert!(all.poses.is_empty());
    }

    #[test]
    fn faults_name_the_file_and_the_tensor() {
        type Spoil = fn(&mut Shard, &mut RecordingInfo);
        let cases: [(&str, Spoil); 5] = [
            ("`events`: expected numbers below 2, found 9 at place 2", |s, _| s.events[2] = 9),
            ("`episode_starts`: expected 1 for the first frame, found 0 at place 0", |s, _| s.episode_starts[0] = 0),
            ("`episode_starts`: expected 0 or 1, found 3 at place 1", |s, _| s.episode_starts[1] = 3),
            ("`actions`: expected finite values, found NaN in row 1 at place 2", |s, _| s.actions[5] = f32::NAN),
            ("`recording`: expected {\"width\":2,", |_, i| i.seed = 8),
        ];
        for (i, (want, spoil)) in cases.into_iter().enumerate() {
            let dir = Folder::new(&format!("fault{i}"));
            shard(0).write(&dir.0, 0, &info()).unwrap();
            let (mut bad, mut about) = (shard(0), info());
            spoil(&mut bad, &mut about);
            bad.write(&dir.0, 1, &about).unwrap();
            let text = message(&dir.0);
            assert!(text.contains("00001.safetensors") && text.contains(want), "{text}");
        }
    }

    #[test]
    fn footage_to_train_and_to_look_at_belongs_together() {
        type Spoil = fn(&mut RecordingInfo);
        let good = || RecordingInfo { width: 64, height: 48, ..info() };
        let folder = Path::new("data");
        good().fits(&good(), folder).unwrap();
        let odd = RecordingInfo { width: 60, height: 60, ..info() };
        let text = odd.fits(&odd, folder).unwrap_err().to_string();
        assert!(
            text.contains("data/train: `recording`: expected width and height in multiples of 16, found 60 x 60"),
            "{text}"
        );
        let cases: [(&str, Spoil); 4] = [
            ("expected a frame rate as in the training footage, 20 a second, found 15 a second", |i| i.fps = 15.0),
            ("pictures as in the training footage, 64 x 48 pixels, found 32 x 48 pixels", |i| i.width = 32),
            ("actions as in the training footage, go, stop, turn, found go, stop", |i| i.actions.truncate(2)),
            ("events as in the training footage, day, night, found day", |i| i.events.truncate(1)),
        ];
        for (want, spoil) in cases {
            let mut held = good();
            spoil(&mut held);
            let text = good().fits(&held, folder).unwrap_err().to_string();
            assert!(text.contains("data/held") && text.contains(want), "{text}");
        }
    }

    #[test]
    fn wrong_lengths_are_not_written() {
        let dir = Folder::new("lengths");
        let mut bad = shard(0);
        bad.frames.pop();
        let text = bad.write(&dir.0, 0, &info()).expect_err("short frames were written").to_string();
        assert!(text.contains("`frames`: expected 24 bytes"), "{text}");
    }

    #[test]
    fn empty_and_broken_folders_are_named() {
        let dir = Folder::new("empty");
        fs::create_dir_all(&dir.0).unwrap();
        assert!(message(&dir.0).contains("no shard named"));
        fs::write(dir.0.join("00000.safetensors"), b"not a tensor file").unwrap();
        assert!(message(&dir.0).contains("not a readable safetensors file"));
    }
}
