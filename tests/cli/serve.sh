# serve.sh - ken serve, asked with curl: every route, what is refused, keys, and the end.
. tests/cli/lib.sh
[ -f "$root/weights/ken-small.safetensors" ] || { skip serve "no weights/ken-small"; finish; }
command -v curl > /dev/null || { skip serve "no curl"; finish; }
"$ken" serve --db "$tmp/none" > "$tmp/out" 2> "$tmp/err"
status=$?
if grep -qE "HTTP=0|not installed" "$tmp/err"; then
    skip serve "this build has no server"
    finish
fi
is 4 "no collection, no server"

server=
start() { # arguments of serve; $U is where it listens then
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

stop
is 0 "SIGTERM ends it in peace"
finish
