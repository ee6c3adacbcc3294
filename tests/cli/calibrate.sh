# calibrate.sh - ken eval calibrate, episodes and omniglot-runs.
. tests/cli/lib.sh
need_model

colour_fields .
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
own='[m for m in d if m["path"].startswith("'$tmp/models/'")]'
json "sorted(m['name'] for m in $own) == ['cal', 'tiny'] and len({m['fingerprint'] for m in $own}) == 1" "the copy has the same fingerprint"
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
