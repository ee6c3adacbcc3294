# find.sh - search that finds: filters, groups, expansion, feedback, and knowing when nothing answers.
. tests/cli/lib.sh
need_model
mkdir -p shop/red shop/green
for i in 1 2 3 4; do
    picture shop/red/$i.ppm $((150 + 20 * i)) 20 $((10 * i)) $((40 + i)) 32
    picture shop/green/$i.ppm $((10 * i)) $((150 + 20 * i)) 20 32 $((40 + i))
done
cp shop/green/4.ppm shop/green/five.PGM
touch -d 2023-06-01T12:00:00 shop/red/1.ppm
touch -d 2024-02-29T12:00:00 shop/red/2.ppm
cat > list.json << 'JSON'
[{"path": "shop/red/1.ppm", "description": "a poppy", "tags": ["flower", "wild"], "price": 3},
 {"path": "shop/red/2.ppm", "description": "a tomato", "tags": ["food"], "price": 12.5, "taken": "2022-08-09"},
 {"path": "shop/green/1.ppm", "object": "pea", "price": "7", "maker": {"city": {"name": "Ulm"}}}]
JSON
run index --db c -m "$model" shop list.json --objects-from-dirs
is 0 "an index"

paths() { # what, paths in any order, search arguments...
    what=$1 want=$2
    shift 2
    run search --db c ./shop/red/3.ppm -n 100 --jsonl "$@"
    python3 -c 'import json, os, sys
print(*sorted(os.path.relpath(json.loads(l)["path"], "shop") for l in open(sys.argv[1])))' "$tmp/out" > "$tmp/got"
    [ "$(cat "$tmp/got")" = "$want" ] && pass || { cat "$tmp/got"; fail "$what (wanted $want)"; }
}
paths "by object" "red/1.ppm red/2.ppm red/3.ppm red/4.ppm" --where object=red
paths "by ending, in any case" "green/five.PGM" --where 'ext=pgm'
paths "by width" "green/1.ppm green/2.ppm green/3.ppm green/4.ppm green/five.PGM" --where 'width=32'
paths "by both sides" "red/3.ppm red/4.ppm" --where 'w > 42 and h = 32'
paths "by time" "red/1.ppm red/2.ppm" --where 'mtime<2024-03'
paths "by the time in its metadata" "red/1.ppm red/2.ppm" --where 'taken<=2023'
paths "that alone" "red/2.ppm" --where 'taken<2023'
paths "by tag" "red/1.ppm" --where 'tag=wild'
paths "by metadata, as numbers" "green/1.ppm red/2.ppm" --where 'meta.price>=7'
paths "by pattern" "green/2.ppm red/2.ppm" --where 'path~"*/2.ppm"'
paths "not, or, parentheses" "green/five.PGM red/4.ppm" \
    --where 'not (ext=ppm or object=red) or name=4.ppm and object=red'
paths "by what it is called" "red/1.ppm" --where 'description~*poppy'
paths "nothing" "" --where 'bytes>1G'
is 1 "nothing matches: status 1"

# always as many as there are, however far down the ranking
run search --db c ./shop/red/3.ppm -n 2 -l --where 'object!=red'
is 0 "the far ones alone"
that "two of them" test "$(grep -c green "$tmp/out")" = 2
run search --db c ./shop/red/3.ppm --where 'object=red and widht>3'
is 2 "a wrong key is wrong use"
err 'column 16: no key "widht"' "the column is told"
KEN_SEARCH_WHERE='ext=pgm' "$ken" search --db c ./shop/red/3.ppm -l > "$tmp/out" 2> "$tmp/err"
out_is "shop/green/five.PGM" "from the environment"
# groups: green/five.PGM is green/4.ppm again
run search --db c ./shop/green/4.ppm -l -n 9 --group near
that "copies are left out" test "$(grep -c 'green/five\|green/4' "$tmp/out")" = 1
run search --db c ./shop/red/3.ppm -l -n 9 --group object
that "one of each object" test "$(wc -l < "$tmp/out")" = 3
run search --db c ./shop/red/3.ppm -l -n 2 --group dir
that "one of each folder, as many as asked for" test "$(sed 's,/[^/]*$,,' "$tmp/out" | sort | uniq -c | wc -l)" = 2
run search --db c ./shop/red/3.ppm --group size
is 2 "a grouping that there is not"

