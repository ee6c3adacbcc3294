#!/bin/sh
# test_index_levels.sh - what indexes are made of must have the same bits at every level: the tests
# that print a line "bits …", and they alone, run once more at each level.
passed=0 failed=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
for name in kmeans pq ivf; do
    t=${KEN_BUILD:?}/tests/unit/test_$name
    [ -x "$t" ] || { echo "skipped index_levels of $name: it is not built"; continue; }
    want=
    for level in c avx2 avx512 avx512icl neon; do
        KEN_BITS=1 KEN_CPU=$level "$t" > "$out" 2>&1
        status=$?
        said=$(sed -n 's/^level \([a-z0-9]*\) of.*/\1/p' "$out")
        [ "$said" = "$level" ] || { echo "skipped index_levels of $name at $level: this machine has none"; continue; }
        bits=$(grep '^bits ' "$out")
        want=${want:-$bits}
        if [ $status = 0 ] && [ -n "$bits" ] && [ "$bits" = "$want" ]; then passed=$((passed + 1))
        else failed=$((failed + 1)); echo "$name at $level, against:"; echo "$want"; tail -n 20 "$out"; fi
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
