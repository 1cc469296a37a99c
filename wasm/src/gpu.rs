//! The page's GPU, opened once for all worlds of the module.

use std::cell::RefCell;

use causeway_ops::gpu::{Gpu, GpuOptions};
use causeway_runtime::Device;
use wasm_bindgen::prelude::wasm_bindgen;

thread_local! {
    static OPENED: RefCell<Option<Gpu>> = const { RefCell::new(None) };
}

/// What worlds are opened on.
pub fn device() -> Result<Device, String> {
    opened().map(Device::on_gpu)
}

fn opened() -> Result<Gpu, String> {
    OPENED.with_borrow(Option::clone).ok_or_else(|| "the GPU is not open: open_gpu comes first".into())
}

/// Opens the browser's GPU, unless it is open and well, and says why where it has none. One that is software is slow, and taken: it was asked for.
#[wasm_bindgen]
pub async fn open_gpu() -> Result<(), String> {
    if settled().await.is_ok() {
        return Ok(());
    }
    let gpu = Gpu::open_async(&GpuOptions { software: true, ..GpuOptions::default() }).await;
    let gpu = gpu.map_err(|error| error.to_string())?;
    OPENED.with_borrow_mut(|opened| *opened = Some(gpu));
    Ok(())
}

/// Comes when the GPU has looked at all that it was handed, with what it could not do with that.
#[wasm_bindgen]
pub async fn settled() -> Result<(), String> {
    opened()?.settled().await.map_err(|error| error.to_string())
}

/// Comes when the GPU is done with all that it has been handed by now.
#[wasm_bindgen]
pub async fn done() -> Result<(), String> {
    opened()?.done().await;
    Ok(())
}
