# package.sh - the manual page and the completions know every command and flag.
. tests/cli/lib.sh
cd "$root" || exit 2
sh tools/package/man.sh "$ken" > "$tmp/out" 2> "$tmp/err"
status=$?
is 0 "a manual page"
for c in $("$ken" help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    that "the manual tells of $c" grep -qi "^.SH \"KEN $c\"" "$tmp/out"
done
if command -v man > /dev/null; then
    man -l --warnings "$tmp/out" > "$tmp/page" 2> "$tmp/err"
    no_err "man has no warnings"
else
    skip cli/package/man "no man here"
fi
for shell in bash fish; do
    sh tools/package/completion.sh "$ken" $shell > "$tmp/out" 2> "$tmp/err"
    status=$?
    is 0 "completion of $shell"
    out "min-raw" "$shell completes a command's flag"
    out "precision" "$shell completes a global flag"
done
if command -v bash > /dev/null; then
    sh tools/package/completion.sh "$ken" bash > "$tmp/ken.bash"
    bash -c '. "$1"; COMP_WORDS=(ken search --mi) COMP_CWORD=2; _ken; echo "${COMPREPLY[@]}"' sh "$tmp/ken.bash" > "$tmp/out"
    out_is "--min --min-raw" "bash completes"
else
    skip cli/package/bash "no bash here"
fi
finish
