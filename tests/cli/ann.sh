# ann.sh - ken ann: every verb against numpy, on vectors of NumPy's making.
. tests/cli/lib.sh

# Debian's Python has Debian's numpy, whatever other Python comes first
python3 -c 'import numpy' 2> /dev/null || python3() { /usr/bin/python3 "$@"; }
python3 -c 'import numpy' 2> /dev/null || { skip cli/ann "no numpy"; finish; }
python3 - << 'PY'
import numpy as np
r = np.random.RandomState(1)
m = r.randn(16, 40)
def points(n):
    return (r.randn(n, 16) @ m + 1).astype("f4")
x, q, more = points(3000), points(50), points(200)
np.save("base.npy", x)
np.save("half.npy", x.astype("f2"))
np.save("more.npy", more)
np.save("ids.npy", np.arange(3000, dtype="i8") * 10 + 5)
np.save("gone.npy", np.array([5, 15, 25, 7], dtype="i4"))
with open("query.fbin", "wb") as f:
    np.array(q.shape, "u4").tofile(f); q.tofile(f)
with open("query.fvecs", "wb") as f:
    for row in q:
        np.array([40], "u4").tofile(f); row.tofile(f)
d = ((q[:, None, :].astype("f8") - x[None]) ** 2).sum(2)
np.save("l2.npy", np.argsort(d, axis=1, kind="stable")[:, :10])
cut = np.sort(d, axis=None)[999:1001].mean()
open("radius", "w").write("%.9g" % cut)
np.save("within.npy", np.argwhere(d <= cut))
u = lambda a: a / np.linalg.norm(a.astype("f8"), axis=1, keepdims=True)
np.save("cos.npy", np.argsort(-(u(q) @ u(x).T), axis=1, kind="stable")[:, :10])
np.save("ip.npy", np.argsort(-(q.astype("f8") @ x.T.astype("f8")), axis=1, kind="stable")[:, :10])
bad = x.copy(); bad[17, 3] = np.nan
np.save("nan.npy", bad)
PY
same() { # file, file: as sets a row
    python3 -c 'import numpy as np, sys
a, b = np.load(sys.argv[1]), np.load(sys.argv[2])
sys.exit(0 if a.shape == b.shape and all(set(x) == set(y) for x, y in zip(a, b)) else 1)' "$1" "$2"
}

for m in l2 cosine ip; do
    want=$m.npy; [ $m = cosine ] && want=cos.npy
    run ann truth base.npy query.fbin -k 10 --metric $m -o got.npy --json
    is 0 "truth, $m"
    that "the true neighbours, $m" same got.npy $want
    run ann build base.npy -o $m.ix --kind HNSW16 --metric $m --json
    is 0 "build, $m"
    json 'd["kind"] == "HNSW16" and d["n"] == 3000 and d["dim"] == 40 and d["unreachable"] == 0' "what was built"
    run ann search $m.ix query.fvecs -k 10 --truth $want --json
    is 0 "search, $m"
    json 'd["recall"] >= .95 and d["queries"] == 50 and d["qps"] > 0 and d["p50_us"] <= d["p99_us"]' "recall, $m"
    run ann check $m.ix --json
    json 'd["ok"] and d["problems"] == []' "check, $m"
done
python3 -c 'import numpy as np; np.save("wide.npy", np.random.RandomState(2).randn(1500, 150).astype("f4") + 1)'
for m in cosine l2 ip; do
    for kind in HNSW8 Flat; do
        run ann build wide.npy -o one.ix --kind $kind --metric $m
        KEN_CPU=c run ann build wide.npy -o two.ix --kind $kind --metric $m
        that "the same file at level c, $kind, $m" cmp -s one.ix two.ix
    done
done
run ann search l2.ix query.fbin --target-recall .9
is 2 "no recall is known before it is measured"
run ann tune l2.ix --queries query.fbin --json
is 0 "tune"
json 'len(d["recall"]) > 5 and all(0 <= p["low"] <= p["recall"] <= 1 for p in d["recall"])' "points"
run ann info l2.ix --json
json 'len(d["recall"]) > 5' "are in the file"
run ann search l2.ix query.fvecs --target-recall .95 --truth l2.npy --json
json 'd["recall"] >= .95 and d["params"]["ef"] > 0' "and the target is reached"
run ann check l2.ix
is 0 "the file is still whole"
# the radius within which numpy finds 1,000 pairs, all of which must be there, and no other
radius=$(cat radius)
run ann search l2.ix query.fvecs --range "$radius" -o pairs.npy --json
is 0 "a range"
json 'd["queries"] == 50 and d["range"] == float(open("radius").read()) and d["found"] == 1000 and d["qps"] > 0' "what it says"
that "the pairs within it" python3 -c 'import numpy as np
got, want = {tuple(p) for p in np.load("pairs.npy")}, {tuple(p) for p in np.load("within.npy")}
assert got == want and len(want) == 1000, (len(got - want), len(want - got))'
run ann search l2.ix base.npy --range 0 -o pairs.npy
that "every row is within no distance of itself" python3 -c 'import numpy as np
p = np.load("pairs.npy"); assert (p[:, 0] == p[:, 1]).sum() == len(np.load("base.npy"))'
run ann search l2.ix query.fvecs --range 1 --truth l2.npy
is 2 "which has no recall"
run ann build half.npy -o half.ix --kind Flat --metric l2
is 0 "f16 vectors"
run ann build base.npy -o again.ix --kind HNSW16 --metric l2 --threads 1
run ann build base.npy -o l2.ix --kind HNSW16 --metric l2 --threads 2
that "the same file with one thread" cmp -s again.ix l2.ix

