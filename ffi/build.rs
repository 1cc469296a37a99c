//! Keeps the shared library in its process once it is loaded, where the linker can: a host that unloads it with a worker thread at
//! work, or with handles it still uses, finds everything as it was instead of code that is gone.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if matches!(system.as_str(), "linux" | "android" | "freebsd") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
