# object.sh - ken object and ken recognize: a few photographs, then the same thing again.
. tests/cli/lib.sh
need_model

# Stripes, checks and rings in a few colours, as different things as a random network can tell apart.
thing() { # file kind r g b [shade]
    python3 - "$@" <<'PY'
import sys
path, kind = sys.argv[1], sys.argv[2]
r, g, b = map(int, sys.argv[3:6])
shade = float(sys.argv[6]) if len(sys.argv) > 6 else 1
rows = bytearray()
for y in range(48):
    for x in range(48):
        on = {"stripes": x // 6 % 2, "checks": (x // 8 + y // 8) % 2,
              "rings": int(((x - 24) ** 2 + (y - 24) ** 2) ** .5) // 5 % 2,
              "bars": y // 6 % 2, "plain": 1}[kind]
        rows += bytes(min(255, int(v * shade)) if on else 255 - v for v in (r, g, b))
with open(path, "wb") as f:
    f.write(b"P6 48 48 255\n" + bytes(rows))
PY
}
mkdir refs
i=0
for kind in stripes checks rings bars; do
    i=$((i + 1))
    thing refs/$kind.ppm $kind $((60 * i)) $((250 - 60 * i)) 90
    thing refs/$kind-2.ppm $kind $((60 * i)) $((250 - 60 * i)) 90 .95
    thing $kind-query.ppm $kind $((60 * i)) $((250 - 60 * i)) 90 .9
done
export KEN_DB="$tmp/work/toys.ken"
run object list
is 4 "a collection that is not there"
run object add zebra refs/stripes.ppm -m "$model" --json
is 0 "the first object makes the collection"
json 'd == {"object": "zebra", "references": 1, "vectors": 3}' "a picture is its whole and two parts"
run object add board refs/checks.ppm refs/nowhere.ppm refs/checks-2.ppm --json
is 3 "a missing file is told, the rest done"
err "refs/nowhere.ppm" "is named"
json 'd == {"object": "board", "references": 2, "vectors": 6}' "both others are there"
run object add target refs/rings.ppm --crops 0 --json
json 'd["vectors"] == 1' "--crops 0"
run object add fence refs/bars.ppm refs/bars-2.ppm --crops 4 --json
json 'd["vectors"] == 10' "--crops 4"
run object add fence refs/bars.ppm --crops 8
is 2 "too many crops"
run object list --json
json 'd == [{"object": "board", "references": 2, "vectors": 6}, {"object": "fence", "references": 2, "vectors": 10}, {"object": "target", "references": 1, "vectors": 1}, {"object": "zebra", "references": 1, "vectors": 3}]' "list"
run object list --jsonl
jsonl 'len(d) == 4' "list, a line each"
run object list
out "1	3	zebra" "list in a pipe"
run object list --csv
out "zebra,1,3" "list as CSV"
run object show board --json
json 'd["references"] == 2 and [i["path"].split("/")[-1] for i in d["items"]] == ["checks.ppm", "checks-2.ppm"]' "show"
run object show nobody
is 1 "nobody is shown"
run object
is 2 "object what"
run object rename zebra
is 2 "rename needs two names"
run object rename zebra board
is 2 "a name that is taken"
run object rename zebra 斑马 --json
is 0 "rename"
json 'd == {"object": "斑马", "references": 1, "vectors": 3}' "the new name"
run object rename zebra x
is 1 "the old name is gone"
run check
is 0 "the collection is sound"
run stats --json
json 'd["objects"] == 4 and d["items"] == 6 and d["vectors"] == 20' "vectors of parts are counted"
run search ./stripes-query.ppm -n 20 --json
json 'len(d["hits"]) == 6 and len({h["id"] for h in d["hits"]}) == 6' "a search has one hit a picture"
json 'd["hits"][0]["object"] == "斑马"' "hits tell their object"
run search obj:斑马 --json
is 0 "an object as a query"
json 'd["hits"][0]["path"].endswith("stripes.ppm") and d["query"][0]["object"] == "斑马"' "finds itself"
run search obj:zebra
is 2 "no such object in a query"

run recognize refs/checks.ppm --json
is 0 "a reference is recognised"
json 'd["object"] == "board" and d["candidates"][0]["raw"] > .9999 and d["confidence"] == d["candidates"][0]["confidence"]' "as itself"
json '[c["object"] for c in d["candidates"]][0] == "board" and len(d["candidates"]) == 4' "all candidates are given"
json 'all(set(c) >= {"object", "score", "confidence"} for c in d["candidates"])' "every member"
run recognize stripes-query.ppm checks-query.ppm bars-query.ppm --jsonl -n 2
jsonl '[x["candidates"][0]["object"] for x in d] == ["斑马", "board", "fence"] and all(len(x["candidates"]) == 2 for x in d)' "other shades"
run recognize stripes-query.ppm checks-query.ppm --json
json 'len(d) == 2' "several as one list"
run recognize refs/checks.ppm --looks 3 --json
json 'd["object"] == "board"' "further looks"
run recognize refs/checks.ppm nowhere.ppm
is 3 "a missing picture"
err "nowhere.ppm" "is named"
run recognize refs/checks.ppm
out "board" "for people"
run recognize refs/checks.ppm --fpir .01
is 5 "--fpir needs a calibrated model"
err "ken eval calibrate" "which names the way out"
run recognize refs/checks.ppm --fpir 2
is 2 "--fpir 2"
run classify refs/checks.ppm --json
is 0 "classify without labels names the collection's objects"
json 'd["labels"][0]["label"] == "board" and 0 < d["labels"][0]["score"] <= 1' "with confidence"

run object rm target --json
json 'd["object"] == "target"' "rm"
run object rm target
is 1 "rm of nobody"
run object rm 斑马 target
is 3 "rm of one of two"
run object rm board fence
run recognize refs/checks.ppm --json
is 1 "no objects: unknown"
json 'd["object"] is None and d["candidates"] == [] and d["confidence"] == 0' "and no candidates"
run check
is 0 "still sound"

{
    echo '{"path":"refs/stripes.ppm","object":"zebra"}'
    echo 'not json'
    echo
    echo '{"path":"refs/checks.ppm"}'
    echo '{"path":"refs/none.ppm","object":"board"}'
    echo '{"path":"refs/checks.ppm","object":"board","more":1}'
    printf '{"path":"refs/checks-2.ppm","object":"board"}'
} > lines
"$ken" object feed @- --jsonl < lines > "$tmp/out" 2> "$tmp/err"
status=$?
is 3 "feed: bad lines"
err "line 2: not a JSON object" "are named by number"
err 'line 4: no "object"' "and by what is missing"
err "line 5: refs/none.ppm" "and by file"
jsonl '[(x["object"], x["references"]) for x in d] in ([("zebra", 1), ("board", 1), ("board", 2)], [("zebra", 1), ("board", 2), ("board", 2)])' "the rest is done"
run object feed lines --json
is 3 "feed from a file"
json 'd == [{"object": "board", "references": 2, "vectors": 6}, {"object": "zebra", "references": 1, "vectors": 3}]' "once more changes nothing"
run object feed @- --json
is 0 "an empty feed"
json 'd == []' "of nothing"
# A line is answered before the next one comes.
mkfifo pipe
"$ken" object feed @- --jsonl < pipe > "$tmp/out" 2> "$tmp/err" &
pid=$!
exec 9> pipe
echo '{"path":"refs/rings.ppm","object":"target"}' >&9
for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    grep -q target "$tmp/out" && break
    sleep .1
done
out '"object":"target"' "a slow feed is answered line by line"
exec 9>&-
wait $pid
# What was stored is kept as a list, absolute, behind what the list holds.
echo "old.ppm,old" > fed.csv
"$ken" object feed @- --keep fed.csv < lines > "$tmp/out" 2> "$tmp/err"
that "a list of what was stored" [ "$(wc -l < fed.csv)" = 4 ]
that "with whole paths" grep -q "^$PWD/refs/checks-2.ppm,board\$" fed.csv
run object feed lines --keep /nonexistent/x.csv
is 2 "a list that cannot be written"
finish
