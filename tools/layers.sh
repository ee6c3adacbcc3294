#!/bin/sh
# layers.sh - each module may include itself and the modules listed for it (DESIGN section 2).
rules='
base:    base
image:   image base kernels
text:    text base kernels
mesh:    mesh base kernels
toys:    toys base kernels image
nn:      nn base kernels image text
index:   index base kernels
store:   store base
train:   train base kernels image nn toys text
engine:  engine base kernels image text mesh toys nn index store train
serve:   serve base
cli:     cli
kernels: kernels
'
bad=0
for m in base image text mesh toys nn index store train engine serve cli kernels; do
    dir=src/$m; [ "$m" = kernels ] && dir=kernels
    [ -d "$dir" ] || continue
    ok=$(echo "$rules" | sed -n "s/^$m: *//p")
    for inc in $(grep -rhoE '^#include "[a-z_]+/' "$dir" --include='*.[ch]' | sed 's/.*"//;s,/,,' | sort -u); do
        case " $ok " in *" $inc "*) ;; *)
            echo "layers: $m must not include $inc:"; grep -rn "^#include \"$inc/" "$dir"; bad=1 ;;
        esac
    done
done
exit $bad
