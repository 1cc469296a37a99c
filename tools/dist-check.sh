#!/bin/sh
# Makes the packages with a library of the CPU alone, which is quicker to build than all of it, and has each used as its users do (ffi/tests/packages.rs). With
# `all` the library is all of it. Needs cmake, pkg-config, g++ and python3 with venv; the addon for Godot needs the engine that examples/godot/check.sh gets.
set -eu
cd "$(dirname "$0")/.."
options=--no-default-features
[ "${1:-}" != all ] || options=
if [ -x target/hosts/godot/run ]; then
    export GODOT="$PWD/target/hosts/godot/run"
fi
tools/dist.sh $options
# What goes to crates.io: all that it would refuse but for the builds, which take long (`cargo publish --workspace --dry-run` does them too).
cargo package --quiet --workspace --exclude causeway-distill --exclude causeway-edge --exclude causeway-tests --no-verify --allow-dirty
# Of the whole workspace, so that what its tests were built with is not built again with fewer features. The first is for the trainer, which reads a recording.
cargo test --quiet --workspace --test footage --no-run
CAUSEWAY_DIST=${CARGO_TARGET_DIR:-$PWD/target}/dist cargo test --workspace --test packages
