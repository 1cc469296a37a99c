#!/usr/bin/env bash
# Builds the npm package into target/wasm/causeway, and as a tarball beside it. The module is there three times: a machine refuses all of a module that uses what it does
# not know, and who has no GPU need not load what calls one.
#
#     causeway-simd.wasm      on the processor, with 128-bit SIMD
#     causeway-plain.wasm     without
#     causeway-webgpu.wasm    on the GPU, through causeway-webgpu.js, which glue/ writes
#
# Needs the source of the standard library (tools/rust-src.sh) where the compiler has no wasm32-unknown-unknown, as Debian's and rustup's have by default.
set -euo pipefail
cd "$(dirname "$0")"
target=$(cd .. && echo "${CARGO_TARGET_DIR:-$PWD/target}")/wasm
library=$(../tools/rust-src.sh)
if [ -z "$library" ]; then
    echo "WebAssembly: LEFT OUT, Debian's backports no longer have the source of $(rustc --version)"
    exit 3
fi
package=$target/causeway
rm -rf "$package"
mkdir -p "$package"
cp npm/* ../LICENSE-MIT ../LICENSE-APACHE "$package/"
# module TARGET-FEATURES STD [CARGO-OPTIONS]
module() {
    RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library RUSTFLAGS="-C target-feature=$1" \
        cargo build --quiet --release --locked --target wasm32-unknown-unknown -Zbuild-std="$2,panic_abort" --target-dir "$target" "${@:3}"
}
# weigh KIND MOST
weigh() {
    local file=$package/causeway-$1.wasm bytes
    bytes=$(gzip -9 -c "$file" | wc -c)
    echo "$(basename "$file"): $(stat -c %s "$file") bytes, $bytes gzipped, at most $2"
    [ "$bytes" -le "$2" ]
}
made=$target/wasm32-unknown-unknown/release/causeway_wasm.wasm
for kind in plain: simd:+simd128; do
    module "${kind#*:}" core,alloc
    cp "$made" "$package/causeway-${kind%:*}.wasm"
    weigh "${kind%:*}" 300000
done
# What is stripped of all would not say which instructions it has, as the glue must know; it strips the rest.
CARGO_PROFILE_RELEASE_STRIP=debuginfo module +simd128 std --features gpu
cargo run --quiet --locked --manifest-path glue/Cargo.toml --target-dir "$target/glue" -- "$made" "$package"
mv "$package/causeway-webgpu_bg.wasm" "$package/causeway-webgpu.wasm"
weigh webgpu 500000
../tools/notices.py "$package/THIRD-PARTY.md" --package causeway-wasm --workspace . --target wasm32-unknown-unknown --features gpu
# As `npm pack` does.
version=$(sed -n 's/^  "version": "\(.*\)",/\1/p' npm/package.json)
tar -C "$target" --transform 's,^causeway,package,' -czf "$target/causeway-$version.tgz" causeway
