#!/bin/sh
# README's test command on a bare machine: a Debian with Rust and a C compiler, without Mesa, Mono, SDL, Wine, Python or C++, unpacked beside the
# system, where this repository and what is built of it lie where they lie here. Without an argument only those tests that look for hosts;
# `tests/bare.sh all` runs all, `tests/bare.sh get` only gets the machine. Needs mmdebstrap, and to be root, who may mount.
set -eu
cd "$(dirname "$0")/.."
root=$PWD/target/hosts/bare
if ! unshare --mount true; then
    echo "Bare machine: LEFT OUT, mounts are not allowed here"
    exit 0
fi
if [ ! -e "$root.done" ]; then
    rm -rf "$root"
    mkdir -p target/hosts
    mmdebstrap --quiet --variant=minbase --include=gcc,libc6-dev bookworm "$root" http://deb.debian.org/debian
    touch "$root.done"
fi
[ "${1:-}" != get ] || exit 0
tests="--test hosts --test clients --test misuse --test vulkan --test text --test gpu --test gpu_frames --test tiers --test fetch --test images --test creation"
[ "${1:-}" != all ] || tests=--no-fail-fast
export CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}" RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" root tests
# Built here, with all that is here: there is no network in there. What is built depends on whether incrementally, so that is told to both.
cargo test --workspace $tests --no-run
unshare --mount sh -eu <<'END'
for folder in "$PWD" "$CARGO_HOME" "$RUSTUP_HOME" /proc /dev; do
    [ -d "$folder" ] || continue
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
done
exec chroot "$root" env -i PATH="$CARGO_HOME/bin:/usr/bin:/bin" HOME=/root LANG=C.UTF-8 CARGO_NET_OFFLINE=true \
    ${CARGO_INCREMENTAL:+CARGO_INCREMENTAL=$CARGO_INCREMENTAL} \
    CARGO_HOME="$CARGO_HOME" RUSTUP_HOME="$RUSTUP_HOME" sh -c "cd '$PWD' && cargo test --workspace $tests"
END
