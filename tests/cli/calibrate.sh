# calibrate.sh - ken eval calibrate, episodes and omniglot-runs.
. tests/cli/lib.sh
need_model

# 40 things in 4 shades each, and 60 unknown ones: colour fields of 4 x 4.
python3 - <<'PY'
import os, random
def field(path, seed, shade):
    r = random.Random(seed)
    cells = [[[r.randrange(256) for _ in range(3)] for _ in range(4)] for _ in range(4)]
    noise = random.Random(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"P6 32 32 255\n" + bytes(
            min(255, max(0, int(cells[y // 8][x // 8][c] * shade) + noise.randrange(-60, 60)))
            for y in range(32) for x in range(32) for c in range(3)))
for i in range(40):
    for j in range(2):
        field(f"g/{i}/{j}.ppm", i, 1 - .05 * j)
        field(f"q/{i}/{j}.ppm", i, .8 - .1 * j)
for i in range(60):
    field(f"u/{i}/0.ppm", 1000 + i, 1)
PY
lists="--gallery g --queries q --unknown u"
run eval calibrate -m "$model" $lists
is 2 "calibrate needs -o"
run eval calibrate -m "$model" --gallery g --queries q --unknown q -o "$tmp/models/cal.safetensors" --json
is 0 "q serves as unknown too"
run eval calibrate -m "$model" --gallery g --queries q --unknown g/1 -o x.safetensors
is 2 "too few unknown ones"
that "nothing is left" test ! -e x.safetensors
run eval calibrate -m "$model" $lists -o "$tmp/models/cal.safetensors" --crops 1 --looks 1 --fpir .05 --json
is 0 "a calibration"
json 'd["ece_after"] < d["ece_before"] and d["crops"] == 1 and d["fpir"] == .05 and len(d["weights"]) == 5' "its figures"
json 'd["threshold"] == sorted(d["threshold"])' "thresholds rise with the number of objects"
cp "$tmp/out" calibration
run models --models "$tmp/models" --json
json 'len(d) > 2 and len({m["fingerprint"] for m in d if not m["name"].startswith("ken-")}) == 1' "the copy has the same fingerprint"
run models --models "$tmp/models" --check cal
is 0 "and a right checksum"
run eval recognize -m "$tmp/models/cal.safetensors" $lists --json
is 0 "evaluated with its calibration"
json 'd["ece"] is not None and d["model_fpir"] is not None and d["fpir"] == .05' "by its own threshold"
json 'set(d["precision"]) == {"1", "5", "10"} and 0 <= d["map_at_r"] <= d["map"] + 1e-9 and len(d["confusions"]) <= 20' "more metrics"
run object add one g/1/0.ppm g/1/1.ppm -m "$tmp/models/cal.safetensors" --db c --json
json 'd["vectors"] == 4' "crops are the model's"
run recognize g/1/0.ppm --db c --fpir .01 --json
json 'd["candidates"][0]["object"] == "one"' "--fpir works with it"

run eval episodes g -m "$model" --ways 10 --shots 1 --episodes 50 --json
is 0 "episodes"
json 'd["episodes"] == 50 and d["classes"] == 40 and 0 < d["accuracy"] <= 1 and d["ci95"] >= 0' "its figures"
cp "$tmp/out" first
run eval episodes g -m "$model" --ways 10 --shots 1 --episodes 50 --json --threads 1
that "the same again" cmp -s "$tmp/out" first
run eval episodes g -m "$model" --ways 10 --shots 1 --episodes 50 --seed 3 --json
that "another seed is another draw" test "$(cat "$tmp/out")" != "$(cat first)"
run eval episodes g q -m "$model" --ways 40 --shots 2 --queries 2 --episodes 5 --json
json 'd["classes"] == 40' "classes of the same name are one"
run eval episodes g -m "$model" --ways 41
is 2 "more ways than classes"
mkdir -p some/0 some/1
cp g/0/0.ppm some/0; cp g/1/0.ppm some/1
run eval episodes g -m "$model" --exclude some --ways 5 --episodes 5 --json
json 'd["classes"] == 38' "--exclude"

zips=$data/omniglot
if [ -f "$zips/images_background_small2.zip" ]; then
    run eval episodes "$zips/images_background_small2.zip" --exclude "$zips/images_background_small1.zip" \
        -m "$model" --episodes 20 --json
    is 0 "episodes of a zip"
    json 'd["classes"] == 106' "characters that the other zip lacks"
    python3 "$root/tests/golden/omniglot_runs.py" runs "$zips/images_background_small2.zip" "$zips/images_background_small1.zip"
    rm -rf runs/run0[4-9] runs/run[12]*
    run eval omniglot-runs runs -m "$model" --json
    is 0 "runs by a model"
    json 'd["trials"] == 60 and d["runs"] == 3' "three of them"
    run eval omniglot-runs runs --baseline mhd --json
    is 0 "runs by ink"
    json 'abs(d["error"] - .45) < 1e-6' "as by SciPy's distances: omniglot_runs.py --mhd"
else
    skip cli/calibrate/omniglot "no zips at $zips"
fi
run eval omniglot-runs g --baseline mhd
is 2 "a folder without runs"
finish