# facets: of all that the filter lets through
run search --db c ./shop/red/3.ppm -n 1 --json --facets object,ext,tag,meta.price,taken
json '[(v["value"], v["count"]) for v in d["facets"]["object"]] == [("green", 4), ("red", 4), ("pea", 1)]' "by object"
json '[(v["value"], v["count"]) for v in d["facets"]["ext"]] == [("ppm", 8), ("pgm", 1)]' "by ending"
json '[v["value"] for v in d["facets"]["tag"]] == ["flower", "food", "wild"]' "by tag"
json '[v["value"] for v in d["facets"]["meta.price"]] == ["12.5", "3", "7"]' "by metadata"
json '("2022", 1) in [(v["value"], v["count"]) for v in d["facets"]["taken"]]' "by year"
run search --db c ./shop/red/3.ppm -n 1 --json --facets meta.maker.city.name,ext
json '[(v["value"], v["count"]) for v in d["facets"]["meta.maker.city.name"]] == [("Ulm", 1)]' "by a nested key"
json '[(v["value"], v["count"]) for v in d["facets"]["ext"]] == [("ppm", 8), ("pgm", 1)]' "beside another"
run search --db c ./shop/red/3.ppm -n 1 --facets ext --where object=red
err "ext	4	ppm" "for people, on standard error"
run search --db c ./shop/red/3.ppm --facets colour
is 2 "a key that there is not"; err 'no key "colour"' "is named"

# feedback: +id and -id stand for terms of their own
a=$("$ken" show --db c shop/red/1.ppm --json | sed -n 's/.*"id": *"\([0-9]*\)".*/\1/p')
b=$("$ken" show --db c shop/green/1.ppm --json | sed -n 's/.*"id": *"\([0-9]*\)".*/\1/p')
run search --db c ./shop/red/3.ppm "+id:$a" "-id:$b" --json
json '[(t.get("id"), t["weight"]) for t in d["query"]] == [(None, 1), ("'"$a"'", 1), ("'"$b"'", -1)]' "the terms"
cp "$tmp/out" "$tmp/short"
run search --db c ./shop/red/3.ppm + "id:$a" - "id:$b" --json
json '[h["id"] for h in d["hits"]] == [h["id"] for h in __import__("json").load(open("'"$tmp/short"'"))["hits"]]' "are the long ones"
run search --db c ./shop/red/3.ppm --expand aqe --explain-query --json -n 3
json 'len(d["added"]) == 3 and d["added"][0]["path"].endswith("red/3.ppm") and abs(d["added"][0]["weight"] - 1) < 1e-4' \
    "its first hits are added, by the cube of their cosines"
run search --db c ./shop/red/3.ppm --min auto
is 5 "a model that does not say what is relevant"
err "eval relevance" "the way out is told"

rm shop/red/1.ppm
run index --db c shop -q
paths "what has vanished is not found" "red/2.ppm" --where 'tag'
cp shop/red/2.ppm shop/red/1.ppm
run show --db c ./shop/red/2.ppm --json
json 'd["meta"]["price"] == 12.5 and d["meta"]["description"] == "a tomato"' "show has the metadata"

