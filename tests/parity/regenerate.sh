#!/usr/bin/env bash
# Makes the golden files anew from PyPI and compares them with the committed ones; with --bless replaces those.
# Needs Python 3.11, and where PyTorch's CUDA libraries cannot be had, an interpreter with a working torch and these packages in $PYTHON.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -z "${PYTHON:-}" ]; then
    python3 -m venv "$work/venv"
    PYTHON="$work/venv/bin/python"
    "$PYTHON" -m pip install -q torch diffusers transformers peft safetensors gguf numpy pillow ftfy sentencepiece protobuf
    "$PYTHON" -m pip install -q --no-deps flashdreams==0.1.0
    # FastVideo and what importing its network takes, without what only GPUs need.
    "$PYTHON" -m pip install -q --no-deps fastvideo==0.2.1 remote-pdb torchvision scipy
    "$PYTHON" -m pip install -q cloudpickle pyyaml requests tqdm psutil opencv-python-headless imageio einops loguru av
fi
HF_HUB_OFFLINE=1 "$PYTHON" regenerate.py "$work/golden"
if [ "${1:-}" = --bless ]; then
    rm -rf golden
    cp -r "$work/golden" golden
else
    "$PYTHON" compare.py golden "$work/golden"
fi
