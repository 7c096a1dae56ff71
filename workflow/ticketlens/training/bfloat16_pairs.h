/* What AVX-512 does with rows of 32 bfloat16 numbers: numbers of two rows side by side, transposes.
 */
#ifndef BFLOAT16_PAIRS_H
#define BFLOAT16_PAIRS_H
#include "bfloat16_lanes.h"

/* Transpose 16 vectors of 16 words. */
INLINE void transpose(__m512i *v)
{
    __m512i a[16], b[16];
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + j + 2]);
            b[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + j + 2]);
        }
    /* b[4 q + r] holds, in lane l of 128 bits, word 4 l + r of vectors 4 q .. 4 q + 3. */
    for (int r = 0; r < 4; r++) {
        __m512i low01 = _mm512_shuffle_i32x4(b[r], b[4 + r], 0x44);
        __m512i high01 = _mm512_shuffle_i32x4(b[r], b[4 + r], 0xee);
        __m512i low23 = _mm512_shuffle_i32x4(b[8 + r], b[12 + r], 0x44);
        __m512i high23 = _mm512_shuffle_i32x4(b[8 + r], b[12 + r], 0xee);
        v[r] = _mm512_shuffle_i32x4(low01, low23, 0x88);
        v[4 + r] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
        v[8 + r] = _mm512_shuffle_i32x4(high01, high23, 0x88);
        v[12 + r] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
    }
}

/* Numbers of two rows side by side: columns 0 to 15 in `lower`, 16 to 31 in `upper`. */
INLINE void side_by_side(__m512i one, __m512i other, bfloat16 *lower, bfloat16 *upper)
{
    bfloat16 order[2][BLOCK];
    for (int i = 0; i < BLOCK; i++)
        for (int half = 0; half < 2; half++)
            order[half][i] = (bfloat16)(half * 16 + i / 2 + i % 2 * BLOCK);
    __m512i left = _mm512_loadu_si512(order[0]), right = _mm512_loadu_si512(order[1]);
    _mm512_storeu_si512(lower, _mm512_permutex2var_epi16(one, left, other));
    _mm512_storeu_si512(upper, _mm512_permutex2var_epi16(one, right, other));
}

/* 16 rows of 16 words, transposed, words of a column `apart` numbers from the next column's. */
INLINE void transpose_words(const bfloat16 *from, bfloat16 *to, ptrdiff_t apart)
{
    __m512i v[16];
    for (int i = 0; i < 16; i++) v[i] = _mm512_loadu_si512(from + i * BLOCK);
    transpose(v);
    for (int i = 0; i < 16; i++) _mm512_storeu_si512(to + i * apart, v[i]);
}
#endif
