#!/bin/sh
# 64-bit Arm, under qemu: the operators of every instruction set, the unit tests, and a C program whose strict frames are those of this machine
# (ffi/tests/arm.rs). Needs qemu-user-static, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross.
#
# The standard library is built too, from its source (tools/rust-src.sh).
set -eu
cd "$(dirname "$0")/.."
library=$(tools/rust-src.sh)
if [ -z "$library" ]; then
    echo "Arm: LEFT OUT, Debian's backports no longer have the source of $(rustc --version)"
    exit 0
fi
target=${CARGO_TARGET_DIR:-$PWD/target}
arm() {
    # `max` has what the newest Arms have; older instruction sets are tested on it too.
    RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -cpu max -L /usr/aarch64-linux-gnu" \
        CARGO_BUILD_TARGET=aarch64-unknown-linux-gnu cargo -Zbuild-std=std,panic_unwind,test \
        --config 'profile.dev.package."*".opt-level=1' --config profile.dev.package.causeway-ops.opt-level=1 \
        --config profile.dev.package.causeway-runtime.opt-level=1 "$@"
}
# With the features of the library and the program below, so that nothing is compiled twice. Some frames are not worth minutes of optimisation.
arm test -p causeway-ops --no-default-features --features std,matrix-game,waypoint --lib --test operators
arm rustc -p causeway-ffi --no-default-features --features matrix-game,waypoint --lib --crate-type cdylib
# One program that needs nothing but the kernel.
arm rustc -p causeway-edge --bin edge -- -C target-feature=+crt-static
# Of the whole workspace, so that what its tests were built with is not built again with fewer features.
CAUSEWAY_ARM=$target/aarch64-unknown-linux-gnu/debug cargo test --workspace --test arm
