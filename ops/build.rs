//! Says whether the kernels are built without optimisation (`cfg(unoptimised)`), as they are in a user's plain `cargo run`: some 30 times slower.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(unoptimised)");
    if std::env::var("OPT_LEVEL").is_ok_and(|level| level == "0") {
        println!("cargo:rustc-cfg=unoptimised");
    }
}