run ann build base.npy -o ix --kind Flat --metric l2 --ids ids.npy --json
json 'd["kind"] == "Flat"' "Flat"
run ann search ix query.fbin -k 10 -o got.npy --batch --repeat 2 --json
json 'd["recall"] is None and d["p50_us"] is None and d["params"]["threads"] == 1' "a batch"
python3 -c 'import numpy as np; np.save("mapped.npy", np.load("l2.npy") * 10 + 5)'
that "answers by given ids" same got.npy mapped.npy
run ann add ix more.npy --json
is 0 "add"
json 'd["added"] == 200 and d["n"] == 3200 and d["pending"] == 200' "what was added"
that "the log is there" test -s ix.log
run ann remove ix --ids gone.npy --json
is 0 "remove"
json 'd["removed"] == 3 and d["unknown"] == 1 and d["n"] == 3197' "what was removed"
run ann search ix base.npy -k 1 -o first.npy
python3 -c 'import numpy as np; a = np.load("first.npy")[:, 0]
assert not set(a) & {5, 15, 25} and (a[3:] == np.arange(3, 3000) * 10 + 5).all()' 2> "$tmp/err"
status=$?
is 0 "what is gone is not found, the others find themselves"
run ann search ix more.npy -k 1 -o first.npy
python3 -c 'import numpy as np; assert (np.load("first.npy")[:, 0] == 29996 + np.arange(200)).all()' 2> "$tmp/err"
status=$?
is 0 "what was added is found, numbered on"
run ann compact ix --json
is 0 "compact"
json 'd["n"] == 3197' "what is left"
that "the log is gone or empty" test ! -s ix.log -o "$(wc -c < ix.log 2> /dev/null || echo 0)" -le 128
run ann info ix --json
json 'd["n"] == 3197 and d["pending"] == 0 and d["gone"] == 0 and d["metric"] == "l2"' "info"
run ann search ix more.npy -k 1 -o first.npy
python3 -c 'import numpy as np; assert (np.load("first.npy")[:, 0] == 29996 + np.arange(200)).all()' 2> "$tmp/err"
status=$?
is 0 "and found after it"
python3 -c 'import numpy as np; np.save("few.npy", np.array([35, 45, 55], dtype="i8"))'
run ann search ix query.fbin -k 5 --filter few.npy -o few-got.npy
python3 -c 'import numpy as np; a = np.load("few-got.npy")
assert a.shape == (50, 5) and all(set(r[:3]) == {35, 45, 55} and (r[3:] == -1).all() for r in a)' 2> "$tmp/err"
status=$?
is 0 "a filter; -1 where there is no answer"

run ann build nan.npy -o bad.ix
is 2 "NaN is refused"
err "17" "naming the row"
that "and no file is left" test ! -e bad.ix
run ann search none.ix query.fbin
is 4 "a missing index"
run ann build base.npy -o bad.ix --kind HNSW16,x
is 2 "an unknown kind"
run ann search l2.ix more.npy -k 0
is 2 "no neighbours"
run bench search --seconds .01 --batch 2,1 --json
is 0 "bench search"
jsonl '[x["arch"] for x in d] == ["exact", "Flat"] * 2 + ["HNSW16"] * 2 and all(x["per_second"] > 0 for x in d)' "a line a case"
run bench search --batch 0
is 2 "no queries"
run ann frobnicate
is 2 "an unknown verb"
python3 - << 'PY'
b = bytearray(open("l2.ix", "rb").read())
b[len(b) // 2] ^= 1
open("broken.ix", "wb").write(b)
open("cut.ix", "wb").write(b[:len(b) // 2])
PY
run ann check broken.ix --json
is 4 "a broken byte"
json 'not d["ok"] and d["problems"][0]["where"]' "is named"
run ann search cut.ix query.fbin
is 4 "half a file"
head -c 1000 base.npy > short.npy
run ann build short.npy -o bad.ix
is 2 "vectors that end too early"
err "short.npy" "named"
g=$root/tests/golden/foreign
for f in flat_ids ivf_flat_l2 ivf_pq_l2 ivf_fs_refine opq_ivf_pq; do
    run ann import "$g/$f.faiss" -o f.ix --json
    is 0 "$f of faiss"
    json 'd["n"] == 400 and d["dim"] == 16 and d["metric"] == "l2"' "its vectors"
    run ann check f.ix
    is 0 "$f is sound"
    run ann export f.ix --to faiss -o again.faiss
    is 0 "and is written again"
    that "as it was" cmp again.faiss "$g/$f.faiss"
done
run ann import "$g/l2.hnswlib" -o h.ix --json
is 0 "an index of hnswlib"
json 'd["kind"] == "HNSW6" and d["n"] == 355' "without those that were deleted"
run ann export h.ix --to hnswlib -o again.hnswlib
is 0 "and back"
run ann import again.hnswlib -o h2.ix --json
json 'd["kind"] == "HNSW6" and d["n"] == 355' "it is the same"
run ann export f.ix --to hnswlib -o no.hnswlib
is 2 "lists are none of hnswlib's"
head -c 3000 "$g/ivf_pq_l2.faiss" > cut.faiss
run ann import cut.faiss -o no.ix
is 2 "a cut file"
err "cut.faiss: byte 788" "named, with its place"
that "and no index" test ! -e no.ix
run ann remove f.ix --ids few.npy
is 0 "codes alone lose vectors too"
run ann compact f.ix --json
json 'd["n"] == 397 and d["kind"] == "OPQ4,IVF10,PQ4"' "for good"
run ann build base.npy -o v.ix --kind IVF20,PQ10x4fs,RFlat --metric l2
is 0 "lists"
run ann search v.ix query.fbin -k 10 --nprobe 20 --rerank 200 --truth l2.npy --json
json 'd["recall"] > 0.97' "looked through"
finish
