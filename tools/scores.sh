#!/bin/sh
# scores.sh [MODEL] [val|test] - the scores of a model that README quotes; `make scores` runs it.
#
# MODEL is a file (weights/ken-small.safetensors), test the default.  Renders what
# weights/toys-test.md lays down into build/scores ($SCORES_DIR), about 15,000 pictures; with SCORES=many also
# 100,000 objects.  Groceries and the CIFAR network need the test data ($KEN_TEST_DATA, default ../shared/data).
# What fails ends it, with that status; the 3-D models have programs of their own, bench/parts and bench/quality.
# KEN, KEN_TOYS and KEN_CONVERT are the programs; KEN_EXPLAIN is bench/explain, without which it is left out.
set -eu
cd "$(dirname "$0")/.."
model=${1:-weights/ken-small.safetensors} which=${2:-test}
ken=$(realpath "${KEN:-./ken}") toys=$(realpath "${KEN_TOYS:-./ken-toys}")
convert=$(realpath "${KEN_CONVERT:-./ken-convert}")
data=${KEN_TEST_DATA:-../shared/data}
out=${SCORES_DIR:-build/scores}
set_dir=$out/$which
unset KEN_DB KEN_MODEL 2> /dev/null || true
mkdir -p "$out"
fails() { # status, what
    echo "scores.sh: status $1 of $2" >&2
    exit "$1"
}

if [ ! -f "$set_dir/done" ]; then
    KEN_TOYS=$toys sh tools/toys/test-set.sh "$set_dir" "$which" main >&2
    : > "$set_dir/done"
fi
if [ "${SCORES:-}" = many ] && [ ! -f "$set_dir/many-done" ]; then
    KEN_TOYS=$toys sh tools/toys/test-set.sh "$set_dir" "$which" many >&2
    : > "$set_dir/many-done"
fi

# recognize GALLERY QUERIES flags...: one JSON line
recognize() {
    gallery=$1 queries=$2
    shift 2
    "$ken" eval recognize -m "$model" --gallery "$gallery" --queries "$queries" --json --progress none "$@"
}
# member of the JSON on standard input, in percent
percent() {
    sed -n 's/.*"'"$1"'": *\([0-9.eE+-]*\).*/\1/p' | awk '{ printf "%.1f", 100 * $1 } END { exit !NR }' ||
        fails $? "reading \"$1\""
}
# share MEMBER command...: that member of what the command prints, in percent
share() {
    member=$1
    shift
    "$@" > "$out/answer.json" || fails $? "$*"
    percent "$member" < "$out/answer.json"
}
row() { printf '%-44s' "$1"; shift; printf ' %8s' "$@"; echo; }

"$ken" doctor --json > "$out/doctor.json"
echo "model $model, $which toys, $(sed -n 's/.*"level": *"\([a-z0-9]*\)".*/level \1/p' "$out/doctor.json")"
row "1,000 unseen toys, R@1 %" full head part occluded light
for refs in one three; do
    line=
    for mode in full head part occluded light; do
        line="$line $(share top1 recognize "$set_dir/$refs.csv" "$set_dir/$mode/list.csv")"
    done
    row "  references: $refs" $line
done
line=
for mode in full head part occluded light; do
    line="$line $(share top1 recognize "$set_dir/one.csv" "$set_dir/$mode/list.csv" --crops 0 --looks 0)"
done
row "  one, whole pictures only" $line
line=
for mode in full head part occluded light; do
    line="$line $(share top1 "$toys" histogram --gallery "$set_dir/one.csv" --queries "$set_dir/$mode/list.csv" --json)"
done
row "  colour histogram, one" $line

recognize "$set_dir/one.csv" "$set_dir/full/list.csv" --unknown "$set_dir/unknown.csv" > "$out/open.json"
row "open set, 1,000 known and 1,000 unknown, %" AUROC DIR@1% ECE
line=
for part in auroc dir_at_fpir ece; do line="$line $(percent $part < "$out/open.json")"; done
row "  full views" $line

for part in gallery queries; do
    "$ken" embed -m "$model" --progress none -o "$out/twins-$part.npy" $(sed '1d;s/,.*//;s,^,'"$set_dir"'/twins/,' "$set_dir/twins/$part.csv")
done
line=$(share top1 "$toys" pairs --gallery "$set_dir/twins/gallery.csv" --queries "$set_dir/twins/queries.csv" \
    --gallery-vectors "$out/twins-gallery.npy" --query-vectors "$out/twins-queries.npy" --json)
row "twins, R@1 % within the pair" "$line"

folder=$(cd "$(dirname "$model")" && pwd)
"$ken" models --models "$folder" --json > "$out/models.json"
tr '{' '\n' < "$out/models.json" | grep -F "\"path\":\"$folder/$(basename "$model")\"" > "$out/model.json" ||
    fails $? "looking for $model among the models"
