#!/bin/sh
# setup.sh deps|demo|test - everything from a bare Debian 12 to a running ken.
#
#   deps  say and install what the build lacks
#   demo  deps, build, index and search real pictures, show the answers
#   test  deps, what the tests lack, build, run every test that needs no GPU and no network
set -eu
cd "$(dirname "$0")/.."

built_with='gcc libc6-dev make pkg-config libjpeg-dev libwebp-dev libheif-dev libsqlite3-dev libcjson-dev
        libutf8proc-dev libxxhash-dev libyaml-dev libstb-dev libnghttp2-dev libssl-dev libmicrohttpd-dev
        libchafa-dev libglib2.0-dev libcurl4 ca-certificates'
tested_with='g++ git check python3 python3-numpy python3-venv curl openssl dpkg-dev man-db jq procps systemd'

missing() { # packages...
    for p; do
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q '^install ok installed' || printf '%s ' "$p"
    done
}

need() { # packages...
    command -v dpkg-query >/dev/null || {
        echo "setup.sh: not a Debian system; please install the equivalents of:" "$@" >&2
        return 0
    }
    list=$(missing "$@")
    [ -n "$list" ] || return 0
    echo "installing: $list"
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends $list
}

jobs=$(nproc 2>/dev/null || echo 2)
# shellcheck disable=SC2086
case ${1:-} in
deps) need $built_with ;;
demo) need $built_with; make -j"$jobs" && make demo ;;
test) need $built_with $tested_with; make -j"$jobs" WERROR=1 && make -j"$jobs" WERROR=1 test ;;
*) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
