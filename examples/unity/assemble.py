#!/usr/bin/env python3
"""Puts the Unity package together: the files in package/, the C# wrapper, the built libraries, and a .meta file for each.

    assemble.py OUT [--notices FILE] PLATFORM=LIBRARY...        e.g. assemble.py out/unity linux-x86_64=libcauseway.so linux-x86_64=libcauseway_unity.so

Identifiers in .meta files come from the paths, so that a package assembled anew keeps what scenes refer to.
"""
import argparse
import hashlib
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# Folder under Plugins, the editor's name for system and processor (None: not in the editor), the player's name for both.
PLATFORMS = {
    "linux-x86_64": ("Linux/x86_64", ("Linux", "x86_64"), ("Linux64", "x86_64")),
    "windows-x86_64": ("Windows/x86_64", ("Windows", "x86_64"), ("Win64", "x86_64")),
    "macos": ("macOS", ("OSX", "AnyCPU"), ("OSXUniversal", "AnyCPU")),
    "android-arm64": ("Android/arm64-v8a", None, ("Android", "ARM64")),
    "ios-arm64": ("iOS", None, ("iOS", "ARM64")),
}

IMPORTERS = {
    ".cs": "MonoImporter:\n  serializedVersion: 2\n  defaultReferences: []\n  executionOrder: 0\n  icon: {instanceID: 0}\n",
    ".asmdef": "AssemblyDefinitionImporter:\n",
    ".md": "TextScriptImporter:\n",
    "package.json": "PackageManifestImporter:\n",
}
COMMON = "  externalObjects: {}\n  userData:\n  assetBundleName:\n  assetBundleVariant:\n"


def plugin(system, processor, editor):
    """Import settings of a native library: its own platform only, or the wrong one is loaded."""
    text = "PluginImporter:\n  serializedVersion: 2\n  isPreloaded: 0\n  isOverridable: 0\n  isExplicitlyReferenced: 0\n"
    text += "  validateReferences: 1\n  platformData:\n  - first:\n      Any:\n    second:\n      enabled: 0\n      settings: {}\n"
    text += f"  - first:\n      Editor: Editor\n    second:\n      enabled: {int(editor is not None)}\n      settings:\n"
    text += f"        CPU: {editor[1] if editor else 'AnyCPU'}\n        OS: {editor[0] if editor else 'AnyOS'}\n"
    group = system if system in ("Android", "iOS") else "Standalone"
    name = {"iOS": "iPhone"}.get(group, group)
    return text + f"  - first:\n      {name}: {system}\n    second:\n      enabled: 1\n      settings:\n        CPU: {processor}\n"


def meta(path, package, plugins):
    """Writes the .meta file of a file or folder."""
    name = path.relative_to(package).as_posix()
    text = f"fileFormatVersion: 2\nguid: {hashlib.md5(f'dev.causeway.world/{name}'.encode()).hexdigest()}\n"
    if path.is_dir():
        text += "folderAsset: yes\nDefaultImporter:\n"
    elif name in plugins:
        text += plugins[name]
    else:
        text += IMPORTERS.get(path.name) or IMPORTERS.get(path.suffix) or "DefaultImporter:\n"
    path.with_name(path.name + ".meta").write_text(text + COMMON)


def main(out, libraries, notices=None):
    """Assembles the package in `out`, which must not exist."""
    out = pathlib.Path(out)
    shutil.copytree(HERE / "package", out)
    shutil.copytree(ROOT / "examples/csharp/Causeway", out / "Runtime/Causeway")
    (out / "Runtime/Causeway/Causeway.asmdef").write_text(
        '{\n    "name": "Causeway",\n    "rootNamespace": "Causeway",\n    "allowUnsafeCode": true,\n    "noEngineReferences": true,\n'
        '    "autoReferenced": true\n}\n'
    )
    (out / "LICENSE.md").write_text((ROOT / "LICENSE-MIT").read_text() + "\n\n" + (ROOT / "LICENSE-APACHE").read_text())
    if notices:
        shutil.copyfile(notices, out / "Third Party Notices.md")
    plugins = {}
    for library in libraries:
        platform, _, path = library.partition("=")
        if platform not in PLATFORMS:
            sys.exit(f"{library}: expected PLATFORM=LIBRARY with a platform of {', '.join(PLATFORMS)}")
        folder, editor, player = PLATFORMS[platform]
        target = out / "Plugins" / folder / pathlib.Path(path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        plugins[target.relative_to(out).as_posix()] = plugin(*player, editor)
    # Unity does not look into folders whose names end in ~.
    everything = [path for path in sorted(out.rglob("*")) if not any(part.endswith("~") for part in path.relative_to(out).parts)]
    for path in everything:
        meta(path, out, plugins)
    print(f"{out}: {len(everything)} assets, {len(plugins)} libraries")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("libraries", nargs="+", metavar="PLATFORM=LIBRARY")
    parser.add_argument("--notices", help="of third parties, whose code is in the libraries (tools/notices.py)")
    main(**vars(parser.parse_args()))
