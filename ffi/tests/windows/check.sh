#!/bin/sh
# Builds the library for Windows (CPU only) and has a C program play ten frames with it under Wine (ffi/tests/windows.rs). Needs
# gcc-mingw-w64-x86-64-posix and wine64.
#
# The standard library for Windows is built too, from the source that Debian's backports carry. They drop versions in time: when they no
# longer have this compiler's, the check is left out, and says so.
set -eu
cd "$(dirname "$0")/../../.."
release=$(rustc --version | cut -d' ' -f2)
home=$PWD/target/hosts/windows
library=$home/source/usr/src/rustc-$release/library
if [ ! -d "$library" ]; then
    rm -rf "$home"
    mkdir -p "$home/lists/partial" "$home/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie-backports main" >"$home/list"
    apt="-qq -o Dir::Etc::sourcelist=$home/list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$home/lists -o Dir::Cache=$home/cache"
    apt-get $apt -o Acquire::Check-Valid-Until=false -o APT::Update::Error-Mode=any update
    package=$(apt-cache $apt madison rust-src | tr -d ' ' | cut -d'|' -f2 | grep "^$release" | head -1)
    if [ -z "$package" ]; then
        echo "Windows: LEFT OUT, Debian's backports no longer have the source of Rust $release"
        exit 0
    fi
    (cd "$home" && apt-get $apt download "rust-src=$package")
    dpkg -x "$home"/rust-src_*.deb "$home/source"
fi

# Building a standard library needs a compiler that admits it, and to be told where the source is. Ten frames are not worth minutes of
# optimisation.
RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc \
    cargo rustc -Zbuild-std=std,panic_unwind --target x86_64-pc-windows-gnu -p causeway-ffi --no-default-features --lib \
    --crate-type cdylib --config 'profile.dev.package."*".opt-level=1' --config profile.dev.package.causeway-ops.opt-level=1 \
    --config profile.dev.package.causeway-runtime.opt-level=1
# Of the whole workspace, so that what its tests were built with is not built again with fewer features.
CAUSEWAY_WINDOWS=${CARGO_TARGET_DIR:-$PWD/target}/x86_64-pc-windows-gnu/debug cargo test --workspace --test windows
