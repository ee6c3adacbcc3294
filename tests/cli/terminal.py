"""terminal.py - what a program writes where its standard output is a terminal; for tests of the program."""

import os
import pty
import sys

wrong = []


def shown(program, *args, without=(), **env):
    """All bytes of it, in the environment with env and without those variables; it must end with 0."""
    pid, fd = pty.fork()
    if pid == 0:
        for name in without:
            os.environ.pop(name, None)
        os.environ.update(env)
        os.execv(program, [os.path.basename(program), *args])
    text = b""
    while True:
        try:
            got = os.read(fd, 65536)
        except OSError:  # Linux's end of a terminal
            break
        if not got:
            break
        text += got
    os.close(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    check(f"{' '.join(args)}: status {status}", status == 0, text)
    return text


def check(what, ok, seen=b""):
    if not ok:
        wrong.append(what)
        print("not ok:", what, repr(seen)[:300])


def finish():
    sys.exit(len(wrong) > 0)
