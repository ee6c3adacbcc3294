# embed.sh - vectors, tensors, scores: ken embed, preprocess, compare, tokens, models.
. tests/cli/lib.sh
need_model

# One array of an .npy file: its shape, or its numbers
npy() { # file, expression over shape and values
    python3 -c 'import array, ast, sys
raw = open(sys.argv[1], "rb").read()
assert raw[:8] == b"\x93NUMPY\x01\x00", "magic"
n = raw[8] + 256 * raw[9]
assert (10 + n) % 64 == 0 and raw[9 + n] == 10, "padding"
head = ast.literal_eval(raw[10:10 + n].decode())
assert head["descr"] == "<f4" and head["fortran_order"] is False
shape = head["shape"]
values = array.array("f", raw[10 + n:])
d = shape[-1]
rows = [values[i:i + d] for i in range(0, len(values), d)]
sys.exit(0 if eval(sys.argv[2]) else 1)' "$1" "$2" 2>> "$tmp/err"
}

picture red.ppm 200 30 30
picture green.ppm 30 200 30 64 64
picture blue.ppm 30 30 200 17 90
mkdir -p tree/one tree/two
cp red.ppm tree/one/a.ppm
cp green.ppm tree/two/b.ppm
echo "words" > tree/note.txt
printf 'P6 40 32 255\nshort' > broken.ppm

run models --models "$(dirname "$model")" --json
json 'any(m["path"] and m["dim"] > 0 and len(m["input"]) == 2 for m in d)' "models lists it"
json 'set(d[0]) >= {"name","path","arch","dim","input","text","tokenizer","bytes","dtype","licence","fingerprint"}' \
    "models has every member"
dim=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[0]["dim"])' "$tmp/out")
json 'd[0]["name"] == "tiny" and d[0]["text"] is False and d[0]["tokenizer"] == ""' "and tells what it is"
run models --check "$model"
is 0 "a whole model passes its check"
cp "$model" hurt.safetensors
python3 -c 'f = open("hurt.safetensors", "r+b"); f.seek(-3, 2); b = f.read(1); f.seek(-3, 2); f.write(bytes([b[0] ^ 1]))'
run models --check ./hurt.safetensors
is 5 "a changed byte is found"

run embed -m "$model" red.ppm green.ppm blue.ppm -o v.npy --names v.txt
is 0 "embed"
that "three rows" npy v.npy "shape == (3, $dim)"
that "unit length" npy v.npy 'all(abs(sum(x * x for x in r) - 1) < 1e-5 for r in rows)'
that "the names in order" test "$(cat v.txt)" = "$(printf 'red.ppm\ngreen.ppm\nblue.ppm')"
run embed -m "$model" blue.ppm --jsonl
jsonl "d[0]['input'] == 'blue.ppm' and d[0]['kind'] == 'image' and d[0]['dim'] == $dim == len(d[0]['vector'])" "a JSON line"
that "the same bits alone and in a batch" python3 - "$tmp/out" << 'PY'
import array, json, sys
raw = open("v.npy", "rb").read()
values = array.array("f", raw[128:])
line = json.loads(open(sys.argv[1]).readline())
d = line["dim"]
sys.exit(array.array("f", line["vector"]) != values[2 * d:])
PY
"$ken" embed -m "$model" @- < blue.ppm > "$tmp/two" 2> "$tmp/err"
status=$?
is 0 "@- reads standard input"
that "@- gives the same vector" test "$(sed 's/"@-"/"blue.ppm"/' "$tmp/two")" = "$(cat "$tmp/out")"

run embed -m "$model" red.ppm broken.ppm missing.ppm green.ppm -o w.npy --names w.txt
is 3 "failed inputs make the status 3"
err "broken.ppm" "a broken picture is named"
err "missing.ppm" "a missing one too"
that "they have no row" npy w.npy "shape == (2, $dim)"
that "and no name" test "$(cat w.txt)" = "$(printf 'red.ppm\ngreen.ppm')"

run embed -m "$model" tree --out-dir vectors
is 0 "a folder: what is no picture is passed over"
that "the same tree" test -f vectors/one/a.npy -a -f vectors/two/b.npy
that "one vector a file" npy vectors/one/a.npy "shape == ($dim,)"
cp green.ppm tree/one/a.pnm
run embed -m "$model" tree --out-dir vectors2
that "two pictures of one stem" test "$(ls vectors2/one | wc -l)" = 2
run embed -m "$model" tree -o t.npy --names t.txt
that "a folder in the order of its bytes" test "$(tr '\n' ' ' < t.txt)" = "tree/one/a.pnm tree/one/a.ppm tree/two/b.ppm "

run embed -m "$model" red.ppm -o no/such/folder.npy
is 2 "an output that cannot be written"
that "nothing is left beside it" test ! -e no
run embed -m nonesuch red.ppm
is 5 "an unknown model"
run embed red.ppm --jsonl
is 0 "without a model's name, the one that ships"
json 'd["dim"] == 256' "serves"
echo '{}' > empty.safetensors
run embed -m ./empty.safetensors red.ppm
is 5 "a file that is no model"

run preprocess -m "$model" red.ppm -o p.npy
is 0 "preprocess"
that "a tensor of three planes" npy p.npy 'len(shape) == 3 and shape[0] == 3 and len(values) == 3 * shape[1] * shape[2]'
run preprocess -m "$model" broken.ppm -o q.npy
is 2 "preprocess of a broken picture"
that "leaves no file" test ! -e q.npy

run compare -m "$model" red.ppm red.ppm --json
is 0 "compare"
json 'abs(d["raw"] - 1) < 1e-5 and 0 <= d["score"] <= 1 and d["model"]' "a picture with itself"
run compare -m "$model" red.ppm blue.ppm --min-raw 1.01
is 1 "below --min-raw"
run compare -m "$model" red.ppm missing.ppm
is 2 "a missing picture"

run embed -m "$model" --text "a red apple"
is 5 "texts asked of a model without a text network"
err "no text network" "and told why"
run tokens -m "$model" apple
is 5 "tokens asked of it"
run classify -m "$model" red.ppm --labels a,b
is 5 "zero-shot asked of it"
finish
