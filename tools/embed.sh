#!/bin/sh
# embed.sh FILE… - the page's files as C, for kn_web_files[] (src/serve/server.h); on standard output.
set -eu
type_of() {
    case $1 in
    *.html) echo 'text/html; charset=utf-8' ;;
    *.css) echo 'text/css; charset=utf-8' ;;
    *.js) echo 'text/javascript; charset=utf-8' ;;
    *.json) echo 'application/json' ;;
    *.svg) echo 'image/svg+xml' ;;
    *.png) echo 'image/png' ;;
    *.ico) echo 'image/x-icon' ;;
    *.webmanifest) echo 'application/manifest+json' ;;
    *) echo "embed.sh: $1: of which type is it?" >&2; exit 1 ;;
    esac
}
echo '/* made by tools/embed.sh of src/web */'
echo '#include "serve/server.h"'
n=0
for f; do
    echo "static const unsigned char file_$n[] = {"
    od -An -v -tu1 "$f" | sed 's/  */,/g; s/^,//; s/$/,/'
    echo '};'
    n=$((n + 1))
done
echo 'const kn_web_file kn_web_files[] = {'
n=0
for f; do
    t=$(type_of "$f")
    printf '    { "%s", "%s", file_%d, sizeof file_%d },\n' "$(basename "$f")" "$t" $n $n
    n=$((n + 1))
done
echo '    { NULL, NULL, NULL, 0 }'
echo '};'
