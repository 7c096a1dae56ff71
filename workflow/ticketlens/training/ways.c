/* Which vector instructions this CPU has and the system grants: see ways.py. */
#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { AVX2 = 1, AVX512 = 2, AMX = 4 };

static uint64_t enabled_states(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Linux hands out the tiles' 8 KiB to processes that ask for them. */
static int tiles_granted(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    const int request = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, request, tile_data) == 0;
#else
    return 0;
#endif
}

/* A sum of AVX2 (with FMA), AVX512 (F, BW, DQ, VL) and AMX (tiles and bfloat16). */
int capabilities(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const unsigned fma = 1u << 12, osxsave = 1u << 27;
    if ((c & (fma | osxsave)) != (fma | osxsave)) return 0;
    uint64_t states = enabled_states();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    const unsigned amx = 1u << 22 | 1u << 24;
    if (!(b & 1u << 5) || (states & 0x6) != 0x6) return 0;
    if ((b & avx512) != avx512 || (states & 0xe6) != 0xe6) return AVX2;
    const uint64_t tiles = UINT64_C(3) << 17;
    int found = AVX2 | AVX512;
    unsigned a1, b1, c1, d1;
    if ((d & amx) == amx && (states & tiles) == tiles && __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1)
        && (a1 & 1u << 5) && tiles_granted())
        found |= AMX;
    return found;
}
#else
int capabilities(void) { return 0; }
#endif
