#!/bin/sh
# completion.sh KEN bash|fish - completion of commands and flags, from what the help says.
set -eu
ken=$1
commands=$("$ken" help | sed -n 's/^  \([a-z]*\) .*/\1/p' | tr '\n' ' ')
flags() { # of a command, or of all
    "$ken" help ${1:+"$1"} | sed -n 's/^  \(-., \|    \)\(--[a-z-]*\).*/\2/p' | sort -u | tr '\n' ' '
}

bash_() {
    printf '# bash completion of ken\n_ken()\n{\n    local word=${COMP_WORDS[COMP_CWORD]} c i command=\n'
    printf '    for ((i = 1; i < COMP_CWORD; i++)); do\n'
    printf '        c=${COMP_WORDS[i]}\n        case " %s" in *" $c "*) command=$c; break ;; esac\n    done\n' "$commands"
    printf '    local flags="%s"\n    case $command in\n' "$(flags)"
    for c in $commands; do
        own=$(flags "$c")
        [ -z "$own" ] || printf '    %s) flags+=" %s" ;;\n' "$c" "$own"
    done
    printf '    esac\n    case $word in\n    -*) COMPREPLY=($(compgen -W "$flags" -- "$word")) ;;\n'
    printf '    *) COMPREPLY=($(compgen -f -- "$word"))\n'
    printf '       [ -n "$command" ] || COMPREPLY+=($(compgen -W "%s" -- "$word")) ;;\n    esac\n}\n' "$commands"
    printf 'complete -o filenames -F _ken ken\n'
}

fish_() {
    printf '# fish completion of ken\n'
    for c in $commands; do
        about=$("$ken" help "$c" | sed -n 3p | sed "s/'/\\\\'/g")
        printf "complete -c ken -n __fish_use_subcommand -a %s -d '%s'\n" "$c" "$about"
        for f in $(flags "$c"); do
            printf "complete -c ken -n '__fish_seen_subcommand_from %s' -l %s\n" "$c" "${f#--}"
        done
    done
    for f in $(flags); do
        printf 'complete -c ken -l %s\n' "${f#--}"
    done
}

case ${2:-} in
bash) bash_ ;;
fish) fish_ ;;
*) echo "usage: completion.sh KEN bash|fish" >&2; exit 2 ;;
esac
