/*
 * decode_worker.c - the helper and the decoders: what runs in other processes than the server's.
 *
 * seccomp's default is the end of the process.  What remains is what reading a picture takes; opening
 * a file and starting a program are not among it, and memory can never be made executable.
 */
#include "serve/decode.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"

static const uint64_t ROOM = (uint64_t)3 << 29; /* bytes of memory beyond what was there: 1.5 GiB */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* whose own threads and maps need more than is allowed here */
#else
#define SANITIZED 0
#endif

/* ---- what a decoder may do ---- */

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#else
#error "decode_worker.c: name this machine's AUDIT_ARCH_"
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define ALLOW(name) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), RETURN(SECCOMP_RET_ALLOW)
#define REFUSE(name, err)                                                                                  \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), RETURN(SECCOMP_RET_ERRNO | (err))
/* Allowed unless argument i has one of the bits (its lower half). */
#define WITHOUT(name, i, bits)                                                                             \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 4), LOAD(args[i]),                                 \
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), 0, 1), RETURN(SECCOMP_RET_KILL_PROCESS),              \
        RETURN(SECCOMP_RET_ALLOW)
/* Allowed only with all of the bits. */
#define WITH(name, i, bits)                                                                                \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 5), LOAD(args[i]),                                 \
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (bits)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (bits), 1, 0),    \
        RETURN(SECCOMP_RET_KILL_PROCESS), RETURN(SECCOMP_RET_ALLOW)

static int lock_in(void)
{
    static const struct sock_filter filter[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        ALLOW(read),
        ALLOW(write),
        ALLOW(futex),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(madvise),
        ALLOW(brk),
        ALLOW(exit),
        ALLOW(exit_group),
        ALLOW(rt_sigreturn),
        ALLOW(rt_sigprocmask),
        ALLOW(clock_gettime),
        ALLOW(sched_yield),
        ALLOW(getrandom),
        /* AV1 and HEVC are decoded by threads of their libraries' */
        ALLOW(set_robust_list),
        ALLOW(rseq),
        ALLOW(sched_getaffinity),
        REFUSE(clone3, ENOSYS), /* glibc then asks by clone, whose flags can be looked at */
        REFUSE(openat, EACCES),
        REFUSE(prctl, EPERM), /* names of threads */
        WITH(clone, 0, CLONE_VM | CLONE_THREAD),
        WITHOUT(mprotect, 2, PROT_EXEC),
        /* mmap: not executable, and no file */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 6),
        LOAD(args[2]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 3, 0),
        LOAD(args[3]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 0, 1),
        RETURN(SECCOMP_RET_ALLOW),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        RETURN(SECCOMP_RET_KILL_PROCESS),
    };
    static const struct sock_fprog program = { sizeof filter / sizeof *filter,
                                               (struct sock_filter *)(uintptr_t)filter };
    if (SANITIZED)
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static void set_limit(int what, rlim_t most)
{
    const struct rlimit l = { most, most };
    setrlimit(what, &l);
}

static void set_limits(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    const int got = f ? fscanf(f, "%lu", &pages) : 0;
    if (f)
        fclose(f);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_FSIZE, 0);
    if (!SANITIZED && got == 1)
        set_limit(RLIMIT_AS, (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + ROOM);
}

/* ---- a decoder ---- */

static int read_all(int fd, void *bytes, size_t n)
{
    char *p = bytes;
    while (n) {
        const ssize_t got = read(fd, p, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

static int write_all(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;
    while (n) {
        const ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

/* 0, or -1 when the server has gone. */
static int decode_one(int fd)
{
    kn_decode_ask ask;
    kn_decode_answer a = { 0 };
    ken_image *img = NULL;
    if (read_all(fd, &ask, sizeof ask))
        return -1;
    unsigned char *bytes = kn_alloc(ask.len + 1, 1);
    if (!bytes || read_all(fd, bytes, ask.len)) /* without room for it: the server starts another one */
        return -1;
    ask.opts.size = sizeof ask.opts;
    a.status = (uint32_t)ken_image_decode(&img, bytes, ask.len, &ask.opts);
    kn_free(bytes);
    if (a.status) {
        snprintf(a.why, sizeof a.why, "%s", ken_last_error());
    } else {
        a.width = ken_image_width(img);
        a.height = ken_image_height(img);
    }
    int bad = write_all(fd, &a, sizeof a);
    for (uint32_t y = 0; !bad && y < a.height; y++)
        bad = write_all(fd, ken_image_row(img, y), (size_t)a.width * 3);
    ken_image_free(img);
    return bad;
}

/* What decoding would open must be open before: libheif, by a file that says it is of that kind. */
static void preload(void)
{
    static const char heif[] = "\0\0\0\x18"
                               "ftypheic\0\0\0\0mif1heic";
    ken_image *img = NULL;
    if (!ken_image_decode(&img, heif, sizeof heif - 1, NULL))
        ken_image_free(img);
}

static _Noreturn void decoder(int fd)
{
    set_limits();
    if (lock_in() != 0)
        _exit(3); /* the server is told by the end of the socket */
    while (decode_one(fd) == 0)
        continue;
    _exit(0);
}

/* ---- the helper ---- */

/* A message and the descriptor that comes along, or -1.  0 at the end of the server. */
static int receive(int control, kn_helper_ask *ask, int *fd)
{
    char room[CMSG_SPACE(sizeof(int))];
    struct iovec v = { ask, sizeof *ask };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room
    };
    ssize_t got;
    while ((got = recvmsg(control, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        continue;
    *fd = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); got > 0 && c; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(fd, CMSG_DATA(c), sizeof *fd);
    return got == (ssize_t)sizeof *ask;
}

static void start(int control, int fd)
{
    const pid_t pid = fork();
    if (pid == 0) {
        close(control);
        decoder(fd);
    }
    const int32_t told = (int32_t)pid;
    if (write(control, &told, sizeof told) != sizeof told)
        _exit(0);
}

/* No descriptor of the server's stays open here, and no signal meant for it is obeyed: the helper ends
 * with its socket. */
static void cut_off(int control)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (control > 3)
        syscall(__NR_close_range, 3, control - 1, 0);
    syscall(__NR_close_range, control + 1, ~0u, 0);
}

_Noreturn void kn_decode_helper(int control)
{
    kn_helper_ask ask;
    int fd;
    cut_off(control);
    preload();
    while (receive(control, &ask, &fd)) {
        if (ask.kill > 0) {
            kill(ask.kill, SIGKILL);
            waitpid(ask.kill, NULL, 0);
        } else if (fd >= 0) {
            start(control, fd);
        }
        if (fd >= 0)
            close(fd);
    }
    _exit(0);
}
