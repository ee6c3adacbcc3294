# eval_search.sh - ken eval search: measures of whole rankings, against the same computed here from what
# ken search answers.
. tests/cli/lib.sh
"$B/ken-toys" render --ids 20:50 --size 48 --views 2 --mode full -o toys > /dev/null
run index toys --db t.ken -m "$root/weights/ken-small.safetensors"
is 0 "an index"
python3 - "$ken" <<'PY'
import json, math, os, subprocess, sys
files = sorted(os.path.join(d, f) for d, _, fs in os.walk("toys") for f in fs if f.endswith(".png"))
cases = []
for i, f in enumerate(files[:12]):
    others = [g for g in files if os.path.dirname(g) == os.path.dirname(f)] if i % 3 else [files[-1 - i]]
    cases.append({"query": "./" + f if i % 2 else "a brown bear", "relevant": others + others[:1]})
with open("known.jsonl", "w") as out:
    out.write("\n".join(json.dumps(c) for c in cases) + "\n\n")
sums = {k: 0.0 for k in ["map", "mrr"] + [m + str(c) for m in ("precision", "recall", "ndcg") for c in (1, 5, 10)]}
for c in cases:
    lines = subprocess.run([sys.argv[1], "search", "--db", "t.ken", c["query"], "-n", "1000", "--jsonl"],
                           capture_output=True, text=True, check=True).stdout.splitlines()
    ranked = [os.path.realpath(json.loads(l)["path"]) for l in lines]
    right = {os.path.realpath(p) for p in c["relevant"]}
    hit = [p in right for p in ranked]
    seen, ap, first = 0, 0.0, None
    for i, h in enumerate(hit, 1):
        if h:
            seen += 1
            ap += seen / i
            first = first or i
    sums["map"] += ap / len(right)
    sums["mrr"] += 1 / first
    for k in (1, 5, 10):
        n = sum(hit[:k])
        sums[f"precision{k}"] += n / k
        sums[f"recall{k}"] += n / len(right)
        gain = sum(1 / math.log2(i + 1) for i, h in enumerate(hit[:k], 1) if h)
        sums[f"ndcg{k}"] += gain / sum(1 / math.log2(i + 1) for i in range(1, min(k, len(right)) + 1))
json.dump({k: v / len(cases) for k, v in sums.items()}, open("want.json", "w"))
PY
run eval search --db t.ken --queries known.jsonl --json
is 0 "eval search"
json 'd["queries"] == 12 and 0 < d["p50_ms"] <= d["p95_ms"] <= d["p99_ms"] and d["qps"] > 0' "counts and times"
json '(lambda w: all(abs(d[m] - w[m]) < 2e-6 for m in ("map", "mrr")) and all(abs(d[m][str(k)] - w[m + str(k)]) < 2e-6 for m in ("precision", "recall", "ndcg") for k in (1, 5, 10)))(__import__("json").load(open("want.json")))' "the measures are those of the ranking"
run eval search --db t.ken --queries known.jsonl
is 0 "for people"; out "mAP" "in words"

run eval search --db t.ken
is 2 "no queries"; err "FILE.jsonl" "are asked for"
echo '{"query":"a bear","relevant":["toys/none.png"]}' > bad.jsonl
run eval search --db t.ken --queries bad.jsonl
is 2 "a path that is not there"; err "line 1: toys/none.png" "is named"
echo '{"query":"a bear","relevant":[]}' > bad.jsonl
run eval search --db t.ken --queries bad.jsonl
is 2 "nothing relevant"; err "line 1" "the line is named"
printf '\n{"query":7}\n' > bad.jsonl
run eval search --db t.ken --queries bad.jsonl
is 2 "no query"; err "line 2" "the line is named"
: > bad.jsonl
run eval search --db t.ken --queries bad.jsonl
is 2 "an empty file"
finish
