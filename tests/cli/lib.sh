# lib.sh - for the tests of the program.  Sourced; a test then looks like
#
#     run search --json beach        # fills $status, $tmp/out and $tmp/err
#     is 0 "a search succeeds"       # status
#     out "hits" "it has hits"       # a word in standard output; err likewise
#     json 'd["hits"][0]["rank"] == 1' "the first hit has rank 1"
#     finish
#
# Each test has a home of its own: no setting of the person who runs it gets in.
set -u
root=$(pwd)
case ${KEN_BUILD:?} in /*) B=$KEN_BUILD ;; *) B=$root/$KEN_BUILD ;; esac
case ${KEN_TEST_DATA:=../shared/data} in /*) data=$KEN_TEST_DATA ;; *) data=$root/$KEN_TEST_DATA ;; esac
ken=$B/ken
convert=$B/ken-convert
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
for v in $(env | sed -n 's/^\(KEN_[A-Z_]*\)=.*/\1/p'); do
    case $v in KEN_CPU) ;; *) unset "$v" ;; esac
done
unset NO_COLOR XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME
export HOME="$tmp/home" LC_ALL=C.UTF-8 TERM=xterm
mkdir -p "$HOME" "$tmp/work"
cd "$tmp/work" || exit 2
passed=0 failed=0 status=0

run() {
    "$ken" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}
pass() { passed=$((passed + 1)); }
fail() { # what, and what was seen
    failed=$((failed + 1))
    echo "not ok: $1"
    echo "  status $status"
    sed 's/^/  out: /' "$tmp/out" | head -n 12
    sed 's/^/  err: /' "$tmp/err" | head -n 12
}
is() { [ "$status" = "$1" ] && pass || fail "$2 (wanted status $1)"; }
out() { grep -qF -e "$1" "$tmp/out" && pass || fail "$2 (wanted '$1' in the output)"; }
err() { grep -qF -e "$1" "$tmp/err" && pass || fail "$2 (wanted '$1' among the errors)"; }
out_is() { [ "$(cat "$tmp/out")" = "$1" ] && pass || fail "$2 (wanted exactly '$1')"; }
no_out() { [ ! -s "$tmp/out" ] && pass || fail "$1 (wanted no output)"; }
no_err() { [ ! -s "$tmp/err" ] && pass || fail "$1 (wanted no errors)"; }
that() { # what, command...
    what=$1; shift
    "$@" && pass || fail "$what"
}
json() { # expression over d, what
    python3 -c 'import json, sys
d = json.load(open(sys.argv[1], encoding="utf-8"))
sys.exit(0 if eval(sys.argv[2]) else 1)' "$tmp/out" "$1" 2>> "$tmp/err" && pass || fail "$2 (wanted $1)"
}
jsonl() { # expression over the list d of all lines, what
    python3 -c 'import json, sys
d = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
sys.exit(0 if eval(sys.argv[2]) else 1)' "$tmp/out" "$1" 2>> "$tmp/err" && pass || fail "$2 (wanted $1)"
}
# Whether this build serves, and what it serves with is there.
serves() { ! "$ken" serve --db "$tmp/none" 2>&1 | grep -qE "HTTP=0|not installed"; }
skip() { # test, why
    echo "skipped $1: $2"
}
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    exit
}

# A PPM file: red green blue [width height].  A gradient in one corner keeps the pictures apart.
picture() { # file r g b [w h]
    python3 - "$@" << 'PY'
import sys
path, r, g, b = sys.argv[1], *map(int, sys.argv[2:5])
w, h = map(int, sys.argv[5:7]) if len(sys.argv) > 5 else (40, 32)
rows = bytearray()
for y in range(h):
    for x in range(w):
        k = (x * 3 + y * 5) % 64 if x < w // 2 and y < h // 2 else 0
        rows += bytes((min(255, r + k), min(255, g + k), max(0, b - k)))
with open(path.encode("utf-8", "surrogateescape"), "wb") as f:
    f.write(b"P6 %d %d 255\n" % (w, h) + bytes(rows))
PY
}

# 40 things in 4 shades each, in FOLDER/g and FOLDER/q, and 60 unknown ones in FOLDER/u: colour fields of 4 x 4.
colour_fields() { # folder
    python3 - "$1" << 'PY'
import os, random, sys
os.chdir(sys.argv[1])
def field(path, seed, shade):
    r, noise = random.Random(seed), random.Random(path)
    cells = [[[r.randrange(256) for _ in range(3)] for _ in range(4)] for _ in range(4)]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"P6 32 32 255\n" + bytes(
            min(255, max(0, int(cells[y // 8][x // 8][c] * shade) + noise.randrange(-60, 60)))
            for y in range(32) for x in range(32) for c in range(3)))
for i in range(40):
    for j in range(2):
        field(f"g/{i}/{j}.ppm", i, 1 - .05 * j)
        field(f"q/{i}/{j}.ppm", i, .8 - .1 * j)
for i in range(60):
    field(f"u/{i}/0.ppm", 1000 + i, 1)
PY
}

# Convert a small committed checkpoint (random weights, real formats): its file in $model.
need_model() { # cifar/model.th (pictures alone, the default) or hf-clip (texts too)
    model=$tmp/models/tiny.safetensors
    mkdir -p "$tmp/models"
    "$convert" "$root/tests/golden/models/${1:-cifar/model.th}" -o "$model" > "$tmp/out" 2> "$tmp/err" && return
    fail "${1:-cifar/model.th} converts"
    finish
}
