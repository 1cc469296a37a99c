//! A model file of the real size of Wan 2.1's 1.3B that takes next to no room on disk: all weights are zeros, and these are holes.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

use causeway_ops::quant::{DType, TensorView};
use causeway_runtime::{
    file::{Sink, TensorSpec, Writer, expected_tensors, may_quantise},
    import::{Settings, wan_1_3b},
};

/// A file in which zeros are not written.
struct Holes(File);

impl Write for Holes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().any(|&byte| byte != 0) {
            return self.0.write(bytes);
        }
        self.0.seek(SeekFrom::Current(bytes.len() as i64))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // What ends with zeros is as long as with them.
        let end = self.0.stream_position()?;
        self.0.set_len(end)
    }
}

impl Sink for Holes {
    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let end = self.0.stream_position()?;
        self.0.seek(SeekFrom::Start(at))?;
        self.0.write_all(bytes)?;
        self.0.seek(SeekFrom::Start(end))?;
        Ok(())
    }
}

/// Writes the file: q8 matrices, latents of 832 x 480 pictures, a window of 21 latent frames, 512 rows of prompts.
///
/// # Panics
/// If it cannot be written.
pub fn write_1_3b(path: &Path) {
    let config = wan_1_3b(&Settings::default());
    let dtype = |name: &str, shape: &[usize]| if may_quantise(name, shape) { DType::Q8 } else { DType::F16 };
    let specs = expected_tensors(&config).into_iter();
    let specs: Vec<TensorSpec> =
        specs.map(|(name, shape)| TensorSpec { dtype: dtype(&name, &shape), name, shape }).collect();
    let zeros = vec![0; specs.iter().map(|spec| 2 * spec.shape.iter().product::<usize>()).max().unwrap_or(0)];
    let mut writer = Writer::new(Holes(File::create(path).unwrap()), &config, specs.clone()).unwrap();
    for TensorSpec { name, dtype, shape } in &specs {
        let count = shape.iter().product();
        let data = zeros[..dtype.data_bytes(count).unwrap()].into();
        let scales = dtype.is_quantised().then(|| zeros[..dtype.scale_bytes(count)].into());
        writer.put_view(name, &TensorView { dtype: *dtype, shape, data, scales }).unwrap();
    }
    writer.finish().unwrap().flush().unwrap();
}
