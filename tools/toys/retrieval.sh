#!/bin/sh
# retrieval.sh DIR val|test [MODEL [OTHER]] - what words, pictures, both, and expansion find (`ken eval search`).
#
# A collection of 300 toys, one clean picture each.  Queries: another photograph of the toy, a caption (English and
# Chinese by turns), and both, .6 picture and .4 words; the first two with --expand, too.  With OTHER, a second
# model, what it finds as a space, and both fused.  One line a case:
# the case, R@1 and mAP in per cent.  KEN and KEN_TOYS are the programs.
set -eu
[ $# -ge 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
ken=$(realpath "${KEN:-./ken}") toys=$(realpath "${KEN_TOYS:-./ken-toys}") model=$(realpath "${3:-weights/ken-small.safetensors}")
other=${4:+$(realpath "$4")}
dir=$1/retrieval-$2
case $2 in val) first=1040000 ;; test) first=1140000 ;; *) exit 2 ;; esac
last=$((first + 300))
unset KEN_DB KEN_MODEL 2> /dev/null || true
mkdir -p "$dir"
cd "$dir"
if [ ! -f done ]; then
    "$toys" render --ids $first:$last --mode clean --seed 1 --size 128 -q -o toys
    "$toys" render --ids $first:$last --mode full --seed 2 --size 128 -q -o shots
    "$toys" captions --ids $first:$last --mode clean |
        sed 's/^{"id":\([0-9]*\),"en":"\([^"]*\)","zh":"\([^"]*\)".*/\1	\2	\3/' | awk -F'\t' '{
        words = NR % 2 ? $2 : $3; right = "\"relevant\":[\"toys/" $1 "/clean-0.png\"]}"; shot = "./shots/" $1 "/full-0.png"
        print "{\"query\":\"text:" words "\"," right > "words.jsonl"
        print "{\"query\":\"" shot "\"," right > "pictures.jsonl"
        print "{\"query\":[\"0.6:" shot "\",\"+\",\"0.4:" words "\"]," right > "both.jsonl" }'
    : > done
fi
rm -rf db
"$ken" index --db db -m "$model" -q --progress none toys > /dev/null
row() { # name, file, flags...
    name=$1 file=$2
    shift 2
    "$ken" eval search --db db --queries $file.jsonl --json --progress none "$@" > answer.json
    sed 's/.*"precision":{"1":\([0-9.]*\).*"map":\([0-9.]*\).*/\1 \2/' answer.json |
        awk -v name="$name" '{ printf "  %-48s %8.1f %8.1f\n", name, 100 * $1, 100 * $2 } END { exit NR != 1 }'
}
row words words
row pictures pictures
row "both, .6 pictures and .4 words" both
row "words, --expand prompts" words --expand prompts
row "words, --expand aqe" words --expand aqe
row "pictures, --expand aqe" pictures --expand aqe
[ $# -ge 4 ] || exit 0
"$ken" index --db db --space other -m "$other" -q --progress none > /dev/null
for what in words pictures both; do
    row "$what, --spaces other" $what --spaces other
    row "$what, --spaces own,other" $what --spaces own,other
    row "$what, --spaces own,other --fusion weighted" $what --spaces own,other --fusion weighted
done
