# serve.sh - ken serve, asked with curl: every route, what is refused, keys, and the end.
. tests/cli/lib.sh
[ -f "$root/weights/ken-small.safetensors" ] || { skip serve "no weights/ken-small"; finish; }
command -v curl > /dev/null || { skip serve "no curl"; finish; }
serves || { skip serve "this build has no server"; finish; }
run serve --db "$tmp/none"
is 4 "no collection, no server"

server=
start() { # arguments of serve; $U is where it listens then
    : > "$tmp/serve.out"
    "$ken" serve --listen 127.0.0.1:0 "$@" > "$tmp/serve.out" 2> "$tmp/serve.err" &
    server=$!
    trap 'kill $server 2> /dev/null; rm -rf "$tmp"' EXIT
    for i in $(seq 100); do
        U=$(sed -n 's/^http/http/p' "$tmp/serve.out" | head -n 1)
        [ -n "$U" ] && break
        sleep .1
    done
    D=$U/v1/collections/default
}
stop() {
    kill -TERM $server
    wait $server
    status=$?
}
ask() { # arguments of curl; $status, $tmp/out, $tmp/head
    status=$(curl -s -m 60 -o "$tmp/out" -D "$tmp/head" -w '%{http_code}' "$@" 2> "$tmp/err")
}
head_has() { grep -qiF -e "$1" "$tmp/head" && pass || fail "$2 (wanted '$1' in the head)"; }
J='Content-Type: application/json'

