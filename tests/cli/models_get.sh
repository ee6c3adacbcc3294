# models_get.sh - `ken models get`: a publisher's file whole, cut, wrong and missing, from a server of our own.
. tests/cli/lib.sh
golden=$root/tests/golden/models

# ---- the table ----
run models get
is 0 "the table"; out "ViT-B-32::openai" "OpenAI's"; out "ViT-B-32::laion2b_e16" "open_clip's"; no_err "the table"
out "resnet50::imagenet1k_v1" "torchvision's"
run models get --json
json 'all(set(d[0]) == set(e) and e["url"].startswith("https://") for e in d)' "the table as JSON"
json 'all(e["sha256"] in e["url"] for e in d)' "each digest is a part of its publisher's address"
json 'len({e["name"] for e in d}) == len(d) and not any(e["name"] == "clip-bpe" for e in d)' "models, each once"
run models get nonesuch
is 2 "a name that no publisher has"; err "ken models get" "the way to the list"
run models get a b
is 2 "two names"
run models get --offline
is 0 "the list needs no network"
run models get ViT-B-32::openai --offline
is 2 "--offline"; err "--offline" "the reason"
that "--offline leaves nothing" [ ! -e "$HOME/.local" ]

case $("$ken" doctor 2> /dev/null | grep '^features') in *curl*) ;; *)
    run models get ViT-B-32::openai
    is 2 "a build without downloads"; err "CURL=0" "it says so"
    skip cli/models_get "this build has no downloads"
    finish ;;
esac

