/* Which vector instructions this CPU has and the system grants: see ways.py. */
#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { AVX2 = 1, AVX512 = 2, AMX = 4, AVX512BF16 = 8 };

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

/* Whether vdpbf16ps adds the products of the upper halves, then those of the lower ones, each
 * fused, and flushes what is tiny, as docs/precision.md has it: manuals leave room. */
#if __has_include(<avx512bf16intrin.h>)
#include <immintrin.h>
#include <string.h>

__attribute__((target("avx512f,avx512bf16"))) static int dots_are_fused(void)
{
    static const struct {
        float c, a[2], b[2], expected; /* lower half, upper half */
    } cases[] = {
        {1.0f, {0x1p-12f, 0x1p-12f}, {0x1p-12f, 0x1p-12f}, 1.0f},
        {1.0f, {0x1p-12f, 0x1p-12f}, {0x1p-12f, 0x1.8p-12f}, 0x1.000004p0f},
        {1.0f, {0x1p-12f, 0x1p-12f}, {0x1.8p-12f, 0x1p-12f}, 0x1.000002p0f},
        {0x1p-126f, {0.0f, 0x1p-75f}, {0.0f, 0x1.8p-74f}, 0x1.000004p-126f},
        {0x1p-126f, {0x1p-126f, 0x1p-63f}, {1.0f, -0x1p-64f}, 0x1p-126f},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t word[2][2], pair[2];
        memcpy(word[0], cases[i].a, sizeof word[0]);
        memcpy(word[1], cases[i].b, sizeof word[1]);
        for (int j = 0; j < 2; j++) pair[j] = word[j][0] >> 16 | (word[j][1] & 0xffff0000u);
        __m512i a = _mm512_set1_epi32((int)pair[0]), b = _mm512_set1_epi32((int)pair[1]);
        __m512 found = _mm512_dpbf16_ps(_mm512_set1_ps(cases[i].c), (__m512bh)a, (__m512bh)b);
        if (_mm512_cvtss_f32(found) != cases[i].expected) return 0;
    }
    return 1;
}
#else
static int dots_are_fused(void) { return 0; }
#endif

/* A sum of AVX2 (with FMA), AVX512 (F, BW, DQ, VL), AVX512BF16 and AMX (tiles and bfloat16). */
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
    if (!__get_cpuid_count(7, 1, &a1, &b1, &c1, &d1) || !(a1 & 1u << 5)) return found;
    if (dots_are_fused()) found |= AVX512BF16;
    if ((d & amx) == amx && (states & tiles) == tiles && tiles_granted()) found |= AMX;
    return found;
}
#else
int capabilities(void) { return 0; }
#endif
