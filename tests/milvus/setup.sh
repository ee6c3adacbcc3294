#!/bin/sh
# setup.sh DIR - a virtual environment with two real Milvus servers from PyPI: milvus-lite 3 (gRPC, in
# Python) and milvus 2.3 (a whole standalone server in one process).  Made once; says why it cannot be.
set -u
dir=${1:?usage: setup.sh DIR}
[ -f "$dir/ready" ] && exit 0
command -v python3 > /dev/null || { echo "there is no python3"; exit 1; }
rm -rf "$dir"
mkdir -p "$(dirname "$dir")"
python3 -m venv "$dir" > "$dir.log" 2>&1 || { echo "python3 -m venv fails (is python3-venv installed?)"; exit 1; }
timeout 600 "$dir/bin/python" -m pip install -q --disable-pip-version-check \
    'milvus-lite>=3,<4' 'pymilvus>=3,<4' 'milvus==2.3.5' 'setuptools<81' >> "$dir.log" 2>&1 \
    || { echo "the packages cannot be had: $(tail -n 1 "$dir.log" | cut -c 1-160)"; exit 1; }
touch "$dir/ready"