# ---- a server that is cut, forgetful and hostile, by the first part of the path ----
cat > "$tmp/server.py" << 'PY'
import http.server, os, socketserver, sys, time
folder, port_file, log = sys.argv[1:]
seen = {}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def do_GET(self):
        how, name = self.path.strip("/").split("/", 1)
        wanted, state = self.headers.get("Range"), self.headers.get("If-Range")
        n = seen[how] = seen.get(how, 0) + 1
        self.close_connection = True
        with open(log, "a") as f:
            print(how, wanted, state, file=f)
        if how == "missing":
            return self.send_error(404)
        if how in ("loop", "moved", "disk"):
            self.send_response(302)
            self.send_header("Location", {"loop": self.path, "moved": "/whole/" + name, "disk": "file:///etc/passwd"}[how])
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if how == "endless":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(bytes(1 << 16))
        data = open(os.path.join(folder, name), "rb").read()
        tag = '"%s"' % n if how == "changed" else '"one"'
        start = 0
        if wanted and how != "forgetful" and state == tag:
            start = int(wanted[len("bytes="):].split("-")[0])
        if start and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if how == "dated":
            self.send_header("Last-Modified", "Tue, 05 Jan 2021 00:00:00 GMT")
        elif how != "nameless":
            self.send_header("ETag", tag)
        if start:
            self.send_header("Content-Range", "bytes %d-%d/%d" % (start + (how == "askew"), len(data) - 1, len(data)))
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if how in ("cut", "forgetful", "changed", "nameless", "askew") and n == 1:
            return self.wfile.write(data[: len(data) // 2])
        if how in ("stall", "slow") and n == 1:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            time.sleep(20)
        self.wfile.write(data[start:])
    def handle(self):
        try:
            super().handle()
        except OSError:
            pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
server = Server(("127.0.0.1", 0), Handler)
with open(port_file + ".new", "w") as f:
    f.write(str(server.server_port))
os.rename(port_file + ".new", port_file)
server.serve_forever()
PY
mkdir "$tmp/files"
cp "$golden/cifar/model.th" "$golden/openai-rn/model.pt" "$golden/openai-rn/bpe_simple_vocab_16e6.txt.gz" "$tmp/files"
: > "$tmp/files/empty"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
python3 "$tmp/server.py" "$tmp/files" "$tmp/port" "$tmp/log" 2> "$tmp/server.err" &
server=$!
trap 'kill $server 2> /dev/null; rm -rf "$tmp"' EXIT
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -e "$tmp/port" ] || sleep 0.25; done
mirror=http://127.0.0.1:$(cat "$tmp/port")

digest() { sha256sum "$tmp/files/$1" | cut -c1-"${2:-64}"; }
right=$(digest model.th)
{
    echo '# a table of our own'
    for how in whole cut forgetful changed nameless dated askew missing loop moved disk endless stall slow; do
        echo "tiny::$how $right MIT https://publisher.invalid/$how/model.th"
    done
    echo "tiny::digits $(digest model.th 8) MIT https://publisher.invalid/whole/model.th"
    echo "tiny::wrong $(digest model.pt) MIT https://publisher.invalid/whole/model.th"
    echo "tiny::wrong-digits $(digest model.pt 8) MIT https://publisher.invalid/whole/model.th"
    echo "tiny::empty $(digest empty) MIT https://publisher.invalid/whole/empty"
    echo "words::whole $(digest model.pt) MIT https://publisher.invalid/whole/model.pt --tokenizer @vocabulary"
    echo "words::none $(digest model.pt) MIT https://publisher.invalid/whole/model.pt --tokenizer @nonesuch"
    echo "vocabulary $(digest bpe_simple_vocab_16e6.txt.gz) MIT https://publisher.invalid/whole/bpe_simple_vocab_16e6.txt.gz"
} > "$tmp/table"
export KEN_MODELS="$tmp/got" KEN_MODELS_PUBLISHERS="$tmp/table" KEN_MODELS_FROM="$mirror"
fetch() { : > "$tmp/log"; run models get "$@"; }
log_is() { [ "$(cat "$tmp/log")" = "$1" ] && pass || fail "$2 (the server saw: $(cat "$tmp/log"))"; }
left_is() { # names, what
    [ "$(cd "$tmp/got" && echo *)" = "$1" ] && pass || fail "$2 (left: $(ls "$tmp/got"))"
}
fresh() { rm -rf "$tmp/got"; }

# ---- whole ----
"$convert" "$tmp/files/model.th" -o "$tmp/plain.safetensors" -q
run embed --model "$tmp/plain.safetensors" "$golden/apple.png" --jsonl
cp "$tmp/out" "$tmp/want"
fetch tiny::whole
is 0 "a whole file"; out_is "$tmp/got/tiny::whole.safetensors"; no_err "a whole file"
log_is "whole None None" "it is asked for once"
left_is "tiny::whole.safetensors" "the model alone is left"
run embed --model tiny::whole "$golden/apple.png" --jsonl
is 0 "its name is a model's"
that "the vectors are those of the publisher's file" cmp -s "$tmp/want" "$tmp/out"
run models --json
json '[e for e in d if e["name"] == "tiny::whole"][0]["licence"] == "MIT"' "the licence is in the model"
fetch tiny::whole --json
is 0 "again"; err "already" "it is there"; log_is "" "nothing is asked for"
json 'd["name"] == "tiny::whole" and d["bytes"] > 0 and d["path"].endswith("/tiny::whole.safetensors")' "JSON"
fetch words::whole
is 0 "a model with words"
left_is "tiny::whole.safetensors vocabulary words::whole.safetensors" "its vocabulary stays for others"
run tokens --model words::whole "a photo"
is 0 "it takes texts"
fetch words::none
is 2 "an argument that names no file"; err "nonesuch" "it is named"
fresh
fetch tiny::moved
is 0 "a redirection"
fetch tiny::digits
is 0 "eight digits"
fetch tiny::dated --progress json
is 0 "a server without entity tags"
err '"unit":"bytes","done":'"$(wc -c < "$tmp/files/model.th")" "progress"

# ---- wrong ----
fresh
for name in tiny::wrong tiny::wrong-digits; do
    fetch $name
    is 5 "$name"; no_out "$name"
    left_is "*" "$name leaves nothing"
done
fetch tiny::wrong
err "SHA-256" "another digest is told"
fetch tiny::empty
is 5 "what ken-convert refuses"; left_is "tiny::empty.part" "it stays, for it is what the table says"
fresh

# ---- out of reach ----
fetch tiny::missing
is 6 "404"; err "404" "the status is told"; left_is "*" "404 leaves nothing"
fetch tiny::loop
is 6 "a loop of redirections"
fetch tiny::disk
is 6 "a redirection to another scheme"; left_is "*" "nothing of it is read"
fetch tiny::whole --from http://127.0.0.1:1
is 6 "a refused connection"; err "tiny::whole" "the model is named"; left_is "*" "it leaves nothing"
fetch tiny::whole --from file://
is 2 "a mirror that is no server"
fetch tiny::stall --timeout 1
is 6 "a server that falls silent"
fetch tiny::stall
is 0 "and goes on later"

# ---- too long ----
fresh
fetch tiny::endless --max-size 1
is 5 "a body without an end"; err "limit" "the limit is named"; left_is "*" "it leaves nothing"

# ---- cut, and gone on with ----
half=$(($(wc -c < "$tmp/files/model.th") / 2))
fetch tiny::cut
is 6 "a cut"; err "goes on" "how to go on"; left_is "tiny::cut.part tiny::cut.part.from" "the part stays"
that "the part is the first half" cmp -s -n $half "$tmp/files/model.th" "$tmp/got/tiny::cut.part"
fetch tiny::cut
is 0 "the rest"; log_is "cut bytes=$half- \"one\"" "only the rest is asked for"
left_is "tiny::cut.safetensors" "the part has become the model"
fresh
fetch tiny::cut --from http://127.0.0.1:1
mkdir -p "$tmp/got"
printf junk > "$tmp/got/tiny::cut.part"
printf 'https://elsewhere/\n"one"\n' > "$tmp/got/tiny::cut.part.from"
fetch tiny::cut
is 0 "a part of another address"; log_is "cut None None" "it is fetched anew"
fresh
mkdir -p "$tmp/got"
cp "$tmp/files/model.th" "$tmp/got/tiny::cut.part"
fetch tiny::cut
is 0 "a part that is whole"; log_is "" "nothing is asked for"
fresh
mkdir -p "$tmp/got"
head -c $((half * 3)) /dev/zero > "$tmp/got/tiny::cut.part"
printf '%s/cut/model.th\n"one"\n' "$mirror" > "$tmp/got/tiny::cut.part.from"
fetch tiny::cut
is 0 "a part longer than the file"
fresh
mkdir -p "$tmp/got"
head -c $half /dev/zero > "$tmp/got/tiny::cut.part"
printf '%s/cut/model.th\n"one"\n' "$mirror" > "$tmp/got/tiny::cut.part.from"
fetch tiny::cut
is 5 "a part that was spoilt"; left_is "*" "it is thrown away"
fetch tiny::cut
is 0 "so that the next one is whole"
for how in forgetful changed; do
    fresh
    fetch tiny::$how
    is 6 "$how: a cut"
    fetch tiny::$how
    is 0 "$how: all of it comes again"; left_is "tiny::$how.safetensors" "$how: it is whole"
done
fresh
fetch tiny::nameless
is 6 "a cut of a file without a state"; left_is "*" "nobody could go on with it"
fetch tiny::askew
is 6 "a cut before an answer that is askew"
fetch tiny::askew
is 6 "an answer from another byte"; err "not asked for" "it is told"
that "and the part is untouched" cmp -s -n $half "$tmp/files/model.th" "$tmp/got/tiny::askew.part"

# ---- Ctrl-C ----
fresh
: > "$tmp/log"
"$ken" models get tiny::slow > "$tmp/out" 2> "$tmp/err" < /dev/null &
getter=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ -s "$tmp/got/tiny::slow.part" ] || sleep 0.25
done
run models get tiny::slow
is 4 "two at the same file"; err "another process" "it is told"
kill -INT $getter 2> /dev/null || kill -TERM $getter
wait $getter
status=$?
is 130 "interrupted"; left_is "tiny::slow.part tiny::slow.part.from" "the part stays"
fetch tiny::slow
is 0 "and is gone on with"; log_is "slow bytes=$half- \"one\"" "from where it was"

# ---- a table of one's own that is none ----
for line in 'a::b' 'a::b 12345678 MIT' 'a::b 1234 MIT http://x/y' 'a/b::c 12345678 MIT http://x/y' \
    '../b::c 12345678 MIT http://x/y'; do
    echo "$line" > "$tmp/broken"
    run models get --publishers "$tmp/broken"
    is 2 "a line '$line'"; err "$tmp/broken:1:" "its place is told"
done
run models get --publishers "$tmp/nowhere"
is 2 "a table that is not there"; err "nowhere" "it is named"
finish
