#!/bin/sh
# lint.sh - limits a reader can feel: function length, line length, banned calls.
bad=0
headers=$(git ls-files 'src/*.h' 'kernels/*.h' 'tools/*.h')
files=$(git ls-files 'src/*.c' 'kernels/*.c' 'tools/*.c')
awk -v max=60 '
    FNR == 1 { start = 0 }
    /^\{/    { start = FNR }
    /^\}/ && start { n = FNR - start - 1; if (n > max) { print FILENAME ":" start ": function of " n " lines"; bad = 1 } start = 0 }
    length($0) > 110 { print FILENAME ":" FNR ": line of " length($0); bad = 1 }
    END { exit bad }' $files $headers || bad=1
grep -nE '\b(strcpy|strcat|sprintf|strtok|gets|atoi|malloc|calloc|realloc|free|strdup)\(' $files \
    | grep -vE '^(src/(base/alloc|cli/mem).c|[^:]*:[0-9]+: \*|[^:]*:[0-9]+:/\*)' && bad=1
exit $bad
