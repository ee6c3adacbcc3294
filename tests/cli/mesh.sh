# mesh.sh - 3-D models: indexed, searched, compared, classified; broken ones told.
. tests/cli/lib.sh
need_model hf-clip

# part FILE HEIGHT TAPER [text]: a block on a plate as STL, binary unless `text` is said
part() {
    python3 - "$@" << 'PY'
import struct, sys
path, h, taper = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
text = len(sys.argv) > 4
tris = []
def block(x, y, low, high, t):
    c = [(sx * x * s, sy * y * s, z) for z, s in ((low, 1), (high, t)) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    for q in ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)):
        tris.append([c[q[0]], c[q[1]], c[q[2]]])
        tris.append([c[q[0]], c[q[2]], c[q[3]]])
block(5, 3, 0, 1, 1)
block(2, 1.5, 1, 1 + h, taper)
with open(path, "wb") as f:
    if text:
        f.write(b"solid part\n")
        for t in tris:
            f.write(b"facet normal 0 0 0\nouter loop\n" + b"".join(b"vertex %g %g %g\n" % p for p in t) + b"endloop\nendfacet\n")
        f.write(b"endsolid part\n")
    else:
        f.write(b"solid but binary".ljust(80) + struct.pack("<I", len(tris)))
        for t in tris:
            f.write(struct.pack("<12fH", 0, 0, 0, *t[0], *t[1], *t[2], 0))
PY
}
mkdir shop
part shop/tall.stl 9 .3
part shop/flat.STL .3 1 text
part shop/wide.stl 3 2.2
picture shop/red.ppm 200 10 10
export KEN_DB="$tmp/work/shop.ken"

run index shop -m "$model" --json
is 0 "models are indexed beside pictures"
json 'd["seen"] == 4 and d["added"] == 4 and d["failed"] == 0' "all four"
run index shop --json
json 'd["added"] == 0 and d["updated"] == 0' "a second run has nothing to do"
run show shop/tall.stl --json
json 'd["kind"] == "model"' "its kind"
run stats --json
json 'd["items"] == 4 and d["vectors"] == 3 * 13 + 1' "a model is twelve views and their mean"

for f in tall.stl flat.STL wide.stl; do
    run search "stl:shop/$f" -n 4 --json
    is 0 "search by $f"
    json 'd["hits"][0]["path"].endswith("/'$f'") and d["hits"][0]["raw"] > .999 and len(d["hits"]) == 4' "$f finds itself first"
    json 'd["query"] == [{"stl": "shop/'$f'", "weight": 1}]' "the query as JSON"
done
run search ./shop/wide.stl -n 1
out "shop/wide.stl" "a path that ends as a model does is one"
run search stl:shop/wide.stl + "0.3:red" - ./shop/red.ppm
is 0 "models among other terms"
run search stl:shop/nowhere.stl
is 2 "a missing model"
err "shop/nowhere.stl" "is named"
run search stl:
is 2 "stl: without a file"

run compare shop/tall.stl shop/flat.STL -m "$model" --view seen.png --json
is 0 "compare two models"
json '0 <= d["score"] <= 1 and len(d["views"]) == 2 and all("-" in v for v in d["views"])' "the views that agree best"
python3 -c 'import sys; sys.exit(open("seen.png", "rb").read(8) != b"\x89PNG\r\n\x1a\n")' && pass || fail "--view writes a PNG"
run compare seen.png shop/flat.STL -m "$model" --min .9 --json
is 0 "a picture of a model reaches .9"
json 'd["views"][0] is None and d["raw"] > .95' "it is a view of it"
seen=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["views"][1])' "$tmp/out")
run compare seen.png shop/flat.STL -m "$model"
out "	$seen" "the view is named for people, too"
run compare shop/tall.stl shop/red.ppm -m "$model" --min 1
is 1 "below --min"
run compare shop/tall.stl "text:a tall block" -m "$model"
is 0 "a model and words"
run compare shop/red.ppm shop/red.ppm -m "$model" --view x.png
is 2 "--view without a model"
run compare shop/tall.stl shop/tall.stl -m "$model" --min .999
is 0 "a model is like itself"


# --align: the picture of a part against its design and against another
run compare seen.png shop/flat.STL -m "$model" --align --min .95 --view aligned.png --json
is 0 "a picture agrees with its design"
json 'd["score"] > .95 and 0 < d["outline"] <= 1 and len(d["eye"]) == 3 and abs(sum(x * x for x in d["eye"]) - 1) < .01' "and says from where"
own=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["score"])' "$tmp/out")
run compare shop/wide.stl seen.png -m "$model" --align --min "$own"
is 1 "another design explains less"
run compare shop/red.ppm shop/wide.stl -m "$model" --align
is 0 "or nearly nothing"
run compare shop/flat.STL shop/wide.stl -m "$model" --align
is 2 "--align of two models"
run compare shop/flat.STL "text:a block" -m "$model" --align
is 2 "--align of words"
python3 -c 'open("plain.ppm", "wb").write(b"P6 64 64 255\n" + b"\x80" * 64 * 64 * 3)'
run compare plain.ppm shop/flat.STL -m "$model" --align
is 2 "a picture of nothing"
err "nothing stands out" "it says so"

run classify shop/tall.stl shop/red.ppm --labels "a block,a plate,red" -m "$model" --json
is 0 "classify a model"
json '[len(r["labels"]) for r in d] == [3, 3] and abs(sum(l["score"] for l in d[0]["labels"]) - 1) < 1e-4' "chances of a model sum to 1"
run classify shop --labels "a block,red" -m "$model" --jsonl
jsonl 'len(d) == 4' "models of a folder are classified too"

# what is broken
head -c 500 shop/tall.stl > shop/cut.stl
printf 'solid x\nfacet normal 0 0 1\nouter loop\nvertex 0 0 nan\n' > shop/nan.stl
printf 'v 0 0 0\nf 1 2 3\n' > shop/bad.obj
: > shop/empty.ply
run index shop --json
is 3 "broken models fail, the rest stays"
json 'd["failed"] == 4 and d["added"] == 0' "four of them"
err "shop/cut.stl: stl: the header counts 24 triangles, the file has room for 8" "cut off"
err "shop/nan.stl: stl: line 4: the coordinate nan" "not a number"
err "shop/bad.obj: obj: line 2: point 2 of 1" "a point that is not there"
err "shop/empty.ply: ply:" "empty"
run compare shop/cut.stl shop/tall.stl -m "$model"
is 2 "compare a broken one"
rm shop/cut.stl shop/nan.stl shop/bad.obj shop/empty.ply

mv shop/tall.stl shop/tower.stl
run index shop --json
json 'd["moved"] == 1' "a renamed model is known again"
rm shop/tower.stl
run index shop --json
json 'd["removed"] == 1' "a model that is gone"
run check
is 0 "the collection is sound"

# the real parts: what they look like is another matter (bench/parts.c), that they are found by themselves is not
if [ -d "$data/stl" ]; then
    export KEN_DB="$tmp/work/parts.ken"
    run index "$data/stl" -m "$model" --json
    json 'd["added"] == 21 and d["failed"] == 0' "21 real parts"
    run search "stl:$data/stl/Gauge_0.STL" -n 1
    out "Gauge_0.STL" "a real part finds itself"
else
    skip mesh/parts "no test data at $data/stl"
fi
finish