knows_words() { grep -q '"text": *true' "$out/model.json"; }
if knows_words; then
    rm -rf "$out/words.ken"
    "$ken" index --db "$out/words.ken" -m "$model" --progress none -q $(sed '1d;s/,.*//;s,^,'"$set_dir"'/,' "$set_dir/one.csv") > /dev/null
    row "a caption finds its toy among 1,000, %" R@1 R@10
    for l in en zh; do
        sed 's/^{"query":"\([^"]*\)".*/\1/' "$set_dir/words-$l.jsonl" > "$out/words.txt"
        sed 's/.*"relevant":\["\([^"]*\)".*/\1/' "$set_dir/words-$l.jsonl" > "$out/relevant.txt"
        "$ken" search --db "$out/words.ken" --batch "$out/words.txt" -n 10 --progress none > "$out/hits.jsonl"
        line=$(awk 'NR == FNR { want[NR] = $0; n = NR; next }
            { k = split($0, p, "\"path\":"); for (i = 2; i <= k; i++) { sub(/^ *"/, "", p[i]); sub(/".*/, "", p[i])
                if (substr(p[i], length(p[i]) - length(want[FNR]) + 1) == want[FNR]) { ten++; one += i == 2; break } } }
            END { if (FNR != n) exit 2; printf "%.1f %.1f", 100 * one / n, 100 * ten / n }' "$out/relevant.txt" "$out/hits.jsonl")
        row "  $l" $line
    done
    ids=$([ "$which" = test ] && echo 1100000:1101000 || echo 1000000:1001000)
    line=$(share top1 "$toys" ceiling --ids $ids --captions 2 --json)
    row "  whoever knows all that is said" "$line"
fi

if [ -x "${KEN_EXPLAIN:-}" ]; then
    row "explanations, one of two small toys, %" "in box" "on toy" "on other" middle deletion
    for what in pictures $(! knows_words || echo words); do
        "$KEN_EXPLAIN" "$model" "$which" 100 $what > "$out/explain.json"
        line=
        for part in box mask other centre_box deletion; do line="$line $(percent $part < "$out/explain.json")"; done
        row "  by $what" $line
    done
fi

if knows_words; then
    row "search among 300 toys, R@1 and mAP %" R@1 mAP
    KEN=$ken KEN_TOYS=$toys sh tools/toys/retrieval.sh "$out" "$which" "$model"
    echo "ken search --min auto, %"
    for n in 25 50 100; do
        line=$(KEN=$ken KEN_TOYS=$toys sh tools/toys/relevance.sh "$out" "$which" $n "$model")
        echo "  $line"
    done
fi

if [ -f "$set_dir/many-done" ]; then
    row "among many objects, full views, R@1 and R@5 %" top1 top5
    for n in 1000 10000 100000; do
        recognize "$set_dir/many-$n.csv" "$set_dir/full/list.csv" --crops 0 --looks 0 > "$out/many.json"
        top1=$(percent top1 < "$out/many.json")
        top5=$(percent top5 < "$out/many.json")
        row "  $n" "$top1" "$top5"
    done
fi

if [ -d "$data/grocery" ]; then
    for part in train val; do
        awk -F', ' 'NR == FNR { held[$1] = 1; next } { k = split($1, p, "/"); label = p[k - 1]; if (label in held) print $1 "," label }' \
            weights/grocery-heldout.txt "$data/grocery/$part.txt" > "$out/grocery-$part.csv"
    done
    row "20 kinds of groceries never trained on, R@1 %" "1" "3" "10"
    line=
    for refs in 1 3 10; do
        line="$line $(share top1 recognize "$out/grocery-train.csv" "$out/grocery-val.csv" --root "$data/grocery" --refs $refs)"
    done
    row "  this model" $line
    if [ -f "$data/cifar-resnet/resnet56-4bfd9763.th" ]; then
        "$convert" "$data/cifar-resnet/resnet56-4bfd9763.th" -o "$out/resnet56.safetensors" -q
        line= own=$model model=$out/resnet56.safetensors
        for refs in 1 3 10; do
            line="$line $(share top1 recognize "$out/grocery-train.csv" "$out/grocery-val.csv" --root "$data/grocery" --refs $refs)"
        done
        model=$own
        row "  CIFAR ResNet-56" $line
    fi
    line=
    for refs in 1 3 10; do
        awk -F, -v n=$refs 'seen[$2]++ < n' "$out/grocery-train.csv" | sed "s,^,$(realpath "$data")/grocery/," > "$out/g.csv"
        sed "s,^,$(realpath "$data")/grocery/," "$out/grocery-val.csv" > "$out/q.csv"
        line="$line $(share top1 "$toys" histogram --gallery "$out/g.csv" --queries "$out/q.csv" --json)"
    done
    row "  colour histogram" $line
else
    echo "groceries: skipped, no test data at $data"
fi
