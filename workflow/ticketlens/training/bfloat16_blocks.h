/* The product of a block: sums over 32 numbers, even and odd ones apart, as AMX's tdpbf16ps has it.
 *
 * For 4 rows m of a and 32 columns j of b: c[m][j] += even + odd, where even is the sum over
 * k = 0, 2, .., 30 of a[m][k] b[k][j] from 0, each product and sum fused, and odd that over
 * k = 1, 3, .., 31. A result below 2^-126 (rounded as if exponents had no end) is a zero.
 * a and b hold bfloat16 values as float32, or two of them in a word (see `number`): for k = 0, 1,
 * 4, 5, 8, .. the numbers k + 2 and k, the later one in the lower half.
 */
#ifndef BFLOAT16_BLOCKS_H
#define BFLOAT16_BLOCKS_H
#include "bfloat16_lanes.h"
#if defined(WAY_AVX512BF16)
#include "bfloat16_pairs.h"
#endif

enum { ROWS = 4 };

/* Memory that is read soon, asked for some lines of 64 bytes after each product: what reads it at
 * once would wait. */
typedef struct {
    const bfloat16 *at;
    int64_t lines;
} coming;

/* From `at` on, `lines` in all, before so many products have passed. */
INLINE coming coming_from(const bfloat16 *at, int64_t lines, int64_t products)
{
    return (coming){at, products > 0 ? (lines + products - 1) / products : 0};
}

INLINE void ask(coming *soon)
{
    for (int64_t line = 0; line < soon->lines; line++, soon->at += BLOCK)
        __builtin_prefetch(soon->at, 0, 2);
}

/* What products read, and how many numbers of a row, or of a column, stand side by side. */
#if defined(WAY_AMX) || defined(WAY_AVX512BF16)
typedef bfloat16 number;
enum { ASIDE = 2 };
#else
typedef float number;
enum { ASIDE = 1 };
#endif

#if defined(WAY_AVX512BF16)
/* 32 numbers of a row in the order in which products read them. */
INLINE __m512i in_pairs(const bfloat16 *row)
{
    __m512i found = _mm512_loadu_si512(row);
    return _mm512_shufflehi_epi16(_mm512_shufflelo_epi16(found, 0x72), 0x72);
}

/* Two words of four rows each: the later numbers of all columns below the earlier ones. */
INLINE void rows_in_pairs(const bfloat16 *const row[4], number *to)
{
    __m512i r[4];
    for (int i = 0; i < 4; i++) r[i] = _mm512_loadu_si512(row[i]);
    side_by_side(r[2], r[0], to, to + BLOCK);
    side_by_side(r[3], r[1], to + 2 * BLOCK, to + 3 * BLOCK);
}

/* The same for a block of 32 rows. */
INLINE void block_in_pairs(const bfloat16 *block, number *to)
{
    for (int first = 0; first < BLOCK; first += 4, block += 4 * BLOCK, to += 4 * BLOCK) {
        const bfloat16 *row[4];
        for (int i = 0; i < 4; i++) row[i] = block + i * BLOCK;
        rows_in_pairs(row, to);
    }
}

/* c + (the product of the upper halves), then + (that of the lower ones), each fused. */
INLINE vector fused_twice(vector c, int32_t a, __m512i b)
{
    return (vector)_mm512_dpbf16_ps((__m512)c, (__m512bh)_mm512_set1_epi32(a), (__m512bh)b);
}

INLINE int32_t word(const bfloat16 *from)
{
    int32_t found;
    memcpy(&found, from, sizeof found);
    return found;
}

