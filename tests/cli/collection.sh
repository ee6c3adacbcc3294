# collection.sh - from a folder to answers: index, search, show, rm, stats, check.
. tests/cli/lib.sh
need_model

mkdir -p shop/red shop/green shop/blue
for i in 1 2 3; do
    picture shop/red/$i.ppm $((180 + 20 * i)) 20 $((10 * i)) $((40 + i)) 32
    picture shop/green/$i.ppm $((10 * i)) $((180 + 20 * i)) 20 32 $((40 + i))
    picture shop/blue/$i.ppm 20 $((10 * i)) $((180 + 20 * i))
done
echo "not a picture" > shop/note.txt
printf 'P6 40 32 255\nshort' > shop/broken.ppm

run search red
is 4 "no collection yet"
err "ken index" "the way out is told"
run index --db c -m nothing shop
is 5 "a new collection needs a model that there is"
run index --db c -m "$model" shop --json --objects-from-dirs
is 3 "index: a broken picture makes the status 3"
err "shop/broken.ppm" "it is named"
json 'd["seen"] == 11 and d["added"] == 9 and d["failed"] == 1 and d["skipped"] == 1' "index counts"
json 'set(d) >= {"seen","added","updated","moved","removed","failed","skipped","seconds","images_per_second"}' \
    "index has every member"
rm shop/broken.ppm
run index --db c shop --json
is 0 "a second run"
json 'd["added"] == 0 and d["updated"] == 0 and d["failed"] == 0' "finds nothing new"

run --db c search ./shop/red/2.ppm --json -n 3
is 0 "search by a picture"
json 'd["hits"][0]["path"].endswith("/shop/red/2.ppm") and d["hits"][0]["raw"] > 0.999' "it finds itself"
json '[h["rank"] for h in d["hits"]] == [1, 2, 3]' "ranks"
json 'all(set(h) >= {"rank","id","score","raw","path","object"} for h in d["hits"])' "members of a hit"
json 'all(isinstance(h["id"], str) and h["id"].isdigit() and h["path"][0] == "/" for h in d["hits"])' "ids and paths"
json 'set(d["took_ms"]) == {"encode", "search", "total"} and len(d["query"]) == 1' "query and times"
json 'd["hits"][0]["object"] == "red"' "an object from its folder"
json 'd["hits"][0]["score"] >= d["hits"][1]["score"] >= d["hits"][2]["score"]' "best first"
id=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["hits"][0]["id"])' "$tmp/out")

run search --db c ./shop/red/2.ppm -n 1
that "in a pipe: score, tab, path as seen from here" \
    grep -qx "[01]\.[0-9]\{4\}	shop/red/2.ppm" "$tmp/out"
run search --db c @shop/red/2.ppm -n 1 -l
out_is "shop/red/2.ppm" "-l"
"$ken" search --db c "$PWD/shop/red/2.ppm" -n 2 -0 > "$tmp/out"
that "-0" test "$(tr -cd '\000' < "$tmp/out" | wc -c)" = 2
"$ken" search --db c @- -n 1 -l < shop/red/2.ppm > "$tmp/out" 2> "$tmp/err"
out_is "shop/red/2.ppm" "@-"
run search --db c "id:$id" -n 1 -l
out_is "shop/red/2.ppm" "id:N"
run search --db c ./shop/red/2.ppm --csv -n 2
that "CSV" test "$(head -n 1 "$tmp/out")" = "rank,id,score,raw,path,object"
run search --db c ./shop/red/2.ppm --jsonl -n 2
jsonl 'len(d) == 2 and d[1]["rank"] == 2' "JSON lines: a hit each"
run search --db c ./shop/red/1.ppm + 2:./shop/blue/1.ppm - 0.5:./shop/green/1.ppm --json
is 0 "pictures added and taken away"
json '[q["weight"] for q in d["query"]] == [1, 2, -0.5]' "their weights"
json 'd["hits"][0]["object"] in ("blue", "red")' "what they find"
printf '@shop/red/1.ppm\n\nid:%s\n' "$id" > queries.txt
run search --db c --batch queries.txt -n 1
jsonl 'len(d) == 2 and d[1]["hits"][0]["path"].endswith("red/2.ppm")' "--batch: a JSON line a query"
run search --db c ./shop/red/2.ppm --min 1.5
is 1 "nothing reaches --min"
no_out "nothing is printed"
run search --db c ./missing.ppm
is 2 "a query picture that is missing"
run search --db c id:999999
is 2 "an id that is not there"
cp -r c .ken
(cd shop/red && "$ken" ./2.ppm -n 1 -l > "$tmp/out" 2> "$tmp/err")
out_is "2.ppm" "ken QUERY in the nearest .ken"
rm -r .ken

