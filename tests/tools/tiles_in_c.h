/* AMX's tiles in C, included before bfloat16.c, so that its layouts are tested where there are none.
 *
 * A product is tdpbf16ps as Intel's manual describes it: for each row and column the even and the odd
 * products summed apart, fused, from 0; their sum added. What is tiny is a zero.
 */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

static _Thread_local uint8_t tiles[8][16][64];

static void load_tile(int number, const void *from, int64_t stride)
{
    for (int row = 0; row < 16; row++)
        memcpy(tiles[number][row], (const uint8_t *)from + row * stride, 64);
}

static void store_tile(int number, void *to, int64_t stride)
{
    for (int row = 0; row < 16; row++)
        memcpy((uint8_t *)to + row * stride, tiles[number][row], 64);
}

static __m512 low_halves(__m512i words) { return _mm512_castsi512_ps(_mm512_slli_epi32(words, 16)); }
static __m512 high_halves(__m512i words)
{
    return _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32((int)0xffff0000)));
}

static __attribute__((noinline)) void multiply_tiles(int sums, int rows, int columns)
{
    uint32_t before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);
    for (int m = 0; m < 16; m++) {
        __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();
        for (int k = 0; k < 16; k++) {
            int32_t pair;
            memcpy(&pair, tiles[rows][m] + 4 * k, 4);
            __m512i left = _mm512_set1_epi32(pair), right = _mm512_loadu_si512(tiles[columns][k]);
            even = _mm512_fmadd_ps(low_halves(left), low_halves(right), even);
            odd = _mm512_fmadd_ps(high_halves(left), high_halves(right), odd);
        }
        __m512 sum = _mm512_loadu_ps(tiles[sums][m]);
        _mm512_storeu_ps(tiles[sums][m], _mm512_add_ps(sum, _mm512_add_ps(even, odd)));
    }
    _mm_setcsr(before);
}

#define tile_load(number, from, stride) load_tile(number, from, stride)
#define tile_store(number, to, stride) store_tile(number, to, stride)
#define tile_zero(number) memset(tiles[number], 0, sizeof tiles[number])
#define tile_product(sums, rows, columns) multiply_tiles(sums, rows, columns)
static void tiles_on(void) {}
static void tiles_off(void) {}
