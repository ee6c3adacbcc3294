# install.sh - what make install puts where, programs of others built against it, and make uninstall.
#
# The built files are copied first: another PREFIX compiles one of them again.
. tests/cli/lib.sh
if nm "$B/libken.a" 2> /dev/null | grep -qE '__(asan|tsan|ubsan)_'; then
    skip cli/install "built for a sanitizer"
    finish
fi
for tool in make pkg-config; do
    if ! command -v $tool > /dev/null; then
        skip cli/install "no $tool here"
        finish
    fi
done
cc=${CC:-cc}
mkdir "$tmp/build"
(cd "$B" && cp -a src kernels tools ken ken-convert ken-toys libken.* "$tmp/build")
make_() { # target, variables...
    make -C "$root" --no-print-directory B="$tmp/build" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null
    status=$?
}
files() { (cd "$1" && find . ! -type d | LC_ALL=C sort | tr '\n' ' '); }

# ---- into a staging folder, as packages are made, and away again ----
stage=$tmp/stage
make_ install DESTDIR="$stage" PREFIX=/opt/ken LIBDIR=/opt/ken/lib64
is 0 "make install with DESTDIR"
files "$stage" > "$tmp/out"
so=$(basename "$B"/libken.so.*)
major=libken.so.$(echo "$so" | cut -d. -f3)
out_is "./opt/ken/bin/ken ./opt/ken/bin/ken-convert ./opt/ken/bin/ken-toys ./opt/ken/include/ken.h ./opt/ken/lib64/libken.a \
./opt/ken/lib64/libken.so ./opt/ken/lib64/$major ./opt/ken/lib64/$so ./opt/ken/lib64/pkgconfig/ken.pc \
./opt/ken/share/bash-completion/completions/ken ./opt/ken/share/fish/vendor_completions.d/ken.fish \
$(cd "$root/weights" && ls -- *.json *.safetensors | LC_ALL=C sort | sed 's,.*,./opt/ken/share/ken/models/&,' | tr '\n' ' ')\
./opt/ken/share/man/man1/ken.1 " "these files and no others"
PKG_CONFIG_PATH=$stage/opt/ken/lib64/pkgconfig pkg-config --variable=libdir ken > "$tmp/out" 2> "$tmp/err"
out_is /opt/ken/lib64 "ken.pc names the place without DESTDIR"
grep -rqF "$stage" "$stage"
status=$?
is 1 "nothing installed knows the staging folder"
make_ uninstall DESTDIR="$stage" PREFIX=/opt/ken LIBDIR=/opt/ken/lib64
is 0 "make uninstall with DESTDIR"
find "$stage" ! -type d > "$tmp/out"
find "$stage" -path '*/share/ken*' >> "$tmp/out"
no_out "nothing is left"

# ---- in place ----
home=$tmp/opt
make_ install PREFIX="$home"
is 0 "make install with PREFIX"
need_model
mv "$model" "$home/share/ken/models/installed.safetensors"
"$home/bin/ken" models > "$tmp/out" 2> "$tmp/err"
status=$?
is 0 "the installed program lists models"
out installed "it finds models below its PREFIX"
cat > "$tmp/outside.c" << 'END'
#include <ken.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static const unsigned char ppm[] = "P6 2 1 255\n\1\2\3\4\5\6";
    ken_image *img;
    ken_model *m = NULL;
    if (strcmp(ken_version(), argv[1]) || ken_image_decode(&img, ppm, sizeof ppm - 1, NULL))
        return 1;
    printf("%u x %u\n", ken_image_width(img), ken_image_height(img));
    ken_image_free(img);
    return argc < 3 || ken_model_open(&m, argv[2], NULL) ? 2 : (ken_model_close(m), 0);
}
END
export PKG_CONFIG_PATH="$home/lib/pkgconfig"
version=$(pkg-config --modversion ken)
that "ken.pc has the program's version" [ "ken $version" = "$("$home/bin/ken" version | head -n 1)" ]
outside() { # name, compiler's arguments...
    name=$1; shift
    # shellcheck disable=SC2046
    $cc -std=c11 -Wall -Wextra -o "$tmp/outside" "$tmp/outside.c" $(pkg-config --cflags ken) "$@" > "$tmp/out" 2> "$tmp/err"
    status=$?
    is 0 "$name: an outside program links"
    LD_LIBRARY_PATH=$home/lib "$tmp/outside" "$version" "$home/share/ken/models/installed.safetensors" \
        > "$tmp/out" 2> "$tmp/err"
    status=$?
    is 0 "$name: it runs"
    out_is "2 x 1" "$name: it decodes a picture"
    readelf -d "$tmp/outside" > "$tmp/out"
}
outside libken.so $(pkg-config --libs ken)
out "[$major]" "libken.so: the program needs the version it was linked with"
outside libken.a "$home/lib/libken.a" $(pkg-config --static --libs ken | sed 's/-lken//')
that "libken.a: the program does not need libken.so" sh -c '! grep -q libken "$1"' sh "$tmp/out"
make_ uninstall PREFIX="$home"
is 0 "make uninstall"
files "$home" > "$tmp/out"
out_is "./share/ken/models/installed.safetensors " "it leaves what it did not bring"
finish