"$B/ken-toys" render --ids 0:6 --views 2 -o pics > "$tmp/out" 2>&1
rm -f pics/*.csv pics/*.jsonl
export KEN_DB="$tmp/work/toys.ken"
run index pics
is 0 "a collection"
P=pics/3/mixed-0.png
start

ask "$U/"
is 200 "the page"
head_has "Content-Security-Policy: default-src 'self'" "with a policy"
head_has "X-Content-Type-Options: nosniff" "and no guessing of types"
for path in /livez /readyz /healthz /version /v1/limits /v1/models /v1/collections; do
    ask "$U$path"
    is 200 "$path"
    json 'isinstance(d, dict)' "$path is JSON"
done
ask "$U/metrics"
is 200 "metrics"
out 'ken_http_requests_total{route="/livez",method="GET",code="200"}' "requests are counted"
ask "$D/items/1"
json 'd["id"] == "1" and d["kind"] == "image"' "an item"
ask "$D/items/1/thumbnail?w=64"
head_has "image/jpeg" "a thumbnail"
ask "$D/items/1/original"
that "the file itself" cmp -s "$tmp/out" "$(printf '%s' pics/0/*-0.png)"

ask "$D/search" -H "$J" -d '{"query": "a red cup", "limit": 3}'
is 200 "a search by words"
json 'len(d["hits"]) == 3 and d["hits"][0]["rank"] == 1 and "total" in d["took_ms"]' "three hits"
cp "$tmp/out" words.json
run search "a red cup" -n 3 --json
json '[h["id"] for h in d["hits"]] == [h["id"] for h in json.load(open("words.json"))["hits"]]' "the same as ken search"
json 'all(abs(a["score"] - b["score"]) < 1e-6 for a, b in zip(d["hits"], json.load(open("words.json"))["hits"]))' "scores too"
ask "$D/search" -F 'query={"query": [{"image": {"part": "f"}}], "limit": 1}' -F "f=@$P"
json 'd["hits"][0]["path"].endswith("3/mixed-0.png") and d["hits"][0]["raw"] > .9999' "a picture finds itself"
ask "$U/api/search/text" -H "$J" -d '{"query": "红色的杯子", "top_k": 2}'
json 'd["success"] and len(d["results"]) == 2 and {"class_name", "similarity", "rank", "path", "description", "explanation"} <= set(d["results"][0])' "/api/search/text"
ask "$U/api/search/image" -F "image=@$P" -F top_k=1
json 'd["results"][0]["class_name"] == "3" and d["results"][0]["rank"] == 1' "/api/search/image"
ask "$U/api/search/hybrid" -F "image=@$P" -F query=cup
json 'd["success"] and len(d["results"]) == 10' "/api/search/hybrid"

ask -X PUT "$D/objects/bear" -F "image=@$P" -F "image=@pics/3/mixed-1.png"
is 201 "an object is taught"
json 'd["references"] == 2' "by two pictures"
ask "$D/recognize" -F "image=@$P"
json 'd["object"] == "bear" and d["candidates"][0]["object"] == "bear"' "and recognised"
ask -X DELETE "$D/objects/bear"
is 204 "and forgotten"
ask "$D/objects"
json 'd["objects"] == []' "there is none"


# ---- the same as the program, whatever is asked ----
cat > told.json << 'JSON'
{"pics/2/mixed-0.png": "the grandfather clock in our hall", "pics/4/mixed-1.png": "维也纳的钟楼"}
JSON
run index told.json
is 0 "descriptions"
same() { # what, a body, arguments of search
    what=$1 body=$2
    shift 2
    ask "$D/search" -H "$J" -d "$body"
    cp "$tmp/out" served.json
    run search "$@" --encoder none --json
    python3 - "$tmp/out" served.json << 'PY' && pass || fail "$what: HTTP and program differ"
import json, sys
program, served = (json.load(open(f, encoding="utf-8")) for f in sys.argv[1:])
a, b = program["hits"], served["hits"]
keys = ("rank", "id", "path", "object", "description")
assert [[h.get(k) for k in keys] for h in a] == [[h.get(k) for k in keys] for h in b], (a, b)
assert all(abs(x[k] - y[k]) < 1e-6 for x, y in zip(a, b) for k in ("score", "raw")), (a, b)
assert program.get("added") == served.get("added"), (program.get("added"), served.get("added"))
assert program.get("facets") == served.get("facets"), (program.get("facets"), served.get("facets"))
PY
    cp served.json "$tmp/out"
}
nr() { "$ken" show "$1" --json | sed -n 's/.*"id": *"\([0-9]*\)".*/\1/p'; }
a=$(nr pics/1/mixed-0.png) b=$(nr pics/5/mixed-0.png)
same "words" '{"query": "a red cup"}' "a red cup"
same "words again, remembered" '{"query": "a red cup"}' "a red cup"
same "Chinese" '{"query": "红色的杯子"}' 红色的杯子
same "a description" '{"query": "the grandfather clock in our hall", "limit": 2}' "the grandfather clock in our hall" -n 2
json 'd["hits"][0]["path"].endswith("2/mixed-0.png") and d["hits"][0]["description"].startswith("the grand")' "is found"
same "a Chinese description" '{"query": "维也纳的钟楼", "limit": 2}' 维也纳的钟楼 -n 2
json 'any(h["path"].endswith("4/mixed-1.png") for h in d["hits"])' "is found, too"
same "nothing to do with it" '{"query": "a photograph of the railway station at night", "min_score": "auto"}' \
    "a photograph of the railway station at night" --min auto
