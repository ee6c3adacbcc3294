#!/bin/sh
# run-tests.sh LAYER|PROGRAM… - run the test programs of each layer and print the sum; a program is
# named with its layer: cli/text, unit/test_base.
#
# A test program prints "N passed, N failed" (or libcheck's "Checks: N, Failures: N, Errors: N"), and a
# line "skipped NAME: why" for each skipped test; it exits non-zero when one failed.  A program that
# says neither counts as one test.
# Environment: KEN_BUILD (folder of the built programs), KEN_TEST_DATA (default ../shared/data),
# QUICK=1 leaves out what is slow.
set -u
B=${KEN_BUILD:?}
: "${KEN_TEST_DATA:=../shared/data}"
export KEN_TEST_DATA KEN_BUILD
passed=0 failed=0 skipped=0
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

count() { # $1 output file, $2 status, $3 name
    line=$(grep -oE '[0-9]+ passed, [0-9]+ failed' "$1" | tail -n 1)
    check=$(grep -oE 'Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+' "$1" | tail -n 1)
    s=$(grep -c '^skipped ' "$1")
    if [ -n "$line" ]; then
        set -- "$1" "$2" "$3" $(echo "$line" | tr -cd '0-9 ')
        p=$4 f=$5
    elif [ -n "$check" ]; then # libcheck's own words; a skipped test has passed there
        set -- "$1" "$2" "$3" $(echo "$check" | tr -cd '0-9 ')
        f=$(($5 + $6)) p=$(($4 - $5 - $6 - s))
    elif [ "$2" = 0 ]; then
        p=1 f=0
        [ "$s" = 0 ] || p=0 # all of it was skipped
    else
        p=0 f=1
    fi
    [ "$2" != 0 ] && [ "$f" = 0 ] && f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    grep '^skipped ' "$1" >> "$tmp/skips"
    if [ "$f" != 0 ]; then
        echo "FAILED $3 (status $2):"
        grep -v '^skipped ' "$1" | tail -n 40 | sed 's/^/    /'
        printf '%s\n' "$3" >> "$tmp/failures"
    fi
    printf '  %-34s %s passed, %s failed, %s skipped, %s s\n' "$3" "$p" "$f" "$s" $(($(date +%s) - since))
}
run() { # name command…; nothing is remembered from one program to the next, nor with the user's own
    name=$1 since=$(date +%s); shift
    rm -rf "$tmp/cache"
    XDG_CACHE_HOME=$tmp/cache "$@" > "$tmp/out" 2>&1
    count "$tmp/out" $? "$name"
}

for layer; do
    case $layer in
    cli/*) run "$layer" sh "tests/$layer.sh" ;;
    fuzz/*) run "$layer" "$B/tests/$layer" "tests/fuzz/corpus/${layer#*/}" ;;
    */*) run "$layer" "$B/tests/$layer" ;;
    kernels) run kernels "$B/checkkern"; grep -hE '^(level|levels|skip)' "$tmp/out" ;;
    fuzz) for f in "$B"/tests/fuzz/fuzz_*; do
              [ -x "$f" ] && [ ! -d "$f" ] && case $f in *.o | *.d) ;; *)
                  run "fuzz/$(basename "$f")" "$f" "tests/fuzz/corpus/$(basename "$f")" ;; esac
          done ;;
    cli) for t in tests/cli/*.sh; do
             [ -f "$t" ] && [ "$(basename "$t")" != lib.sh ] && run "cli/$(basename "$t" .sh)" sh "$t"
         done ;;
    *) for src in tests/"$layer"/*.c; do
           t=$B/tests/$layer/$(basename "$src" .c)
           [ -x "$t" ] && run "$layer/$(basename "$t")" "$t"
       done
       for t in tests/"$layer"/test_*.sh; do
           [ -f "$t" ] && run "$layer/$(basename "$t" .sh)" sh "$t"
       done ;;
    esac
done
[ -s "$tmp/skips" ] && { echo; sort "$tmp/skips"; }
[ -s "$tmp/failures" ] && { echo; echo "failed:"; cat "$tmp/failures"; }
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
