#!/usr/bin/env python3
"""Make the golden data of test_text.c: 10,000 random strings and what the publishers' tokenizers
make of them.

    python3.11 tests/golden/make_text.py CLIP CN_CLIP

CLIP     folder of openai/CLIP's simple_tokenizer.py and bpe_simple_vocab_16e6.txt.gz
CN_CLIP  folder of OFA-Sys/Chinese-CLIP's bert_tokenizer.py and vocab.txt

Python 3.11 (Unicode 14), ftfy 6.3, regex.  ftfy's fix_encoding, the repair of wrongly decoded text,
is switched off, since ken does without; the rest of the publishers' code runs as it is.  Writes to text/

    merges.txt  CLIP's first 2,000 merges
    vocab.txt   a part of Chinese-CLIP's vocabulary
    text.gz     the strings, each with a NUL behind it; then for each string four checksums of 3 bytes,
                little-endian: CLIP with merges.txt, CLIP, WordPiece with vocab.txt, WordPiece.
                A checksum is the low 24 bits of the CRC-32 of the ids as 32-bit little-endian numbers,
                cut to 77 or 52 of them.
    table.inc   the short texts of the table in test_text.c with their ids
    characters.inc  the CRC-32 of what becomes of every letter, number, Mn and space by itself
"""
import collections
import gzip
import html
import html.entities
import importlib.util
import pathlib
import random
import sys
import tempfile
import unicodedata as ucd
import zlib

import ftfy

assert ucd.unidata_version == "14.0.0"
HERE = pathlib.Path(__file__).parent / "text"
COUNT, MERGES, PIECES = 10000, 2000, 1600


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- random strings -------------------------------------------------------------------------------

R = random.Random(20240614)
ASSIGNED = [c for c in range(1, 0x110000) if ucd.category(chr(c)) not in ("Cn", "Cs")]
COMMON = [c for c in ASSIGNED if ucd.category(chr(c)) != "Co" and not 0x3400 <= c <= 0x9FFF
          and not 0xAC00 <= c <= 0xD7A3 and not 0x17000 <= c <= 0x18FFF and not 0x20000 <= c <= 0x3FFFF]
MARKS = [c for c in COMMON if ucd.combining(chr(c))]
DECOMPOSED = [c for c in COMMON if ucd.decomposition(chr(c))]
UPPER = [c for c in COMMON if chr(c).lower() != chr(c)]
SPACES = [c for c in ASSIGNED if chr(c).isspace()]
IGNORABLE = [0xAD, 0x2019, 0x27, 0x2E, 0x3A, 0x300, 0x345, 0x200D, 0x2C6, 0x5E, 0x60, 0xA8, 0xB7]
SCRIPTS = [(0x41, 0x7A), (0xC0, 0x17F), (0x180, 0x24F), (0x250, 0x2FF), (0x370, 0x3FF), (0x400, 0x52F),
           (0x530, 0x58F), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0x980, 0x9FF), (0xE00, 0xE7F),
           (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x13A0, 0x13FF),
           (0x1780, 0x17FF), (0x1800, 0x18AF), (0x1C90, 0x1CBF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF),
           (0x2000, 0x206F), (0x2100, 0x214F), (0x2150, 0x218F), (0x2190, 0x22FF), (0x2460, 0x24FF),
           (0x2C00, 0x2C5F), (0x3000, 0x303F), (0x3040, 0x309F), (0x30A0, 0x30FF), (0x3130, 0x318F),
           (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xA640, 0xA69F), (0xA720, 0xA7FF),
           (0xAB70, 0xABBF), (0xF900, 0xFAFF), (0xFB00, 0xFB4F), (0xFB50, 0xFDFF), (0xFE20, 0xFE6F),
           (0xFF00, 0xFFEF), (0x10400, 0x1044F), (0x10570, 0x105BF), (0x118A0, 0x118FF),
           (0x1D400, 0x1D7FF), (0x1E900, 0x1E95F), (0x1F000, 0x1FAFF), (0x20000, 0x2A6DF),
           (0x2A700, 0x2EBE0), (0x2F800, 0x2FA1F), (0xE0000, 0xE01EF)]
