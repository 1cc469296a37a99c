//! `causeway quantize`: a model file with other weight types.

use std::{
    io,
    io::Write,
    path::{Path, PathBuf},
};

use causeway_ops::quant::DType;
use causeway_runtime::{
    file::{AnyFile, ClipFile, FileError, ModelFile, PartialFile, Sink, quantize_to},
    model::Network,
};

use indicatif::ProgressBar;

use crate::{
    error::Error,
    files::image,
    options::session::EndArgs,
    tools::{
        output::print,
        progress::progress,
        stop::Stop,
        table::{Table, bytes},
    },
};

/// Weight types that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Weights {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 8-bit integers in blocks of 32.
    Q8,
    /// 4-bit integers in blocks of 32.
    Q4,
}

impl From<Weights> for DType {
    fn from(weights: Weights) -> DType {
        match weights {
            Weights::F32 => DType::F32,
            Weights::F16 => DType::F16,
            Weights::Q8 => DType::Q8,
            Weights::Q4 => DType::Q4,
        }
    }
}

/// Options of `quantize`.
#[derive(Clone, Debug, clap::Args)]
pub struct QuantizeArgs {
    /// Input, a model file
    #[arg(long = "in", value_name = "FILE", required_unless_present = "first")]
    input: Option<PathBuf>,
    /// Output, a model file
    #[arg(long = "out", value_name = "FILE", required_unless_present = "second")]
    output: Option<PathBuf>,
    #[command(flatten)]
    ends: EndArgs,
    /// Type of the matrices; all else is stored as f16
    #[arg(long, value_enum)]
    to: Weights,
}

/// A file being written that stops growing after Ctrl-C, and so is never named; a bar shows how it grows.
pub struct Stoppable<'a> {
    file: PartialFile,
    stop: &'a Stop,
    bar: ProgressBar,
    written: usize,
}

impl<'a> Stoppable<'a> {
    /// The file at `output`, which will have about `total` bytes.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(output: &Path, total: usize, stop: &'a Stop) -> Result<Self, Error> {
        let file = PartialFile::create(output).map_err(Error::file(output))?;
        Ok(Self { file, stop, bar: progress(total.div_ceil(MEGABYTE) as u64, "MB"), written: 0 })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// The system refuses.
    pub fn commit(self, output: &Path) -> Result<(), Error> {
        self.bar.finish_and_clear();
        self.file.commit().map_err(Error::file(output))
    }
}

/// What the bar counts in.
const MEGABYTE: usize = 1_000_000;

impl Write for Stoppable<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.stop.requested() {
            return Err(io::Error::other("interrupted"));
        }
        let count = self.file.write(data)?;
        self.written += count;
        self.bar.set_position((self.written / MEGABYTE) as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for Stoppable<'_> {
    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.rewrite(at, bytes)
    }
}

/// Bytes of `count` values in a type.
pub fn stored(dtype: DType, count: usize) -> usize {
    dtype.data_bytes(count).unwrap_or(0) + dtype.scale_bytes(count)
}

/// Converts the file.
///
/// # Errors
/// The input is refused, the output cannot be written, or Ctrl-C; then there is no new output.
pub fn run(args: &QuantizeArgs, stop: &Stop) -> Result<(), Error> {
    let to = DType::from(args.to);
    let [input, output] = &args.ends.both(args.input.as_ref(), args.output.as_ref())?;
    let file = match AnyFile::open(input) {
        Err(error) if image::is_encoder(&error) => {
            let file = ClipFile::open(input).map_err(Error::file(input))?;
            return rewrite((input, output), &file, to, stop);
        }
        file => file.map_err(Error::file(input))?,
    };
    match file {
        AnyFile::Codec(_) if to.is_quantised() => {
            let (input, to) = (input.display(), to.name());
            Err(Error::Usage(format!(
                "{input}: a decoder is all convolutions, which are stored as f32 or f16, not {to}"
            )))
        }
        AnyFile::Denoiser(file) => rewrite((input, output), &file, to, stop),
        AnyFile::Codec(file) => rewrite((input, output), &file, to, stop),
        AnyFile::Text(file) => rewrite((input, output), &file, to, stop),
        AnyFile::Bundle(_) => Err(Error::Usage(format!(
            "{}: a bundle; `causeway bundle --split` gives its parts, which can be converted",
            input.display()
        ))),
    }
}

fn rewrite<C: Network>(
    (input, output): (&Path, &Path),
    model: &ModelFile<'_, C>,
    to: DType,
    stop: &Stop,
) -> Result<(), Error> {
    let total = model.tensors().map(|(_, view)| stored(to, view.len())).sum();
    let written = quantize_to(model, to, Stoppable::create(output, total, stop)?);
    stop.check()?;
    let written = written.map_err(|error| match error {
        FileError::Io { source, .. } => Error::io("write", output)(source),
        error => Error::file(input)(error),
    })?;
    written.commit(output)?;
    let result = ModelFile::<C>::open(output).map_err(Error::file(output))?;
    let shares = [share(model, to), share(&result, to)];
    let mut table = Table::new(&["file", "size", "bytes", &format!("values in {}", to.name())]);
    for ((path, size), share) in [(input, model.file_bytes()), (output, result.file_bytes())].into_iter().zip(shares) {
        table.row([path.display().to_string(), bytes(size), size.to_string(), format!("{:.1} %", 100.0 * share)]);
    }
    print(&table.to_string())?;
    if shares[1] < LITTLE {
        eprintln!(
            "warning: {:.1} % of the values are in {} now; only matrices of blocks whose rows are a multiple of 32 can be",
            100.0 * shares[1],
            to.name()
        );
    }
    Ok(())
}

/// A share of values below which a type was hardly applied.
const LITTLE: f64 = 0.5;

/// Share of a file's values that are stored in a type.
fn share<C: Network>(file: &ModelFile<'_, C>, dtype: DType) -> f64 {
    let count = |of: &dyn Fn(DType) -> bool| {
        file.tensors().filter(|(_, view)| of(view.dtype)).map(|(_, view)| view.len()).sum::<usize>() as f64
    };
    count(&|other| other == dtype) / count(&|_| true).max(1.0)
}
