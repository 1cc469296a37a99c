#!/bin/sh
# Builds the library (CPU only) with the address sanitizer in all of its code but Rust's standard library, and runs the programs that misuse
# it (ffi/tests/sanitizer.rs). A stable compiler has to be told that it may.
set -eu
cd "$(dirname "$0")/../.."
# A folder of its target's, beside those of the tests, so that what runs while others are compiled is not built again.
target=${CARGO_TARGET_DIR:-$PWD/target}
RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo rustc --target x86_64-unknown-linux-gnu \
    -p causeway-ffi --no-default-features --lib --crate-type cdylib \
    --config 'profile.dev.package."*".opt-level=1' --config profile.dev.package.causeway-ops.opt-level=1 \
    --config profile.dev.package.causeway-runtime.opt-level=1
# Of the whole workspace, so that what its tests were built with is not built again with fewer features.
CAUSEWAY_SANITIZED=$target/x86_64-unknown-linux-gnu/debug cargo test --workspace --test sanitizer -- --nocapture
