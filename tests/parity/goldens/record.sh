#!/usr/bin/env bash
# Records what streams of the tiny Wan gave at commit d4e83e5, before `Rollout` and `Session` became one, with the portable instruction set,
# whose results are the same on any CPU: latents by `rollout`, pictures by `generate` through both decoders. Compares with the committed
# file, or with --bless replaces it. Needs Python with numpy, Pillow and safetensors.
set -euo pipefail
cd "$(dirname "$0")"
root=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
trap 'git -C "$root" worktree remove --force "$work/then"; rm -rf "$work"' EXIT
git -C "$root" worktree add --quiet --detach "$work/then" d4e83e5
# The program had no option for it then.
sed -i 's/\.\.SessionOptions::default()/strict: true, ..SessionOptions::default()/' \
    "$work"/then/runtime/src/{rollout/mod.rs,decoder.rs}
(cd "$work/then" && cargo build --quiet -p causeway --no-default-features)
"${PYTHON:-python3}" record.py "${CARGO_TARGET_DIR:-$work/then/target}/debug/causeway" "$work/goldens.safetensors"
if [ "${1:-}" = --bless ]; then
    cp "$work/goldens.safetensors" ../golden/goldens.safetensors
else
    cmp "$work/goldens.safetensors" ../golden/goldens.safetensors
fi
