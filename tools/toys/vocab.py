#!/usr/bin/env python3
"""The vocabulary of the small bilingual text tower: weights/vocab.txt.

    tools/toys/vocab.py ./ken-toys GROCERY > weights/vocab.txt

GROCERY is the folder of the Grocery Store data (classes.csv and its descriptions, MIT licence).
Lines, in this order, so that ids tell what a token is:
    0 .. 4      [PAD] [UNK] [CLS] [SEP] [MASK]
    5 .. 76     single letters and digits, then the same inside a word (##)
    77 ..       punctuation; words; endings (##); Chinese characters
Words are those that training shows (captions of toys, groceries' names and descriptions) and the
small words of questions, no others: a word from outside falls into letters, and a text that is mostly
letters and [UNK] is outside what the tower knows.
"""
import csv
import json
import os
import re
import string
import subprocess
import sys
import unicodedata

SMALL = """a all am an and any are as at be been both but by can close could did do does each ever every few find for from
get give got had has have having he her here him his how i if image images in inside into is it its just let like look looking
made make many me more most much my near no not now of off on one only onto or other our out outside over photo photograph
photographs photos picture pictures please same search see she should show side similar single so some someone something than
that the their them then there these they thing things this those to together too two three four five six seven eight nine ten
toward under up us very want was we were what when where which while who whose why will with within without would you your
big bigger biggest little small smaller tiny huge large long short tall thin thick wide new old young light dark bright pale
deep colour color coloured colored colourful colorful colours colors animal animals toy toys doll dolls soft cuddly cute left
right front back top bottom middle half whole part parts piece pieces wearing wears wear worn holding holds sitting sits
standing stands lying table floor wall shelf room garden grass hand hands box food fruit fruits vegetable vegetables drink
bottle carton package shop store""".split()
ENDINGS = """s es ed ing er ers est ly y ies ied ish like ness ful less able ible tion ment al ic ous ive or ism ist ity en ry
ty th an on in le et""".split()


def pieces(text):
    """Words and characters as the tokenizer cuts them: lower case, no accents, at punctuation."""
    text = unicodedata.normalize("NFD", text.lower())
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    return re.findall(r"[\u3400-\u9fff]|[a-z0-9]+", text)


def texts(toys, grocery):
    run = [toys, "captions", "--ids", "0:20000", "--captions", "8"]
    for line in subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines():
        caption = json.loads(line)
        yield caption["en"]
        yield caption["zh"]
    with open(os.path.join(grocery, "classes.csv"), encoding="utf-8") as f:
        for row in list(csv.reader(f))[1:]:
            yield row[0].replace("-", " ")
            yield row[2].replace("-", " ")
            with open(grocery + row[5], encoding="utf-8") as d:
                yield d.read()
    with open(os.path.join(os.path.dirname(__file__), "../../weights/grocery-zh.csv"), encoding="utf-8") as f:
        yield f.read()


def main():
    single = string.ascii_lowercase + string.digits
    out = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    out += list(single) + ["##" + c for c in single]
    out += list(string.punctuation) + list("，。、！？：；（）“”‘’…—·")
    seen = {p for t in texts(sys.argv[1], sys.argv[2]) for p in pieces(t)}
    words = {p for p in seen if p.isascii() and len(p) > 1} | {w for w in SMALL if len(w) > 1}
    out += sorted(words)
    out += ["##" + e for e in ENDINGS if len(e) > 1]
    out += sorted(p for p in seen if not p.isascii())
    assert len(out) == len(set(out))
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
