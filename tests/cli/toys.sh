# toys.sh - ken-toys: flags, the files it writes, and that they depend on nothing but what was asked for.
. tests/cli/lib.sh
toys=$B/ken-toys

toys() {
    "$toys" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}
table() { # file, expression over the list d of all lines, what
    cp "$1" "$tmp/out"
    jsonl "$2" "$3"
}

# ---- help and wrong use ----
toys --help
is 0 "--help"; out "examples:" "--help has examples"; no_err "--help"
toys --version
is 0 "--version"; out "ken-toys " "--version"
toys
is 2 "no command"; err "which command" "no command"; no_out "no command"
toys dance
is 2 "an unknown command"; err "dance" "it is named"
toys render -o x
is 2 "no ids"; err "--ids" "no ids"
toys render --ids 0:1
is 2 "no output"; err "-o" "no output"
for bad in 5:5 6:5 a:b 1 -1:3 1:2:3; do
    toys render --ids $bad -o x
    is 2 "ids $bad"; err "$bad" "ids $bad are named"
done
toys render --ids 0:1 --mode sideways -o x
is 2 "an unknown mode"; err "clean, full, head" "the modes are named"
toys render --ids 0:1 --size 4 -o x
is 2 "a size too small"
toys render --ids 0:1 --format gif -o x
is 2 "an unknown format"
toys render --ids 0:1 --nonsense -o x
is 2 "an unknown flag"
: > file
toys render --ids 0:1 -o file/x
is 2 "an output that cannot be"; err "file" "it is named"
that "wrong use leaves nothing" [ "$(ls)" = file ]

# ---- pictures and tables ----
toys render --ids 1000000:1000006 --views 2 --first-view 3 --mode full --size 48 --twins --masks --captions 2 --threads 1 -o one
is 0 "render"; no_out "render"; no_err "render"
that "a list with a header, a line a picture" [ "$(wc -l < one/list.csv)" = 25 ]
that "labels" grep -qx '1000004-twin/full-4.png,1000004-twin' one/list.csv
that "a picture and its mask for each line" [ "$(find one -name '*.png' | wc -l)" = 48 ]
that "no temporary file" [ -z "$(find one -name '*.tmp*')" ]
table one/captions.jsonl 'len(d) == 48 and all(set(x) == {"path", "en", "zh", "says"} for x in d)' "captions"
table one/captions.jsonl 'all(x["says"].startswith("species") and x["en"] and x["zh"] for x in d)' "captions say something"
table one/truth.jsonl 'len(d) == 24 and all(x["mode"] == "full" and 0 <= x["differs"] <= 1 and x["attribute"] for x in d)' "twins"
table one/truth.jsonl 'all(x["box"][0] + x["box"][2] <= 48 and 0 <= x["hidden"] <= 1 and 0 <= x["visible"] <= 1 for x in d)' "boxes"
table one/truth.jsonl 'any(x["differs"] > .01 for x in d) and all("camera" in x and "light" in x and "species" in x["attributes"] for x in d)' "truth"
toys render --ids 1000000:1000006 --views 2 --first-view 3 --mode full --size 48 --twins --masks --captions 2 --threads 5 -o two
is 0 "render on more threads"
that "threads change nothing" diff -r one two
echo torn > one/1000000/full-3.png
rm one/list.csv
toys render --ids 1000000:1000006 --views 2 --first-view 3 --mode full --size 48 --twins --masks --captions 2 -o one
that "a second run makes it whole" diff -r one two
toys render --ids 1000003:1000004 --views 1 --first-view 4 --mode full --size 48 -o part
that "a picture depends on nothing around it" cmp -s part/1000003/full-4.png one/1000003/full-4.png
toys render --ids 3:5 --mode mixed --size 32 --format jpg -o jpg
is 0 "jpg"
that "jpg" [ "$(head -c 2 jpg/3/mixed-0.jpg | od -An -tx1 | tr -d ' ')" = ffd8 ]

