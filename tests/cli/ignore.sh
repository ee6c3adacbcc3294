# ignore.sh - .kenignore: what `ken index` passes over is what git passes over by the same rules.
. tests/cli/lib.sh
need_model
export KEN_DB=$tmp/work/c.ken
mkdir -p tree/a/b/c tree/out/x tree/a/out tree/doc/frotz tree/z/doc/frotz && cd tree || exit 2
n=0
for p in a.ppm k.ppm a/a.ppm a/k.ppm a/b/x1.ppm a/b/x2.ppm a/b/c/deep.ppm out/o.ppm out/x/o.ppm a/out/o.ppm \
    doc/frotz/f.ppm z/doc/frotz/f.ppm "with space.ppm" "#hash.ppm" "!bang.ppm" .hidden.ppm z/keep.ppm z/tmp.ppm; do
    n=$((n + 9))
    picture "$p" $n $((250 - n)) 90 24 24
done
cat > .kenignore << 'X'
# comment
out/
/a.ppm
doc/frotz/
with\ space.ppm   
\#*.ppm
z/*
!z/keep.ppm
**/b/x[12].ppm
!x2.ppm
X
printf '!/out/\nk.ppm\n' > a/.kenignore
run index . -m "$model"
is 0 "a tree is indexed"
"$ken" search -n 1000 --exact -l id:1 2> /dev/null | sort > ../found
if command -v git > /dev/null; then
    git init -q . 2> "$tmp/err"
    for f in .kenignore a/.kenignore; do cp $f "$(dirname $f)/.gitignore"; done
    git -c core.quotePath=false ls-files --others --exclude-standard -z | tr '\0' '\n' | grep '\.ppm$' | sort > ../wanted
    that "git's own choice" [ -s ../wanted ] && that "and ours" cmp -s ../wanted ../found
    rm -rf .git .gitignore a/.gitignore
else
    skip "git's own choice" "no git"
fi
all=$(find . -name '*.ppm' | wc -l)
run index . --no-ignore
is 0 "--no-ignore"
run stats --json
json "d['items'] == $all" "takes all"
run index .
is 0 "once more with the rules"
run stats --json
that "hides again" [ "$(wc -l < ../found)" = "$(python3 -c 'import json; print(json.load(open("'"$tmp"'/out"))["items"])')" ]
rm .kenignore a/.kenignore
run index . --json
json "d['added'] == 0 and d['images_per_second'] == 0" "they come back without being read"
run stats --json
json "d['items'] == $all" "all of them"
printf '*\n' > .kenignore
run index a.ppm
run search -l -n 100 id:1
out "a.ppm" "a file that is named is taken"
rm .kenignore && mkdir .kenignore
run index .
is 3 "rules that cannot be read"
err ".kenignore" "are told"
finish