WORDS = """a an the photo picture of cat dog cats red blue apple bottle running man woman child street
city night beautiful painting in style on with two three black white mountain sunset beach car old new
diagram logo close-up portrait background isolated vector illustration supercalifragilistic teddy
bear skateboard Times Square naïve café résumé don't it's we'll they're I'd I've I'm she's DON'T IT'S
WE'VE 3D 2024 100% $5 #hashtag @user e-mail www.example.com C++ rock'n'roll O'Neil o'clock""".split()
CHINESE = "一只猫坐在红色的沙发上北京天安门手机壳杰尼龟妙蛙种子小火龙皮卡丘照片图片女孩男孩的了是我中国上海苹果香蕉狗山水人大小多少年月日"
NAMES = sorted(html.entities.html5)
EMOJI = [*range(0x1F600, 0x1F650), *range(0x1F300, 0x1F600), *range(0x2600, 0x27C0), 0x2764, 0x1F1E6,
         0x1F1FA, 0x1F1F8, 0x1F468, 0x1F469, 0x1F467]
EMOJI = [c for c in EMOJI if ucd.category(chr(c)) != "Cn"]


def pick(codes, least, most):
    return "".join(chr(R.choice(codes)) for _ in range(R.randint(least, most)))


def words(least=2, most=9):
    return "".join(R.choice(WORDS) + R.choice([" ", " ", " ", " ", ", ", ". ", "! ", "  ", "-", "/"])
                   for _ in range(R.randint(least, most)))


def script():
    low, high = R.choice(SCRIPTS)
    codes = [c for c in ASSIGNED_IN[low, high]]
    return " ".join(pick(codes, 1, 9) for _ in range(R.randint(1, 4)))


def emoji():
    out = ""
    for _ in range(R.randint(1, 6)):
        out += chr(R.choice(EMOJI))
        out += R.choice(["", "", "\ufe0f", "\ufe0e", "\u200d", "\U0001f3fd", "\u20e3", " "])
    return out


def marks():
    out = ""
    for _ in range(R.randint(1, 4)):
        out += chr(R.choice([R.choice(DECOMPOSED), R.randint(0x61, 0x7A), R.choice(COMMON)]))
        out += pick(MARKS, 0, R.choice([1, 1, 2, 4, 30]))
    return out


def controls():
    out = ""
    for _ in range(R.randint(2, 8)):
        out += R.choice([chr(R.randint(1, 0x20)), chr(R.randint(0x7F, 0xA0)), "\r\n", "\r", "\n", "\x85",
                         "\x1b[31m", "\x1b[1;%dmred\x1b[0m" % R.randint(0, 99), "\x1b[", "\x1b[\u0663m",
                         "\x1b\x1b[K", "\ufeff", "\u2028", "\u2029", "\ufffc", "\ufffd", "\u200b",
                         chr(R.randint(0x2060, 0x206F)), chr(R.choice([0xFFF9, 0xE0041, 0x1D173])), "ab",
                         "C", "7"])
    return out


def entity():
    name = R.choice(NAMES)
    n = R.choice([R.randint(0, 0x180), R.choice(ASSIGNED), R.randint(0xD700, 0xE100), 59, 38, 60,
                  R.randint(0, 0x120000), R.randint(0xFDC0, 0xFE00), 10 ** R.randint(6, 12), 0x1FFFE])
    return R.choice([
        "&" + name, "&" + name, "&" + name.rstrip(";"), "&" + name.upper(), "&" + name.lower(),
        "&" + name.rstrip(";") + R.choice(["x", "1", "é", " ", "=", "&"]), "&amp;" + name,
        "&amp;amp;" + name, "&" + name[:-1], "&%d;" % n, "&#%d;" % n, "&#%d" % n, "&#x%x;" % n,
        "&#X%X" % n, "&#%dab;" % n, "&#x%xg;" % n, "&#;", "&#x;", "&;", "&", "&&", "&" + "a" * 40 + ";",
        "&amp", "&lt", "&gtcc;", "&NotGreaterEqual;", "&notit;", "&notin;", "&EACUTE;", "&NTILDE;",
        "&FFILIG;", "&SZLIG;", "&#0;", "&#128;", "&#x9f;", "&#xFEFF;", "&#769;", "&amp;#769;"])


def entities():
    out = "".join(entity() + R.choice(["", " ", "a", "e"]) for _ in range(R.randint(1, 6)))
    return out + R.choice(["", "", "<", "\n&lt;b&gt;", "<b>\n&amp;amp;", "\n<\n&eacute;"])