json 'd["hits"] == []' "no hits"
same "more and less like this" '{"query": ["a toy", {"id": "'$a'"}, {"id": "'$b'", "weight": -1}]}' "a toy" "+id:$a" "-id:$b"
same "an item less another's half" '{"query": [{"id": "'$a'"}, {"id": "'$b'", "weight": -0.5}]}' "id:$a" - "0.5:id:$b"
same "where" '{"query": "a toy", "where": "dir ~ */2 or dir ~ */3"}' "a toy" --where 'dir ~ */2 or dir ~ */3'
json '{h["path"].split("/")[-2] for h in d["hits"]} == {"2", "3"}' "those alone"
same "one of each folder" '{"query": "a toy", "group_by": "dir"}' "a toy" --group dir
json 'len(d["hits"]) == 6' "six of them"
same "in other words" '{"query": "a toy", "expand": "prompts", "explain_query": true}' "a toy" --expand prompts --explain-query
json '[x["text"] for x in d["added"]] == ["a photo of a toy", "a picture of a toy"]' "which are told"
same "by the first hits" '{"query": [{"id": "'$a'"}], "expand": "aqe", "explain_query": true}' "id:$a" --expand aqe --explain-query
json 'd["added"] and all(x["path"].startswith("/") for x in d["added"])' "which are told, too"
ask "$D/search" -H "$J" -d '{"query": "玩具", "expand": "aqe"}'
json '"added" not in d' "if that is asked"
same "facets" '{"query": "a toy", "facets": ["dir", "ext"], "exact": true, "ef": 50, "limit": 1}' "a toy" --facets dir,ext --exact --ef 50 -n 1
json 'len(d["facets"]["dir"]) == 6 and d["facets"]["ext"] == [{"value": "png", "count": 12}]' "counted"
ask "$D/search" -H "$J" -d '{"query": "a toy", "facets": ["colour"]}'
is 422 "a facet that there is not"
sent() { # a query with the picture pics/3/mixed-0.png, arguments of search
    what=$1 body=$2
    shift 2
    ask "$D/search" -F "query=$body" -F "f=@$P"
    cp "$tmp/out" served.json
    run search "$@" --encoder none --json
    json '(lambda s: [h["id"] for h in d["hits"]] == [h["id"] for h in s] and all(abs(x[k] - y[k]) < 1e-6 for x, y in zip(d["hits"], s) for k in ("score", "raw")))(json.load(open("served.json"))["hits"])' "$what"
}
sent "a picture" '{"query": [{"image": {"part": "f"}}], "verify": 0}' "./$P"
sent "a picture and nothing less" '{"query": [{"image": {"part": "f"}}], "min_score": "auto"}' "./$P" --min auto
sent "a picture and words" '{"query": [{"image": {"part": "f"}, "weight": 0.6}, {"text": "a blue toy", "weight": 0.4}]}' \
    "0.6:./$P" + "0.4:a blue toy"
ask -X PUT "$D/objects/bear" -F "image=@$P"
same "an object" '{"query": [{"object": "bear"}], "limit": 3}' obj:bear -n 3
ask -X DELETE "$D/objects/bear"
ask "$D/search/batch" -H "$J" -d '{"searches": [{"query": "玩具", "expand": "prompts", "limit": 1}, {"query": "a red cup", "limit": 1, "explain_query": true, "expand": "aqe"}]}'
json '["added" in r for r in d["results"]] == [False, True]' "each search in its own way"
cp pics/1/mixed-0.png pics/1/copy.png
run index pics
ask "$D/dups?min_raw=0.9999"
json '[[h["path"].split("/")[-1] for h in g] for g in d["groups"]] == [["mixed-0.png", "copy.png"]]' "near duplicates"
cp "$tmp/out" served.json
run dups --min-raw .9999 --json
json 'd == json.load(open("served.json"))["groups"]' "as ken dups tells them"
ask "$D/dups?where=name%20~%20mixed*&min_raw=0.9999"
json 'd["groups"] == []' "none without the copy"
rm pics/1/copy.png
run index pics

