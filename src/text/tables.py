#!/usr/bin/env python3
"""Write unicode.inc and entities.inc, what src/text knows of Unicode and HTML, beside itself.

    python3.11 src/text/tables.py

The tables are pinned to Unicode 14.0.0, that of Python 3.11's unicodedata; the entities are those
of html.entities.html5 and the replacements are what ftfy 6.3 does with a single character.
"""
import contextlib
import html
import html.entities
import pathlib
import unicodedata as ucd

from ftfy import chardata, fixes

assert ucd.unidata_version == "14.0.0", ucd.unidata_version

LAST = 0x110000
POINTS = [c for c in range(LAST) if not 0xD800 <= c < 0xE000]
# in the order of the enum in unicode.h
FLAGS = ["LETTER", "NUMBER", "DIGIT", "SPACE", "CASED", "IGNORABLE", "MARK", "PUNCT", "FORMAT",
         "FIX", "LOWER", "NFC", "NFD"]


def second_of_pairs():
    """Characters that may compose with the one before them."""
    found = {chr(c) for c in [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)]}
    for c in POINTS:
        d = ucd.decomposition(chr(c))
        if d and not d.startswith("<") and " " in d:
            found.add(chr(int(d.split()[1], 16)))
    return found


def fix_one(ch):
    """ftfy's steps that look at one character: the others (entities, escapes, line ends) are code."""
    for step in (fixes.fix_c1_controls, fixes.fix_latin_ligatures, fixes.fix_character_width,
                 fixes.uncurl_quotes):
        ch = step(ch)
    return ch.replace("\u2028", "\n").replace("\u2029", "\n").replace("\u0085", "\n")


def is_cased(ch):
    return (ch + "\u03a3").lower().endswith("\u03c2")


def is_ignorable(ch):
    return ("A" + ch + "\u03a3").lower().endswith("\u03c2") and not is_cased(ch)


def flags(c, seconds):
    ch, cat = chr(c), ucd.category(chr(c))
    normal = ucd.combining(ch) != 0
    have = {
        "LETTER": cat[0] == "L", "NUMBER": cat[0] == "N", "DIGIT": cat == "Nd",
        "SPACE": ch.isspace(), "CASED": is_cased(ch), "IGNORABLE": is_ignorable(ch),
        "MARK": cat == "Mn",
        "PUNCT": cat[0] == "P" or (0x20 < c < 0x7F and not ch.isalnum()),
        "FORMAT": (cat in ("Cc", "Cf") and ch not in "\t\n\r") or c in (0, 0xFFFD),
        "FIX": fix_one(ch) != ch or c in chardata.CONTROL_CHARS,
        "LOWER": ch.lower() != ch,
        "NFC": normal or ucd.normalize("NFC", ch) != ch or ch in seconds,
        "NFD": normal or ucd.normalize("NFD", ch) != ch,
    }
    return sum(1 << i for i, f in enumerate(FLAGS) if have[f])


def rows(values, per=None, width=98):
    line = "   "
    for v in values:
        s = f" {v},"
        if len(line) + len(s) > width:
            print(line)
            line = "   "
        line += s
    print(line)


def array(kind, name, values):
    print(f"static const {kind} {name}[{len(values)}] = {{")
    rows(values)
    print("};\n")


def classes():
    seconds = second_of_pairs()
    points = set(POINTS)
    value = [flags(c, seconds) if c in points else 0 for c in range(LAST)]
    kinds = sorted(set(value), key=lambda v: (v != 0, v))
    number = {v: i for i, v in enumerate(kinds)}
    assert len(kinds) < 256
    blocks, stage1 = [], []
    for start in range(0, LAST, 128):
        block = tuple(number[v] for v in value[start:start + 128])
        if block not in blocks:
            blocks.append(block)
        stage1.append(blocks.index(block))
    assert len(blocks) < 256
    zero = blocks.index((0,) * 128)
    while stage1[-1] == zero:
        stage1.pop()
    print("/* What a character is: its block of 128, then its kind there, then the flags of the kind. */")
    array("uint16_t", "class_flags", kinds)
    array("uint8_t", "class_block", stage1)
    array("uint8_t", "class_of", [v for b in blocks for v in b])