def asian():
    out = ""
    for _ in range(R.randint(1, 4)):
        out += R.choice([
            "".join(R.choice(CHINESE) for _ in range(R.randint(1, 9))), pick(range(0x3041, 0x3097), 1, 5),
            pick(range(0x30A1, 0x30FB), 1, 5), pick(range(0xAC00, 0xD7A4), 1, 4),
            pick(range(0x4E00, 0xA000), 1, 4), pick(range(0xFF01, 0xFF5F), 1, 5),
            pick(range(0xFF61, 0xFFBF), 1, 5), R.choice(["，", "。", "！", "「", "」", "　", "iPhone", "4K"])])
    return out


def long_word():
    n = R.choice([30, 64, 65, 66, 120, 199, 200, 201, 260])
    kind = R.randint(0, 4)
    if kind == 0:
        return R.choice("abehnot") * n
    if kind == 1:
        return (R.choice(["ab", "the", "aab", "ing", "!?", "...", "的", "é"]) * n)[:n]
    if kind == 2:
        return "".join(R.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(n))
    if kind == 3:
        return "".join(R.choice(["in", "the", "er", "a", "an", "on", "st", "re"]) for _ in range(n // 2))
    return "".join(R.choice("!?.,-=*#_<>|/'\"") for _ in range(n))


def spaces():
    return "".join(pick(SPACES, 0, 3) + R.choice(["a", "b", "7", "的", "-", "\u200b", "\u180e"])
                   for _ in range(R.randint(1, 6))) + pick(SPACES, 0, 2)


def cases():
    out = ""
    for _ in range(R.randint(1, 8)):
        out += R.choice([chr(R.choice(UPPER)), "Σ", "Σ", chr(R.choice(IGNORABLE)), "İ", "I", "ſ", "K", "ΑΣ",
                         "'ſ", "'S", "'LL", " ", "ẞ", "ǅ", "Ω"])
    return out


def quotes():
    out = ""
    for _ in range(R.randint(1, 6)):
        out += R.choice(["ﬁ", "ﬂ", "ﬃ", "ﬅ", "ﬆ", "ĳ", "ŉ", "ǆ", "Ǉ", "‘", "’s", "“", "”", "‚", "„", "ʼt", "‛ve",
                         "it", "We", "'re", "'", "\"", "`", "´", "…"])
    return out


def specials():
    out = ""
    for _ in range(R.randint(1, 4)):
        out += R.choice(["<|startoftext|>", "<|endoftext|>", "<|STARTOFTEXT|>", "<|ſtartoftext|>",
                         "<|endofte", "<start_of_text>", "<|", "|>", "!<|endoftext|>", "a", " ", "hello",
                         "[CLS]", "[UNK]", "##a", "<|startoftext|>s", "'<|endoftext|>"])
    return out


def anything():
    return pick(R.choice([ASSIGNED, COMMON]), 1, 8)


KINDS = [words, words, words, script, script, script, emoji, marks, controls, entities, entities, asian,
         asian, long_word, spaces, cases, cases, quotes, specials, anything]
ASSIGNED_IN = {r: [c for c in ASSIGNED if r[0] <= c <= r[1]] for r in SCRIPTS}


def assigned(text):
    """Whether nothing in it, nor in what its entities stand for, is newer than the pinned Unicode."""
    return "Cn" not in {ucd.category(c) for t in (text, html.unescape(html.unescape(text))) for c in t}


def sample(i):
    text = draw(i)
    return text if assigned(text) else sample(i)


def draw(i):
    kind = KINDS[i % len(KINDS)]
    if kind is long_word and i % 3:
        kind = marks
    text = kind()
    if R.random() < 0.25:
        text += R.choice(["", " "]) + R.choice([k for k in KINDS if k is not long_word])()
    return text


TABLE = ["a diagram", "a dog", "a cat", "a photo of a cat", "a photo of 2 cats", "hello world!", "it's",
         "don't they're I'd we'll", "DON'T SHOUT", "3.14159 and 2024", "  multiple   spaces\tand\nnewlines ",
         "café naïve résumé", "😀 emoji ❤️", "猫の写真", "한국어", "Привет",
         "&lt;b&gt; &amp;amp; &quot;q&quot;", "a_b-c/d\\e", "<|endoftext|> hi",
         "supercalifragilisticexpialidocious", "...!!??", "½ Ⅷ ٣", "İSTANBUL", "x\u0301y", "",
         "a photo of a fox", "杰尼龟", "妙蛙种子", "小火龙", "皮卡丘", "Hello World 2024", "iPhone手机壳",
         "a photo of a café", "北京，天安门！", "😀", "あい", "中国ABC123", "ΟΔΥΣΣΕΥΣ ΣΑΣ. Σ", "'ſ <|ſtartoftext|>",
         "a\u0345b", "\u1108\u1169\u11a7 \u1108\u1169\u11a8", "long " * 40, "长" * 60, "x" * 200, "x" * 201]


# ---- the publishers ---------------------------------------------------------------------------------

def clip_ids(tokenizer, start, end, text, context=77):
    ids = [start, *tokenizer.encode(text), end]
    if len(ids) > context:
        ids = ids[:context - 1] + [end]
    return ids


def bert_ids(tokenizer, text, context=52):
    vocab = tokenizer.vocab
    ids = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))
    return [vocab["[CLS]"], *ids[:context - 2], vocab["[SEP]"]]


