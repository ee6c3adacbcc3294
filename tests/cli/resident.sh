# resident.sh - the process that --encoder auto starts: same answers, and never in the way.
. tests/cli/lib.sh
[ -f "$root/weights/ken-small.safetensors" ] || { skip resident "no weights/ken-small"; finish; }
serves || { skip resident "this build has no server"; finish; }
export XDG_RUNTIME_DIR=$tmp/run KEN_SEARCH_IDLE=120 KEN_RECOGNIZE_IDLE=120
D=$XDG_RUNTIME_DIR/ken
mkdir -m 700 "$XDG_RUNTIME_DIR"
trap 'for s in "$D"/*.sock; do p=$(pid_at "$s"); [ -n "$p" ] && kill -9 $p; done 2> /dev/null; rm -rf "$tmp"' EXIT

pid_at() { # socket: who listens there, or nothing
    python3 - "$1" 2> /dev/null << 'PY'
import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
print(struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
PY
}
until_true() { # command...: at most a minute
    for i in $(seq 600); do
        "$@" && return 0
        sleep .1
    done
    return 1
}
sockets() { ls "$D" 2> /dev/null | wc -l; }
one_answers() { S=$(ls "$D"/*.sock 2> /dev/null | head -n 1); [ -n "$S" ] && P=$(pid_at "$S") && [ -n "$P" ]; }
is_ended() { [ -z "$(pid_at "$S")" ] && ! kill -0 $P 2> /dev/null; }
counted() { # route: requests that the process has answered
    python3 - "$S" "$1" << 'PY'
import re, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
name = 'ken_http_requests_total{route="/v1/collections/{collection}/' + sys.argv[2] + '",method="POST",code="200"} '
print(sum(int(l[len(name):]) for l in text.split("\n") if l.startswith(name)))
PY
}
plain() { sed 's/"took_ms":[^}]*}/"took_ms":{}/' "$1"; }
same() { # route, arguments...: here and there to the byte, and it was there
    route=$1; shift
    "$ken" "$@" --encoder none > here.out 2> here.err < /dev/null; here=$?
    before=$(counted $route)
    run "$@" --encoder auto
    after=$(counted $route)
    plain here.out > here.plain; plain "$tmp/out" > there.plain
    that "$*: the same answer" cmp -s here.plain there.plain
    that "$*: the same on standard error" cmp -s here.err "$tmp/err"
    that "$*: the same status" [ $here = $status ]
    that "$*: from the process" [ $((before + 1)) = "$after" ]
}
alone() { # what, arguments...: answered here, and the same
    what=$1; shift
    "$ken" "$@" --encoder none > here.out 2> here.err < /dev/null; here=$?
    run "$@" --encoder auto
    plain here.out > here.plain; plain "$tmp/out" > there.plain
    that "$what: the answer" cmp -s here.plain there.plain
    that "$what: the status" [ $here = $status ]
}

"$B/ken-toys" render --ids 0:6 --views 2 -o pics > "$tmp/out" 2>&1
rm -f pics/*.csv pics/*.jsonl
export KEN_DB=$tmp/work/toys.ken
run index pics
is 0 "a collection"

# ---- only where it is wanted ----
run search a red cup
is 0 "a search in a pipe"
that "starts nothing" [ "$(sockets)" = 0 ]
run search a red cup --encoder none
that "nor does none" [ "$(sockets)" = 0 ]
run search a red cup --encoder auto
is 0 "the first is answered here"
that "and starts one" until_true one_answers
that "in a private folder" [ "$(stat -c %a "$D")" = 700 ]
that "behind a private socket" [ "$(stat -c %a "$S")" = 600 ]
that "with nothing of ours open" [ -z "$(find /proc/$P/fd -lname "$tmp/out" -o -lname "$tmp/err")" ]
sid() { sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f4; }
that "in a session of its own" [ "$(sid $P)" != "$(sid $$)" ]
that "that holds no folder" [ "$(readlink /proc/$P/cwd)" = / ]

# ---- the same answers ----
same search search a red cup
same search search a red cup --json
same search a red cup --jsonl -n 3
same search search --csv "红色的杯子" -n 100
same search search ./pics/3/mixed-0.png --json
same search search ./pics/3/mixed-0.png + "2:red" - "0.3:id:2" --json
same search search -l cup --where 'width>=10 and name ~ "*0.png"'
same search search cup --min auto --json
same search search cup --min .999999
same search search cup --min-raw .12345 --group dir --exact --json
same search search cup --expand prompts --json
same search search cup --expand aqe --json
same search search ./pics/3/mixed-0.png + "a red cup" - ./pics/1/mixed-0.png --csv
same search search "xyzzy plugh quux frotz" --json
run object add bear pics/3/mixed-0.png
is 0 "an object"
same search search obj:bear --json
same recognize recognize pics/3/mixed-1.png --json
same recognize recognize pics/0/mixed-1.png
same recognize recognize pics/0/mixed-1.png --csv -n 3
alone "an unknown id" search id:999
alone "a test that is wrong" search cup --where 'objct = 1'
alone "a part of a picture" search stl:none.stl
alone "models held against a picture" search cup --verify 3
alone "too many" search cup -n 100000
that "it is still the same" [ "$(pid_at "$S")" = $P ]
run search ./pics/5/mixed-0.png --encoder auto --json < /dev/null
json 'd["hits"][0]["path"].endswith("5/mixed-0.png")' "a picture finds itself"

# ---- what has changed since ----
mkdir more && cp pics/2/mixed-1.png more/new.png && printf x >> more/new.png
run index more
is 0 "a picture more"
same search search ./more/new.png --json -n 3
json 'any(h["path"].endswith("more/new.png") for h in d["hits"])' "is found"

# ---- others are not asked ----
n=$(counted search)
chmod 755 "$D"
alone "a folder that others can read" search cup --json
chmod 700 "$D"; chmod 666 "$S"
alone "a socket that others can use" search cup --json
chmod 600 "$S"
that "were not used" [ "$(counted search)" = "$n" ]
if [ "$(id -u)" = 0 ]; then
    chown 65534 "$S"
    alone "a socket of somebody else's" search cup --json
    chown 0 "$S"
    that "was not used" [ "$(counted search)" = "$n" ]
else
    skip "a socket of somebody else's" "not root"
fi
that "one, still" [ "$(sockets)" = 1 ]
alone "another number of threads" search cup --threads 1 --json
that "is another process's" until_true eval '[ "$(sockets)" = 2 ]'
that "the first was not asked" [ "$(counted search)" = "$n" ]

# ---- in the way of nobody ----
for s in "$D"/*.sock; do p=$(pid_at "$s"); kill -9 "$p"; done
until_true eval '! kill -0 $P 2> /dev/null'
that "killed, their sockets stay" [ "$(sockets)" = 2 ]
first=$S
alone "a socket that nobody listens at" search cup --json
S=$first
that "a new one takes its place" until_true eval 'P=$(pid_at "$S"); [ -n "$P" ]'
same search search cup --json
kill -9 $P; until_true eval '! kill -0 $P 2> /dev/null'

fake() { # what it answers: a process in its place
    rm -f "$S"
    python3 - "$S" "$1" << 'PY' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
os.umask(0o177)
s.bind(sys.argv[1])
s.listen(8)
c, _ = s.accept()
c.recv(1 << 20)
if sys.argv[2] == "silence":
    c.recv(1)
else: c.sendall(sys.argv[2].encode().decode("unicode_escape").encode())
PY
    other=$!
    until_true test -S "$S"
}
H='HTTP/1.1 200 OK\r\nContent-Length: '
for answer in '' 'rubbish' "${H}500"'\r\n\r\n{"hits":[' "${H}2"'\r\n\r\n{}' "${H}11"'\r\n\r\n{"hits":[1]}' \
    "${H}12"'\r\n\r\n{"hits":[{}]}' 'HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}' silence; do
    fake "$answer"
    alone "cut off or wrong: $answer" search cup --json
    wait $other
done

# ---- the end ----
# In a folder of its own: what was started behind a fake may come up only now.
trap 'for s in "$tmp"/run*/ken/*.sock; do p=$(pid_at "$s"); [ -n "$p" ] && kill -9 $p; done 2> /dev/null; rm -rf "$tmp"' EXIT
export XDG_RUNTIME_DIR=$tmp/run-end
D=$XDG_RUNTIME_DIR/ken
mkdir -m 700 "$XDG_RUNTIME_DIR"
KEN_SEARCH_IDLE=1 run search cup --encoder auto
until_true one_answers
that "ends when nobody asks" until_true is_ended
that "and leaves nothing" [ "$(sockets)" = 0 ]
run search cup --encoder auto
until_true one_answers
need_model hf-clip
run index --re-embed --model "$model" pics more
is 0 "another model"
alone "the one of before does not know it" search cup --json
that "and ends" until_true eval '! kill -0 $P 2> /dev/null'
until_true eval 'P2=$(pid_at "$S"); [ -n "$P2" ] && [ "$P2" != $P ]' || run search cup --encoder auto
until_true one_answers
same search search cup --json
mv toys.ken moved.ken
that "ends when its collection has gone" until_true is_ended
mv moved.ken toys.ken

# ---- on a terminal it is the default ----
python3 - "$ken" << 'PY' > "$tmp/out" 2> "$tmp/err"
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn([sys.argv[1], "search", "cup"])))
PY
status=$?
is 0 "a search on a terminal"
that "starts one" until_true one_answers
finish
