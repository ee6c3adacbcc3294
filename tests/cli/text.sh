# text.sh - words: tokens, vectors of texts, comparing, zero-shot labels, searching by words.
. tests/cli/lib.sh
need_model hf-clip

run tokens -m "$model" --json "a red apple" "milk"
is 0 "tokens"
json 'len(d) == 2 and d[0][0] == d[1][0] and d[0][-1] == d[1][-1] and len(d[0]) > len(d[1]) > 2' \
    "a list a text, start and end included"
run tokens -m "$model" "milk"
that "as words for a pipe" grep -qx '[0-9 ]*' "$tmp/out"
run tokens -m "$model" --jsonl "a" "b"
jsonl 'len(d) == 2 and isinstance(d[0][0], int)' "a line a text"
run tokens -m "$model" -- --json
that "-- makes a text of a flag" grep -qx '[0-9 ]*' "$tmp/out"

picture red.ppm 200 30 30
picture blue.ppm 30 30 200
run embed -m "$model" red.ppm --text "a red apple" blue.ppm --text "milk" --jsonl
is 0 "pictures and texts together"
jsonl '[(x["input"], x["kind"]) for x in d] == [("red.ppm", "image"), ("a red apple", "text"), ("blue.ppm", "image"), ("milk", "text")]' \
    "in the order of the command line"
run embed -m "$model" red.ppm --text "a red apple" -o v.npy --names v.txt
that "a text's name" test "$(cat v.txt)" = "$(printf 'red.ppm\ntext:a red apple')"

run compare -m "$model" red.ppm "text:a red apple" --json
is 0 "a picture and words"
json '-1 <= d["raw"] <= 1 and 0 <= d["score"] <= 1' "a score"
run compare -m "$model" "text:milk" "text:milk"
out_is "1.0000" "words with themselves"

run classify -m "$model" red.ppm blue.ppm --labels "a red apple, milk,a pepper" --jsonl
is 0 "zero-shot"
jsonl 'len(d) == 2 and all(abs(sum(l["score"] for l in x["labels"]) - 1) < 1e-4 for x in d)' "scores sum to 1"
jsonl '{l["label"] for l in d[0]["labels"]} == {"a red apple", "milk", "a pepper"}' "labels without their blanks"
jsonl 'all(x["labels"] == sorted(x["labels"], key=lambda l: -l["score"]) for x in d)' "best first"
printf 'a red apple\n\nmilk\n' > labels.txt
run classify -m "$model" red.ppm --labels-from labels.txt --json -n 1
json 'len(d["labels"]) == 1 and d["path"] == "red.ppm"' "--labels-from and -n"
run classify -m "$model" red.ppm missing.ppm --labels a,b
is 3 "a missing picture among them"
run classify -m "$model" red.ppm
is 2 "neither labels nor a trained head"

mkdir shop
cp red.ppm blue.ppm shop
for p in apple milk pepper; do cp "$root/tests/golden/models/$p.png" shop; done
run index --db c -m "$model" shop
is 0 "index"
run search --db c a red apple --json
is 0 "search by words"
json 'd["query"] == [{"text": "a red apple", "weight": 1}] and len(d["hits"]) == 5' "words in a row are one text"
cp "$tmp/out" "$tmp/joined"
run --db c --json "a red apple"
that "ken QUERY is the same" python3 -c 'import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
sys.exit(a["hits"] != b["hits"])' "$tmp/joined" "$tmp/out"
run search --db c red + "2:an apple" - "0.5:milk" --json
json '[(q["text"], q["weight"]) for q in d["query"]] == [("red", 1), ("an apple", 2), ("milk", -0.5)]' "signs and weights"
run search --db c "text:2:milk" --json
json 'd["query"] == [{"text": "2:milk", "weight": 1}]' "text: ends parsing"
run search --db c ./shop/red.ppm + "milk" --json
json '[list(q)[0] for q in d["query"]] == ["image", "text"]' "a picture and words"
(cd shop && "$ken" search --db ../c milk.png > "$tmp/out" 2> "$tmp/err")
status=$?
is 0 "a name without ./ is a text"
err "for the picture say ./milk.png" "and a hint is given"
# a record's description comes from a list
printf '[{"path": "red.ppm", "description": "all red", "object": "paint"}]' > shop/list.json
run index --db c shop/list.json
is 0 "LIST.json"
run show --db c ./shop/red.ppm --json
json 'd["meta"] == {"description": "all red"} and d["object"] == "paint"' "is kept with the picture"
finish