def checksum(ids):
    return zlib.crc32(b"".join(i.to_bytes(4, "little") for i in ids)) & 0xFFFFFF


def reduced_vocab(full, strings):
    """The special tokens and the pieces that these strings use most, in the order of the file."""
    used = collections.Counter()
    for s in strings:
        used.update(full.tokenize(s))
    keep = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} | {t for t, _ in used.most_common(PIECES)}
    return [t for t in full.vocab if t in keep]


def c_string(text):
    return '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}"
                         for b in text.encode()) + '"'


def write_table(clip, bert):
    with open(HERE / "table.inc", "w") as f:
        f.write("/* Written by make_text.py: text; how many, and ids of CLIP; the same of Chinese-CLIP. */\n")
        f.write("/* clang-format off */\n")
        for text in TABLE:
            f.write("{ %s" % c_string(text))
            for ids in (clip(text), bert(text)):
                f.write(",\n  %d, { %s }" % (len(ids), ", ".join(map(str, ids))))
            f.write(" },\n")
        f.write("/* clang-format on */\n")


def write_characters():
    """Python's unicodedata, str.lower and ftfy on one character at a time."""
    crc = 0
    plain = ftfy.TextFixerConfig(fix_encoding=False, explain=False)
    for c in range(1, 0x110000):
        ch, cat = chr(c), ucd.category(chr(c))
        if cat != "Cs" and (cat[0] in "LN" or cat == "Mn" or ch.isspace()):
            out = (ch + ucd.normalize("NFC", ch) + ucd.normalize("NFD", ch) + ch.lower()
                   + ftfy.fix_text(ch, plain))
            crc = zlib.crc32((out + "\0").encode(), crc)
    (HERE / "characters.inc").write_text("0x%08xu\n" % crc)


def main():
    clip_dir, cn_dir = map(pathlib.Path, sys.argv[1:])
    write_characters()
    simple, bert = load(clip_dir / "simple_tokenizer.py"), load(cn_dir / "bert_tokenizer.py")
    repair = ftfy.fix_text
    plain = ftfy.TextFixerConfig(fix_encoding=False, explain=False)
    strings = [sample(i) for i in range(COUNT)]
    differ = sum(repair(s) != repair(s, plain) for s in strings)
    simple.ftfy.fix_text = lambda text: repair(text, plain)

    gz = clip_dir / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.open(gz).read().decode().split("\n")[:MERGES + 1]
    (HERE / "merges.txt").write_text("\n".join(lines) + "\n")
    with tempfile.NamedTemporaryFile(suffix=".gz") as f:
        f.write(gzip.compress("\n".join(lines).encode()))
        f.flush()
        small_clip = simple.SimpleTokenizer(f.name)
    clip = simple.SimpleTokenizer(str(gz))
    big_bert = bert.FullTokenizer(str(cn_dir / "vocab.txt"))
    (HERE / "vocab.txt").write_text("".join(t + "\n" for t in reduced_vocab(big_bert, strings)))
    small_bert = bert.FullTokenizer(str(HERE / "vocab.txt"))
    small = 512 + MERGES
    sums = b""
    for s in strings:
        for ids in (clip_ids(small_clip, small, small + 1, s), clip_ids(clip, 49406, 49407, s),
                    bert_ids(small_bert, s), bert_ids(big_bert, s)):
            sums += checksum(ids).to_bytes(3, "little")
    data = "".join(s + "\0" for s in strings).encode() + sums
    (HERE / "text.gz").write_bytes(gzip.compress(data, 9, mtime=0))
    write_table(lambda s: clip_ids(clip, 49406, 49407, s), lambda s: bert_ids(big_bert, s))
    print(f"{COUNT} strings, {len(data)} bytes; in {differ} ftfy's fix_encoding would act")


if __name__ == "__main__":
    main()
