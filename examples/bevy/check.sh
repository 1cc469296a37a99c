#!/bin/sh
# Tests the plugin, and has its example play without a window (tests/tests/bevy.rs). The workspace is its own, so the lints are too.
set -eu
cd "$(dirname "$0")/../.."
bevy=${CARGO_TARGET_DIR:-target}/hosts/bevy
mkdir -p "$bevy"
bevy=$(cd "$bevy" && pwd)
cargo fmt --manifest-path examples/bevy/Cargo.toml --check
# Linted as it is compiled: a `cargo clippy` would go through the whole engine a second time.
RUSTC_WORKSPACE_WRAPPER=clippy-driver cargo test --locked --manifest-path examples/bevy/Cargo.toml --target-dir "$bevy"
# Of the whole workspace, so that what its tests were built with is not built again with fewer features.
BEVY=$bevy/debug/examples/play cargo test --workspace --test bevy
