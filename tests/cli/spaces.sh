# spaces.sh - several models on a collection, and their answers fused.
. tests/cli/lib.sh
need_model
small=$root/weights/ken-small.safetensors
[ -f "$small" ] || { skip spaces "no weights/ken-small"; finish; }
"$B/ken-toys" render --ids 1249900:1249912 --mode clean --views 2 --seed 1 --size 64 -q -o toys
rm -f toys/*.csv toys/*.jsonl
export KEN_DB="$tmp/work/c" KEN_ENCODER=none
run index --space cifar -m "$model" toys
is 4 "no collection, no space"
run index -m "$small" toys
is 0 "a collection"
run search ./toys/1249900/clean-0.png --spaces own,cifar
is 2 "a space that there is not"
err "ken index --space cifar --model M" "the way out is told"
run index --space ../x -m "$model"
is 2 "a name that is none"
run index --space cifar -m "$model" --json
is 0 "a space"
json 'd["added"] == 24' "of all that is there"
run index --space cifar --json
json 'd["added"] == 0 and d["seen"] == 24' "its model is remembered"
run stats --json
json 'd["items"] == 24 and [(s["name"], s["items"], s["dim"], s["model"].endswith("tiny.safetensors")) for s in d["spaces"]] == [("cifar", 24, 32, True)]' "stats lists it"
run stats
out "space       cifar: 24 items" "for people, too"

# fused by hand of what each says by itself
Q=./toys/1249903/clean-1.png
run search $Q -n 100 --json
cp "$tmp/out" own.json
run search --db c/spaces/cifar $Q -n 100 --json
cp "$tmp/out" cifar.json
run search $Q -n 24 --spaces own,cifar --json
is 0 "a search of both"
cat > by_hand.py << 'PY'
import json, sys
def hits(f): return json.load(open(f))["hits"]
own, other, how = hits("own.json"), hits("cifar.json"), sys.argv[2]
def rrf(l): return {h["path"]: 61 / (60 + h["rank"]) for h in l}
def minmax(l):
    least, most = l[-1]["raw"], l[0]["raw"]
    return {h["path"]: (h["raw"] - least) / (most - least) for h in l}
w = [float(x) for x in sys.argv[3:5]]
a, b = (rrf(own), rrf(other)) if how == "rrf" else (minmax(own), minmax(other))
want = {p: (w[0] * a.get(p, 0) + w[1] * b.get(p, 0)) / sum(w) for p in a | b}
got = hits(sys.argv[1])
raw, ids = {h["path"]: h["raw"] for h in own}, {h["path"]: h["id"] for h in own}
assert len(got) == len(want) == 24
assert all(abs(h["score"] - want[h["path"]]) < 2e-5 for h in got), [(h["score"], want[h["path"]]) for h in got]
assert all(x["score"] >= y["score"] for x, y in zip(got, got[1:]))
assert all(h["raw"] == raw[h["path"]] and h["id"] == ids[h["path"]] for h in got)
PY
that "by ranks" python3 by_hand.py "$tmp/out" rrf 1 1
run search $Q -n 24 --spaces own:0.7,cifar:0.3 --fusion weighted --json
that "by cosines, with weights" python3 by_hand.py "$tmp/out" weighted .7 .3
run search $Q -n 24 --spaces ken-small:3,cifar --json
that "the collection's model by its name" python3 by_hand.py "$tmp/out" rrf 3 1
run search $Q --spaces own,cifar,own
is 2 "one twice"
run search $Q --spaces own,cifar:0
is 2 "a weight of nothing"
run search $Q --spaces own,cifar --fusion sum
is 2 "a fusion that there is not"

# ids, objects, filters, groups and words are the collection's
run object add bear toys/1249905/clean-0.png toys/1249905/clean-1.png
id=$("$ken" show toys/1249907/clean-0.png --json | sed -n 's/.*"id": *"\([0-9]*\)".*/\1/p')
run search "id:$id" --spaces own,cifar --json
json 'd["hits"][0]["path"].endswith("1249907/clean-0.png") and d["hits"][0]["score"] == 1 and d["hits"][0]["id"] == "'$id'"' "an item finds itself, first everywhere"
run search obj:bear --spaces own,cifar -n 2 --json
json '{h["object"] for h in d["hits"]} == {"bear"}' "an object"
run search $Q --spaces own,cifar --where 'object=bear' --json
json '[h["object"] for h in d["hits"]] == ["bear"] * 2' "where"
run search $Q --spaces own,cifar --group dir -n 24 --json
json 'len({h["path"].split("/")[-2] for h in d["hits"]}) == len(d["hits"]) == 12' "groups"
run search $Q --spaces own,cifar --min .9 --json
json 'd["hits"] and all(h["score"] >= .9 for h in d["hits"])' "--min is on the fused score"
run search "a brown bear" -n 24 --jsonl
sed 's/.*"path":"\([^"]*\)".*/\1/' "$tmp/out" > alone
run search "a brown bear" --spaces own,cifar -n 24 --jsonl
sed 's/.*"path":"\([^"]*\)".*/\1/' "$tmp/out" > fused
that "words are asked of those that know words" cmp -s alone fused

# it goes along
cp toys/1249901/clean-0.png toys/new.png
rm toys/1249902/clean-0.png
run index toys --json
json 'd["added"] == 1' "a new file is counted once"
run stats --json
json 'd["items"] == 24 and d["spaces"][0]["items"] == 24' "a plain index brings the space along"
run search ./toys/new.png --spaces own,cifar -n 2 -l
out "toys/new.png" "it is found"
run rm toys/new.png
is 0 "rm"
run stats --json
json 'd["spaces"][0]["items"] == 23' "leaves the space, too"
run search ./toys/1249901/clean-0.png --spaces cifar -n 24 --json
json 'len(d["hits"]) == 23 and all("new.png" not in h["path"] for h in d["hits"])' "one space alone"
run rm --db c/spaces/cifar toys/1249903/clean-0.png
run search $Q --spaces own,cifar -n 24 --json
json 'len(d["hits"]) == 23' "what one space lacks the other has"
run check
is 0 "check"

# what is no space yet keeps nobody from the others
mkdir c/spaces/broken
echo > c/spaces/notes
run check
is 0 "check beside a space that was never finished"; err "c/spaces/broken is passed over" "it is told"
that "a file is no space" sh -c '! grep -q notes "$1"' sh "$tmp/err"
run index toys --json
is 0 "a scan beside it"; json 'd["removed"] == 0' "of the others"
cp toys/1249901/clean-0.png toys/new.png
run index toys
run rm toys/new.png
is 0 "rm beside it"
run stats --json
json '[(s["name"], s["items"]) for s in d["spaces"]] == [("cifar", 23)]' "stats lists the finished ones"
rmdir c/spaces/broken
rm c/spaces/notes

rm "$(ls c/spaces/cifar/vectors-*.seg | head -n 1)"
run check --json
is 4 "a damaged space"
json 'd["ok"] is False and any(p["where"].startswith("space cifar: ") for p in d["problems"])' "is named"
finish
