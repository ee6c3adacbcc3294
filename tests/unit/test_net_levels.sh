#!/bin/sh
# test_net_levels.sh - the networks' tests once more at every level below the one in force.
t=${KEN_BUILD:?}/tests/unit/test_net
[ -x "$t" ] || { echo "skipped net_levels: test_net is not built"; exit 0; }
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
passed=0 failed=0
for level in c avx2 avx512 avx512icl avx512bf16 neon; do
    KEN_CPU=$level "$t" > "$out" 2>&1
    status=$?
    said=$(sed -n 's/^level \([a-z0-9]*\) of.*/\1/p' "$out")
    [ "$said" = "$level" ] || { echo "skipped net_levels at $level: this machine has none"; continue; }
    if [ $status = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); tail -n 20 "$out"; fi
    echo "level $level: $(grep -o 'Checks:.*' "$out")"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
