#!/usr/bin/env python3
"""Puts the Unreal plugin together: the files in Causeway/, the header, the built libraries.

    assemble.py OUT [--notices FILE] PLATFORM=LIBRARY...        e.g. assemble.py MyGame/Plugins/Causeway Linux=target/embed/libcauseway.so

Platforms are Unreal's: Win64 (causeway.dll and causeway.dll.lib), Linux, LinuxArm64, Mac.
"""
import argparse
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def main(out, libraries, notices=None):
    """Assembles the plugin in `out`, which must not exist."""
    out = pathlib.Path(out)
    shutil.copytree(HERE / "Causeway", out)
    module = out / "Source/ThirdParty/CausewayLibrary"
    (module / "include").mkdir()
    for header in ("causeway.h", "causeway.hpp"):
        shutil.copyfile(ROOT / "include" / header, module / "include" / header)
    for licence in ("LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copyfile(ROOT / licence, out / licence)
    if notices:
        shutil.copyfile(notices, out / "THIRD-PARTY.md")
    for library in libraries:
        platform, _, path = library.partition("=")
        if platform not in ("Win64", "Linux", "LinuxArm64", "Mac"):
            sys.exit(f"{library}: expected PLATFORM=LIBRARY with a platform of Win64, Linux, LinuxArm64, Mac")
        # One for the linker, and one where the plugin's module looks while the editor runs.
        folders = [module / "lib" / platform] + ([] if path.endswith(".lib") else [out / "Binaries" / platform])
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / pathlib.Path(path).name)
    print(f"{out}: {sum(path.is_file() for path in out.rglob('*'))} files")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("libraries", nargs="+", metavar="PLATFORM=LIBRARY")
    parser.add_argument("--notices", help="of third parties, whose code is in the libraries (tools/notices.py)")
    main(**vars(parser.parse_args()))
