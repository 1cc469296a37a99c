#!/usr/bin/env bash
# Puts the page together: page, npm package (wasm/build.sh builds it) and the demo world, 9 MB at most. Any static web server does for it:
#
#     wasm/build.sh && examples/web/build.sh && python3 -m http.server -d target/wasm/site
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}/wasm
site=$target/site
rm -rf "$site"
mkdir -p "$site"
cp examples/web/index.html examples/web/play.js models/keep.safetensors "$site/"
cp -r "$target/causeway" "$site/causeway"
bytes=$(du -sb --apparent-size "$site" | cut -f1)
echo "$site: $bytes bytes, at most 9000000"
[ "$bytes" -le 9000000 ]
