#!/bin/sh
# The runtime where there is no operating system and no C library: a microcontroller's instruction set (thumbv7em, with an FPU) and one without floating point
# (riscv32imac). A program of nothing but a session links there, and under qemu its frames are those of this machine (tests/tests/no_std.rs). Needs
# qemu-user-static.
#
# The core library is built too, from its source (tools/rust-src.sh).
set -eu
cd "$(dirname "$0")/.."
library=$(tools/rust-src.sh)
if [ -z "$library" ]; then
    echo "Bare metal: LEFT OUT, Debian's backports no longer have the source of $(rustc --version)"
    exit 0
fi
# Where tests/tests/no_std.rs builds the same for this machine: what the build script needs is there.
target=${CARGO_TARGET_DIR:-$PWD/target}/tmp/no_std
for machine in thumbv7em-none-eabihf riscv32imac-unknown-none-elf; do
    RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library cargo build --quiet --release --locked --manifest-path tests/no_std/Cargo.toml \
        --config 'profile.release.lto=false' --config profile.release.opt-level=1 -Zbuild-std=core,alloc --target $machine --target-dir "$target"
done
# Of the whole workspace, so that what its tests were built with is not built again with fewer features.
CAUSEWAY_BARE_METAL=$target cargo test --workspace --test no_std -- --ignored
