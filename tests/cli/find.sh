# find.sh - search that finds: filters.
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
 {"path": "shop/green/1.ppm", "object": "pea", "price": "7"}]
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
rm shop/red/1.ppm
run index --db c shop -q
paths "what has vanished is not found" "red/2.ppm" --where 'tag'
cp shop/red/2.ppm shop/red/1.ppm
run show --db c ./shop/red/2.ppm --json
json 'd["meta"]["price"] == 12.5 and d["meta"]["description"] == "a tomato"' "show has the metadata"
finish
