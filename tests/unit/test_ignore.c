/* test_ignore.c - .kenignore: gitignore(5)'s own sentences as cases, and folders in folders. */
#include "tests/test.h"

#include "base/file.h"
#include "engine/ignore.h"

#include <stdio.h>
#include <string.h>

static char root[] = "/tmp/ken-ignore-XXXXXX";

static void in_folder(void)
{
    memcpy(root + sizeof root - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", root);
    ck_assert_int_eq(system(command), 0);
}

static void write_rules(const char *dir, const char *text)
{
    char path[700];
    snprintf(path, sizeof path, "%s%s%s", root, *dir ? "/" : "", dir);
    ck_assert_int_eq(kn_mkdirs(path), KEN_OK);
    snprintf(path, sizeof path, "%s%s%s/" KN_IGNORE_FILE, root, *dir ? "/" : "", dir);
    ck_assert_int_eq(kn_replace_file(path, text, strlen(text)), KEN_OK);
}

/* A path that ends in '/' is a folder. */
static int ignored(kn_ignore *g, const char *name, int below)
{
    char path[700];
    int yes = -1;
    snprintf(path, sizeof path, "%s/%s", root, name);
    const size_t n = strlen(path);
    const int is_dir = path[n - 1] == '/';
    if (is_dir)
        path[n - 1] = 0;
    ck_assert_int_eq(below ? kn_ignored_below(g, root, path, &yes) : kn_ignored(g, root, path, is_dir, &yes),
                     KEN_OK);
    return yes;
}

static const struct {
    const char *rules, *path;
    int ignored;
} cases[] = {
    /* "A blank line matches no files", "a line starting with # serves as a comment" */
    { "\n   \n#a.png\n", "a.png", 0 },
    { "#a.png\n", "#a.png", 0 },
    { "\\#a.png\n", "#a.png", 1 },
    /* "Trailing spaces are ignored unless they are quoted with backslash" */
    { "a.png   \n", "a.png", 1 },
    { "a.png\\ \n", "a.png", 0 },
    { "a.png\\ \n", "a.png ", 1 },
    { "a.png\r\n", "a.png", 1 },
    { "a b.png", "a b.png", 1 },
    /* "! which negates the pattern", "Put a backslash in front of the first !" */
    { "*.png\n!keep.png\n", "keep.png", 0 },
    { "*.png\n!keep.png\n", "other.png", 1 },
    { "!keep.png\n*.png\n", "keep.png", 1 }, /* the last matching pattern decides */
    { "\\!important!.txt\n", "!important!.txt", 1 },
    /* "If there is a separator at the beginning or middle … relative to the directory level of the file" */
    { "/a.png\n", "a.png", 1 },
    { "/a.png\n", "d/a.png", 0 },
    { "doc/frotz\n", "doc/frotz", 1 },
    { "doc/frotz\n", "a/doc/frotz", 0 },
    { "a.png\n", "x/y/a.png", 1 },
    /* "If there is a separator at the end of the pattern then the pattern will only match directories" */
    { "frotz/\n", "frotz/", 1 },
    { "frotz/\n", "frotz", 0 },
    { "frotz/\n", "a/frotz/", 1 },
    { "doc/frotz/\n", "doc/frotz/", 1 },
    { "doc/frotz/\n", "a/doc/frotz/", 0 },
    /* "An asterisk matches anything except a slash.  ? matches any one character except /.  [a-zA-Z]" */
    { "foo/*\n", "foo/test.json", 1 },
    { "foo/*\n", "foo/bar/", 1 },
    { "foo/*\n", "foo/bar/hello.c", 0 },
    { "*.png\n", ".png", 1 },
    { "?.png\n", "a.png", 1 },
    { "?.png\n", "ab.png", 0 },
    { "?.png\n", "\xe7\x8c\xab.png", 1 },
    { "[a-c]x[!0-9].png\n", "bxy.png", 1 },
    { "[a-c]x[!0-9].png\n", "bx7.png", 0 },
    { "[a-c]x[!0-9].png\n", "dxy.png", 0 },
    { "hello.*\n", "a/hello.java", 1 },
    { "/hello.*\n", "a/hello.java", 0 },
    { "/hello.*\n", "hello.txt", 1 },
    { "a?b\n", "a/b", 0 },
    { "a*b\n", "a/b", 0 },
    /* "A leading **\/ means match in all directories" */
    { "**/foo\n", "foo", 1 },
    { "**/foo\n", "a/b/foo", 1 },
    { "**/foo/bar\n", "x/foo/bar", 1 },
    { "**/foo/bar\n", "x/foo/y/bar", 0 },
    /* "A trailing /\** matches everything inside" */
    { "abc/**\n", "abc/x/y", 1 },
    { "abc/**\n", "abc/x", 1 },
    { "abc/**\n", "abc/", 0 },
    { "abc/**\n", "d/abc/x", 0 },
    /* "A slash followed by two consecutive asterisks then a slash matches zero or more directories" */
    { "a/**/b\n", "a/b", 1 },
    { "a/**/b\n", "a/x/b", 1 },
    { "a/**/b\n", "a/x/y/b", 1 },
    { "a/**/b\n", "a/x/y/c", 0 },
    { "a/**/b/**/c\n", "a/b/x/b/y/c", 1 },
    { "a/**/b/**/c\n", "a/x/c", 0 },
    /* "Other consecutive asterisks are considered regular asterisks" */
    { "a**c\n", "abbc", 1 },
    { "x/a**c\n", "x/a/c", 0 },
    { "**\n", "a/b", 1 },
    { "/\n", "a", 0 },
    { "!\n/\n", "a", 0 },
    /* the example with everything but foo/bar taken out */
    { "/*\n!/foo\n/foo/*\n!/foo/bar\n", "foo/", 0 },
    { "/*\n!/foo\n/foo/*\n!/foo/bar\n", "foo/bar", 0 },
    { "/*\n!/foo\n/foo/*\n!/foo/bar\n", "foo/baz", 1 },
    { "/*\n!/foo\n/foo/*\n!/foo/bar\n", "bar", 1 },
    { "last without an end", "last without an end", 1 },
};

START_TEST(documented)
{
    kn_ignore g = { 0 };
    write_rules("", cases[_i].rules);
    ck_assert_msg(ignored(&g, cases[_i].path, 0) == cases[_i].ignored, "%s: %s", cases[_i].rules,
                  cases[_i].path);
    kn_ignore_release(&g);
}
END_TEST

/* "with patterns in the higher level files being overridden by those in lower level files" */
START_TEST(folders_in_folders)
{
    kn_ignore g = { 0 };
    write_rules("", "*.png\n/b\nout/\n");
    write_rules("a", "!*.png\n/b\n");
    write_rules("a/c", "x.png\n");
    for (int below = 0; below < 2; below++) {
        ck_assert_int_eq(ignored(&g, "x.png", below), 1);
        ck_assert_int_eq(ignored(&g, "a/x.png", below), 0);
        ck_assert_int_eq(ignored(&g, "a/c/x.png", below), 1);
        ck_assert_int_eq(ignored(&g, "a/c/d/x.png", below), 1);
        ck_assert_int_eq(ignored(&g, "a/c/d/y.png", below), 0);
        ck_assert_int_eq(ignored(&g, "ab/x.png", below), 1); /* not below a */
        ck_assert_int_eq(ignored(&g, "a/b", below), 1);
        ck_assert_int_eq(ignored(&g, "a/c/b", below), 0);
        ck_assert_int_eq(ignored(&g, "b", below), 1);
    }
    ck_assert_int_eq(ignored(&g, "a/out/b.jpg", 0), 0); /* the walk does not come there */
    ck_assert_int_eq(ignored(&g, "a/out/b.jpg", 1), 1);
    ck_assert_int_eq(ignored(&g, "a/out.jpg", 1), 0);
    kn_ignore_release(&g);
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_checked_fixture(tc, in_folder, remove_folder);
    tcase_add_loop_test(tc, documented, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tc, folders_in_folders);
}

int main(void)
{
    return kn_test_main("ignore", fill);
}
