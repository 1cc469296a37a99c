#!/usr/bin/env python3
"""Writes the package for NuGet: the C# wrapper as sources, which the project that takes it compiles, and the library for each platform.

    nuget.py OUT_FOLDER NOTICES PLATFORM=LIBRARY...        e.g. nuget.py target/dist THIRD-PARTY.md linux-x64=libcauseway.so

Platforms are called as .NET calls them (linux-x64, win-x64, osx-arm64, ...). Sources, because an assembly for all of .NET is compiled against reference
assemblies that only the SDK has.
"""
import pathlib
import re
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "examples/csharp/Causeway"
# The oldest .NET whose own libraries have spans.
NET = "netstandard2.1"
CONTENT = "http://schemas.openxmlformats.org/package/2006"

NUSPEC = """<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata minClientVersion="4.9">
    <id>Causeway</id>
    <version>{version}</version>
    <authors>The Causeway developers</authors>
    <license type="expression">MIT OR Apache-2.0</license>
    <readme>README.md</readme>
    <description>Neural worlds inside .NET programs: actions and events go in, generated frames come out, on the player's own CPU or GPU.</description>
    <tags>neural world-model game inference</tags>
    <dependencies>
      <group targetFramework=".NETStandard2.1" />
    </dependencies>
    <contentFiles>
      <files include="cs/{net}/Causeway/*.cs" buildAction="Compile" />
    </contentFiles>
  </metadata>
</package>
"""
# The wrapper passes pointers.
PROPS = """<Project>
  <PropertyGroup>
    <AllowUnsafeBlocks>true</AllowUnsafeBlocks>
  </PropertyGroup>
</Project>
"""
README = """# Causeway for .NET

```csharp
using (var device = new Causeway.Device(Causeway.DeviceKind.Cpu))
using (var model = Causeway.Model.Open("world.safetensors"))
using (var session = new Causeway.Session(device, model))
{{
    session.SetAction(new float[model.Actions.Count]);
    while (session.Pump(2000) != Causeway.Pump.Frame) {{ }}
    session.TryGetFrame(out var receipt);       // session.Pixels
}}
```

The wrapper comes as sources (C# 7, {net}) and is compiled into the project. Libraries are for {platforms}.
"""
RELATIONS = f"""<?xml version="1.0" encoding="utf-8"?>
<Relationships xmlns="{CONTENT}/relationships">
  <Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/Causeway.nuspec" Id="R1" />
  <Relationship Type="{CONTENT}/relationships/metadata/core-properties" Target="/package/services/metadata/core-properties/causeway.psmdcp" Id="R2" />
</Relationships>
"""
PROPERTIES = f"""<?xml version="1.0" encoding="utf-8"?>
<coreProperties xmlns="{CONTENT}/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/">
  <dc:creator>The Causeway developers</dc:creator>
  <dc:identifier>Causeway</dc:identifier>
  <version>{{version}}</version>
</coreProperties>
"""


def types(names):
    """The part that tells what the others are."""
    known = {"rels": "application/vnd.openxmlformats-package.relationships+xml", "psmdcp": "application/vnd.openxmlformats-package.core-properties+xml"}
    parts = [pathlib.PurePosixPath(name) for name in names]
    endings = sorted({"rels" if part.name == ".rels" else part.suffix[1:] for part in parts if part.suffix or part.name == ".rels"})
    lines = [f'  <Default Extension="{ending}" ContentType="{known.get(ending, "application/octet")}" />' for ending in endings]
    # Files without an ending are told one by one.
    lines += [f'  <Override PartName="/{part}" ContentType="application/octet" />' for part in parts if not part.suffix and part.name != ".rels"]
    return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', f'<Types xmlns="{CONTENT}/content-types">', *lines, "</Types>", ""])


def main():
    if len(sys.argv) < 4 or not all("=" in word for word in sys.argv[3:]):
        sys.exit(__doc__)
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    libraries = [word.split("=", 1) for word in sys.argv[3:]]
    parts = {
        "_rels/.rels": RELATIONS,
        "Causeway.nuspec": NUSPEC.format(version=version, net=NET),
        "package/services/metadata/core-properties/causeway.psmdcp": PROPERTIES.format(version=version),
        "README.md": README.format(net=NET, platforms=", ".join(platform for platform, _ in libraries)),
        f"build/{NET}/Causeway.props": PROPS,
        "THIRD-PARTY.md": pathlib.Path(sys.argv[2]).read_bytes(),
        **{name: (ROOT / name).read_bytes() for name in ("LICENSE-MIT", "LICENSE-APACHE")},
        **{f"contentFiles/cs/{NET}/Causeway/{file.name}": file.read_bytes() for file in sorted(SOURCES.glob("*.cs"))},
        **{f"runtimes/{platform}/native/{pathlib.Path(path).name}": pathlib.Path(path).read_bytes() for platform, path in libraries},
    }
    parts["[Content_Types].xml"] = types(parts)
    out = pathlib.Path(sys.argv[1]) / f"Causeway.{version}.nupkg"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    print(f"{out}: {len(parts)} parts")


if __name__ == "__main__":
    main()