# ---- one picture can be read, and is found by its own colours ----
toys histogram --gallery one/list.csv --queries one/list.csv --json
is 0 "histogram"; json 'd["queries"] == 24 and d["top1"] > .9' "a picture finds itself"
echo "missing.png,x" > bad.csv
toys histogram --gallery bad.csv --queries one/list.csv
is 2 "a missing picture"; err "missing.png" "it is named"
# vectors with which each is nearest to itself, but for one of the twins
python3 - << 'PY'
import struct
labels = [l.strip().split(",")[1] for l in open("one/list.csv")][1:]
gallery, queries = open("g.csv", "w"), open("q.csv", "w")
names = sorted(set(labels))
for f in gallery, queries:
    f.write("path,label\n" + "".join(f"x.png,{n}\n" for n in names))
def npy(path, rows):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (len(rows), len(rows[0]))
    head = head.encode().ljust(117) + b"\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head)
        for r in rows:
            f.write(struct.pack("<%df" % len(r), *r))
unit = lambda i: [float(i == k) for k in range(len(names))]
npy("g.npy", [unit(i) for i in range(len(names))])
npy("q.npy", [unit(i + 1 if i == 0 else i) for i in range(len(names))])
PY
toys pairs --gallery g.csv --queries q.csv --gallery-vectors g.npy --query-vectors q.npy --json
is 0 "pairs"; json 'd["queries"] == 12 and abs(d["top1"] - 11 / 12) < 1e-3' "one of twelve is taken for its twin"
toys pairs --gallery g.csv --queries q.csv --gallery-vectors g.npy --query-vectors sheet.png
is 2 "vectors that are none"; err "sheet.png" "they are named"
toys pairs --gallery g.csv --queries q.csv --gallery-vectors g.npy --query-vectors g.csv
is 2 "a list for vectors"
head -n 3 g.csv > few.csv
toys pairs --gallery few.csv --queries q.csv --gallery-vectors g.npy --query-vectors q.npy
is 2 "fewer lines than vectors"; err "12 vectors" "they are counted"
toys sheet --ids 0:3 --size 32 -o sheet.png
is 0 "sheet"
that "a sheet" [ "$(head -c 4 sheet.png | tail -c 3)" = PNG ]

# ---- words ----
toys captions --ids 0:20 --captions 3
is 0 "captions"; jsonl 'len(d) == 60 and not any("!" in x["says"] for x in d)' "captions"
toys captions --ids 0:20 --captions 3 --wrong
jsonl 'all(x["says"].count("!") == 1 for x in d)' "one thing wrong in each"
toys ceiling --ids 1100000:1100200 --captions 2 --json
is 0 "ceiling"; json '.5 < d["top1"] <= d["top10"] <= 1 and d["captions"] == 400' "the ceiling"
toys ceiling --ids 5:6 --json
json 'd["top1"] == 1' "among one toy it is found"

# a word from outside what the model that ships was trained on is said
toys render --ids 3:6 --size 64 -o few
run index few --db small.ken -m "$root/weights/ken-small.safetensors"
is 0 "an index"
run search --db small.ken "a brown bear" -n 1
is 0 "words that it knows"; no_err "and nothing is said"
run search --db small.ken "two parrots on a branch" -n 1
is 0 "words that it does not know"; err "outside" "and so it says"

# the one for small devices: little, of pictures alone, and of use
tiny=$root/weights/ken-tiny.safetensors
that "ken-tiny has at most 2 MB" [ "$(wc -c < "$tiny")" -le 2000000 ]
toys render --ids 1249900:1249920 --size 64 --seed 1 --mode clean -o known
toys render --ids 1249900:1249920 --size 64 --seed 2 --mode full -o asked
for part in known asked; do sed "2,\$s,^,$part/," $part/list.csv > $part.csv; done
run eval recognize -m "$tiny" --gallery known.csv --queries asked.csv --json
is 0 "it recognises"; json 'd["top1"] >= .6 and d["objects"] == 20' "most of twenty toys, from one picture each"
run search -m "$tiny" --db tiny.ken "a bear"
is 4 "there is no collection yet"
run index few --db tiny.ken -m "$tiny"
run search --db tiny.ken "a brown bear"
is 5 "words need a model that reads"
finish
