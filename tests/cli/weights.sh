# weights.sh - each model that ships has its manifest, which says what it promises to say.
. tests/cli/lib.sh

run models --models "$root/weights" --json
is 0 "the models that ship"
cp "$tmp/out" models.json
for m in "$root"/weights/*.safetensors; do
    name=$(basename "$m" .safetensors)
    cp "${m%.safetensors}.json" "$tmp/out"
    json '{"name", "data", "seed", "command", "commit", "scores", "licence", "knows", "knows_not", "held_out"} <= set(d)' \
        "$name.json has every member"
    json "d['held_out'] == open('$root/weights/grocery-heldout.txt').read().split()" "the classes that were held out"
    json "[m['licence'] for m in json.load(open('models.json')) if m['name'] == '$name'] == [d['licence']]" "one licence"
    json 'set(d["scores"]["r_at_1_of_1000_toys_one_reference"]) == {"full", "head", "part", "occluded", "light"}' "its scores"
    json "' | '.join(map(str, d['scores']['r_at_1_of_1000_toys_one_reference'].values())) in open('$root/README.md').read()" \
        "are those of README"
    that "$name is small enough" [ "$(wc -c < "$m")" -le "$([ "$name" = ken-tiny ] && echo 2000000 || echo 25000000)" ]
done
finish
