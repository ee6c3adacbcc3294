#!/bin/sh
# peers-setup.sh DIR - a virtual environment with what ken is compared with, a few GB.
# Never needed to build or to test.
set -eu
dir=${1:?usage: peers-setup.sh DIR}
[ -x "$dir/bin/python" ] || python3 -m venv "$dir"
"$dir/bin/pip" install -q -U pip
"$dir/bin/pip" install -q numpy pillow torch torchvision openvino onnxruntime onnx onnxscript \
    open_clip_torch transformers ftfy regex hnswlib faiss-cpu
