#!/usr/bin/env bash
# Makes the packages of a release in target/dist for this machine's system, x86-64 Linux with glibc, of which GLIBC below is the oldest version that will do:
#
#     causeway-VERSION-x86_64-linux/        include, lib (with CMake and pkg-config), symbols, models, notices; and the same as .tar.gz
#     causeway_worlds-VERSION-*.whl         Python
#     dev.causeway.world-VERSION.tgz        Unity
#     Causeway.VERSION.nupkg                NuGet
#     causeway-unreal-VERSION.zip, causeway-godot-VERSION.zip        Godot only where GODOT names the engine's program
#     SHA256SUMS
#
#     tools/dist.sh [CARGO OPTIONS]         e.g. --no-default-features for a library of the CPU alone
#
# Needs gcc, python3 with pip, and for Godot g++.
set -euo pipefail
cd "$(dirname "$0")/.."
GLIBC=2_34
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
target=${CARGO_TARGET_DIR:-$PWD/target}
dist=$target/dist
root=$dist/causeway-$version-x86_64-linux
rm -rf "$dist"
mkdir -p "$root/include" "$root/lib/cmake/causeway" "$root/lib/pkgconfig" "$root/models" "$root/symbols"

# Names of functions stay in a file of their own, for crash reports of players. What a program needs beside the static library, the compiler tells.
libraries=$target/embed/libcauseway.libraries
cargo rustc --profile embed -p causeway-ffi --crate-type cdylib,staticlib --config profile.embed.package.causeway-ffi.strip=false "$@" -- \
    --print "native-static-libs=$libraries"
libraries=$(cat "$libraries")
objcopy --only-keep-debug "$target/embed/libcauseway.so" "$root/symbols/libcauseway.so.debug"
objcopy --strip-unneeded --add-gnu-debuglink="$root/symbols/libcauseway.so.debug" "$target/embed/libcauseway.so" "$root/lib/libcauseway.so"
# Names of Rust's own library would clash with those of another static library of Rust's.
objcopy --strip-unneeded --wildcard --localize-symbol='_R*' --localize-symbol=rust_eh_personality "$target/embed/libcauseway.a" "$root/lib/libcauseway.a"
wc -c "$root"/lib/libcauseway.*

