//! Model files of real size that hold nothing: a header, and zeros that take no room on a disk. Enough for whatever looks at shapes and
//! types only, such as what a session will need.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use causeway_ops::quant::DType;
use causeway_runtime::{
    file::{ModelFile, Sink, TensorSpec, Writer, may_quantise},
    model::Network,
};

/// Writes the header of a file of this configuration and opens it; `matrices` is the type of what may be quantised, all else is f16.
///
/// # Panics
/// If it cannot be written or is refused.
pub fn open<C: Network>(path: &Path, config: &C, matrices: DType) -> ModelFile<'static, C> {
    let dtype = |name: &str, shape: &[usize]| if may_quantise(name, shape) { matrices } else { DType::F16 };
    let specs = config.tensors().into_iter();
    let specs = specs.map(|(name, shape)| TensorSpec { dtype: dtype(&name, &shape), name, shape }).collect();
    Writer::new(Header(File::create(path).unwrap()), config, specs).unwrap();
    let mut length = [0; 8];
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    file.read_exact(&mut length).unwrap();
    let mut header = vec![0; u64::from_le_bytes(length) as usize];
    file.read_exact(&mut header).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    let ends = header.as_object().unwrap().values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    file.set_len(8 + u64::from_le_bytes(length) + ends.max().unwrap_or(0)).unwrap();
    ModelFile::open(path).unwrap()
}

/// A file that only a header is written to.
struct Header(File);

impl Write for Header {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for Header {
    fn rewrite(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
