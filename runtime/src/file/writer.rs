//! Writes model files, tensor by tensor, so that a model never has to fit into memory twice.

use super::container::RawType;
use super::fingerprint::{Fingerprint, Hash};
use super::limits::{ALIGN, MAX_HEADER, PAD, TOKENIZER};
use super::reader::compare_with_config;
use super::tensors::may_quantise;
use super::{FileError, PartialFile, Sink};
use crate::config::to_json;
use crate::model::Network;
use causeway_ops::quant::{BLOCK, DType, TensorView, quantise_q4, quantise_q8};
use causeway_ops::stored::Bytes;
use half::f16;
use half::vec::HalfFloatVecExt;
use std::io;
use std::path::Path;

/// A tensor that is going to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// How to store it.
    pub dtype: DType,
    /// Its logical shape.
    pub shape: Vec<usize>,
}

/// Writes a model file to any sink. The header comes first, so all tensors are announced up front and then put in
/// that order.
///
/// ```
/// # use causeway_runtime::{config::ModelConfig, file::*};
/// # fn f(config: &ModelConfig, specs: Vec<TensorSpec>, values: &[f32]) -> Result<(), FileError> {
/// let mut writer = Writer::new(PartialFile::create("world.safetensors")?, config, specs)?;
/// while let Some(spec) = writer.next() {
///     let name = spec.name.clone();
///     writer.put(&name, values)?;
/// }
/// writer.finish()?.commit()
/// # }
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    sink: Stamped<W>,
    specs: Vec<TensorSpec>,
    written: usize,
    /// Bytes of the tokenizer that is still to come.
    tokenizer: usize,
}

impl<W: Sink> Writer<W> {
    /// Checks everything, then writes the header.
    ///
    /// # Errors
    /// `Config`, `Tensors` (the specs must be exactly what the configuration implies, in any order),
    /// `NotQuantisable`, `Io`.
    pub fn new<C: Network>(sink: W, config: &C, specs: Vec<TensorSpec>) -> Result<Self, FileError> {
        let json = to_json(config)?;
        compare_with_config(config, specs.iter().map(|spec| (spec.name.as_str(), spec.shape.as_slice())))?;
        if let Some(bad) = specs.iter().find(|s| s.dtype.is_quantised() && !may_quantise(&s.name, &s.shape)) {
            return Err(FileError::NotQuantisable(bad.name.clone()));
        }
        let tokenizer = config.tokenizer();
        let header = header(&json, &specs, tokenizer);
        if header.len() > MAX_HEADER {
            return Err(FileError::HeaderTooLarge(header.len() as u64));
        }
        let mut sink = Stamped { sink, hash: Hash::default(), place: Fingerprint::place(header.as_bytes()) };
        sink.put(&(header.len() as u64).to_le_bytes())?;
        sink.put(header.as_bytes())?;
        Ok(Self { sink, specs, written: 0, tokenizer })
    }

    /// The tensor to be put next, or `None` when all have been.
    pub fn next(&self) -> Option<&TensorSpec> {
        self.specs.get(self.written)
    }

    /// Stores `values` (all of the tensor's, row after row) in the announced type.
    ///
    /// # Errors
    /// `WriteOrder` if `name` is not next or the count is wrong, `NotFinite`, `TooLargeForF16`, `Io`.
    pub fn put(&mut self, name: &str, values: &[f32]) -> Result<(), FileError> {
        let spec = self.expect(name, values.len())?;
        let (data, scales) = encode(spec, 0, values)?;
        self.put_bytes(&data, &scales)
    }

    /// As [`Writer::put`], for a tensor that need not be in memory as a whole: `fill(start, values)` gives the values from
    /// `start` on, up to 2^18 (a multiple of every block size) at a time.
    ///
    /// # Errors
    /// As [`Writer::put`], and those of `fill`.
    pub fn put_with<E: From<FileError>>(
        &mut self,
        name: &str,
        mut fill: impl FnMut(usize, &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        const SLAB: usize = 1 << 18;
        let count = self.next().map_or(0, |spec| spec.shape.iter().product());
        let spec = self.expect(name, count)?.clone();
        let (mut values, mut scales, mut length) = (vec![0.0; SLAB.min(count)], Vec::new(), 0);
        for start in (0..count).step_by(SLAB) {
            let values = &mut values[..SLAB.min(count - start)];
            fill(start, values)?;
            let (data, own) = encode(&spec, start, values)?;
            self.sink.put(&data)?;
            length += data.len();
            scales.extend(own);
        }
        self.sink.pad(length)?;
        self.sink.put(&scales)?;
        self.sink.pad(scales.len())?;
        self.written += 1;
        Ok(())
    }

    /// Stores a tensor of another model: as it is where it has the announced type, converted otherwise.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn put_view(&mut self, name: &str, view: &TensorView<'_>) -> Result<(), FileError> {
        if self.expect(name, view.len())?.dtype == view.dtype {
            for part in core::iter::once(view.data).chain(view.scales) {
                part.pieces(|_, piece| self.sink.put(piece))?;
                self.sink.pad(part.len())?;
            }
            self.written += 1;
            return Ok(());
        }
        // Row by row: the token embedding of a large text encoder takes 4 GB in f32.
        let columns = view.cols();
        let (mut row, mut decoded) = (vec![0.0; columns], None);
        self.put_with(name, |start, values| {
            let (mut at, mut rest) = (start, values);
            while !rest.is_empty() {
                let (index, offset) = (at / columns, at % columns);
                if decoded != Some(index) {
                    view.row(index, &mut row)?;
                    decoded = Some(index);
                }
                let count = rest.len().min(columns - offset);
                let (values, others) = rest.split_at_mut(count);
                values.copy_from_slice(&row[offset..][..count]);
                (at, rest) = (at + count, others);
            }
            Ok(())
        })
    }

