# readme.sh - every command that README shows is run, in its order, on what it speaks of.
#
# What they print depends on the machine and is not compared; that they do what they are for is: the exit
# status is the one that README's reader would see.
. tests/cli/lib.sh
readme=$root/README.md
[ -e "$B/ken-toys" ] || { skip cli/readme "ken-toys is not built"; finish; }

# ---- what the commands find there ----
PATH=$B:$PATH
"$B/ken-toys" render --ids 1249900:1249904 --mode full --views 1 --size 64 -o full > /dev/null 2>&1 || fail "toys"
for i in 0 1 2 3; do printf '{"path":"full/124990%d/full-0.png","object":"toy%d"}\n' $i $i; done > objects.jsonl
sed -n '/^    \$ cat told.json/{n;s/^    //p;}' "$readme" > told.json
python3 - << 'END'
import array, random
random.seed(1)
centres = [[random.gauss(0, 1) for _ in range(128)] for _ in range(40)]
for name, n in ("base", 2000), ("queries", 50):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 128), }" % n
    with open(name + ".npy", "wb") as f:
        f.write(b"\x93NUMPY\1\0" + (118).to_bytes(2, "little") + header.ljust(117).encode() + b"\n")
        for _ in range(n):
            array.array("f", [x + random.gauss(0, .3) for x in random.choice(centres)]).tofile(f)
END
pattern='^$'
python3 -c 'import numpy' 2> /dev/null || { skip cli/readme/numpy "no numpy here"; pattern="$pattern|numpy"; }
if [ -d "$data/grocery" ] && [ -d "$data/stl" ] && [ -d "$data/cifar-resnet" ]; then
    ln -s "$data/grocery" grocery
    ln -s "$data/stl" parts
    cp "$(find "$data/cifar-resnet/" -name 'resnet56*.th' | head -n 1)" resnet56-4bfd9763.th
    for split in train val; do
        (cd grocery && find "$split/Fruit/" -name '*.jpg' | sort | awk 'NR % 9 == 1') |
            awk -F/ '{ print $0 "," $(NF - 1) }' > $split.csv
    done
    cp "$(find grocery/ -name '*.jpg' | sort | head -n 1)" mug.jpg
    cp mug.jpg shelf.jpg
else
    skip cli/readme/data "no test data at $data: what needs photographs, parts or a checkpoint"
    pattern="$pattern|"'grocery|shop\.ken|resnet56|parts|made\.png|\.jpg|fruit'
fi
if serves; then
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    command -v curl > /dev/null || { skip cli/readme/curl "no curl here"; pattern="$pattern|curl"; }
else
    skip cli/readme/serve "this build serves nothing"
    pattern="$pattern|ken serve|curl"
fi
skip cli/readme/milvus "needs a server: make test-milvus"
pattern="$pattern|milvus"

# ---- all of them, in one shell ----
sed -n 's/^    \$ //p' "$readme" | grep -vE "$pattern" > lines
n=0
{
    echo "exec < /dev/null; export KEN_SERVE_LISTEN=127.0.0.1:${port:-0} KEN_DB"
    while IFS= read -r line; do
        n=$((n + 1))
        case $line in
        'ken serve '*'&') # on a copy, which nobody else writes to
            printf 'cp -r toys.ken served; ken serve --db served > out.%d 2> err.%d & served=$!; sleep 2; echo 0 >> statuses\n' $n $n ;;
        *'&') fail "what runs on behind has no place here: $line" ;;
        *) printf '{ %s\n} > out.%d 2> err.%d; echo $? >> statuses\n' "$line" $n $n ;;
        esac
    done < lines
    echo 'test -z "${served:-}" || kill $served; wait'
} | sed "s/localhost:8787/localhost:${port:-0}/g" > all.sh
sh all.sh
n=0
while IFS= read -r line; do
    n=$((n + 1))
    status=$(sed -n ${n}p statuses)
    cp out.$n "$tmp/out"
    cp err.$n "$tmp/err"
    case $line in
    'ken serach'*) is 2 "$line" ;;
    'ken recognize'* | 'ken compare'*' --min '*) that "$line" test "$status" = 0 -o "$status" = 1 ;;
    *'echo $?') out_is 1 "$line" ;;
    curl*) is 0 "$line"; json '"error" not in d' "$line" ;;
    *) is 0 "$line" ;;
    esac
done < lines
that "all were run" test "$(wc -l < statuses)" = "$(wc -l < lines)"
that "README shows many" test "$n" -ge 20
finish
