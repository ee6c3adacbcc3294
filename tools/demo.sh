#!/bin/sh
# demo.sh - photographs of toys that nothing has seen: found by words, learnt from one picture each,
# known again in hard ones; `make demo` runs it.  Nothing from outside the repository is needed.
#
# With the test data ($KEN_TEST_DATA, default ../shared/data) also 2,640 photographs of groceries and a
# checkpoint of PyTorch.  Environment: KEN, KEN_CONVERT and KEN_TOYS (the programs, default ./ken …).
set -eu
cd "$(dirname "$0")/.."
ken=$(realpath "${KEN:-./ken}")
convert=$(realpath "${KEN_CONVERT:-./ken-convert}")
toys=$(realpath "${KEN_TOYS:-./ken-toys}")
data=${KEN_TEST_DATA:-../shared/data}
demo=build/demo
first=1249900 n=60 # of the ids that no training and no choice has seen (weights/toys-test.md)
rm -rf $demo
mkdir -p $demo
unset KEN_DB KEN_MODEL 2> /dev/null || true

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }
show() { # run a command, having shown it
    printf '$ %s\n' "$(echo "$*" | sed "s,$ken,ken,; s,$convert,ken-convert,; s,$toys,ken-toys,; s,$demo/,,g")"
    "$@" || { status=$?; [ $status = 1 ] && echo "(status 1: nothing found)" || exit $status; }
}

with_toys() {
    end=$((first + n))
    say "Photographs of $n toys: one of each for a catalogue, two of each as people take them"
    show "$toys" render --ids $first:$end --mode clean --seed 1 --size 128 --captions 2 -q -o $demo/catalogue
    for mode in full head occluded; do
        show "$toys" render --ids $first:$end --mode $mode --seed 2 --size 128 -q -o $demo/$mode
    done
    say "Index the catalogue"
    show "$ken" index --db $demo/toys.ken $demo/catalogue
    say "Find by words, English and Chinese"
    en=$(sed -n 's/.*"en":"\([^"]*\)".*/\1/p;7q' $demo/catalogue/captions.jsonl | tail -n 1)
    zh=$(sed -n 's/.*"zh":"\([^"]*\)".*/\1/p;13q' $demo/catalogue/captions.jsonl | tail -n 1)
    show "$ken" search --db $demo/toys.ken -n 3 "$en"
    show "$ken" search --db $demo/toys.ken -n 3 "$zh"

    say "Learn the toys from one picture each, nothing is trained"
    sed '1d;s,\(.*\)\,\(.*\),{"path":"'"$(realpath $demo)"'/catalogue/\1"\,"object":"toy \2"},' $demo/catalogue/list.csv > $demo/objects.jsonl
    show "$ken" object feed @- --db $demo/objects.ken -q < $demo/objects.jsonl
    say "Know them again: another room, other light, the head alone, something in front"
    total=0 right=0
    echo path,label > $demo/montage.csv
    for mode in full head occluded; do
        "$ken" recognize --db $demo/objects.ken --jsonl -n 1 $demo/$mode/*/*.png > $demo/$mode.jsonl || [ $? = 1 ]
        sed 's/.*"path": *"\([^"]*\)".*"candidates": *\[{"object": *"toy \([0-9]*\)".*/\1 \2/' $demo/$mode.jsonl > $demo/answers
        hits=$(awk '{ k = split($1, p, "/"); r += p[k - 1] == $2 } END { print r + 0 }' $demo/answers)
        echo "$mode: $hits of $(wc -l < $demo/answers) right, among $n"
        head -n 12 $demo/answers | awk -v mode=$mode -v root="$PWD/" -v here="$PWD/$demo" '{ k = split($1, p, "/"); mark = p[k - 1] == $2 ? "+" : "-"
            print root $1 "," mode NR mark; print here "/catalogue/" $2 "/clean-0.png," mode NR mark }' >> $demo/montage.csv
    done
    show "$toys" montage --gallery $demo/montage.csv --size 96 -o $demo/recognised.png
    echo "The sheet: left what was asked, right what was answered; build/demo/recognised.png"
    say "Why not more?  What the model knows, and how well: weights/ken-small.json, make scores"
}

with_photographs() {
    grocery=$data/grocery
    say "A model file from a checkpoint of PyTorch"
    show "$convert" "$data/cifar-resnet/resnet56-4bfd9763.th" -o $demo/resnet56.safetensors -q
    say "Index 2,640 photographs taken in shops"
    show "$ken" index --db $demo/shop.ken -m $demo/resnet56.safetensors "$grocery/train" --objects-from-dirs
    say "Again: nothing has changed, no picture is read"
    show "$ken" index --db $demo/shop.ken "$grocery/train" --objects-from-dirs
    juice=$grocery/train/Packages/Juice
    say "What is like this carton of apple juice?"
    show "$ken" search --db $demo/shop.ken "@$juice/Bravo-Apple-Juice/Bravo-Apple-Juice_010.jpg" -n 5
    say "And like it, but less like the orange juice of the same make?"
    show "$ken" search --db $demo/shop.ken "@$juice/Bravo-Apple-Juice/Bravo-Apple-Juice_010.jpg" \
        - "0.5:@$juice/Bravo-Orange-Juice/Bravo-Orange-Juice_010.jpg" -n 5
    say "The collection"
    show "$ken" stats --db $demo/shop.ken
    show "$ken" check --db $demo/shop.ken
}

with_toys
if [ -f "$data/cifar-resnet/resnet56-4bfd9763.th" ] && [ -d "$data/grocery/train" ]; then
    with_photographs
else
    say "Photographs of groceries: skipped, no test data at $data"
fi
say "Yours: ./ken index ~/Photos, or with a publisher's model: ./ken-convert CHECKPOINT -o clip.safetensors; ./ken index ~/Photos -m ./clip.safetensors"
