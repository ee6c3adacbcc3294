#!/bin/sh
# test-arm64.sh - the checks of the kernels on a 64-bit Arm that qemu plays; minutes of work.  Without
# compiler or player it says so and passes.
set -eu
cc=aarch64-linux-gnu-gcc
for need in $cc qemu-aarch64; do
    command -v "$need" >/dev/null || {
        echo "skipped test-arm64: no $need (apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)"
        exit 0
    }
done
arm() {
    make --no-print-directory -j"$(nproc)" CC=$cc AR=aarch64-linux-gnu-ar JPEG=0 WEBP=0 HEIF=0 SQLITE=0 YAML=0 \
        LDFLAGS=-static "$@"
}
B=$(arm -s print-B)
arm "$B/checkkern"
qemu-aarch64 "$B/checkkern"