# ---- items ----
ask "$D/items?limit=5"
json 'len(d["items"]) == 5 and d["next_cursor"] == "5"' "a page of items"
ask "$D/items?limit=100&cursor=5"
json 'len(d["items"]) == 7 and d["next_cursor"] is None' "and the rest"
ask "$D/items" -F "a=@pics/0/mixed-0.png"
is 201 "a picture is sent"
json 'd["items"][0]["path"].startswith("'"$KEN_DB"'/uploads/")' "and kept beside the collection"
sent=$(python3 -c 'import json; print(json.load(open("'"$tmp"'/out"))["items"][0]["id"])')
ask "$D/search" -H "$J" -d '{"query": [{"id": "'"$sent"'"}], "limit": 2}'
json '{h["id"] for h in d["hits"]} == {"1", "'"$sent"'"}' "it is found beside the file that it came from"
ask -X PUT "$D/items/$sent" -H "$J" -d '{"object": "cup", "meta": {"description": "a cup"}}'
json 'd["object"] == "cup" and d["meta"] == {"description": "a cup"}' "an item is described"
ask "$D/search" -H "$J" -d '{"query": "cup", "where": "object = cup"}'
json '[h["id"] for h in d["hits"]] == ["'"$sent"'"]' "where"
ask "$D/search" -H "$J" -d '{"query": "cup", "where": "objct = cup"}'
is 422 "a where that is wrong"
ask "$D/items/$sent/thumbnail" && etag=$(sed -n 's/^[Ee][Tt]ag: \(.*\)\r/\1/p' "$tmp/head")
ask "$D/items/$sent/thumbnail" -H "If-None-Match: $etag"
is 304 "a thumbnail that has not changed"
ask "$D/items/1/original" -H 'Range: bytes=1-3'
is 206 "a range"
out_is "PNG" "of the file"
ask "$D/items/1/original" -H 'Range: bytes=99999999-'
is 416 "beyond it"
ask -X DELETE "$D/items/$sent"
is 204 "an item is removed"
that "its file too" [ -z "$(ls "$KEN_DB/uploads")" ]
that "others' files stay" [ -f pics/0/mixed-0.png ]
ask "$D/items" -F "a=@$root/README.md"
is 422 "what is no picture"
json 'd["error"]["code"] == "picture_unreadable" and d["error"]["param"] == "a"' "says so"

# ---- several, explanations, vectors ----
ask "$D/search/batch" -H "$J" -d '{"searches": [{"query": "red", "limit": 1}, {"query": [{"text": "blue"}], "limit": 2}]}'
json '[len(r["hits"]) for r in d["results"]] == [1, 2]' "two searches at once"
ask "$D/explain" -H "$J" -d '{"a": {"text": "a red cup"}, "b": {"id": "3"}}'
json 'd["a"] == [] and len(d["b"]) == d["grid"][0] * d["grid"][1] and abs(sum(d["b"]) - d["raw"]) < 1e-3' "an explanation"
ask "$D/explain" -H "$J" -H 'Accept: image/png' -d '{"a": {"id": "4"}, "b": {"id": "3"}}'
head_has image/png "and as a picture"
ask "$U/v1/embeddings" -H "$J" -d '{"input": ["a red cup", {"image": "'"$(base64 -w0 $P)"'"}], "encoding_format": "base64"}'
cp "$tmp/out" vectors.json
run embed --text "a red cup" $P --jsonl
jsonl 'all(abs(x - y) < 1e-6 for a, b in zip(d, json.load(open("vectors.json"))["data"]) for x, y in zip(a["vector"], __import__("struct").unpack("<256f", __import__("base64").b64decode(b["embedding"]))))' "embeddings are those of ken embed"
ask "$U/v1/embeddings" -H "$J" -d '{"input": "x", "model": "other"}'
is 404 "another model"
ask "$U/post" -H "$J" -d '{"data": [{"text": "x"}]}'
is 404 "no shims unless asked for"

# ---- decoders ----
decoders=$(for h in $(cat /proc/$server/task/$server/children); do cat /proc/$h/task/$h/children; done)
if [ -n "$decoders" ]; then
    for p in $decoders; do
        case $B in
        *address* | *thread*) ;; # sanitizers need more calls than a decoder is left with
        *) that "a decoder is under seccomp" grep -q '^Seccomp:[[:space:]]*2' /proc/$p/status ;;
        esac
        kill -9 "$p"
    done
    ask "$D/search" -F 'query={"query": [{"image": {"part": "f"}}], "limit": 1}' -F "f=@$P"
    is 200 "a decoder that is gone is replaced"
    ask "$U/metrics"
    out "ken_decoders_died_total 1" "and counted"
else
    skip decoders "this kernel does not list children"
fi

# ---- what is refused ----
for body in '' '{' '{"query": "x"} x' '{"query": "\u0000"}' '"x"' '[]'; do
    ask "$D/search" -H "$J" -d "$body"
    case $status in 400 | 422) pass ;; *) fail "body $body (wanted 400 or 422)" ;; esac
