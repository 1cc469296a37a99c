#!/bin/sh
# Records 600 frames twice, with different numbers of processes, and compares both with the hashes in sha256.txt.
# Usage: check.sh [PYTHON], a Python that has requirements.txt installed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${1:-python3}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for jobs in 1 2; do
    "$python" -B "$here/record.py" "$out/$jobs" --seed 1 --frames 600 --shard 300 --jobs "$jobs"
    (cd "$out/$jobs" && grep '^[0-9a-f]\{64\}  seed-1/' "$here/sha256.txt" | sed 's/seed-1\///' | sha256sum -c -)
done
cmp "$out/1/00000.safetensors" "$out/2/00000.safetensors"
cmp "$out/1/00001.safetensors" "$out/2/00001.safetensors"
echo "the recording is reproducible"
