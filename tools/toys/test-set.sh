#!/bin/sh
# test-set.sh DIR val|test [main|many|v1 PROTOTYPE]
#
# Renders the validation or the test pictures that weights/toys-test.md lays down, as lists for
# `ken eval recognize`.  KEN_TOYS is the program (./ken-toys).  An interrupted run is simply started again.
#
#   main  gallery, queries in five modes, unknown toys, twins, words        ~13,000 pictures, 2 minutes on 2 cores
#   many  100,000 objects with one reference each, as JPEG                  ~3 minutes, 0.9 GB
#   v1    the pictures of the first prototype, of the folder with its toy.h
set -eu
toys=${KEN_TOYS:-./ken-toys}
usage() { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 2 ] || usage
dir=$1 which=$2 part=${3:-main}
case $which in
val) first=1000000 unknown=1250000 ;;
test) first=1100000 unknown=1200000 ;;
*) usage ;;
esac
size=128 references=1 queries=2 # seeds

# under DIR/NAME, from id FROM, N ids
render() { # name from n flags...
    name=$1 from=$2 n=$3
    shift 3
    "$toys" render --ids "$from:$((from + n))" --size $size -o "$dir/$name" "$@"
}
# lists below DIR as one list beside them
join() { # list...
    echo path,label
    for l; do sed "1d;s,^,${l%/*}/," "$dir/$l"; done
}
# the lines of a list, and its header, whose picture is the label's view N
view() { # list n
    sed -n "1p;/-$2\.[a-z]*,/p" "$dir/$1"
}
# captions of view 0 as queries of `ken eval search`
words() { # language
    sed -n 's,^{"path":"\([^"]*-0\.png\)".*"'"$1"'":"\([^"]*\)".*,{"query":"\2"\,"relevant":["gallery/\1"]},p' \
        "$dir/gallery/captions.jsonl"
}
# pictures of twins on which the differing attribute covers 1 % or more
shown() { # folder
    sed -n 's/^{"path":"\([^"]*\)","label":"\([^"]*\)".*"differs":\([0-9.]*\).*/\1,\2,\3/p' "$dir/$1/truth.jsonl" |
        awk -F, '$3 >= 0.01 { print $1 "," $2 }'
}

main() {
    render gallery $first 1000 --mode clean --views 3 --seed $references --captions 2
    for mode in full head part occluded light; do
        render $mode $first 1000 --mode $mode --views 2 --seed $queries
    done
    render unknown $unknown 1000 --mode full --views 2 --seed $queries
    render twins/gallery $((first + 10000)) 1000 --mode clean --seed $references --twins
    render twins/full $((first + 10000)) 1000 --mode full --views 2 --seed $queries --twins
    view gallery/list.csv 0 | sed '2,$s,^,gallery/,' > "$dir/one.csv"
    join gallery/list.csv > "$dir/three.csv"
    join full/list.csv head/list.csv part/list.csv occluded/list.csv light/list.csv > "$dir/queries.csv"
    join unknown/list.csv > "$dir/unknown.csv"
    for l in en zh; do words $l > "$dir/words-$l.jsonl"; done
    # where the reference of either twin hides the attribute, neither is asked for
    shown twins/gallery | awk -F, '{ n[$2] = 1 } END { for (l in n) if (l !~ /-twin/ && (l "-twin") in n) { print l; print l "-twin" } }' \
        > "$dir/twins/labels.tmp"
    { echo path,label
      shown twins/full | awk -F, 'NR == FNR { ok[$1] = 1; next } $2 in ok { print "full/" $0 }' "$dir/twins/labels.tmp" -
    } > "$dir/twins/queries.csv"
    rm "$dir/twins/labels.tmp"
    sed '2,$s,^,gallery/,' "$dir/twins/gallery/list.csv" > "$dir/twins/gallery.csv"
}

many() {
    render many $first 100000 --mode clean --seed $references --format jpg
    for n in 1000 10000 100000; do
        head -n $((n + 1)) "$dir/many/list.csv" | sed '2,$s,^,many/,' > "$dir/many-$n.csv"
    done
}

# The prototype's toys as they are: the same ids, one clean view as gallery, two queries in each of its modes.
v1() { # folder of toy.h
    mkdir -p "$dir/v1"
    cat > "$dir/v1/v1.c" << 'SOURCE'
#include "toy.h"
#include <sys/stat.h>
enum { SIDE = 128, N = 1000 };
static float light[SIDE * SIDE * 3];
static unsigned char rgb[SIDE * SIDE * 3];
static void shoot(const Toy *t, unsigned long id, int mode, int number, FILE *list)
{
    static const char *const names[] = { "clean", "full", "head", "part", "occluded", "light" };
    Rng r = { id * 64 + (unsigned long)(mode * 8 + number) };
    View v;
    char path[64];
    view_gen(&v, &r, mode, t);
    render(t, &v, SIDE, light, NULL);
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        rgb[i] = (unsigned char)(255 * powf(light[i], 1 / 1.6f));
    snprintf(path, sizeof path, "%s/%lu-%d.ppm", names[mode], id, number);
    FILE *f = fopen(path, "wb");
    if (!f || fprintf(f, "P6 %d %d 255\n", SIDE, SIDE) < 0 || fwrite(rgb, 1, sizeof rgb, f) != sizeof rgb || fclose(f))
        exit(2);
    fprintf(list, "%s,%lu\n", path, id);
}
int main(int argc, char **argv)
{
    static const char *const lists[] = { "gallery.csv", "full.csv", "head.csv", "part.csv", "occluded.csv", "light.csv" };
    const unsigned long first = argc > 1 ? strtoul(argv[1], NULL, 10) : 1100000;
    for (int mode = 0; mode < 6; mode++) {
        FILE *list = fopen(lists[mode], "w");
        static const char *const names[] = { "clean", "full", "head", "part", "occluded", "light" };
        mkdir(names[mode], 0777);
        if (!list)
            return 2;
        fputs("path,label\n", list);
        for (unsigned long id = first; id < first + N; id++) {
            Toy t;
            toy_gen(&t, id);
            for (int k = 0; k < (mode ? 2 : 1); k++)
                shoot(&t, id, mode, k, list);
        }
        if (fclose(list))
            return 2;
    }
    return 0;
}
SOURCE
    ${CC:-cc} -O3 -march=native -w -I"$1" "$dir/v1/v1.c" -o "$dir/v1/v1" -lm
    (cd "$dir/v1" && ./v1 $first)
}

mkdir -p "$dir"
case $part in
main) main ;;
many) many ;;
v1) [ $# -eq 4 ] || usage; v1 "$4" ;;
*) usage ;;
esac
