#!/usr/bin/env bash
# Makes libcauseway.a of the CPU for 64-bit Android and iOS, and compares the names that they define with the header's:
#
#     target/aarch64-linux-android/embed/libcauseway.a
#     target/aarch64-apple-ios/embed/libcauseway.a
#
# They are not linked: the linkers for it are the NDK's and Xcode's (docs/embedding.md says with what). Rust's standard library for them is built, too, from its source
# (tools/rust-src.sh). Takes some ten minutes of a processor, and llvm-nm.
set -euo pipefail
cd "$(dirname "$0")/.."
library=$(tools/rust-src.sh)
if [ -z "$library" ]; then
    echo "Debian's backports no longer have the source of $(rustc --version)" >&2
    exit 1
fi
header=$(grep -oE '\bcw_[a-z0-9_]+\(' include/causeway.h | tr -d '(' | sort -u)
for target in aarch64-linux-android aarch64-apple-ios; do
    RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library cargo rustc --profile embed -Zbuild-std=std,panic_unwind --target "$target" \
        -p causeway-ffi --no-default-features --lib --crate-type staticlib
    archive=${CARGO_TARGET_DIR:-target}/$target/embed/libcauseway.a
    # Names of Mach-O begin with a line. Older tools complain of one member, in which the compiler left code of its own.
    defined=$({ llvm-nm --defined-only --extern-only "$archive" 2>/dev/null || true; } | grep -oE '\bT _?cw_[a-z0-9_]+' | sed 's/^T _*//' | sort -u)
    if [ "$defined" != "$header" ]; then
        echo "$archive defines other functions than the header declares:" >&2
        diff <(echo "$header") <(echo "$defined") >&2
        exit 1
    fi
    echo "$archive: $(wc -l <<<"$header") functions, $(stat -c %s "$archive") bytes"
done
