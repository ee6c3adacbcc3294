/* cpu.c - features that both the processor and the OS support.
 *
 * CPUID alone is not enough: the OS must also save the wide registers on a
 * context switch, which XCR0 tells; and Linux gives the AMX tiles only to a
 * process that asks (arch_prctl ARCH_REQ_XCOMP_PERM), before any of its
 * threads touches one. */
#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

/* Leaf 7, for compilers whose cpuid.h is older than the bit. */
enum {
    EBX_AVX512 = 1u << 16 | 1u << 17 | 1u << 30, /* F DQ BW; VL is bit 31 */
    ECX_ICL = 1u << 1 | 1u << 11 | 1u << 12 | 1u << 14, /* VBMI VNNI BITALG VPOPCNTDQ */
    EDX_AMX = 1u << 22 | 1u << 24 | 1u << 25, /* BF16 TILE INT8 */
    EAX1_AVX512BF16 = 1u << 5
};

static unsigned xcr0(void)
{
    unsigned lo, hi;
    __asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

static int amx_permitted(void)
{
    return (xcr0() & 0x60000) == 0x60000 &&
           syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

unsigned kn_cpu_detect(void)
{
    unsigned a, b, c, d, a1 = 0, b1, c1, d1, cpu = 0;
    const unsigned leaf1 = bit_FMA | bit_OSXSAVE | bit_AVX | bit_F16C | bit_POPCNT;
    const unsigned avx2 = bit_AVX2 | bit_BMI2;

    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & leaf1) != leaf1)
        return 0;
    if ((xcr0() & 0x06) != 0x06) /* XMM and YMM state */
        return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & avx2) != avx2)
        return 0;
    cpu |= KN_CPU_AVX2;
    if ((b & EBX_AVX512) != EBX_AVX512 || !(b >> 31) || (xcr0() & 0xe0) != 0xe0)
        return cpu; /* opmask and ZMM state */
    cpu |= KN_CPU_AVX512;
    if ((c & ECX_ICL) != ECX_ICL)
        return cpu;
    cpu |= KN_CPU_AVX512ICL;
    if (a >= 1 && __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1) && (a1 & EAX1_AVX512BF16))
        cpu |= KN_CPU_AVX512BF16;
    if ((cpu & KN_CPU_AVX512BF16) && (d & EDX_AMX) == EDX_AMX && amx_permitted())
        cpu |= KN_CPU_AMX;
    return cpu;
}
#elif defined(__aarch64__)
unsigned kn_cpu_detect(void)
{
    return KN_CPU_NEON; /* part of the architecture */
}
#else
unsigned kn_cpu_detect(void)
{
    return 0;
}
#endif
