# help.sh - help for everything, and slips of the keyboard.
. tests/cli/lib.sh

commands=$("$ken" help | sed -n 's/^  \([a-z]*\) .*/\1/p')
that "help lists the commands" test "$(echo "$commands" | wc -w)" -ge 18
for c in $commands; do
    run "$c" --help
    is 0 "$c --help"
    out "usage: ken $c" "$c --help has a usage line"
    out "examples:" "$c --help has examples"
    no_err "$c --help"
    cp "$tmp/out" "$tmp/one"
    run help "$c"
    that "help $c is $c --help" cmp -s "$tmp/one" "$tmp/out"
done

run --help
is 0 "--help"
out "Flags of every command" "--help tells of the global flags"
run
is 2 "no arguments"
no_out "no arguments"
run --version
is 0 "--version"
out "ken 0." "--version"
run version
out "ken 0." "version"

run help --json
json 'len(d["commands"]) >= 18 and all(c["summary"] and c["examples"] for c in d["commands"])' "all of it as JSON"
json '{"name": "db", "letter": None, "arg": "DIR"}.items() <= d["flags"][0].items()' "the flags of every command"
json '[f["name"] for c in d["commands"] if c["name"] == "config" for f in c["flags"]] == ["origin", "show-secrets"]' "those of one"
run help search --json
json 'd["name"] == "search" and d["examples"][0] == {"command": "ken search two parrots on a branch", "what": "by words"}' "one command as JSON"

run help nonesuch
is 2 "help for what is not there"
run help serach
err "did you mean search?" "help knows slips"

# swapped or missing letters are a slip; a word that differs in one may be meant
run serach
is 2 "serach is refused"
err 'did you mean `ken search`?' "serach is explained"
run recognze x.jpg
no_out "nothing is searched for by accident"
run beach
is 4 "beach is a search, and there is no collection"
err 'did you mean the command `ken bench`?' "beach is hinted at"
finish
