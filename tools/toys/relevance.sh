#!/bin/sh
# relevance.sh DIR val|test SIZE [MODEL] - queries for `ken search --min auto`, and what it makes of them.
# relevance.sh DIR fit MODEL OUT.safetensors - the model with what `--min auto` needs, from validation toys.
#
# A collection of SIZE toys, one clean picture each, and in English and Chinese by turns: 200 captions of toys that
# are in it; 100 captions of toys that are not, each of which says two things or more that are wrong of every toy
# there; 100 texts about other things; for val also photographs of
# toys that are in it and of others.  val draws from ids 1,000,000 up (for `ken eval relevance`), test from
# 1,100,000 up; no toy is in both.  Writes DIR/WHICH-SIZE/queries.jsonl, and with a MODEL that knows its relevance
# prints the shares, in percent, of queries with something that are answered, of captions that fit nothing and of
# other texts that are not.  KEN and KEN_TOYS are the programs.
set -eu
[ $# -ge 3 ] || { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
ken=$(realpath "${KEN:-./ken}") toys=$(realpath "${KEN_TOYS:-./ken-toys}")
if [ "$2" = fit ]; then
    [ $# -eq 4 ] || exit 2
    now=$(realpath "$3") out=$(realpath "$4")
    for n in 25 50 100 200 400; do
        KEN=$ken KEN_TOYS=$toys MEASURE=no sh "$0" "$1" val $n "$now"
        (cd "$1/val-$n" && "$ken" eval relevance --db db --queries queries.jsonl -o "$out.part")
        mv "$out.part" "$out"
        now=$out
    done
    exit
fi
which=$2 size=$3 model=${4:-weights/ken-small.safetensors}
dir=$1/$which-$size
case $which in val) first=1020000 ;; test) first=1120000 ;; *) exit 2 ;; esac
absent=$((first + 10000))
unset KEN_DB KEN_MODEL 2> /dev/null || true
mkdir -p "$dir"

# captions of standard input, English and Chinese by turns, as {"query","relevant"}
as_queries() { # first of the ids that are there, or nothing
    sed 's/^{"id":\([0-9]*\),"en":"\([^"]*\)","zh":"\([^"]*\)".*/\1	\2	\3/' | awk -F'\t' -v there="$1" '{
        printf "{\"query\":\"%s\",\"relevant\":[%s]}\n", NR % 2 ? $2 : $3,
            there == "" ? "" : "\"toys/" $1 "/clean-0.png\"" }'
}
other_things() {
    for what in "red sports car;红色跑车" "birthday cake;生日蛋糕" "city at night;夜晚的城市" \
        "football match;足球比赛" "wooden chair;木椅" "sailing boat on a lake;湖上的帆船" "page of a newspaper;报纸" \
        "cup of coffee;一杯咖啡" "mountain in the snow;雪山" "keyboard of a computer;电脑键盘" \
        "loaf of bread;一条面包" "railway station;火车站" "pair of shoes;一双鞋" "oil painting;油画" \
        "field of wheat;麦田" "bottle of wine;一瓶酒" "man with a beard;留胡子的男人" "washing machine;洗衣机" \
        "map of Europe;欧洲地图" "rocket at its launch;火箭发射" "violin;小提琴" "tennis court;网球场" \
        "waterfall;瀑布" "bowl of soup;一碗汤" "screwdriver;螺丝刀"; do
        en=${what%;*} zh=${what#*;}
        printf '{"query":"%s","relevant":[]}\n' "a $en" "$zh" "a photo of a $en" "一张${zh}的照片"
    done
}

shot() { # first id, what is relevant: queries by photographs of 25 toys
    "$toys" render --ids $1:$(($1 + 25)) --mode full --seed 2 --size 128 -q -o "$dir/shots" >&2
    for id in $(seq $1 $(($1 + 24))); do
        printf "{\"query\":\"./shots/$id/full-0.png\",\"relevant\":[$2]}\n" $id
    done
}

if [ ! -f "$dir/done" ]; then
    "$toys" render --ids $first:$((first + size)) --mode clean --seed 1 --size 128 -q -o "$dir/toys"
    "$toys" captions --ids $first:$((first + size)) --mode clean --captions $((1 + 199 / size)) |
        head -n 200 | as_queries there > "$dir/something.jsonl"
    "$toys" captions --ids $absent:$((absent + 4000)) --mode clean --captions 8 --apart-from $first:$((first + size)) |
        head -n 100 | as_queries "" > "$dir/apart.jsonl"
    other_things > "$dir/other.jsonl"
    cat "$dir/something.jsonl" "$dir/apart.jsonl" "$dir/other.jsonl" > "$dir/queries.jsonl"
    if [ "$which" = val ]; then
        shot $first "\"toys/%d/clean-0.png\""
        shot $absent ""
    fi >> "$dir/queries.jsonl"
    : > "$dir/done"
fi
rm -rf "$dir/db"
(cd "$dir" && "$ken" index --db db -m "$(cd "$OLDPWD" && realpath "$model")" -q --progress none toys > /dev/null)
[ "${MEASURE:-}" = no ] && exit

answered() { # file: the share of its queries that have an answer
    sed 's/^{"query":"\([^"]*\)".*/text:\1/' "$dir/$1.jsonl" > "$dir/$1.txt"
    "$ken" search --db "$dir/db" --min auto -n 1 --batch "$dir/$1.txt" --progress none -q > "$dir/$1.out" || [ $? = 1 ]
    awk '/"hits": *\[\]/ { none++ } END { if (!NR) exit 1; printf "%.1f", 100 * (NR - none) / NR }' "$dir/$1.out"
}
if ! "$ken" search --db "$dir/db" --min auto -n 1 -q bear > /dev/null 2> "$dir/why" && [ -s "$dir/why" ]; then
    cat "$dir/why" >&2
    exit 1
fi
something=$(answered something)
apart=$(answered apart)
other=$(answered other)
echo "$something $apart $other $(wc -l < "$dir/apart.jsonl")" |
    awk -v n="$size" '{ printf "%d toys: answered %.1f; silent %.1f (captions that fit nothing, %d: %.1f; other things: %.1f)\n",
        n, $1, 100 - ($4 * $2 + 100 * $3) / ($4 + 100), $4, 100 - $2, 100 - $3 }'
