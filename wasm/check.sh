#!/bin/sh
# Builds the npm package and the page, and plays both in node and in Chromium (ffi/tests/web.rs). Needs node 18 or newer and chromium.
set -eu
cd "$(dirname "$0")/.."
cargo fmt --manifest-path wasm/Cargo.toml --check
cargo fmt --manifest-path wasm/glue/Cargo.toml --check
status=0
wasm/build.sh || status=$?
# It has said what it left out.
[ "$status" -ne 3 ] || exit 0
[ "$status" -eq 0 ]
examples/web/build.sh
# Of the whole workspace, so that what its tests were built with is not built again with fewer features.
CAUSEWAY_WEB=${CARGO_TARGET_DIR:-$PWD/target}/wasm cargo test --workspace --test web -- --nocapture
