//! Files of named tensors, for other programs and for people with a notebook.

use std::{io::Write, path::Path};

use causeway_runtime::file::PartialFile;
use serde_json::{Map, Value, json};

use crate::error::Error;

/// Writes tensors of f32 as a safetensors file, which appears complete or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, tensors: &[(&str, Vec<usize>, &[f32])]) -> Result<(), Error> {
    write_noted(path, tensors, Map::new())
}

/// As [`write()`], with texts for the file's metadata.
///
/// # Errors
/// As [`write()`].
pub fn write_noted(
    path: &Path,
    tensors: &[(&str, Vec<usize>, &[f32])],
    notes: Map<String, Value>,
) -> Result<(), Error> {
    let (mut header, mut at) = (Map::new(), 0);
    if !notes.is_empty() {
        header.insert("__metadata__".to_owned(), notes.into());
    }
    for (name, shape, values) in tensors {
        let end = at + 4 * values.len();
        header.insert((*name).to_owned(), json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let mut header = Value::from(header).to_string();
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let mut file = PartialFile::create(path).map_err(Error::file(path))?;
    let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(Error::io("write", path));
    put(&(header.len() as u64).to_le_bytes())?;
    put(header.as_bytes())?;
    for (_, _, values) in tensors {
        put(bytemuck::cast_slice(values))?;
    }
    file.commit().map_err(Error::file(path))
}
