# servers.sh - sourced, after tests/cli/lib.sh: a Milvus server that can be started, killed and started again.
#
#     server lite|standalone     which; ends the test as skipped where it cannot be had
#     server_start               $url is then milvus://127.0.0.1:PORT
#     server_kill                kill -9, in the middle of whatever it does
#     server_stop                for good
env=$root/build/milvus/env
kind= server_pid= port= url=

server() {
    kind=$1
    command -v pgrep > /dev/null || { skip "milvus/$kind" "no pgrep here (procps)"; finish; }
    why=$(sh "$root/tests/milvus/setup.sh" "$env") || { skip "milvus/$kind" "$why"; finish; }
    port=$("$env/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    url=milvus://127.0.0.1:$port
    trap 'server_stop; rm -rf "$tmp"' EXIT
    trap 'server_stop; exit 130' INT TERM
    server_start || { skip "milvus/$kind" "the server does not start here: $(tail -n 1 "$tmp/server.log" | cut -c 1-160)"; finish; }
}

server_start() {
    for _ in 1 2 3; do
        server_try && return 0
        server_stop # as when a port was not free again yet
    done
    return 1
}

server_try() {
    case $kind in
    lite) "$env/bin/milvus-lite" server --data-dir "$tmp/server" --host 127.0.0.1 --port "$port" ;;
    standalone) "$env/bin/milvus-server" --data "$tmp/server" --proxy-port "$port" ;;
    esac > "$tmp/server.log" 2>&1 < /dev/null &
    server_pid=$!
    until=$(($(date +%s) + 120)) served=
    while [ "$(date +%s)" -lt $until ]; do
        server_answers && return 0
        server_lives || return 1
        sleep .5
    done
    echo "it does not answer within two minutes" >> "$tmp/server.log"
    return 1
}

# The command; and the process that it starts, once it has.
server_lives() {
    kill -0 "$server_pid" 2> /dev/null || return 1
    [ "$kind" = standalone ] || return 0
    if pgrep -P "$server_pid" -r R,S,D > /dev/null; then
        served=yes
    else
        [ -z "$served" ]
    fi
}

# A whole server has ports before it can do anything: what counts is that it lists its collections.
server_answers() {
    timeout 10 "$env/bin/python" - "$port" 2> /dev/null << 'PY'
import sys
from pymilvus import MilvusClient
MilvusClient(f"http://127.0.0.1:{sys.argv[1]}", timeout=5).list_collections()
PY
}

# With the process that it has started; until both are gone.
server_kill() {
    all="$(pgrep -P "$server_pid") $server_pid"
    # shellcheck disable=SC2086
    kill -9 $all 2> /dev/null
    wait "$server_pid" 2> /dev/null
    for p in $all; do
        while kill -0 "$p" 2> /dev/null; do sleep .1; done
    done
    server_pid=
}

server_stop() {
    [ -z "$server_pid" ] || server_kill
}

# What lies on the server, asked of it by its own SDK: python expression over `rows`, a list of dicts.
on_server() { # collection, expression, what
    "$env/bin/python" - "$port" "$1" "$2" 2> "$tmp/err" << 'PY' && pass || fail "$3 (wanted $2)"
import sys
from pymilvus import MilvusClient
c = MilvusClient(f"http://127.0.0.1:{sys.argv[1]}")
name = sys.argv[2]
c.load_collection(name) # a server that was started again may not have
fields = [f["name"] for f in c.describe_collection(name)["fields"] if f["name"] != "vector"]
key = next(f["name"] for f in c.describe_collection(name)["fields"] if f.get("is_primary"))
rows, last = [], None
while True:
    start = "" if last is None else (f'{key} > "{last}"' if isinstance(last, str) else f"{key} > {last}")
    some = c.query(name, filter=start or (f'{key} >= ""' if name.endswith(("_parts", "_state")) else f"{key} > 0"),
                   output_fields=fields, limit=10000, consistency_level="Strong")
    rows += some
    if len(some) < 10000:
        break
    last = max(r[key] for r in some)
if not eval(sys.argv[3]):
    sys.exit(f"{len(rows)} rows")
PY
}
