#!/usr/bin/env bash
# Builds the shared library as games ship it (alone: what else it is, keeps functions in it that nobody calls) and fails if it is larger than promised: 2 MB for the CPU alone, 9 MB with the GPU backend.
#
#     ffi/size.sh [cpu|gpu]        both without an argument
set -euo pipefail
cd "$(dirname "$0")/.."

check() {
    local name=$1 most=$2 library bytes
    shift 2
    cargo rustc --quiet --profile embed -p causeway-ffi --crate-type cdylib "$@"
    library=${CARGO_TARGET_DIR:-target}/embed/libcauseway.so
    bytes=$(stat -c %s "$library")
    # The profile strips; a symbol table would mean that it does not.
    if readelf -S --wide "$library" | grep -q '\.symtab'; then
        echo "$library is not stripped" >&2
        exit 1
    fi
    echo "$name: $bytes bytes, at most $most"
    [ "$bytes" -le "$most" ]
}

what=${1:-both}
if [ "$what" != gpu ]; then check "CPU only" 2000000 --no-default-features; fi
if [ "$what" != cpu ]; then check "with GPU" 9000000; fi
