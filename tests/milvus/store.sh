# store.sh - sourced by test_lite.sh and test_standalone.sh with $1, the server: what a person can do with a
# collection, with its vectors on a server, by two machines, while things die.
. tests/cli/lib.sh
. "$root/tests/milvus/servers.sh"
need_model hf-clip
server "$1"
export KEN_MODEL="$model" KEN_MODELS="$tmp/models"

# Pictures of all colours, each with lines of its own.
pictures() { # folder, from, to
    python3 - "$@" << 'PY'
import os, random, sys
folder, a, b = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.makedirs(folder, exist_ok=True)
for i in range(a, b):
    r = random.Random(i)
    colours = [bytes(r.randrange(256) for _ in range(3)) for _ in range(4)]
    step, slant = r.randrange(2, 9), r.randrange(1, 5)
    rows = b"".join(colours[(x * slant + y) // step % 4] for y in range(24) for x in range(24))
    with open(f"{folder}/p{i:05d}.ppm", "wb") as f:
        f.write(b"P6 24 24 255\n" + rows)
PY
}

same_hits() { # what, ken's arguments…: here and there
    what=$1; shift
    "$ken" search "$@" --json --db here > "$tmp/here" 2> "$tmp/err"; a=$?
    "$ken" search "$@" --json --db "${there:-there}" > "$tmp/out" 2>> "$tmp/err"; status=$?
    [ "$a" = "$status" ] && python3 - "$tmp/here" "$tmp/out" 2>> "$tmp/err" << 'PY' && pass || fail "$what"
import json, sys
a, b = (json.load(open(p))["hits"] for p in sys.argv[1:])
assert len(a) == len(b), (len(a), len(b))
for x, y in zip(a, b):
    assert abs(x["raw"] - y["raw"]) < 1e-5, (x, y)
# of equal neighbours the ids decide, and those differ
assert [x["path"] for x in a] == [y["path"] for y in b] or sorted(x["path"] for x in a) == sorted(
    y["path"] for y in b), "other pictures"
assert all(set(x) == set(y) for x, y in zip(a, b))
PY
}
all_searches_agree() { # what
    same_hits "$1: a picture" @pics/p00007.ppm -n 10
    same_hits "$1: words" "a red thing" -n 20
    same_hits "$1: both, and one taken away" @pics/p00011.ppm + "stripes" - "0.5:blue" -n 15
    same_hits "$1: a filter" @pics/p00007.ppm -n 12 --where 'name ~ "p000[0-3]*" and bytes < 10k'
    same_hits "$1: a filter that nothing fulfils" @pics/p00007.ppm --where 'name = nothing'
}

until_there() { # so many items are there
    for _ in $(seq 600); do
        n=$("$ken" stats --db there --json 2> /dev/null | sed -n 's/.*"items":\([0-9]*\).*/\1/p')
        [ "${n:-0}" -gt "$1" ] && return
    done
}

pictures pics 0 60
run index pics --db here --json
is 0 "the local collection"
run index pics --db there --store "$url/toys?shards=2&consistency=Strong" --json
is 0 "the same on a server"
json 'd["added"] == 60 and d["failed"] == 0' "all of it"
on_server toys 'len(rows) == 60 and len({r["path"] for r in rows}) == 60 and all(r["id"] > 2**32 for r in rows)' "its rows are there"
on_server toys_state '{"model", "fingerprint", "dim"} <= {r["key"] for r in rows}' "and which model"
[ "$kind" = lite ] || that "with the shards that were asked for" "$env/bin/python" -c "
from pymilvus import MilvusClient
assert MilvusClient('http://127.0.0.1:$port').describe_collection('toys')['num_shards'] == 2"
that "no vector is kept here" sh -c '! find there -name "*.seg" | grep -q .'
all_searches_agree "a server's hits are the local ones"
run stats --db there --json
json 'd["store"] == "milvus" and d["items"] == 60 and d["vectors"] == 60 and d["index"]["kind"] == "HNSW"' "stats"
run check --db there --json
json 'd["ok"]' "check"
run index pics --db there --json
json 'd["added"] + d["updated"] + d["removed"] == 0 and d["seen"] == 60' "a second run finds nothing to do"

# ---- a second machine: another folder, the same server
run search @pics/p00007.ppm --db second --store "$url/toys" -n 3 --json
is 0 "another machine searches at once"
there=second all_searches_agree "another machine's hits"
run index pics --db second --store "$url/elsewhere"
is 4 "a folder belongs to one collection"
err "$url/toys" "which is named"
pictures pics 60 70
run index pics --db there --json
json 'd["added"] == 10' "ten more from the first machine"
run index pics --db here --json
there=second same_hits "the second one finds them" @pics/p00065.ppm -n 10
run show pics/p00065.ppm --db second --json
json 'd["path"].endswith("p00065.ppm") and d["size"] == [24, 24] and int(d["id"]) > 2**53' "and knows them"
run rm pics/p00065.ppm pics/p00066.ppm --db second
is 0 "it removes two"
run search @pics/p00065.ppm --db there -n 70 --json
json 'len(d["hits"]) == 68 and not any("p00065" in h["path"] or "p00066" in h["path"] for h in d["hits"])' "the first one no longer answers with them"
on_server toys 'len(rows) == 68' "their rows are gone"
run index pics --db second --json
json 'd["added"] == 2' "and the second machine adds them again, under ids of its own"
run check --db there --json
json 'd["ok"]' "both agree with the server"

# ---- files that move and vanish
mv pics/p00001.ppm pics/renamed.ppm
rm pics/p00002.ppm
run index pics --db there --json
json 'd["moved"] == 1 and d["removed"] == 1' "one moved, one gone"
run index pics --db here --json
same_hits "a moved file" @pics/renamed.ppm -n 3
there=second same_hits "a moved file, seen from the second machine" @pics/renamed.ppm -n 3

# ---- objects
for db in here there; do
    "$ken" object add bear pics/p00003.ppm pics/p00004.ppm --db $db > /dev/null 2>> "$tmp/err"
    "$ken" object add duck pics/p00005.ppm --db $db --crops 4 > /dev/null 2>> "$tmp/err"
done
run object list --db second --json
json 'd == [{"object": "bear", "references": 2, "vectors": 6}, {"object": "duck", "references": 1, "vectors": 5}]' "objects are everybody's"
on_server toys_parts 'len(rows) == 8' "with their parts"
for f in pics/p00003.ppm pics/p00005.ppm pics/p00020.ppm; do
    "$ken" recognize $f --db here --json > "$tmp/here" 2>> "$tmp/err"
    run recognize $f --db second --json
    that "$f is recognised as it is here" python3 - "$tmp/here" "$tmp/out" << 'PY'
import json, sys
a, b = (json.load(open(p)) for p in sys.argv[1:])
a, b = (x[0] if isinstance(x, list) else x for x in (a, b))
assert a["object"] == b["object"], (a, b)
assert [c["object"] for c in a["candidates"]] == [c["object"] for c in b["candidates"]]
# parts are bytes here and floats there
assert all(abs(x["score"] - y["score"]) < .02 for x, y in zip(a["candidates"], b["candidates"])), (a, b)
PY
done
run object rename bear panda --db second --json
is 0 "rename, which sends a row again without a new vector"
run search @pics/p00003.ppm --db there -n 1 --json
json 'd["hits"][0]["object"] == "panda" and d["hits"][0]["raw"] > .9999' "its vector is still there"
run object rm panda duck --db there
on_server toys_parts 'len(rows) == 0' "parts go with their object"
run check --db second --json
json 'd["ok"]' "check after all that"

# ---- into another store, and back
copies() { # from, to, what
    run store copy "$1" "$2" --json
    is 0 "$3"
    json 'd["items"] > 60 and d["others"] == 0 and len(d["checksum"]) == 32' "$3: all of it, verified"
}
copies here "$url/copy" "from here to the server"
json 'd["copied"] == d["items"] and d["present"] == 0' "all is new there"
copies here "$url/copy" "again"
json 'd["copied"] == 0 and d["present"] == d["items"]' "nothing is to be done"
on_server copy 'len(rows) == len({r["path"] for r in rows})' "nothing twice"
on_server copy_parts 'len(rows) == 8' "with the parts"
run search @pics/p00007.ppm --db fourth --store "$url/copy" -n 5
is 0 "the copy is searched"
there=fourth same_hits "and has the same hits" @pics/p00007.ppm -n 20
copies "$url/copy" file:back "from the server into a file store"
there=back same_hits "which has the same hits" @pics/p00007.ppm -n 20
run check --db back --json
json 'd["ok"]' "and is whole"
"$env/bin/python" - "$port" << 'PY'
import sys
from pymilvus import MilvusClient
c = MilvusClient(f"http://127.0.0.1:{sys.argv[1]}")
row = min(r["id"] for r in c.query("copy", filter="id > 0", output_fields=["id"], limit=1000))
c.delete("copy", ids=[row])
PY
run check --db fourth --json
is 4 "a row that somebody else has deleted"
json 'not d["ok"] and any("68 rows for 69 items" in p["what"] for p in d["problems"]) and any("vectors there, not" in p["what"] for p in d["problems"])' "is told"
copies there "file:own" "a collection of a server's by its folder, with ids beyond 2^53"
run index pics --db own --re-embed --json
is 0 "which is re-embedded, large ids and all"

# ---- through TLS
if command -v openssl > /dev/null && [ "$kind" = lite ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -keyout "$tmp/key.pem" -out "$tmp/cert.pem" > /dev/null 2>&1
    front() { # further words: sets $tls_port and $front_pid
        "$env/bin/python" "$root/tests/milvus/tls_front.py" "$tmp/cert.pem" "$tmp/key.pem" "$port" "$@" > "$tmp/front" &
        front_pid=$!
        for _ in $(seq 100); do [ -s "$tmp/front" ] && break; sleep .1; done
        tls_port=$(cat "$tmp/front")
    }
    front
    tls="milvus://localhost:$tls_port/toys?tls=1&retry=2"
    run search @pics/p00007.ppm --db secret --store "$tls&ca=$tmp/cert.pem" -n 3 --json
    is 0 "over TLS, the certificate known"
    json 'len(d["hits"]) == 3' "it searches"
    run search @pics/p00007.ppm --db other --store "$tls" -n 3
    is 6 "not over TLS with a certificate that nobody has signed"
    err "certificate" "which is said"
    run search @pics/p00007.ppm --db other --store "milvus://127.0.0.1:$tls_port/toys?tls=1&retry=2&ca=$tmp/cert.pem"
    is 6 "nor under another name"
    run search @pics/p00007.ppm --db other --store "milvus://localhost:$tls_port/toys?retry=2"
    is 6 "nor in the clear"
    kill $front_pid
    wait $front_pid 2> /dev/null
    front http/1.1
    run search @pics/p00007.ppm --db other --store "milvus://localhost:$tls_port/toys?tls=1&retry=2&ca=$tmp/cert.pem"
    is 6 "nor where HTTP/2 is not spoken"
    kill $front_pid
    wait $front_pid 2> /dev/null
elif [ "$kind" = lite ]; then
    skip "milvus/tls" "there is no openssl command to make a certificate with"
fi

# ---- ken dies while it indexes; then again, to the end
pictures many 0 1500
"$ken" index many --db there -q & pid=$!
until_there 200
kill -0 $pid 2> /dev/null && pass || fail "it was still at work"
kill -9 $pid
wait $pid 2> /dev/null
for part in 400 600 800 1000; do # and again, a little further on
    "$ken" index many --db there -q & pid=$!
    until_there $part
    kill -9 $pid
    wait $pid 2> /dev/null
done
run index many --db there --json
is 0 "a run after some that were killed"
json '0 < d["added"] < 1500' "what was done was kept"
on_server toys 'len(rows) == len({r["path"] for r in rows}) == 69 + 1500' "nothing lost, nothing twice"
run check --db there --json
json 'd["ok"]' "and all agree"

# ---- the server dies while ken indexes
pictures more 2000 3500
"$ken" index more --db there --json > "$tmp/index.out" 2> "$tmp/index.err" & pid=$!
until_there 1700
server_kill
kill -0 $pid 2> /dev/null && pass || fail "it was still at work"
sleep 2
kill -0 $pid 2> /dev/null && pass || fail "it waits for the server"
server_start && pass || fail "the server starts again"
wait $pid; status=$?
if [ "$status" = 6 ]; then # it came back later than ken waits: the next run goes on
    run index more --db there --json
    is 0 "a run goes on where one gave up"
else
    cp "$tmp/index.out" "$tmp/out"; cp "$tmp/index.err" "$tmp/err"
    is 0 "the run goes to its end"
    json 'd["added"] == 1500 and d["failed"] == 0' "with all pictures"
fi
on_server toys 'len(rows) == len({r["path"] for r in rows}) == 69 + 3000' "nothing lost, nothing twice, after the server's death"
run check --db there --json
json 'd["ok"]' "and all agree after it"
"$env/bin/python" - "$port" << 'PY'
import sys
from pymilvus import MilvusClient
c = MilvusClient(f"http://127.0.0.1:{sys.argv[1]}")
rows = c.query("toys", filter="id > 0", output_fields=["id", "path"], limit=9000, consistency_level="Strong")
c.delete("toys", ids=[r["id"] for r in rows if r["path"].endswith(("p02100.ppm", "p02101.ppm", "p02102.ppm"))])
PY
run check --db there
is 4 "rows that the server has lost"
run index more --db there --json
json 'd["updated"] == 3' "are made again by the next run"
on_server toys 'len(rows) == len({r["path"] for r in rows}) == 69 + 3000' "and are there"
run check --db there --json
json 'd["ok"]' "and all agree again"
run index many more --db here -q
same_hits "the same hits after it: a picture" @more/p02500.ppm -n 10
same_hits "the same hits after it: words" "green" -n 10
same_hits "and a filter" @more/p02500.ppm -n 10 --where 'dir ~ "*/more" and name ~ "p02[3-6]*"'

# ---- two services in front of one server, and one dies
serve() { # db: $at is where it listens, $service its process
    "$ken" serve --listen 127.0.0.1:0 --db "$1" > "$tmp/serve.$1" 2> "$tmp/err" &
    service=$!
    for _ in $(seq 100); do
        at=$(sed -n 's/^http/http/p' "$tmp/serve.$1" | head -n 1)
        [ -n "$at" ] && return 0
        kill -0 $service 2> /dev/null || return 1
        sleep .1
    done
    return 1
}
ask() { # where, words: $status is HTTP's
    status=$(curl -s -m 60 -o "$tmp/out" -w '%{http_code}' -H 'Content-Type: application/json' \
        -d "{\"query\": \"$2\", \"limit\": 5}" "$1/v1/collections/default/search" 2> "$tmp/err")
}
if command -v curl > /dev/null && serve there; then
    one=$at one_pid=$service
    serve second && pass || fail "a second service"
    two=$at two_pid=$service
    ask "$one" "green stripes"
    is 200 "one service answers"
    cp "$tmp/out" "$tmp/first"
    ask "$two" "green stripes"
    is 200 "so does the other one"
    that "with the same pictures" python3 - "$tmp/first" "$tmp/out" << 'PY'
import json, sys
a, b = ([h["path"] for h in json.load(open(p))["hits"]] for p in sys.argv[1:])
assert a == b and len(a) == 5, (a, b)
PY
    for i in $(seq 20); do # both at once, until one is no more
        curl -s -m 60 -o /dev/null -d '{"query": "red", "limit": 3}' -H 'Content-Type: application/json' \
            "$one/v1/collections/default/search" &
        [ "$i" = 10 ] && kill -9 $one_pid
        ask "$two" "picture $i"
        [ "$status" = 200 ] || break
    done
    is 200 "twenty answers from one while the other one is killed"
    wait $one_pid 2> /dev/null
    run rm pics/p00010.ppm --db there
    is 0 "whose folder is free again"
    sleep 1.2 # as long as a service may believe what it knows
    ask "$two" "green stripes"
    that "and what it has not seen is not answered with" sh -c '! grep -q p00010 "$1"' - "$tmp/out"
    kill -TERM $two_pid
    wait $two_pid 2> /dev/null
    run index pics --db there -q
else
    skip "milvus/serve" "no curl, or this build has no server"
fi

# ---- one indexes, another one searches, and the first one dies
"$ken" index pics many more --watch --db there -q 2> /dev/null & watcher=$!
sleep 1
run search @more/p02500.ppm --db second -n 5 --json
is 0 "one searches while the other one watches"
pictures pics 100 101
for _ in $(seq 100); do
    "$ken" show pics/p00100.ppm --db second > /dev/null 2>&1 && break
    sleep .2
done
run show pics/p00100.ppm --db second --json
is 0 "and finds what it brings"
kill -9 $watcher; wait $watcher 2> /dev/null
run search @pics/p00100.ppm --db second -n 1 --json
json 'd["hits"][0]["path"].endswith("p00100.ppm")' "the other one's death is nobody else's"
run index pics --db second --json
is 0 "who takes over its work"

# ---- where there is no server
server_kill
run search @more/p02500.ppm --db second
is 6 "no server: the remote end is unreachable"
err "127.0.0.1:$port" "which is named"
run index pics --db third --store "milvus://127.0.0.1:1/x"
is 6 "nor on a first run"
run search x --db second --store "milvus://127.0.0.1:$port/no-name"
is 2 "a URL that is none"
finish
