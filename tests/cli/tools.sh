# tools.sh - the scripts around the program end with the status of what they run, and run what they should.
. tests/cli/lib.sh
mkdir bin
stub() { # name, status of its first word...: a program that fails where it is told to
    name=$1 words=$2 code=$3
    cat > "bin/$name" << END
#!/bin/sh
echo "$name \$*" >> "$tmp/calls"
case " \$* " in *" $words "*) exit $code ;; esac
case \$1 in
doctor) echo '{"level":"c"}' ;;
models) echo '[{"path":"$root/weights/other.safetensors","text":true},{"path":"$root/weights/ken-small.safetensors","text":false}]' ;;
*) echo '{"top1":0.5,"auroc":0.5,"dir_at_fpir":0.5,"ece":0.5}' ;;
esac
END
    chmod +x "bin/$name"
    : > "$tmp/calls"
}

# ---- the container's beginning ----
start() {
    PATH=$PWD/bin:$PATH sh "$root/tools/package/start.sh" --read-only > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}
for code in 0 3; do
    stub ken index $code
    start
    is 0 "start.sh: after $code the service begins"
    that "... in place of the script, with its flags" grep -q '^ken serve .*--read-only$' "$tmp/calls"
done
for code in 1 2 4 5 130; do
    stub ken index $code
    start
    is $code "start.sh: the status of ken index"
    that "... and no service" sh -c "! grep -q '^ken serve' '$tmp/calls'"
done
that "the folder that is looked through exists" test -d pictures

# ---- tools/setup.sh, where Debian has nothing of it ----
setup() {
    : > "$tmp/calls"
    PATH=$PWD/bin:$PATH sh "$root/tools/setup.sh" "$1" > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}
for name in apt-get make dpkg-query sudo; do stub $name - 0; done
printf '#!/bin/sh\nexec "$@"\n' > bin/sudo
setup deps
is 0 "setup.sh deps"
that "... installs what the build wants" grep -qE '^apt-get install .* gcc libc6-dev make .*libcjson-dev' "$tmp/calls"
that "... nothing of what the tests want, and builds nothing" \
    sh -c "! grep -qE '^make| (check|python3|curl|jq)( |$)' '$tmp/calls'"
setup test
that "setup.sh test: both" sh -c "grep -E '^apt-get install .* gcc ' '$tmp/calls' | grep -q ' check .* jq '"
that "... and runs the tests" grep -qE '^make .* test$' "$tmp/calls"
printf '#!/bin/sh\necho install ok installed\n' > bin/dpkg-query
setup deps
that "where it has all nothing is installed" test ! -s "$tmp/calls"
rm bin/apt-get bin/make bin/dpkg-query bin/sudo

# ---- make scores ----
scores() {
    (cd "$root" && KEN=$tmp/work/bin/ken KEN_TOYS=$tmp/work/bin/toys KEN_CONVERT=$tmp/work/bin/toys \
        KEN_TEST_DATA=$tmp/none SCORES_DIR=$tmp/work/scores sh tools/scores.sh) > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}
mkdir -p scores/test/twins
touch scores/test/done
for f in one.csv twins/gallery.csv twins/queries.csv; do echo path,label > scores/test/$f; done
stub ken - 0
stub toys - 0
scores
is 0 "scores.sh: with programs that answer"
out "references: one                                50.0" "... the numbers are theirs"
that "... and of a model that knows no words, though another does, none are asked for" \
    sh -c "! grep -qF 'a caption finds' '$tmp/out' && ! grep -qE '^(ken index|ken search|toys ceiling)' '$tmp/calls'"
stub ken - 0
sed -i 's/true/other/; s/false/true/' bin/ken
scores
that "... of one that knows words they are" grep -qE '^ken index --db .*words.ken -m weights/ken-small.safetensors' "$tmp/calls"
stub ken - 0
sed -i 's/ken-small/ken-none/' bin/ken
scores
is 1 "... a model that is not among those listed"
err "looking for weights/ken-small.safetensors" "... is named"
for words in doctor "eval recognize" "--looks 0" "--unknown" embed models; do
    stub ken "$words" 3
    scores
    is 3 "scores.sh: ken $words fails"
done
stub ken - 0
for words in histogram pairs; do
    stub toys "$words" 2
    scores
    is 2 "scores.sh: ken-toys $words fails"
    err "status 2 of" "... and is named"
done
stub toys - 0
sed -i 's/"top1":0.5/"top2":0.5/' bin/ken
scores
is 1 "scores.sh: an answer without the number"
err 'reading "top1"' "... which is named"
finish
