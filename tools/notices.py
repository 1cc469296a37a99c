#!/usr/bin/env python3
"""Writes the notices of what is inside a build of the library: every crate with its version, licence and the text that must go with it.

    notices.py OUT [--sbom FILE] [--target TARGET] [--package causeway-ffi] [--workspace FOLDER] [CARGO OPTIONS]

e.g. notices.py THIRD-PARTY.md --sbom sbom.cdx.json --no-default-features. The second file has the same crates for machines, as CycloneDX.

Of a crate under several licences one is chosen, in the order of LICENCES. A crate that has none of these, or whose package has no text for it, is
an error. Crates that run while others are compiled are listed too: their code may be in what they make.
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Shortest duties first; what deny.toml allows.
LICENCES = ["0BSD", "CC0-1.0", "BSL-1.0", "MIT", "Zlib", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Unicode-3.0", "Apache-2.0"]
# Words of a licence's text that no other one's has.
MARKS = {
    "MIT": "Permission is hereby granted, free of charge",
    "Apache-2.0": "Apache License",
    "Zlib": "altered source versions",
    "ISC": "with or without fee",
    "BSD-2-Clause": "Redistributions in binary form",
    "BSD-3-Clause": "Neither the name",
    "Unicode-3.0": "Unicode",
    "BSL-1.0": "Boost Software License",
    "0BSD": "with or without fee",
    "CC0-1.0": "CC0",
}


def chosen(expression):
    """The licences to follow, of an SPDX expression: all parts joined by AND, of those joined by OR the best."""
    found = []
    for part in re.split(r"\s+AND\s+", expression.replace("/", " OR ")):
        names = [name.strip("() ") for name in re.split(r"\s+OR\s+", part)]
        names = [name.split(" WITH ")[0] for name in names]
        best = [name for name in LICENCES if name in names]
        if not best:
            return None
        found.append(best[0])
    return found


def text_of(folder, licence):
    """The licence's text in a crate's package."""
    files = sorted(folder.glob("*"), key=lambda path: path.name)
    files = [path for path in files if path.is_file() and re.match(r"(?i)(licen[cs]e|copying|unlicense|notice)", path.name)]
    plain = [path.read_text(errors="replace") for path in files]
    # Two licences may stand in one file; a file of one only goes first.
    plain.sort(key=len)
    for text in plain:
        if MARKS[licence].lower() in re.sub(r"\s+", " ", text).lower():
            return text.strip()
    return None


def crates(package, folder, options):
    """Name and version of every crate that is compiled into `package`, itself and its own workspace left out."""
    tree = ["cargo", "tree", "--locked", "-p", package, "-e", "normal", "--prefix", "none", "-f", "{p}|{l}", *options]
    lines = subprocess.run(tree, cwd=folder, check=True, capture_output=True, text=True).stdout.splitlines()
    found = set()
    for line in lines:
        head = line.split("|")[0]
        if line.strip() and "(/" not in head.replace("(proc-macro)", ""):
            name, version = head.split()[:2]
            found.add((name, version.lstrip("v")))
    return sorted(found)


def bill(package, version, rust, listed):
    """What is inside, by the names that databases of vulnerabilities know it by."""
    def component(name, version, licence, **more):
        return {"type": "library", "name": name, "version": version, "licenses": [{"expression": licence}], **more}
    own = "MIT OR Apache-2.0"
    crates = [component(*crate, purl=f"pkg:cargo/{crate[0]}@{crate[1]}") for crate in listed]
    inside = [component("rust-std", rust, own), *crates]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": component(package, version, own)}, "components": inside}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--sbom")
    parser.add_argument("--package", default="causeway-ffi")
    parser.add_argument("--target")
    parser.add_argument("--workspace", default=ROOT)
    arguments, options = parser.parse_known_args()
    options += ["--target", arguments.target] if arguments.target else []
    metadata = ["cargo", "metadata", "--all-features", "--locked", "--format-version", "1"]
    packages = json.loads(subprocess.run(metadata, cwd=arguments.workspace, check=True, capture_output=True, text=True).stdout)["packages"]
    packages = {(package["name"], package["version"]): package for package in packages}
    listed, texts, wrong = [], {}, []
    for name, version in crates(arguments.package, arguments.workspace, options):
        package = packages[name, version]
        folder = pathlib.Path(package["manifest_path"]).parent
        licences = chosen(package["license"] or "")
        if licences is None:
            wrong.append(f"{name} {version}: {package['license']!r} has no licence of {', '.join(LICENCES)}")
            continue
        listed.append((name, version, " AND ".join(licences)))
        for licence in licences:
            text = text_of(folder, licence)
            if text is None:
                # The package has no text of its own: the licence's words with its authors, who are named in it.
                own = {"MIT": ROOT / "LICENSE-MIT", "Apache-2.0": ROOT / "LICENSE-APACHE"}.get(licence)
                authors = ", ".join(package["authors"]) or f"the authors of {name}"
                if own is None:
                    wrong.append(f"{name} {version}: its package has no text of {licence}")
                    continue
                text = own.read_text().strip()
                text = re.sub(r"Copyright .*", f"Copyright (c) {authors}", text, count=1) if licence == "MIT" else text
            texts.setdefault((licence, text), []).append(f"{name} {version}")
    if wrong:
        sys.exit("\n".join(wrong))
    rust = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    out = ["# Third-party notices", ""]
    out += [f"This build of Causeway holds Rust's standard library {rust} (MIT OR Apache-2.0, The Rust Project Contributors) and {len(listed)} crates:", ""]
    out += [f"* {name} {version}, {licence}" for name, version, licence in listed]
    for (licence, text), names in sorted(texts.items(), key=lambda item: (item[0][0], item[1])):
        out += ["", f"## {licence}: {', '.join(names)}", "", "```", text.replace("```", "'''"), "```"]
    mit = (ROOT / "LICENSE-MIT").read_text()
    out += ["", "## MIT: Rust's standard library", "", "```", re.sub(r"Copyright .*", "Copyright (c) The Rust Project Contributors", mit, count=1).strip(), "```", ""]
    pathlib.Path(arguments.out).write_text("\n".join(out))
    if arguments.sbom:
        version = next(package["version"] for (name, _), package in packages.items() if name == arguments.package)
        pathlib.Path(arguments.sbom).write_text(json.dumps(bill(arguments.package, version, rust, listed), indent=1) + "\n")
    print(f"{arguments.out}: {len(listed)} crates, {len(texts)} texts")


if __name__ == "__main__":
    main()
