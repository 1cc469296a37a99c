#!/bin/sh
# Gets the source of Rust's standard library, for targets that this machine's Rust has none of, and prints its folder; prints nothing when it cannot be had. It is
# what Debian's backports carry; they drop versions in time. Kept in target/hosts/rust-src.
#
# Who builds with it sets RUSTC_BOOTSTRAP=1, for a compiler that admits it, __CARGO_TESTS_ONLY_SRC_ROOT to the folder, and -Zbuild-std.
set -eu
cd "$(dirname "$0")/.."
release=$(rustc --version | cut -d' ' -f2)
home=$PWD/target/hosts/rust-src
library=$home/source/usr/src/rustc-$release/library
if [ ! -d "$library" ]; then
    rm -rf "$home"
    mkdir -p "$home/lists/partial" "$home/cache/archives/partial"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie-backports main" >"$home/list"
    apt="-qq -o Dir::Etc::sourcelist=$home/list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$home/lists -o Dir::Cache=$home/cache"
    apt-get $apt -o Acquire::Check-Valid-Until=false -o APT::Update::Error-Mode=any update >&2
    package=$(apt-cache $apt madison rust-src | tr -d ' ' | cut -d'|' -f2 | grep "^$release" | head -1)
    [ -n "$package" ] || exit 0
    (cd "$home" && apt-get $apt download "rust-src=$package" >&2)
    dpkg -x "$home"/rust-src_*.deb "$home/source"
fi
echo "$library"
