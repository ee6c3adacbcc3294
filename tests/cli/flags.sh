# flags.sh - the command line: where flags may stand, values, wrong use.
. tests/cli/lib.sh

origin() { # key: its value and origin, from `ken config --json` in $tmp/out
    python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))[sys.argv[2]]
print(o["value"], o["origin"])' "$tmp/out" "$1"
}

run config --threads 3 --json
that "a flag after the command" test "$(origin threads)" = "3 --threads"
run --threads 3 config --json
that "a flag before the command" test "$(origin threads)" = "3 --threads"
run --threads=3 --json config
that "a value after =" test "$(origin threads)" = "3 --threads"
run -t3 config --json
that "a value right after a letter" test "$(origin threads)" = "3 --threads"
run config -qt 3 --json
that "letters together" test "$(origin threads)" = "3 --threads"
run config --threads 3 --threads 5 --json
that "the last one counts" test "$(origin threads)" = "5 --threads"
run config --color --json
that "--color alone" test "$(origin color)" = "always --color"
run config --no-orient=no --json
that "a switch may be turned off" test "$(origin no-orient)" = "false --no-orient"

run config --nonesuch
is 2 "an unknown flag"
err "unknown flag --nonesuch" "an unknown flag is named"
err "ken help" "and help is offered"
run config -Z
is 2 "an unknown letter"
run config --threads
is 2 "a missing value"
err "needs a value" "a missing value is told"
run config --threads many
is 2 "a number that is none"
err "expects a whole number" "a number that is none is told"
run config --precision f64
is 2 "a value outside the choices"
err "auto|f32|bf16x3|bf16|int8" "the choices are listed"
run stats --prune
is 2 "another command's flag"
err 'not a flag of `ken stats`' "another command's flag is told"
run stats extra
is 2 "an argument too many"

# `--` ends the flags, and the command's name with them
run -- stats
is 4 "-- stats searches for a word"
run search -- --threads
is 4 "-- makes a text of a flag"

for bad in 'search' 'search + +' 'search a +' 'search 0:a' 'search id:x' 'search obj:' \
    'search stl:a.stl' 'search --batch q x' 'search -n 0 a' 'embed' 'tokens' 'compare a' 'compare a.stl b.stl' \
    'classify' 'index' 'show' 'rm' 'preprocess a.jpg' 'eval' 'eval recognize' 'bench' 'bench nonesuch' \
    'models get x' 'bench pipeline'; do
    mkdir -p .ken # so that nothing fails for want of a collection
    run $bad
    is 2 "wrong use: $bad"
    no_out "wrong use: $bad"
done
finish
