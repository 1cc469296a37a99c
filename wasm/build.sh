#!/usr/bin/env bash
# Builds the npm package into target/wasm/causeway, and as a tarball beside it: the module twice, because a machine refuses all of a module that uses what it does not know.
#
#     causeway-simd.wasm      128-bit SIMD
#     causeway-plain.wasm     without
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
for kind in plain: simd:+simd128; do
    RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library RUSTFLAGS="-C target-feature=${kind#*:}" \
        cargo build --quiet --release --locked --target wasm32-unknown-unknown -Zbuild-std=core,alloc,panic_abort --target-dir "$target"
    module=$package/causeway-${kind%:*}.wasm
    cp "$target/wasm32-unknown-unknown/release/causeway_wasm.wasm" "$module"
    bytes=$(gzip -9 -c "$module" | wc -c)
    echo "$(basename "$module"): $(stat -c %s "$module") bytes, $bytes gzipped, at most 300000"
    [ "$bytes" -le 300000 ]
done
../tools/notices.py "$package/THIRD-PARTY.md" --package causeway-wasm --workspace . --target wasm32-unknown-unknown
# As `npm pack` does.
version=$(sed -n 's/^  "version": "\(.*\)",/\1/p' npm/package.json)
tar -C "$target" --transform 's,^causeway,package,' -czf "$target/causeway-$version.tgz" causeway
