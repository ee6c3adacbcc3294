# examples.sh - every example of `ken help` and of the manual is run, as it stands, where its words make sense.
#
# The examples are the program's own (`ken help --json`).  What is large in them is made small by variables, which
# are weaker than the flags that an example shows; what one leaves behind and the next would trip over is taken
# away.  Those that need what a test has not got are told as skipped, with the reason.
. tests/cli/lib.sh
if nm "$B/libken.a" 2> /dev/null | grep -qE '__(asan|tsan|ubsan)_'; then
    skip cli/examples "built for a sanitizer; the commands have tests of their own"
    finish
fi
command -v bash > /dev/null || { skip cli/examples "no bash here"; finish; }
[ -f "$root/weights/ken-small.safetensors" ] || { skip cli/examples "no weights/ken-small"; finish; }
run help --json
is 0 "the examples"
python3 -c 'import json, sys
for c in json.load(open(sys.argv[1], encoding="utf-8"))["commands"]:
    assert c["examples"], c["name"] + " has none"
    for e in c["examples"]:
        print(e["command"], e["what"], sep="\t")' "$tmp/out" > "$tmp/examples" 2> "$tmp/err" && pass || fail "every command has some"
tab=$(printf '\t')
sh "$root/tools/package/man.sh" "$ken" | sed 's/\\-/-/g; s/\\e/\\/g' > "$tmp/manual"
while IFS=$tab read -r line what; do
    grep -qF -e "$line" "$tmp/manual" || fail "the manual shows: $line"
done < "$tmp/examples"