def lower_runs():
    """str.lower of single characters as runs (first, count, step, difference); U+0130 is code."""
    pairs = [(c, ord(chr(c).lower())) for c in POINTS if chr(c).lower() != chr(c) and c != 0x130]
    runs = []
    for c, d in pairs:
        if runs:
            first, n, step, diff = runs[-1]
            gap = c - (first + (n - 1) * step)
            if diff == d - c and gap in (1, 2) and (n == 1 or gap == step):
                runs[-1] = (first, n + 1, gap, diff)
                continue
        runs.append((c, 1, 1, d - c))
    print("static const struct lower_run {\n    uint32_t first;\n    uint16_t count, step;\n"
          "    int32_t difference;\n} lower_runs[] = {")
    rows("{0x%X,%d,%d,%d}" % r for r in runs)
    print("};\n")


def fix_map():
    """One character to at most three; a character that ftfy removes is not in here."""
    print("static const struct fix_row {\n    uint16_t from, to[3];\n} fix_rows[] = {")
    found = []
    for c in POINTS:
        out = fix_one(chr(c))
        if c >= 0x80 and out != chr(c):
            assert len(out) <= 3 and c < 0x10000
            found.append("{0x%X,{%s}}" % (c, ",".join("0x%X" % ord(o) for o in out)))
    rows(found)
    print("};\n")


def entities():
    """Names without the semicolon, sorted; kind 1: with a semicolon, 2: also without, 4: ftfy's own."""
    found = {}
    for name, text in html.entities.html5.items():
        bare = name.rstrip(";")
        kind = 1 if name.endswith(";") else 2
        old = found.get(bare, (0, text))
        assert old[1] == text, name
        found[bare] = (old[0] | kind, text)
    for name, text in chardata.HTML_ENTITIES.items():
        bare = name[1:-1]
        if bare not in found:
            found[bare] = (4, text)
        assert found[bare][1] == text and found[bare][0] & 5
    names = sorted(found)
    print("/* one string is the compact form, and gcc and clang take any length */")
    print('#pragma GCC diagnostic push\n#pragma GCC diagnostic ignored "-Woverlength-strings"')
    print("static const char entity_names[] =")
    line = ""
    offsets = [0]
    for n in names:
        offsets.append(offsets[-1] + len(n))
        line += n
    for i in range(0, len(line), 90):
        print(f'    "{line[i:i + 90]}"' + (";" if i + 90 >= len(line) else ""))
    print("#pragma GCC diagnostic pop\n")
    array("uint16_t", "entity_start", offsets)
    assert all(len(t) <= min(3, len(n)) for n, (_, t) in found.items()) and offsets[-1] < 65536
    assert max(ord(c) for _, t in found.values() for c in t) < 1 << 20
    print("/* first character, kind << 21, more than one: 1 << 24 */")
    array("uint32_t", "entity_value", [hex(ord(found[n][1][0]) | found[n][0] << 21
                                           | (len(found[n][1]) > 1) << 24) for n in names])
    more = [(i, *map(ord, found[n][1][1:] + "\0")) for i, n in enumerate(names)
            if len(found[n][1]) > 1]
    print("static const struct entity_rest {\n    uint16_t entity, rest[2];\n} entity_rests[] = {")
    rows("{%d,{0x%X,0x%X}}" % p[:3] for p in more)
    print("};\n")
    print(f"enum {{ ENTITIES = {len(names)}, ENTITY_LONGEST = {max(map(len, names))} }};\n")


def charrefs():
    """Numeric references that do not stand for themselves."""
    table = html._invalid_charrefs
    array("uint16_t", "charref_80", [hex(ord(table[c])) for c in range(0x80, 0xA0)])
    none = html._invalid_codepoints - set(table)
    for c in none:  # entity.c says it in words: check the words
        assert (1 <= c <= 8 or 0x0B == c or 0x0E <= c <= 0x1F or 0x7F == c or 0xFDD0 <= c <= 0xFDEF
                or c & 0xFFFE == 0xFFFE), hex(c)
    assert len(none) == 8 + 1 + 18 + 1 + 32 + 34, len(none)


def write(name, *parts):
    with open(pathlib.Path(__file__).with_name(name), "w") as f, contextlib.redirect_stdout(f):
        print("/* Written by tables.py from Unicode %s: do not edit. */" % ucd.unidata_version)
        print("/* clang-format off */\n")
        for part in parts:
            part()
        print("/* clang-format on */")


write("unicode.inc", classes, lower_runs, fix_map)
write("entities.inc", entities, charrefs)