run stats --db c --json
json 'd["items"] == 9 and d["vectors"] == 9 and d["objects"] == 3 and d["index"]["n"] + d["index"]["pending"] == 9' "stats"
json 'set(d) >= {"items","objects","vectors","bytes","model","precision","index","store"}' "stats has every member"
run show --db c "$id" --json
json 'd["id"] == "'"$id"'" and d["size"] == [42, 32] and d["object"] == "red" and d["kind"] == "image"' "show"
json 'set(d) >= {"id","path","object","kind","size","mtime","hash","added","model","meta"}' "show has every member"
run show --db c ./shop/red/2.ppm
out "shop/red/2.ppm" "show by path"
run show --db c 999999
is 1 "show of what is not there"
run check --db c --json
is 0 "check"
json 'd == {"ok": True, "problems": []}' "a whole collection"

mv shop/green/1.ppm shop/green/one.ppm
picture shop/green/2.ppm 90 90 90
rm shop/green/3.ppm
picture shop/new.ppm 10 90 160
run index --db c shop --json
is 0 "index after changes"
json 'd["moved"] == 1 and d["updated"] == 1 and d["added"] == 1' "renamed, changed and new files"
run rm --db c ./shop/new.ppm "$id"
is 0 "rm"
run search --db c ./shop/red/2.ppm -l
that "what is removed is not found" sh -c '! grep -q "shop/red/2.ppm\|shop/new.ppm" "$1"' sh "$tmp/out"
that "the file is untouched" test -f shop/red/2.ppm
run rm --db c 999999
is 1 "rm of what is not there"
run check --db c
is 0 "check after all that"

# odd names
odd=odd/$(printf 'caf\351 ')x.ppm
mkdir -p odd
picture "$odd" 1 2 250
picture "odd/-n 5.ppm" 250 2 1
picture "odd/a
b.ppm" 1 250 1
picture "odd/q,\"r.ppm" 90 1 90
run index --db o -m "$model" odd --json
json 'd["added"] == 4' "odd names are indexed"
run search --db o "@$odd" --json -n 1
json 'bytes.fromhex(d["hits"][0]["path_bytes"]).endswith(b"caf\xe9 x.ppm") and "\ufffd" in d["hits"][0]["path"]' \
    "a name that is not UTF-8"
run search --db o "@odd/q,\"r.ppm" --csv -n 1
that "CSV quotes" python3 -c 'import csv, sys
rows = list(csv.reader(open(sys.argv[1], newline="")))
sys.exit(not rows[1][4].endswith("odd/q,\"r.ppm"))' "$tmp/out"
(cd odd && "$ken" search --db ../o "@-n 5.ppm" -n 1 -l > "$tmp/out" 2> "$tmp/err")
out_is "./-n 5.ppm" "a name like a flag is shown with ./"
find odd -name '*.ppm' -print0 | "$ken" index --db p -m "$model" -0 --json > "$tmp/out" 2> "$tmp/err"
json 'd["added"] == 4' "index -0 reads a list"

# the model is found again from another folder
mkdir -p elsewhere
cp "$model" here.safetensors
run index --db r -m ./here.safetensors shop/red
(cd elsewhere && "$ken" search --db ../r @../shop/red/1.ppm -n 1 -l > "$tmp/out" 2> "$tmp/err")
out_is "../shop/red/1.ppm" "a model named by a relative path"

# the search index
run build --db c --json --index HNSW4
is 0 "build"
json 'd["kind"] == "HNSW4" and d["n"] > 0 and d["bytes"] > 0 and d["seconds"] >= 0' "what was built"
run stats --db c --json
json 'd["index"] == {"kind": "HNSW4", "n": d["vectors"], "pending": 0, "dead": 0, "stale": False}' "stats tell of it"
"$ken" search --db c ./shop/red/1.ppm --jsonl -n 4 --exact > "$tmp/exact"
run search --db c ./shop/red/1.ppm --jsonl -n 4 --ef 64
is 0 "a search by it"
that "the answers are those of comparing" cmp -s "$tmp/out" "$tmp/exact"
printf 'x' | dd of=c/near-whole.ix bs=1 seek=9000 conv=notrunc 2> /dev/null
run check --db c --json
is 4 "a damaged index"
json 'not d["ok"] and d["problems"][0]["where"].startswith("near-whole.ix")' "is named"
run build --db c
is 0 "build mends it"
run check --db c
is 0 "so that all is whole"
run build --db c --index IVF4,Flat
is 2 "a kind that keeps rows of its own"
err "keeps its vectors once" "is refused with the reason"
run index --db c shop --index auto --json
run stats --db c --json
json 'd["index"]["kind"] == "Flat" and d["index"]["n"] == d["vectors"]' "auto: few are compared"

# another model than the collection's
run compare --db c ./shop/red/1.ppm ./shop/red/1.ppm
is 0 "the collection's model serves other commands"
mv "$model" first.safetensors
need_model hf-clip
run search --db c -m "$model" ./shop/red/1.ppm
is 5 "another model on a collection"
err "index --re-embed" "the way out is told"
run index --db c -m "$model" --re-embed shop --json
is 0 "--re-embed"
run search --db c ./shop/red/1.ppm -n 1 -l
out_is "shop/red/1.ppm" "answers with the new model"
run search --db c "red"
is 0 "which knows words"
run check --db c
is 0 "a re-embedded collection is whole"
run index --db c -m nonesuch shop
is 5 "an unknown model on a collection"
finish
