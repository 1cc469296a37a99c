//! Says where there is Vulkan (`cfg(vulkan)`), names the shared library for loaders, and keeps it in its process once it is loaded, where the linker can and
//! nothing ends its threads before it goes (src/threads.rs): a host that unloads it with a worker thread at work finds everything as it was instead of code that
//! is gone.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let system = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    println!("cargo:rustc-check-cfg=cfg(vulkan)");
    let gpu = std::env::var_os("CARGO_FEATURE_GPU").is_some();
    let vendor = std::env::var("CARGO_CFG_TARGET_VENDOR").unwrap_or_default();
    let family = std::env::var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();
    if gpu && vendor != "apple" && family != "wasm" {
        println!("cargo:rustc-cfg=vulkan");
    }
    let glibc = system == "linux" && std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|name| name == "gnu");
    let elf = matches!(system.as_str(), "linux" | "android" | "freebsd");
    if elf && !glibc {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    // Without a name of its own a program would remember the path by which the linker found the library. There is no number in the name: the interface only
    // grows, and engines load plugins by their plain names.
    if elf {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcauseway.so");
    }
    if vendor == "apple" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libcauseway.dylib");
    }
    // Android's stores ask for libraries that load where pages have 16 KB.
    if system == "android" {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,max-page-size=16384");
    }
}