done
for body in '{}' '{"query": ""}' '{"query": "x", "limt": 3}' '{"query": "x", "limit": 0}' '{"query": "x", "limit": 1.5}' \
    '{"query": [{"text": "x", "id": "1"}]}' '{"query": [{"weight": 1}]}' '{"query": [{"text": "x", "weight": 0}]}' \
    '{"query": [{"id": "77"}]}' '{"query": [{"object": "nobody"}]}' '{"query": [{"image": {"data": "!"}}]}' \
    '{"query": [{"image": {"url": "http://127.0.0.1/"}}]}' '{"query": "x", "query": "y"}' '{"query": [{"image": {"part": "f"}}]}'; do
    ask "$D/search" -H "$J" -d "$body"
    is 422 "body $body"
    json 'set(d["error"]) == {"code", "message", "param", "request_id"}' "in the one shape"
done
ask "$D/search" -H "$J" -d '{"query": [{"text": "x", "wieght": 2}]}'
json 'd["error"]["param"] == "query[0].wieght"' "the place is named"
ask "$D/search" -d 'x'
is 415 "a body of another type"
ask "$D/search"
is 405 "GET of a search"
head_has "Allow: POST" "says what is allowed"
ask "$D/items/1?x=1"
is 422 "an unknown argument"
ask "$D/items/0x1"
is 404 "a number that is none"
ask "$U/v1/collections/other/stats"
is 404 "another collection"
for path in /../etc/passwd /..%2f..%2fetc/passwd /%2e%2e/%2e%2e/etc/passwd //etc/passwd /index.html/../../etc/passwd \
    /v1/collections/default/items/..%2f1/original; do
    ask --path-as-is "$U$path"
    is 404 "$path"
done
ask --path-as-is "$U/v1/collections/%ff/items/1"
is 400 "an earlier part of a path that is no text"
ask --path-as-is "$U/v1/collections/default/objects/%ff"
is 400 "a name that is not UTF-8"
ask "$U/livez" -H 'X-Request-Id: abc-1'
head_has "X-Request-Id: abc-1" "a request's id comes back"
ask "$U/livez" -H 'Origin: http://evil.example'
is 403 "a page from elsewhere"
ask "$U/livez" -H 'Host: evil.example:80'
is 403 "a name that points here"
ask "$D/index" -H "$J" -d '{}'
is 403 "no roots, no indexing"
head -c 34000000 /dev/zero > large
ask "$D/search" -H "$J" -H 'Expect:' --data-binary @large
is 413 "a body that is too long"
ask "$D/search" -H "$J" -H 'Transfer-Encoding: chunked' --data-binary @large
is 413 "and says not how long"
ask "$U/v1/openapi.json"
json 'd["openapi"] == "3.1.0" and "/v1/collections/{collection}/search" in d["paths"]' "the document"

stop
is 0 "SIGTERM ends it in peace"
that "without a word of complaint" [ "$(cat "$tmp/serve.err")" = "ken: finishing what runs" ]

