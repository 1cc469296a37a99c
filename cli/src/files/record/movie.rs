//! MP4 through the system's `ffmpeg`, which knows the encoders that this program does not want to carry.

use std::{
    io::{ErrorKind, Read, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
};

use causeway_runtime::file::Partial;

use super::sink::{Recording, Sink, enlarged};
use crate::error::Error;

/// A running encoder and the file that it writes under a temporary name.
pub struct Movie {
    child: Child,
    input: Option<ChildStdin>,
    /// None once it has its final name.
    partial: Option<Partial>,
    path: PathBuf,
    width: usize,
    scale: usize,
}

impl Movie {
    pub fn create(recording: &Recording) -> Result<Self, Error> {
        let &Recording { width, height, scale, fps, .. } = recording;
        let path = recording.path.clone();
        // Empty, for the encoder to write over: nobody else has the name then.
        let (_, partial) = Partial::file(&path).map_err(Error::file(&path))?;
        let size = format!("{}x{}", width * scale, height * scale);
        let mut command = Command::new("ffmpeg");
        command.args(["-loglevel", "error", "-nostdin", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size]);
        command.args(["-r", &fps.to_string(), "-i", "pipe:0", "-an", "-pix_fmt", "yuv420p"]);
        // The common pixel format halves colour resolution, so sides must be even.
        command.args(["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-movflags", "+faststart", "-f", "mp4"]);
        // An absolute name cannot be taken for an option or a protocol.
        command.arg(std::path::absolute(partial.name()).map_err(Error::io("write", &path))?);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Ctrl-C is for this program, which then ends the encoder and removes its file.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|source| match source.kind() {
            ErrorKind::NotFound => Error::Failed(
                "an .mp4 needs the program `ffmpeg`, which was not found; install it, or record a .gif, a .png or a folder"
                    .to_owned(),
            ),
            _ => Error::Io { action: "run", path: "ffmpeg".to_owned(), source },
        })?;
        let input = child.stdin.take();
        Ok(Self { child, input, partial: Some(partial), path, width, scale })
    }

    /// Waits for the encoder; its last words if it failed.
    fn wait(&mut self) -> Result<(), Error> {
        self.input = None;
        let mut words = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut words);
        }
        let status =
            self.child.wait().map_err(|source| Error::Io { action: "run", path: "ffmpeg".to_owned(), source })?;
        if status.success() {
            return Ok(());
        }
        let reason = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it gave no reason");
        Err(Error::Failed(format!("ffmpeg failed: {reason}")))
    }
}

impl Sink for Movie {
    fn frame(&mut self, rgba: &[u8]) -> Result<(), Error> {
        let pixels = enlarged(rgba, self.width, self.scale);
        match self.input.as_mut().map(|input| input.write_all(&pixels)) {
            Some(Ok(())) => Ok(()),
            // The encoder closed its input: it knows why.
            _ => self.wait().and(Err(Error::Failed("ffmpeg ended early".to_owned()))),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.wait()?;
        self.partial.take().map_or(Ok(()), |partial| partial.commit().map_err(Error::file(&self.path)))
    }
}

impl Drop for Movie {
    fn drop(&mut self) {
        if self.partial.is_some() {
            // Nobody is left to tell if this fails. The file goes after its writer.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
