"""Compares two folders of golden files: the same names, and tensors within 1e-5 of each file's scale."""

import json
import sys
from pathlib import Path

import gguf
import torch
from safetensors.torch import load_file


def flat(value, name=""):
    if isinstance(value, torch.Tensor):
        if value.layout == torch.strided and not (value.is_quantized or value.is_meta or value.is_complex()):
            yield name, value.detach().double()
    elif isinstance(value, dict) and name.count(".") < 10:  # one of them holds itself
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}")


def tensors(path):
    if path.suffix == ".safetensors":
        return dict(flat(load_file(path)))
    if path.suffix == ".gguf":
        return {t.name: torch.tensor(t.data.copy()).double() for t in gguf.GGUFReader(path).tensors}
    if path.suffix in (".pt", ".pth") and path.name != "hostile.pt":  # that one is never loaded
        # PyTorch's safe loader refuses a Namespace and classes of others.
        return dict(flat(torch.load(path, weights_only=not path.name.startswith("opaque"))))
    return {}


old, new = Path(sys.argv[1]), Path(sys.argv[2])
names = [sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()) for root in (old, new)]
assert names[0] == names[1], set(names[0]) ^ set(names[1])
compared = 0
for name in names[0]:
    if name.endswith(".json"):
        a, b = (json.loads((root / name).read_text()) for root in (old, new))
        assert a == b, f"{name} differs"
        continue
    a, b = tensors(old / name), tensors(new / name)
    assert a.keys() == b.keys(), name
    for key in a:
        compared += 1
        scale = max([1.0, *a[key].nan_to_num(0, 0, 0).abs().flatten().tolist()])
        same = torch.allclose(a[key], b[key], rtol=0, atol=1e-5 * scale, equal_nan=True)
        assert same and a[key].shape == b[key].shape, f"{name}: {key} differs"
print(f"{len(names[0])} files, {compared} tensors match")