# ---- keys, reloading, a root, the shim, a UNIX socket ----
line() { printf '%s:%s:%s\n' "$1" "$2" "$(printf %s "$3" | sha256sum | cut -d' ' -f1)"; }
{ line r read secret-r; line w write secret-w; } > keys
mkdir elsewhere
start --keys-file keys --roots "$tmp/work/elsewhere" --shims --listen "127.0.0.1:0,unix:$tmp/s.sock" --max-body 1
ask "$U/livez"
is 200 "health needs no key"
ask "$D/items/1"
is 401 "an item does"
head_has "WWW-Authenticate: Bearer" "of this kind"
ask "$D/items/1" -H 'Authorization: Bearer secret-x'
is 401 "not this one"
ask "$D/items/1" -H 'Authorization: Bearer secret-r'
is 200 "this one"
ask "$D/items/1" -H 'api-key: secret-r'
is 200 "in either header"
ask -X DELETE "$D/items/1" -H 'api-key: secret-r'
is 403 "who may read may not write"
ask -X PUT "$D/items/1" -H 'api-key: secret-w' -H "$J" -d '{"object": "x"}'
is 200 "who may write may"
ask "$D/items/1/original" -H 'api-key: secret-r'
is 403 "a file outside of the roots"
ask "$D/items/1/thumbnail" -H 'api-key: secret-r'
is 403 "a small picture of it, too"
ask "$U/post" -H 'api-key: secret-r' -H "$J" -d '{"data": [{"text": "a"}, {"text": "b"}]}'
json 'len(d["data"]) == 2 and len(d["data"][0]["embedding"]) == 256' "clip-as-service's route"
status=$(curl -s -o "$tmp/out" -w '%{http_code}' --unix-socket "$tmp/s.sock" http://ken/livez)
is 200 "a UNIX socket"
that "of its owner alone" [ "$(stat -c %a "$tmp/s.sock")" = 600 ]
head -c 1100000 /dev/zero > large
ask "$D/search" -H 'api-key: secret-r' -H "$J" -H 'Expect:' --data-binary @large
is 413 "--max-body"
{ line r read secret-r; line a admin secret-a; } > keys
kill -HUP $server
for i in 1 2 3 4 5 6 7 8 9 10; do
    grep -q anew "$tmp/serve.err" && break
    sleep .2
done
ask "$D/items/1" -H 'api-key: secret-w'
is 401 "a key that is gone"
cp pics/1/mixed-0.png elsewhere/new.png
ask "$D/index" -H 'api-key: secret-a' -H "$J" -d '{}'
is 202 "an index of the roots"
job=$(sed -n 's/^[Ll]ocation: \(.*\)\r/\1/p' "$tmp/head")
ask -N "$U$job/events" -H 'api-key: secret-a'
out "event: done" "its events come to an end"
ask "$U$job" -H 'api-key: secret-a'
json 'd["state"] == "done" and d["report"]["added"] == 1' "it is done"
ask "$D/index" -H 'api-key: secret-a' -H "$J" -d '{"paths": ["/etc"]}'
is 403 "a folder outside of the roots"
ask "$D/index" -H 'api-key: secret-a' -H "$J" -H 'Idempotency-Key: k' -d '{}'
cp "$tmp/out" first.json
ask "$D/index" -H 'api-key: secret-a' -H "$J" -H 'Idempotency-Key: k' -d '{}'
json 'd["id"] == json.load(open("first.json"))["id"]' "the same key, the same job"
stop
is 0 "it ends"
that "the socket is gone" [ ! -e "$tmp/s.sock" ]

# ---- the encoder alone ----
unset KEN_DB
line r read secret-r > keys
printf 'auth:\n  keys_file: keys\n' > c.yaml
start --encoder-only --model ken-small --config c.yaml
ask "$U/v1/models"
is 401 "auth.keys_file turns keys on"
ask "$U/v1/models" -H 'api-key: secret-r'
is 200 "and they are asked for"
stop
export KEN_API_KEY=mine
start --encoder-only --model ken-small
ask "$U/v1/models"
is 401 "so does KEN_API_KEY"
ask "$U/v1/models" -H 'Authorization: Bearer mine'
is 200 "which may do everything"
stop
unset KEN_API_KEY
start --encoder-only --model ken-small
ask "$U/v1/embeddings" -H "$J" -d '{"input": "a red cup"}'
json 'len(d["data"][0]["embedding"]) == 256 and len(d["fingerprint"]) == 32' "an encoder"
ask "$D/search" -H "$J" -d '{"query": "x"}'
is 404 "has no collection"
ask "$U/"
is 404 "and no page"
stop
printf 'x:y:z\n' > keys
run serve --encoder-only --model ken-small --keys-file keys
is 2 "a keys file that is broken"
err "line 1" "names the line"
run serve --listen nowhere --encoder-only --model ken-small
is 2 "an address that is none"
finish