    /// Stores the `tokenizer.json` that the configuration announces, after all tensors.
    ///
    /// # Errors
    /// `WriteOrder` if it has another length or tensors are still to come, `Io`, `Read`.
    pub fn put_tokenizer(&mut self, json: Bytes<'_>) -> Result<(), FileError> {
        let expected = match self.next() {
            None => format!("a tokenizer of {} bytes", self.tokenizer),
            Some(spec) => format!("tensor {}", spec.name),
        };
        if self.next().is_some() || json.len() != self.tokenizer {
            return Err(FileError::WriteOrder { found: format!("a tokenizer of {} bytes", json.len()), expected });
        }
        json.pieces(|_, piece| self.sink.put(piece))?;
        self.sink.pad(json.len())?;
        self.tokenizer = 0;
        Ok(())
    }

    /// Puts the fingerprint of all that was written into the header, flushes and gives the sink back.
    ///
    /// # Errors
    /// `WriteOrder` if tensors are still to come, `Io`.
    pub fn finish(self) -> Result<W, FileError> {
        if let Some(spec) = self.next() {
            let (found, expected) = ("the end".to_owned(), format!("tensor {}", spec.name));
            return Err(FileError::WriteOrder { found, expected });
        }
        if self.tokenizer > 0 {
            let expected = format!("a tokenizer of {} bytes", self.tokenizer);
            return Err(FileError::WriteOrder { found: "the end".to_owned(), expected });
        }
        self.sink.finish()
    }

    fn expect(&self, name: &str, count: usize) -> Result<&TensorSpec, FileError> {
        let found = || format!("{count} values of tensor {name}");
        let Some(spec) = self.next() else {
            return Err(FileError::WriteOrder { found: found(), expected: "nothing more".to_owned() });
        };
        let right = spec.shape.iter().product::<usize>();
        if spec.name != name || right != count {
            let expected = format!("{right} values of tensor {}", spec.name);
            return Err(FileError::WriteOrder { found: found(), expected });
        }
        Ok(spec)
    }

    fn put_bytes(&mut self, data: &[u8], scales: &[u8]) -> Result<(), FileError> {
        for part in [data, scales] {
            self.sink.put(part)?;
            self.sink.pad(part.len())?;
        }
        self.written += 1;
        Ok(())
    }
}

/// Writes a whole model to `sink`: matrices of blocks as `dtype`, all else as `F16` (as `F32` if `dtype` is).
/// `values` is asked for each tensor by name and shape, in the order of [`Network::tensors`].
///
/// # Errors
/// As [`Writer::new`] and [`Writer::put`].
pub fn write_model_to<W: Sink, C: Network>(
    sink: W,
    config: &C,
    dtype: DType,
    mut values: impl FnMut(&str, &[usize]) -> Vec<f32>,
) -> Result<W, FileError> {
    let specs = specs(config, dtype)?;
    let mut writer = Writer::new(sink, config, specs.clone())?;
    for spec in &specs {
        writer.put(&spec.name, &values(&spec.name, &spec.shape))?;
    }
    writer.finish()
}

/// [`write_model_to`] the file at `path`, which appears complete or not at all.
///
/// # Errors
/// As [`write_model_to`] and [`PartialFile`].
pub fn write_model<C: Network>(
    path: impl AsRef<Path>,
    config: &C,
    dtype: DType,
    values: impl FnMut(&str, &[usize]) -> Vec<f32>,
) -> Result<(), FileError> {
    write_model_to(PartialFile::create(path)?, config, dtype, values)?.commit()
}