cp include/causeway.h include/causeway.hpp "$root/include/"
cp models/keep.safetensors "$root/models/"
cp LICENSE-MIT LICENSE-APACHE CHANGELOG.md "$root/"
tools/notices.py "$root/THIRD-PARTY.md" --sbom "$root/sbom.cdx.json" "$@"
cat >"$root/lib/pkgconfig/causeway.pc" <<END
prefix=\${pcfiledir}/../..
Name: causeway
Description: Neural worlds inside other programs
Version: $version
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -lcauseway
Libs.private: $libraries
END
sed "s/@LIBRARIES@/$(echo "$libraries" | sed 's/^ *-l//; s/ *-l/;/g')/" >"$root/lib/cmake/causeway/causeway-config.cmake" <<'END'
# find_package(causeway) defines causeway::causeway, the shared library, and causeway::causeway_static; find_package(causeway COMPONENTS static) asks for the
# second, where without components the first is asked for.
get_filename_component(_causeway "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(_causeway_file_shared libcauseway.so)
set(_causeway_file_static libcauseway.a)
if(NOT causeway_FIND_COMPONENTS)
  set(causeway_FIND_COMPONENTS shared)
endif()
foreach(_causeway_kind IN LISTS causeway_FIND_COMPONENTS)
  if(NOT DEFINED _causeway_file_${_causeway_kind})
    set(causeway_FOUND FALSE)
    set(causeway_NOT_FOUND_MESSAGE "causeway has no component ${_causeway_kind}, only shared and static")
    return()
  endif()
  if(NOT EXISTS "${_causeway}/lib/${_causeway_file_${_causeway_kind}}")
    set(causeway_FOUND FALSE)
    set(causeway_NOT_FOUND_MESSAGE "${_causeway}/lib has no ${_causeway_file_${_causeway_kind}}: this package is of x86-64 Linux")
    return()
  endif()
endforeach()
if(NOT TARGET causeway::causeway AND EXISTS "${_causeway}/lib/libcauseway.so")
  add_library(causeway::causeway SHARED IMPORTED)
  set_target_properties(causeway::causeway PROPERTIES
    IMPORTED_LOCATION "${_causeway}/lib/libcauseway.so"
    IMPORTED_SONAME libcauseway.so
    INTERFACE_INCLUDE_DIRECTORIES "${_causeway}/include")
endif()
if(NOT TARGET causeway::causeway_static AND EXISTS "${_causeway}/lib/libcauseway.a")
  add_library(causeway::causeway_static STATIC IMPORTED)
  set_target_properties(causeway::causeway_static PROPERTIES
    IMPORTED_LOCATION "${_causeway}/lib/libcauseway.a"
    INTERFACE_LINK_LIBRARIES "@LIBRARIES@"
    INTERFACE_INCLUDE_DIRECTORIES "${_causeway}/include")
endif()
END
cat >"$root/lib/cmake/causeway/causeway-config-version.cmake" <<END
set(PACKAGE_VERSION $version)
if(PACKAGE_FIND_VERSION VERSION_LESS_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
END
tar -C "$dist" -czf "$root.tar.gz" "$(basename "$root")"

# Python: the sources with the library, tagged for what the library runs on.
python=$dist/python
cp -r python "$python"
cp "$root/lib/libcauseway.so" models/keep.safetensors LICENSE-MIT LICENSE-APACHE "$root/THIRD-PARTY.md" "$python/causeway/"
python3 -m venv "$dist/venv"
"$dist/venv/bin/pip" install --quiet 'setuptools>=70' wheel
"$dist/venv/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$dist" "$python"
"$dist/venv/bin/wheel" tags --remove --platform-tag "manylinux_${GLIBC}_x86_64" "$dist"/causeway_worlds-*-any.whl >/dev/null
rm -rf "$python" "$dist/venv"

# Unity takes a tarball whose one folder is called package.
mkdir "$dist/unity"
gcc -std=c11 -Wall -Wextra -pedantic -O2 -shared -fPIC -o "$dist/unity/libcauseway_unity.so" examples/unity/native/texture_update.c
python3 examples/unity/assemble.py "$dist/unity/package" --notices "$root/THIRD-PARTY.md" \
    linux-x86_64="$root/lib/libcauseway.so" linux-x86_64="$dist/unity/libcauseway_unity.so"
tar -C "$dist/unity" -czf "$dist/dev.causeway.world-$version.tgz" package
rm -rf "$dist/unity"

tools/nuget.py "$dist" "$root/THIRD-PARTY.md" linux-x64="$root/lib/libcauseway.so"

python3 examples/unreal/assemble.py "$dist/Causeway" --notices "$root/THIRD-PARTY.md" Linux="$root/lib/libcauseway.so"
python3 -c 'import shutil, sys; shutil.make_archive(sys.argv[1], "zip", sys.argv[2], "Causeway")' "$dist/causeway-unreal-$version" "$dist"
rm -rf "$dist/Causeway"

if [ -n "${GODOT:-}" ]; then
    mkdir -p "$dist/godot/examples" "$dist/godot/include"
    cp -r examples/godot "$dist/godot/examples/"
    cp include/causeway.h include/causeway.hpp "$dist/godot/include/"
    "$dist/godot/examples/godot/build.sh" "$GODOT" "$root/lib"
    addon=$dist/godot/examples/godot/project/addons/causeway
    cp LICENSE-MIT LICENSE-APACHE "$root/THIRD-PARTY.md" "$addon/"
    python3 -c 'import shutil, sys; shutil.make_archive(sys.argv[1], "zip", sys.argv[2], "addons")' \
        "$dist/causeway-godot-$version" "$dist/godot/examples/godot/project"
    rm -rf "$dist/godot"
else
    echo "Godot: LEFT OUT, GODOT does not name the engine's program"
fi
(cd "$dist" && sha256sum -- *.tar.gz *.whl *.tgz *.nupkg *.zip >SHA256SUMS && cat SHA256SUMS)
