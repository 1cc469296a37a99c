#!/bin/sh
# Gets Godot from Debian's unstable distribution, unpacked beside the system and not installed, and has it play in a window without a screen
# (tests/tests/godot.rs). Needs mmdebstrap, xvfb and xauth. When the engine cannot be had the check is left out, and says so.
# With `get` it only gets the engine.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD/target/hosts/godot
if [ ! -x "$root/run" ]; then
    rm -rf "$root"
    mkdir -p target/hosts
    mmdebstrap --quiet --variant=extract --include=godot,libgl1,libgl1-mesa-dri --aptopt='Acquire::Check-Valid-Until "false"' \
        sid "$root" http://deb.debian.org/debian || true
    if [ ! -x "$root/usr/bin/godot" ]; then
        echo "Godot: LEFT OUT, Debian's unstable distribution has none that can be unpacked today"
        exit 0
    fi
    # It brings its own C library along, so it is started by its own loader.
    cat >"$root/run" <<'END'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")
libraries=$root/usr/lib/x86_64-linux-gnu
export LIBGL_DRIVERS_PATH=$libraries/dri GBM_BACKENDS_PATH=$libraries/gbm
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:$libraries/pulseaudio" "$root/usr/bin/godot" "$@"
END
    chmod +x "$root/run"
fi
[ "${1:-}" != get ] || exit 0
# Of the whole workspace, so that what its tests were built with is not built again with fewer features.
GODOT=$root/run cargo test --workspace --test godot -- --nocapture
