# cache.sh - what the network made of pictures is remembered in a folder, or nowhere, and answers are the same.
. tests/cli/lib.sh
need_model
mkdir pics
for i in 1 2 3 4 5; do picture pics/$i.ppm $((i * 45)) $((250 - i * 40)) 60; done
export XDG_CACHE_HOME=$tmp/work/home-cache

# index COLLECTION flags...: and in COLLECTION.jsonl what it answers about each picture
index() {
    db=$1
    shift
    run index pics -m "$model" --db "$db.ken" "$@"
    is 0 "$db is indexed"
    : > "$db.jsonl"
    for f in pics/*.ppm; do
        run search "./$f" --db "$db.ken" --jsonl "$@"
        is 0 "$db answers about $f"
        sed 's/"seconds":[^,}]*//; s/"indexed[^,}]*//' "$tmp/out" >> "$db.jsonl"
    done
    that "$db has five answers of five" test "$(grep -c '"raw"' "$db.jsonl")" = 25
}
same() { that "$1 answers as the first one" cmp -s first.jsonl "$1.jsonl"; }
files() { ls "$1" 2> /dev/null | wc -l; }
sum() { cat "$1"/* | cksum; }

index first --cache none
that "--cache none leaves nothing" test ! -e home-cache -a ! -e none
index cached --cache here
same cached
that "--cache DIR has one file, of the model" sh -c 'ls here | grep -qx "vectors-.*" && [ $(ls here | wc -l) = 1 ]'
before=$(sum here)
index again --cache here
same again
that "another collection adds nothing to it" test "$(sum here)" = "$before"
index off --cache off --cache-size 0
same off
that "--cache-size 0 leaves nothing" test "$(files off)" = 0
that "and none of these has gone to the home" test ! -e home-cache
index usual
same usual
that "else it lies in \$XDG_CACHE_HOME/ken" sh -c 'ls home-cache/ken | grep -qx "vectors-.*"'
finish
