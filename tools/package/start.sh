#!/bin/sh
# start.sh - the container's beginning: look through /pictures, then serve.  Arguments go to ken serve.
#
# Inside a container the service must listen on all its addresses; which of them can be reached is what
# `docker run -p` says.  Without keys a name other than localhost is refused.
mkdir -p /var/lib/ken/pictures
pictures=/var/lib/ken/pictures
[ -d /pictures ] && pictures=/pictures
ken index --quiet "$pictures"
case $? in 0 | 1 | 3) ;; *) exit 2 ;; esac
exec ken serve --listen 0.0.0.0:8787 "$@"
