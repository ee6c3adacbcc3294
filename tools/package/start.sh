#!/bin/sh
# start.sh - the container's beginning: look through /pictures, then serve.  Arguments go to ken serve.
#
# Inside a container the service must listen on all its addresses; which of them can be reached is what
# `docker run -p` says.  Without keys a name other than localhost is refused.
pictures=$PWD/pictures
mkdir -p "$pictures" || exit 2
[ -d /pictures ] && pictures=/pictures
ken index --quiet "$pictures"
status=$?
case $status in
0 | 3) ;; # 3: some pictures could not be read, each was named
*) exit $status ;;
esac
exec ken serve --listen 0.0.0.0:8787 "$@"
