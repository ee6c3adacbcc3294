# remote.sh - --encoder URL: the vectors of `ken serve --encoder-only`, the same as one's own.
. tests/cli/lib.sh
[ -f "$root/weights/ken-small.safetensors" ] || { skip remote "no weights/ken-small"; finish; }
serves || { skip remote "this build has no server"; finish; }
start() { # arguments of serve; $U is where it listens
    : > serve.out
    "$ken" serve --encoder-only "$@" > serve.out 2> serve.err &
    server=$!
    trap 'kill $server 2> /dev/null; rm -rf "$tmp"' EXIT
    for i in $(seq 300); do
        U=$(head -n 1 serve.out)
        [ -n "$U" ] && break
        sleep .1
    done
}
plain() { sed 's/"took_ms":[^}]*}/"took_ms":{}/' "$1"; }

"$B/ken-toys" render --ids 0:4 --views 2 -o pics > "$tmp/out" 2>&1
rm -f pics/*.csv pics/*.jsonl
export KEN_DB=$tmp/work/toys.ken
run index pics
is 0 "a collection"
start --model ken-small --listen 127.0.0.1:0

run embed --model ken-small pics --text "a red cup" --text "红色的杯子" -o here.npy
run embed --model ken-small pics --text "a red cup" --text "红色的杯子" -o there.npy --encoder "$U"
is 0 "pictures and texts are encoded there"
that "to the same bits" cmp -s here.npy there.npy
for q in "a red cup" ./pics/1/mixed-0.png; do
    run search "$q" --json
    plain "$tmp/out" > here
    run search "$q" --json --encoder "$U"
    is 0 "$q, encoded there"
    plain "$tmp/out" > there
    that "$q: the same answer" cmp -s here there
done
"$ken" search ./pics/1/mixed-0.png + red - id:2 + "0.5:blue" --csv > here
"$ken" search ./pics/1/mixed-0.png + red - id:2 + "0.5:blue" --csv --encoder "$U" > there
that "several terms" cmp -s here there
printf 'red\nblue\n./pics/2/mixed-1.png\n' > queries
"$ken" search --batch queries | sed 's/"took_ms":[^}]*}//' > here
"$ken" search --batch queries --encoder "$U" | sed 's/"took_ms":[^}]*}//' > there
that "several queries" cmp -s here there
run search red --expand prompts --encoder "$U"
is 2 "what is not encoded there is refused"
for command in "index pics" "recognize pics/1/mixed-0.png" "compare text:a text:b"; do
    run $command --encoder "$U"
    is 2 "$command has no remote encoder"
done
run search red --encoder "$U" --offline
is 2 "offline is offline"

need_model hf-clip
run embed --model "$model" --text red --encoder "$U"
is 5 "an encoder with another model"
err "no model" "is told"
no_out "nothing is printed"
kill $server; wait $server
run search red --encoder "$U"
is 6 "nobody there"
err "no encoder answers" "is told"
no_out "nothing is printed"
run search red --encoder http://
is 6 "no address"
run search red --encoder ftp://a
is 2 "another protocol"

start --model ken-small --listen "unix:$tmp/e.sock"
run embed --model ken-small --text "a red cup" --encoder "$U"
is 0 "a socket"
kill $server; wait $server
export KEN_API_KEY=secret
start --model ken-small --listen 127.0.0.1:0
run search red --encoder "$U"
is 0 "with the key"
run search red --encoder "$U" --api-key wrong
is 6 "with a wrong one"
err "401" "is told"
finish