# ---- where they make sense: somebody's pictures ----
PATH=$B:$PATH
cd "$HOME" && mkdir Photos models && cd Photos || exit 2
need_model hf-clip
mv "$model" "$HOME/models/clip-b32.safetensors"
ln -s "$root/weights/ken-small.safetensors" "$HOME/models/clip-l14.safetensors"
ln -s "$HOME/models/clip-b32.safetensors" M
need_model resnet-bottleneck/model.npz
mv "$model" resnet50.safetensors
export KEN_MODELS="$HOME/models:$root/weights"
ken-toys render --ids 1249900:1249904 --mode full --views 4 --size 64 --format jpg -o toys > "$tmp/out" 2>&1 || fail "toys"
rm -f toys/*.csv toys/*.jsonl
i=0
give() { # folder, pictures...: each under a name of its own
    mkdir -p "$1"
    folder=$1
    shift
    for f; do i=$((i + 1)); cp "$f" "$folder/$i.jpg"; done
}
give shop/bears toys/1249900/full-[01].jpg
give shots/duck toys/1249901/*
give shots/bear toys/1249900/*
give refs/duck toys/1249901/full-[01].jpg
give refs/bear toys/1249900/full-[01].jpg
give photos toys/1249902/* toys/1249903/*
mkdir vectors out
for f in mug front a b query photo; do cp toys/1249900/full-0.jpg $f.jpg; done
for f in side shelf hit; do cp toys/1249900/full-1.jpg $f.jpg; done
rm -r toys
picture plain.ppm 250 20 60
printf 'an apple\na pear\n' > labels.txt
printf 'red\nblue duck\n' > queries.txt
for s in train val; do
    { echo path,label; for l in bear duck; do for f in shots/$l/*; do echo $f,$l; done; done; } > $s.csv
done
for f in photos/*; do printf '{"query":"./%s","relevant":["%s"]}\n{"query":"duck","relevant":["%s"]}\n' $f $f $f; done > known.jsonl
mkdir -p ../lists && colour_fields ../lists
python3 - << 'END'
import random, struct, zipfile, zlib

def png(seed, shake):
    """Strokes on 35 x 35 grey pixels: the character, and the hand."""
    r, hand = random.Random(seed), random.Random(shake)
    rows = [bytearray(b"\xff" * 35) for _ in range(35)]
    for _ in range(4):
        x, y, dx, dy = r.uniform(8, 26), r.uniform(8, 26), r.uniform(-1, 1), r.uniform(-1, 1)
        x, y = x + hand.uniform(-1, 1), y + hand.uniform(-1, 1)
        for i in range(8):
            rows[int(y + i * dy) % 35][int(x + i * dx) % 35] = 0
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    head = struct.pack(">IIBBBBB", 35, 35, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")

for name, characters in ("omniglot", 24), ("small2", 24), ("small1", 2):
    with zipfile.ZipFile(name + ".zip", "w") as z:
        for c in range(1, characters + 1):
            for drawer in range(1, 21):
                z.writestr(f"{name}/Made_up/character{c:02}/{c:04}_{drawer:02}.png", png(c, (c, drawer).__hash__()))
corners = [(0, 0, 0), (9, 0, 0), (9, 4, 0), (0, 4, 0), (0, 0, 6), (0, 4, 6)]
faces = [(0, 2, 1), (0, 3, 2), (0, 1, 4), (3, 5, 2), (1, 2, 5), (1, 5, 4), (0, 4, 5), (0, 5, 3)]
with open("part.stl", "wb") as f:
    f.write(b"wedge".ljust(80) + struct.pack("<I", len(faces)))
    for q in faces:
        f.write(struct.pack("<12fH", 0, 0, 0, *(x for i in q for x in corners[i]), 0))
r = random.Random(1)
for name, rows, ids in ("base.fbin", 2000, None), ("queries.fbin", 50, None):
    with open("../lists/" + name, "wb") as f:
        f.write(struct.pack("<II", rows, 16) + b"".join(struct.pack("<16f", *(r.gauss(0, 1) for _ in range(16))) for _ in range(rows)))
def npy(name, kind, shape, body):
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open("../lists/" + name, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + body)
npy("more.npy", "<f4", "(5, 16)", struct.pack("<80f", *(r.gauss(0, 1) for _ in range(80))))
npy("more-ids.npy", "<i8", "(5,)", struct.pack("<5q", *range(5000, 5005)))
END
cp part.stl design.stl
cp "$root/tests/golden/models/apple.png" apple.png
python3 "$root/tests/golden/omniglot_runs.py" ../lists/all_runs small2.zip
{
    echo '#!/bin/sh'
    for f in shots/duck/*; do echo "echo '{\"path\":\"$f\",\"object\":\"duck\"}'"; done
} > "$HOME/producer"
chmod +x "$HOME/producer"
PATH=$HOME:$PATH
ken compare design.stl design.stl -m ken-small --view made.jpg > "$tmp/out" 2> "$tmp/err" || fail "a picture of a part"
for db in photos toys; do ken index --db "$HOME/$db.ken" photos -m ken-small -q > "$tmp/out" 2> "$tmp/err" || fail "$db.ken"; done

# ---- weaker than flags, stronger than what is built in ----
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export KEN_SERVE_LISTEN=127.0.0.1:$port KEN_BENCH_SECONDS=.3 KEN_EVAL_EPISODES=20 KEN_PROGRESS=none
export KEN_TRAIN_LOSS=softmax KEN_TRAIN_STEPS=2 KEN_TRAIN_SIZE=32 KEN_TRAIN_BATCH=8 KEN_TRAIN_CLASSES=2 KEN_TRAIN_IMAGES=2

# Why an example is not run here; nothing if it is.
needs() {
    case $1 in
    *milvus://*) echo "a Milvus server: make test-milvus" ;;
    'ken models get '*) echo "a publisher's or mirror's server: tests/cli/models_get.sh has one" ;;
    'ken search') echo "a terminal: tests/cli/shell.sh has one" ;;
    *--keys-file*) echo "port 80 and /etc/ken/keys: tests/cli/serve.sh has its own" ;;
    *toys:0-100000* | 'ken bench encode'* | 'ken bench train'*) [ -z "${QUICK:-}" ] || echo "minutes" ;;
    'ken serve'* | 'ken bench http'*) serves || echo "this build serves nothing" ;;
    *'| jq'*) command -v jq > /dev/null || echo "jq" ;;
    esac
}
# What lies where only this example looks.
before() {
    case $1 in
    *' ann '*) cd "$HOME/lists" ;;
    *'eval calibrate'*) cd "$HOME/lists" && ln -sf ../Photos/M M ;;
    *omniglot-runs*) cd "$HOME/lists" ;;
    *'--db photos.ken'* | *'--db toys.ken'*) ln -sfn "$HOME/photos.ken" photos.ken; ln -sfn "$HOME/toys.ken" toys.ken ;;
    *' train '*) rm -rf run ;;
    esac
}
# A service, or what waits for changes: it begins, and ends when it is asked to.
until_stopped() { # signal, what it says when it has begun, command
    sh -c "exec $3" > "$tmp/out" 2> "$tmp/err" &
    pid=$!
    began=0
    for _ in $(seq 600); do
        grep -q "$2" "$tmp/out" && began=1 && break
        kill -0 $pid 2> /dev/null || break
        sleep .1
    done
    [ $began = 1 ] && pass || fail "$3: says '$2'"
    kill -"$1" $pid
    wait $pid
    status=$?
}
n=0
while IFS=$tab read -r line what; do
    why=$(needs "$line")
    if [ -n "$why" ]; then
        skip "cli/examples, $line" "needs $why"
        continue
    fi
    n=$((n + 1))
    cd "$HOME/Photos" && before "$line"
    start=$(date +%s)
    case $line in
    *--watch*) until_stopped INT "files seen" "$line"; is 130 "$line" ;;
    'ken serve'*) until_stopped TERM "^http://127.0.0.1:$port" "$line"; is 0 "$line" ;;
    *)
        bash -o pipefail -c "$line" > "$tmp/out" 2> "$tmp/err" < /dev/null
        status=$?
        case $line in
        'ken recognize'* | *'--min '*) that "$line" test $status = 0 -o $status = 1 ;;
        *) is 0 "$line" ;;
        esac
        case $what in *...*) ;; "{"*"}") json "d == json.loads('$what')" "$line: as it says" ;; esac
        ;;
    esac
    [ -z "${TIMES:-}" ] || echo "$(($(date +%s) - start)) s $line"
done < "$tmp/examples"
that "there are many ($n)" test $n -ge 70
that "what is copied has arrived" test -n "$(ls "$HOME/Photos/out")"
finish
