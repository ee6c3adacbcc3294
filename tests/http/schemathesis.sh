#!/bin/sh
# schemathesis.sh - the server against its own OpenAPI document: schemathesis makes requests of it, valid and
# not, and checks that every answer is one that the document knows.  `make test-http`; needs the network once, for
# a virtual environment in $KEN_BUILD/schemathesis.
#
# One of its checks is left out, that whatever fits the document is accepted: a document cannot say what a
# picture is, which base64 holds one, which cursor was given out, or that a vector has 256 numbers.
set -eu
B=${KEN_BUILD:?}
version=4.32.5
[ -x "$B/schemathesis/bin/schemathesis" ] || {
    { python3 -m venv "$B/schemathesis" &&
        "$B/schemathesis/bin/pip" install -q --disable-pip-version-check "schemathesis==$version"; } > "$B/schemathesis.log" 2>&1 || {
        rm -rf "$B/schemathesis"
        echo "skipped test-http: schemathesis can't be had: $(tail -n 1 "$B/schemathesis.log" | cut -c 1-160)"
        exit 0
    }
}
tmp=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server" 2> /dev/null || true; fi; rm -rf "$tmp"' EXIT
"$B/ken-toys" render --ids 0:6 --views 2 -o "$tmp/pics" > /dev/null
export KEN_DB="$tmp/db" KEN_MODELS="$PWD/weights"
"$B/ken" index -q "$tmp/pics" > /dev/null
"$B/ken" serve --listen 127.0.0.1:0 --shims --roots "$tmp/pics" > "$tmp/out" 2> "$tmp/err" &
server=$!
for i in $(seq 100); do
    url=$(sed -n 's/^http/http/p' "$tmp/out")
    [ -n "$url" ] && break
    sleep .2
done
status=0
"$B/schemathesis/bin/schemathesis" run "$url/v1/openapi.json" --max-examples "${EXAMPLES:-20}" --seed "${SEED:-1}" \
    --exclude-checks positive_data_acceptance --continue-on-failure --no-color || status=$?
kill "$server"
wait "$server" || { echo "the server ended with $?"; cat "$tmp/err"; status=1; }
server=
exit $status
