# deb.sh - the Debian packages: built, installed into a root of their own, used, removed.
. tests/cli/lib.sh
if nm "$B/libken.a" 2> /dev/null | grep -qE '__(asan|tsan|ubsan)_'; then
    skip cli/deb "built for a sanitizer"
    finish
fi
for tool in make dpkg-deb dpkg-shlibdeps dpkg-architecture strip; do
    if ! command -v $tool > /dev/null; then
        skip cli/deb "no $tool here"
        finish
    fi
done
mkdir "$tmp/build"
(cd "$B" && cp -a src kernels tools ken ken-convert ken-toys libken.* "$tmp/build")
rm -f "$tmp"/build/libken.so
install="make --no-print-directory B=$tmp/build PREFIX=/usr install"
(cd "$root" && MAKE_INSTALL=$install sh tools/package/deb.sh "$tmp/deb") > "$tmp/out" 2> "$tmp/err" < /dev/null
status=$?
is 0 "three packages are made"
that "... no more" test "$(wc -l < "$tmp/out")" = 3
debs=$(cat "$tmp/out")
set -- $debs
dpkg-deb --info "$1" > "$tmp/out"
out "libc6 (>= " "what it is linked with is needed"
out "Recommends: libmicrohttpd12" "what it loads on demand is recommended"
dpkg-deb --contents "$1" > "$tmp/out"
out "./usr/share/man/man1/ken.1.gz" "the manual, compressed"
out "./lib/systemd/system/ken.service" "the unit"
out " root/root " "owned by root"
that "nothing of the library" sh -c "! grep -q libken '$tmp/out'"

# ---- installed ----
r=$tmp/root
mkdir -p "$r/var/lib/dpkg/info" "$r/var/lib/dpkg/updates"
touch "$r/var/lib/dpkg/status"
dpkg_() {
    dpkg --root="$r" --log=/dev/null --force-not-root,script-chrootless,depends,confnew,bad-path "$@" > "$tmp/out" 2> "$tmp/err"
    status=$?
}
# shellcheck disable=SC2086
dpkg_ --install $debs
is 0 "they install"
"$r/usr/bin/ken" --version > "$tmp/out" 2> "$tmp/err"
status=$?
is 0 "the program runs"
"$r/usr/bin/ken" models --models "$r/usr/share/ken/models" > "$tmp/out" 2> "$tmp/err"
out ken-small "the model came along"
that "libken.so is whole" test -e "$r/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)/libken.so"
if command -v systemd-analyze > /dev/null; then
    sed "s|=/usr/bin/ken|=$ken|" "$r/lib/systemd/system/ken.service" > "$tmp/ken.service"
    systemd-analyze verify --man=no "$tmp/ken.service" > "$tmp/out" 2>&1
    that "the unit is one that systemd takes" sh -c "! grep -q ken.service '$tmp/out'"
else
    skip cli/deb/unit "no systemd-analyze here"
fi
dpkg_ --purge ken libken0 libken-dev
is 0 "they are removed"
find "$r/usr" "$r/lib" ! -type d > "$tmp/out" 2> /dev/null
no_out "nothing is left"
finish
