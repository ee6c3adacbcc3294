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
encoded() { # how many texts and pictures it has encoded
    python3 - "$U" << 'PY'
import re, sys, urllib.request
text = urllib.request.urlopen(sys.argv[1] + "/metrics").read().decode()
print(int(sum(float(v) for v in re.findall(r"^ken_encode_batch_size_sum\{[^}]*\} (\S+)$", text, re.M))))
PY
}
# there, arguments...: as here, and the work was done there
there() {
    "$ken" "$@" --encoder none > here 2> here.err < /dev/null; here=$?
    before=$(encoded)
    run "$@" --encoder "$U" --cache none
    that "$*: the same status" [ $here = $status ]
    plain here > here.plain; plain "$tmp/out" > there.plain
    that "$*: the same answer" cmp -s here.plain there.plain
    that "$*: encoded there" [ "$(encoded)" -gt "$before" ]
}
there search red --expand prompts --json
there compare ./pics/1/mixed-0.png ./pics/1/mixed-1.png --json
there compare "text:a bear" ./pics/1/mixed-1.png --json
there classify ./pics/1/mixed-0.png --labels "a bear,a dog" --json
for e in none "$U"; do
    "$ken" object add one pics/1/mixed-0.png --db "$tmp/work/objects-$e.ken" --model ken-small --encoder "$e" --json
done > "$tmp/out" 2> "$tmp/err"
that "objects are taught the same" [ "$(sed -n 1p "$tmp/out")" = "$(sed -n 2p "$tmp/out")" ]
KEN_DB=$tmp/work/objects-none.ken there recognize pics/1/mixed-1.png pics/2/mixed-0.png --jsonl
before=$(encoded)
run index pics --db far.ken --model ken-small --encoder "$U" --cache none --json
is 0 "a folder is indexed"
json 'd["added"] == 8' "all of it"
that "encoded there" [ "$(encoded)" = $((before + 8)) ]
run search ./pics/1/mixed-0.png --csv
cp "$tmp/out" here
run search ./pics/1/mixed-0.png --csv --db far.ken
that "to the same collection" cmp -s here "$tmp/out"
run explain ./pics/1/mixed-0.png ./pics/1/mixed-1.png --model ken-small --encoder "$U"
is 0 "what looks into the network runs here"
printf '{"model":"ken-small","input":[{"fitted":"%s"}]}' "$(base64 -w0 pics/1/mixed-0.png)" > body.json
curl -s "$U/v1/embeddings" -H 'Content-Type: application/json' -d @body.json > "$tmp/out" 2> "$tmp/err"
json 'd["error"]["param"] == "input[0]" and "64 x 64" in d["error"]["message"]' "a fitted picture has the size it is fitted to"
run search red --encoder "$U" --offline
is 2 "offline is offline"

need_model hf-clip
run embed --model "$model" --text red --encoder "$U"
is 5 "an encoder with another model"
err "no model" "is told"
no_out "nothing is printed"
run index pics --db other.ken --model "$model" --encoder "$U"
is 5 "nor does it index"
kill $server; wait $server
run search red --encoder "$U"
is 6 "nobody there"
err "no encoder answers" "is told"
no_out "nothing is printed"
run index pics --db later.ken --model ken-small --encoder "$U" --cache none
is 6 "nor is there anybody to index with"
run index pics --db later.ken --model ken-small --encoder none --json
is 0 "it is done the next time"
json 'd["added"] == 8' "whole"
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
