#!/bin/sh
# Builds the extension into project/addons/causeway/bin.
#
#     build.sh GODOT LIBRARY
#
# GODOT is the engine's program, 4.4 or newer: it writes the header that the extension is compiled against. LIBRARY is the folder of
# libcauseway.so (`cargo rustc --profile embed -p causeway-ffi --crate-type cdylib` leaves it in
# target/embed).
set -eu
godot=$1
library=$(cd "$2" && pwd)
cd "$(dirname "$0")"
bin=project/addons/causeway/bin
mkdir -p "$bin"
(cd "$bin" && "$godot" --headless --dump-gdextension-interface >/dev/null 2>&1 && test -s gdextension_interface.h)
cp "$library/libcauseway.so" "$bin/"
${CXX:-g++} -std=c++17 -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -DCAUSEWAY_NO_EXCEPTIONS -I../../include -I"$bin" \
    src/neural_world.cpp src/prompts.cpp src/variant.cpp -o "$bin/libcauseway_godot.so" \
    -L"$bin" -l:libcauseway.so -Wl,-rpath,'$ORIGIN'
# The editor writes this list when it first meets an extension; without it nothing runs before the editor did. Godot 4.6 without a window
# crashes at the end of that first meeting (godotengine/godot#111048), so it is spared it.
mkdir -p project/.godot
echo 'res://addons/causeway/causeway.gdextension' >project/.godot/extension_list.cfg
# Other programs need not find a header among the project's files.
rm "$bin/gdextension_interface.h"
