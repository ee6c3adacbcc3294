#!/bin/sh
# deb.sh - Debian packages of what is built: `make deb` calls this.
#
#   deb.sh OUT        environment: MAKE_INSTALL (a command that installs below $DESTDIR with PREFIX=/usr)
#
# Three packages: ken (the programs, the model that ships, manual, completions, the service's unit), libken0 (the
# shared library), libken-dev.  dpkg-deb and dpkg-shlibdeps make them; no other helper is needed.
set -eu
out=${1:?usage: deb.sh OUT}
version=$(sed -n 's/^#define KEN_VERSION_[A-Z]* \([0-9]*\).*/\1/p' src/ken.h | paste -sd.)
command -v dpkg-shlibdeps > /dev/null || { echo "deb.sh: needs dpkg-dev" >&2; exit 2; }
arch=$(dpkg --print-architecture)
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
major=${version%%.*}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$out"

DESTDIR=$tmp/all LIBDIR=/usr/lib/$triplet
export DESTDIR LIBDIR
sh -c "${MAKE_INSTALL:?}" > "$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 1; }
all=$tmp/all/usr ken=$tmp/ken lib=$tmp/libken$major dev=$tmp/libken-dev

# ---- which file goes where ----
mkdir -p "$lib/usr/lib/$triplet" "$dev/usr/lib/$triplet" "$ken/lib/systemd/system" "$ken/usr"
mv "$all/lib/$triplet"/libken.so.* "$lib/usr/lib/$triplet"
mv "$all/lib/$triplet"/* "$dev/usr/lib/$triplet"
mv "$all/include" "$dev/usr"
rmdir "$all/lib/$triplet" "$all/lib"
mv "$all"/* "$ken/usr"
install -m 644 tools/package/ken.service "$ken/lib/systemd/system"
strip --strip-unneeded "$ken"/usr/bin/* "$lib/usr/lib/$triplet"/libken.so."$version"
gzip -9n "$ken"/usr/share/man/man1/*

# ---- what they need ----
needs() { # package, its files that are linked...
    mkdir -p "$tmp/control/debian"
    printf 'Source: ken\n\nPackage: %s\nArchitecture: any\nDescription: ken\n' "$1" > "$tmp/control/debian/control"
    shift
    (cd "$tmp/control" && dpkg-shlibdeps -O --ignore-missing-info "$@" 2> "$tmp/log") | sed -n 's/^shlibs:Depends=//p'
}
finish() { # folder, section, depends, recommends, one line, more
    name=$(basename "$1")
    mkdir -p "$1/DEBIAN" "$1/usr/share/doc/$name"
    cp LICENSE "$1/usr/share/doc/$name/copyright"
    gzip -9nc CHANGELOG.md > "$1/usr/share/doc/$name/changelog.gz"
    {
        printf 'Package: %s\nSource: ken\nVersion: %s\nArchitecture: %s\nSection: %s\nPriority: optional\n' \
            "$name" "$version" "$arch" "$2"
        printf 'Maintainer: The ken developers <ken@localhost>\nInstalled-Size: %s\n' "$(du -k -s "$1/usr" | cut -f1)"
        [ -z "$3" ] || printf 'Depends: %s\n' "$3"
        [ -z "$4" ] || printf 'Recommends: %s\n' "$4"
        printf 'Description: %s\n %s\n' "$5" "$6"
    } > "$1/DEBIAN/control"
    (cd "$1" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum > DEBIAN/md5sums)
    find "$1" -type d -exec chmod 755 {} +
    dpkg-deb --root-owner-group -Zxz -z1 --build "$1" "$out/${name}_${version}_$arch.deb" > /dev/null
    echo "$out/${name}_${version}_$arch.deb"
}
printf '#!/bin/sh\nset -e\n[ ! -d /run/systemd/system ] || systemctl daemon-reload\n' > "$tmp/reload"
mkdir -p "$ken/DEBIAN" "$lib/DEBIAN"
install -m 755 "$tmp/reload" "$ken/DEBIAN/postinst"
install -m 755 "$tmp/reload" "$ken/DEBIAN/postrm"
printf 'activate-noawait ldconfig\n' > "$lib/DEBIAN/triggers"

finish "$ken" graphics "$(needs ken "$ken"/usr/bin/*)" \
    "libmicrohttpd12, libheif1, libnghttp2-14, libssl3, libcurl4, libchafa0, ca-certificates" "recognise and find pictures" \
    "Finds pictures by words, pictures and 3-D models, knows objects again from a few photographs; offline."
finish "$lib" libs "$(needs "libken$major" "$lib/usr/lib/$triplet/libken.so.$version")" \
    "libheif1" "recognise and find pictures: the library" \
    "Encoders, vector indexes and collections of pictures, in plain C."
finish "$dev" libdevel "libken$major (= $version)" "" "recognise and find pictures: for building with it" \
    "Header, static library and pkg-config file of libken."
