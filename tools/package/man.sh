#!/bin/sh
# man.sh KEN - the manual page, from what the program's own help says.
set -eu
ken=$1
version=$("$ken" version)

escape() { sed 's/\\/\\e/g; s/^\([.'"'"']\)/\\\&\1/; s/-/\\-/g'; }
block() { # verbatim, as the help lays it out
    echo .nf
    escape
    echo .fi
}

cat << HEAD
.TH KEN 1 "" "$version" "User Commands"
.SH NAME
ken \- recognise and find pictures
.SH SYNOPSIS
.B ken
.I COMMAND
[flags] ...
.br
.B ken
.I QUERY...
.SH DESCRIPTION
ken indexes folders of pictures and finds them again by likeness and by words, offline.
HEAD
"$ken" help | sed '1,/^ *ken QUERY/d' | block
for c in $("$ken" help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
    printf '.SH "KEN %s"\n' "$(echo "$c" | tr a-z A-Z)"
    "$ken" help "$c" | sed '$d' | block
done