/// The tensors of `config` when matrices of blocks are stored as `dtype`.
pub(super) fn specs<C: Network>(config: &C, dtype: DType) -> Result<Vec<TensorSpec>, FileError> {
    config.validate()?;
    let plain = if dtype.is_quantised() { DType::F16 } else { dtype };
    let spec = |(name, shape): (String, Vec<usize>)| {
        let dtype = if may_quantise(&name, &shape) { dtype } else { plain };
        TensorSpec { name, dtype, shape }
    };
    Ok(config.tensors().into_iter().map(spec).collect())
}

/// Bytes from `length` to the next multiple of 64.
fn padding(length: usize) -> usize {
    length.next_multiple_of(ALIGN) - length
}

/// The header text, padded so that data start aligned. Offsets count from the start of data, so they do not depend on
/// it.
fn header(config: &str, specs: &[TensorSpec], tokenizer: usize) -> String {
    let mut text = format!("{{\"__metadata__\":{{{},\"causeway\":{}}}", Fingerprint::blank(), quoted(config));
    let (mut offset, mut pads) = (0, 0);
    let mut add = |name: &str, dtype: RawType, shape: &[usize], bytes: usize| {
        let mut region = |name: &str, dtype: RawType, shape: &[usize], bytes: usize| {
            let (name, dtype, end) = (quoted(name), dtype.name(), offset + bytes);
            text += &format!(",{name}:{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{offset},{end}]}}");
            offset = end;
        };
        region(name, dtype, shape, bytes);
        let gap = padding(bytes);
        if gap > 0 {
            region(&format!("{PAD}{pads}"), RawType::U8, &[gap], gap);
            pads += 1;
        }
    };
    for TensorSpec { name, dtype, shape } in specs {
        let count = shape.iter().product::<usize>();
        let bytes = dtype.data_bytes(count).unwrap_or_default();
        match dtype {
            DType::F32 => add(name, RawType::F32, shape, bytes),
            DType::F16 => add(name, RawType::F16, shape, bytes),
            DType::Q8 => add(name, RawType::I8, shape, bytes),
            DType::Q4 => add(name, RawType::U8, &[shape[0], shape[1] / 2], bytes),
        }
        if dtype.is_quantised() {
            let scales = [shape[0], shape[1] / BLOCK];
            add(&format!("{name}.scale"), RawType::F16, &scales, dtype.scale_bytes(count));
        }
    }
    if tokenizer > 0 {
        add(TOKENIZER, RawType::U8, &[tokenizer], tokenizer);
    }
    text.push('}');
    let spaces = padding(8 + text.len());
    text.extend(std::iter::repeat_n(' ', spaces));
    text
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Data and scales of `values`, which begin at value `start`, in the type of `spec`.
fn encode(spec: &TensorSpec, start: usize, values: &[f32]) -> Result<(Vec<u8>, Vec<u8>), FileError> {
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        let name = spec.name.clone();
        return Err(FileError::NotFinite { name, index: start + index, value: values[index] });
    }
    let (mut data, mut scales) = (Vec::new(), Vec::new());
    match spec.dtype {
        DType::F32 => data.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        DType::F16 => {
            let halves: Vec<f16> = HalfFloatVecExt::from_f32_slice(values);
            if let Some(index) = halves.iter().position(|half| half.is_infinite()) {
                let name = spec.name.clone();
                return Err(FileError::TooLargeForF16 { name, index: start + index, value: values[index] });
            }
            data.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
        }
        DType::Q8 => quantise_q8(values, &mut data, &mut scales),
        DType::Q4 => quantise_q4(values, &mut data, &mut scales),
    }
    Ok((data, scales))
}

/// A sink whose bytes are hashed on their way.
#[derive(Debug)]
struct Stamped<W> {
    sink: W,
    hash: Hash,
    /// Where the fingerprint's digits lie in the header.
    place: Option<usize>,
}

impl<W: Sink> Stamped<W> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.hash.add(bytes);
        self.sink.write_all(bytes).map_err(write_error)
    }

    /// Fills up to the next multiple of 64 after `length` bytes.
    fn pad(&mut self, length: usize) -> Result<(), FileError> {
        self.put(&[0; ALIGN][..padding(length)])
    }

    fn finish(mut self) -> Result<W, FileError> {
        if let Some(place) = self.place {
            let digits = self.hash.end().to_string();
            // The header begins behind its length.
            self.sink.rewrite(8 + place as u64, digits.as_bytes()).map_err(write_error)?;
        }
        self.sink.flush().map_err(write_error)?;
        Ok(self.sink)
    }
}

fn write_error(source: io::Error) -> FileError {
    FileError::Io { action: "write", path: "the model file".to_owned(), source }
}
