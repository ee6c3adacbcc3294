# config.sh - the layers of settings.
. tests/cli/lib.sh
case $("$ken" doctor 2> /dev/null | grep '^features') in
*yaml*) ;;
*) skip cli/config "this build reads no YAML"; finish ;;
esac

origin() {
    python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))[sys.argv[2]]
print(o["value"], o["origin"])' "$tmp/out" "$1"
}
check() { # key, wanted, what
    run config --json
    got=$(origin "$1")
    that "$3 (wanted $2, got $got)" test "$got" = "$2"
}

check threads "0 built-in" "nothing is set"
mkdir -p "$HOME/.config/ken" .ken deep/er
echo 'threads: 2' > "$HOME/.config/ken/ken.yaml"
check threads "2 $HOME/.config/ken/ken.yaml:1" "the user's file"
printf '# ours\nthreads: 3\nsearch:\n    number: 7\n    min: 0.25\nclassify:\n  number: 4\n' > .ken/ken.yaml
check threads "3 $tmp/work/.ken/ken.yaml:2" "the nearest .ken/ken.yaml beats it"
check search.number "7 $tmp/work/.ken/ken.yaml:4" "a command's own key"
check classify.number "4 $tmp/work/.ken/ken.yaml:7" "and the same of another command"
cd deep/er
check threads "3 $tmp/work/.ken/ken.yaml:2" "found upward"
cd ../..
KEN_THREADS=4; export KEN_THREADS
check threads "4 KEN_THREADS" "a variable beats files"
KEN_SEARCH_NUMBER=9; export KEN_SEARCH_NUMBER
check search.number "9 KEN_SEARCH_NUMBER" "a command's own variable"
run config --json --threads 5
that "a flag beats all" test "$(origin threads)" = "5 --threads"
unset KEN_THREADS KEN_SEARCH_NUMBER

echo 'threads: 6' > other.yaml
run config --json --config other.yaml
that "--config replaces .ken/ken.yaml" test "$(origin threads)" = "6 other.yaml:1"
that "... wholly" test "$(origin search.number)" = "10 built-in"
KEN_CONFIG=other.yaml run config --json
that "KEN_CONFIG does too" test "$(origin threads)" = "6 other.yaml:1"
run config --config missing.yaml
is 2 "--config names a missing file"
KEN_CONFIG=prod run config --json
that "a preset by its name" test "$(origin color)" = "never preset prod:1"
if serves; then
    that "... with the service's settings" test "$(origin serve.roots)" = "/var/lib/ken preset prod:8"
    run config --json --config dev
    that "the other preset" test "$(origin serve.shims)" = "true preset dev:4"
    KEN_SERVE_SHIMS=false run config --json --config dev
    that "a variable is above it" test "$(origin serve.shims)" = "false KEN_SERVE_SHIMS"
else
    skip cli/config/serve "this build serves nothing"
fi
cp other.yaml prod
run config --json --config ./prod
that "a file of that name has a path" test "$(origin threads)" = "6 ./prod:1"

run config
out "search.number	7" "for a pipe: key, tab, value"
run config --origin
out "threads	3	$tmp/work/.ken/ken.yaml:2" "--origin adds where it came from"

# who may come in is not for everybody's eyes
export KEN_API_KEY=my-secret KEN_STORE=milvus://root:Milvus@db:19530/photos?shards=2 KEN_ENCODER=http://ann:Pass@h:1/x@y
for form in "" --json --csv --origin; do
    run config $form
    that "no secret is shown ($form)" sh -c "! grep -qE 'my-secret|Milvus|Pass' '$tmp/out'"
    out "***" "... but that there is one ($form)"
done
run config
out "store	milvus://***@db:19530/photos?shards=2" "the rest of an address is shown"
out "encoder	http://***@h:1/x@y" "to its last sign"
run config --origin
out "api-key	***	KEN_API_KEY" "and where it came from"
run config --show-secrets
out "api-key	my-secret" "--show-secrets: as it is"
out "store	milvus://root:Milvus@db:19530/photos?shards=2" "... addresses, too"
KEN_CONFIG_SHOW_SECRETS=yes run config
out "api-key	***" "no variable says so"
unset KEN_API_KEY KEN_STORE KEN_ENCODER

# paths of a file start at its folder, ~ is home, lists are joined
printf 'db: here\nmodels: [~/m, /srv/m, rel]\nprogress: "none"\nmodel:\nno-orient: yes\n' > .ken/ken.yaml
check db "$tmp/work/.ken/here $tmp/work/.ken/ken.yaml:1" "a relative path"
check models "$HOME/m:/srv/m:$tmp/work/.ken/rel $tmp/work/.ken/ken.yaml:2" "a list of paths"
check no-orient "true $tmp/work/.ken/ken.yaml:5" "yes is true"
check model "None built-in" "a key without a value"

bad() { # text, line, words
    printf "$1" > .ken/ken.yaml
    run stats
    is 2 "refused: $3"
    err ".ken/ken.yaml:$2:" "the file and line are named: $3"
    err "$3" "the reason: $3"
}
bad 'threads: 1\nthread: 2\n' 2 "unknown key thread"
bad 'search:\n  prune: yes\n' 2 "unknown key search.prune"
bad 'number: 3\n' 1 "unknown key number"
bad 'nonesuch:\n  a: 1\n' 2 "unknown key nonesuch.a"
bad 'help: yes\n' 1 "unknown key help"
bad 'threads: many\n' 1 "expects a whole number"
bad 'device: gpu\n' 1 "expects one of cpu|cuda|auto"
bad 'a: {b: {c: 1}}\n' 1 "nested too deep"
bad 'threads: [1, [2]]\n' 1 "a list may hold only plain values"
bad 'threads: &x 1\nseed: *x\n' 2 "an alias"
bad 'threads: 1\n---\nthreads: 2\n' 2 "only one document"
bad 'threads: "1\n' 2 ""
: > .ken/ken.yaml
run config
is 0 "an empty file"
KEN_THREADS=x run config
is 2 "a bad variable"
err "KEN_THREADS=x" "a bad variable is named"
finish
