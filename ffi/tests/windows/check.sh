#!/bin/sh
# Builds the library for Windows and has a C program play with it under Wine (ffi/tests/windows.rs), on the processor and on a GPU in software. It is the
# library with GPUs: the one without is less of the same. Needs gcc-mingw-w64-x86-64-posix, wine64, xvfb and mesa-vulkan-drivers.
#
# The standard library for Windows is built too, from its source (tools/rust-src.sh).
set -eu
cd "$(dirname "$0")/../../.."
library=$(tools/rust-src.sh)
if [ -z "$library" ]; then
    echo "Windows: LEFT OUT, Debian's backports no longer have the source of $(rustc --version)"
    exit 0
fi

# Ten frames are not worth minutes of optimisation, but for the kernels.
RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc \
    cargo rustc -Zbuild-std=std,panic_unwind --target x86_64-pc-windows-gnu -p causeway-ffi --no-default-features --features gpu --lib \
    --crate-type cdylib --config 'profile.dev.package."*".opt-level=0' --config profile.dev.package.causeway-ops.opt-level=1 \
    --config profile.dev.package.causeway-runtime.opt-level=0 --config profile.dev.opt-level=0 --config profile.dev.debug=false
# Of the whole workspace, so that what its tests were built with is not built again with fewer features.
CAUSEWAY_WINDOWS=${CARGO_TARGET_DIR:-$PWD/target}/x86_64-pc-windows-gnu/debug cargo test --workspace --test windows