# words
"$B/ken-toys" render --ids 1249900:1249930 --mode clean --seed 1 --size 96 -q -o toys
run index --db t -m "$root/weights/ken-small.safetensors" toys
is 0 "toys"
run search --db t "a brown bear" --expand prompts --explain-query --json
json '[a["text"] for a in d["added"]] == ["a photo of a brown bear", "a picture of a brown bear"]' "frames in English"
run search --db t "一只棕色小熊" --expand prompts --explain-query
err "一张一只棕色小熊的照片" "and in Chinese"
run search --db t "a photograph of the railway station at night" --min auto
is 1 "nothing to do with any toy: no answer"
no_out "none at all"
"$B/ken-toys" captions --ids 1249900:1249930 --mode clean | sed 's/.*"en":"\([^"]*\)".*/\1/' > there.txt
run search --db t --batch there.txt --min auto -n 3
jsonl 'sum(len(a["hits"]) > 0 for a in d) >= 26 and all(len(a["hits"]) <= 3 for a in d)' "captions of what is there"

# in one pass, and the same as one by one
"$ken" search --db t --batch there.txt -n 2 > "$tmp/batch"
head -n 3 there.txt | while read -r line; do "$ken" search --db t "text:$line" -n 2 --jsonl; done |
    sed 's/.*"id": *"\([0-9]*\)".*/\1/' > "$tmp/single"
head -n 3 "$tmp/batch" | grep -o '"id": *"[0-9]*"' | tr -dc '0-9\n' > "$tmp/out"
that "--batch answers as single searches do" cmp -s "$tmp/single" "$tmp/out"

# descriptions are searched beside the pictures
echo '{"toys/1249905/clean-0.png": "the grandfather clock in our hall", "toys/1249906/clean-0.png": "维也纳的钟楼"}' > told.json
run index --db t told.json
is 0 "told"
run search --db t "the grandfather clock in our hall" --json -n 3
json 'd["hits"][0]["path"].endswith("1249905/clean-0.png") and d["hits"][0]["description"].startswith("the grandfather")' \
    "found by what it is called"
run search --db t "the grandfather clock in our hall" --where 'name~*5.png' -l
is 1 "the filter holds for descriptions, too"
run search --db t "维也纳的钟楼" -l -n 1
out_is "toys/1249906/clean-0.png" "in Chinese"
fits=$(head -n 1 there.txt)
run search --db t "$fits" --json -n 1
json 'not d["hits"][0]["path"].endswith("1249906/clean-0.png")' "a caption finds a picture"
printf '{"toys/1249906/clean-0.png": "%s"}' "$fits" > told.json
run index --db t told.json
run search --db t "$fits" -l -n 1
out_is "toys/1249906/clean-0.png" "but what has these very words comes first"
echo '{"toys/1249906/clean-0.png": "维也纳的钟楼"}' > told.json
run index --db t told.json
echo '{"toys/1249905/clean-0.png": "nothing of the kind"}' > told.json
run index --db t told.json
run search --db t "the grandfather clock in our hall" --json -n 3
json 'all("grandfather" not in h.get("description", "") for h in d["hits"])' "a new description takes the place of the old"
printf 'x' | dd of=t/descriptions.vec bs=1 seek=100 conv=notrunc 2> /dev/null
run search --db t "维也纳的钟楼" -l -n 1
is 0 "a damaged file of descriptions costs nothing but them"

# near duplicates
cp toys/1249907/clean-0.png toys/copy.png
run index --db t toys
run dups --db t --json --min-raw .9999
is 0 "dups"
json '[[h["path"].split("/toys/")[1] for h in g] for g in d] == [["1249907/clean-0.png", "copy.png"]]' "the copy is found"
json 'd[0][0]["score"] > .99999 and set(d[0][1]) == {"id", "path", "score"}' "its members"
run dups --db t --min-raw .9999 --where 'name~clean*'
is 1 "none but the copy"
run dups --db t --min-raw .01 --jsonl
jsonl 'len(d) == 1 and len(d[0]) == 31' "all hang together where anything is near enough"
run search --db t ./toys/1249900/clean-0.png --min auto -n 3 --json
json 'd["hits"][0]["raw"] > .999' "a picture finds itself"
finish
