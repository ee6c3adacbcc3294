# test_page.sh - the page in a headless Chromium (make test-web): what a person does, done for real.
# Debian's chromium is installed where it is missing and this may; its pictures go to build/web/.
. tests/cli/lib.sh
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
[ -f "$root/weights/ken-small.safetensors" ] || { skip web "no weights/ken-small"; finish; }
serves || { skip web "this build has no server"; finish; }
if ! browser > /dev/null && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium; } \
        > "$tmp/out" 2>&1
fi
browser > /dev/null || { skip web "no chromium, and it can't be installed"; finish; }

"$B/ken-toys" render --ids 1100000:1100008 --mode full --views 3 --size 160 -o toys > "$tmp/out" 2>&1
"$B/ken-toys" render --ids 1100003:1100005 --mode clean --first-view 3 --views 4 --size 160 -o more > "$tmp/out" 2>&1
rm -f toys/*.csv toys/*.jsonl more/*.csv more/*.jsonl
python3 - toys/wedge.stl << 'PY'
import struct, sys
c = [(0, 0, 0), (9, 0, 0), (9, 4, 0), (0, 4, 0), (0, 0, 6), (0, 4, 6)]
faces = [(0, 2, 1), (0, 3, 2), (0, 1, 4), (3, 5, 2), (1, 2, 5), (1, 5, 4), (0, 4, 5), (0, 5, 3)]
with open(sys.argv[1], "wb") as f:
    f.write(b"wedge".ljust(80) + struct.pack("<I", len(faces)))
    for q in faces:
        f.write(struct.pack("<12fH", 0, 0, 0, *(x for i in q for x in c[i]), 0))
PY
export KEN_DB="$tmp/work/toys.ken" KEN_MODELS="$root/weights"
run index toys
is 0 "a collection of toys"
mkdir -p "$root/build/web"
PYTHONDONTWRITEBYTECODE=1 python3 "$root/tests/web/page.py" "$ken" "$root/src/web" "$root/build/web" > "$tmp/page.out" 2>&1
status=$?
cat "$tmp/page.out"
set -- $(sed -n 's/^checks: \([0-9]*\) good, \([0-9]*\) bad$/\1 \2/p' "$tmp/page.out")
passed=$((passed + ${1:-0})) failed=$((failed + ${2:-1}))
finish