INLINE void block_products(const number *a, ptrdiff_t a_row, ptrdiff_t a_k, const number *b,
                           ptrdiff_t b_k, float *c, ptrdiff_t c_row)
{
    vector even[ROWS][2] = {{{0}}}, odd[ROWS][2] = {{{0}}};
#pragma GCC unroll 8
    for (int k = 0; k < BLOCK; k += 4) {
        __m512i first[2], second[2];
        for (int v = 0; v < 2; v++) {
            first[v] = _mm512_loadu_si512(b + k * b_k + v * BLOCK);
            second[v] = _mm512_loadu_si512(b + (k + 2) * b_k + v * BLOCK);
        }
        for (int m = 0; m < ROWS; m++) {
            int32_t left = word(a + m * a_row + k * a_k);
            int32_t right = word(a + m * a_row + (k + 2) * a_k);
            for (int v = 0; v < 2; v++) {
                even[m][v] = fused_twice(even[m][v], left, first[v]);
                odd[m][v] = fused_twice(odd[m][v], right, second[v]);
            }
        }
    }
    for (int m = 0; m < ROWS; m++)
        for (int v = 0; v < 2; v++) {
            float *at = c + m * c_row + v * WIDTH;
            store(at, load(at) + (even[m][v] + odd[m][v]));
        }
}
#elif defined(WAY_AMX) || defined(WAY_AVX512) || defined(WAY_AVX2)
#if WIDTH == 16
#define FUSED(a, b, c) ((vector)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define SPREAD(from) ((vector)_mm512_set1_ps(*(from)))
#define SPAN 2
#else
#define FUSED(a, b, c) ((vector)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define SPREAD(from) ((vector)_mm256_broadcast_ss(from))
#define SPAN 1
#endif
/* SPAN vectors of columns at a time, as many as there are registers for. */
INLINE void block_products(const float *a, ptrdiff_t a_row, ptrdiff_t a_k, const float *b,
                           ptrdiff_t b_k, float *c, ptrdiff_t c_row)
{
    for (int part = 0; part < PARTS; part += SPAN) {
        vector even[ROWS][SPAN] = {{{0}}}, odd[ROWS][SPAN] = {{{0}}};
        const float *column = b + part * WIDTH;
#pragma GCC unroll 16
        for (int k = 0; k < BLOCK; k += 2) {
            vector first[SPAN], second[SPAN];
            for (int v = 0; v < SPAN; v++) {
                first[v] = load(column + k * b_k + v * WIDTH);
                second[v] = load(column + (k + 1) * b_k + v * WIDTH);
            }
            for (int m = 0; m < ROWS; m++) {
                vector left = SPREAD(a + m * a_row + k * a_k);
                vector right = SPREAD(a + m * a_row + (k + 1) * a_k);
                for (int v = 0; v < SPAN; v++) {
                    even[m][v] = FUSED(left, first[v], even[m][v]);
                    odd[m][v] = FUSED(right, second[v], odd[m][v]);
                }
            }
        }
        for (int m = 0; m < ROWS; m++)
            for (int v = 0; v < SPAN; v++) {
                float *at = c + m * c_row + (part + v) * WIDTH;
                store(at, load(at) + (even[m][v] + odd[m][v]));
            }
    }
}

#endif

#if !defined(WAY_PLAIN)
/* Denormals are flushed between the two calls. What computes stands in a function APART, so that
 * the compiler moves nothing across. */
INLINE uint32_t flushing(void)
{
    uint32_t before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    return before;
}
INLINE void unflushing(uint32_t before) { _mm_setcsr(before); }
#else
/* Without an FMA. In float64 the product is exact, and their sum, rounded to float64 and then to
 * float32, is what one rounding would give (53 >= 2 24 + 2). */
INLINE float flushed(double exact)
{
    double size = exact < 0 ? -exact : exact;
    float found = (float)exact;
    /* 2^-126 (1 - 2^-25) and above round to 2^-126, which is not tiny. */
    return size < 0x1.ffffffp-127 ? (exact < 0 ? -0.0f : 0.0f) : found;
}

INLINE void block_products(const float *a, ptrdiff_t a_row, ptrdiff_t a_k, const float *b,
                           ptrdiff_t b_k, float *c, ptrdiff_t c_row)
{
    for (int m = 0; m < ROWS; m++) {
        float even[BLOCK] = {0}, odd[BLOCK] = {0};
        for (int k = 0; k < BLOCK; k += 2) {
            double left = a[m * a_row + k * a_k], right = a[m * a_row + (k + 1) * a_k];
            for (int j = 0; j < BLOCK; j++) {
                even[j] = flushed(left * (double)b[k * b_k + j] + (double)even[j]);
                odd[j] = flushed(right * (double)b[(k + 1) * b_k + j] + (double)odd[j]);
            }
        }
        for (int j = 0; j < BLOCK; j++) {
            float *at = c + m * c_row + j;
            *at = flushed((double)*at + (double)flushed((double)even[j] + (double)odd[j]));
        }
    }
}

INLINE uint32_t flushing(void) { return 0; }
INLINE void unflushing(uint32_t before) { (void)before; }
#endif
#endif
