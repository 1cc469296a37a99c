//! Model files taken apart and put together wrongly.

use causeway_ops::quant::DType;
use causeway_runtime::file::ALIGN;
use causeway_tests::tiny::{model_bytes, quantisable_config};
use serde_json::Value;

/// The JSON object at the start of a file.
pub type Header = serde_json::Map<String, Value>;

/// Header JSON and data of a model file.
pub struct Parts {
    pub header: Header,
    pub data: Vec<u8>,
}

impl Parts {
    /// A good file to spoil.
    pub fn new(dtype: DType) -> Self {
        let bytes = model_bytes(&quantisable_config(), dtype, 4);
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        Self { header: serde_json::from_slice(&bytes[8..8 + length]).unwrap(), data: bytes[8 + length..].to_vec() }
    }

    /// The header as text.
    pub fn text(&self) -> String {
        serde_json::to_string(&self.header).unwrap()
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        join(self.text().as_bytes(), &self.data)
    }

    /// The file with the `causeway` JSON changed.
    pub fn config(self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        self.header(|header| {
            let text = &mut header["__metadata__"]["causeway"];
            let mut config: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
            change(&mut config);
            *text = config.to_string().into();
        })
    }

    /// The file with the header changed.
    pub fn header(mut self, change: impl FnOnce(&mut Header)) -> Vec<u8> {
        change(&mut self.header);
        self.bytes()
    }

    /// The file with some bytes of a tensor overwritten.
    pub fn poke(mut self, name: &str, at: usize, bytes: &[u8]) -> Vec<u8> {
        let start = self.header[name]["data_offsets"][0].as_u64().unwrap() as usize + at;
        self.data[start..start + bytes.len()].copy_from_slice(bytes);
        self.bytes()
    }
}

/// Header text and data as a file, padded as it should be.
pub fn join(header: &[u8], data: &[u8]) -> Vec<u8> {
    let length = (header.len() + 8).next_multiple_of(ALIGN) - 8;
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.resize(length + 8, b' ');
    bytes.extend(data);
    bytes
}
