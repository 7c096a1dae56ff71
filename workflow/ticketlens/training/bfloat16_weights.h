/* Gradients of a convolution's weights: for each tap, output and input, a sum over all pixels.
 *
 * The sum runs over images, over an image's blocks of 32 pixels and within a block as in
 * bfloat16_blocks.h. Tables say which pixels form a block, and which pixel of the input each tap
 * meets there. Inputs are laid out again, one view for each shift within a row.
 */
#ifndef BFLOAT16_WEIGHTS_H
#define BFLOAT16_WEIGHTS_H
#include "bfloat16_blocks.h"
#if defined(WAY_AMX)
#include "bfloat16_tiles.h"
#endif

/* Blocks of pixels whose inputs and gradients stay in the nearest cache. */
enum { GROUP = 8 };

typedef struct {
    int64_t in_blocks, out_blocks, taps;
    int64_t parts;               /* products of a tap with a block: 2 for high and low inputs */
    int64_t in_pixels, out_pixels; /* of a block of channels of x, of g */
    int64_t view_pixels;         /* of all views, even */
    const int32_t *view;         /* each one's pixel of x, or -1 for zeros */
    int64_t blocks;              /* of 32 pixels of an image */
    const int32_t *spread;       /* (blocks, 32): each one's pixel of g, or -1 for zeros */
    const int32_t *offset;       /* (taps, parts): the pixel that meets the first of block 0 */
} weighing;

#if defined(WAY_AMX)
typedef bfloat16 laid;

INLINE __m512i pixel_of(const bfloat16 *map, int32_t pixel)
{
    return pixel < 0 ? _mm512_setzero_si512() : _mm512_loadu_si512(map + (ptrdiff_t)pixel * BLOCK);
}

/* The channel of a column of the sums: words of two pixels interleave within 128 bits. */
INLINE int64_t channel_of(int64_t column)
{
    int64_t half = column / 16, rest = column % 16;
    return rest / 4 * 8 + half * 4 + rest % 4;
}

/* Pairs of pixels: for 16 channels the two pixels' numbers side by side, two halves of channels. */
APART void lay_inputs(const weighing *w, const bfloat16 *x, laid *room)
{
    int64_t pairs = w->view_pixels / 2;
    for (int64_t block = 0; block < w->in_blocks; block++) {
        const bfloat16 *map = x + block * w->in_pixels * BLOCK;
        bfloat16 *lower = room + block * w->view_pixels * BLOCK, *upper = lower + pairs * BLOCK;
        for (int64_t pair = 0; pair < pairs; pair++) {
            __m512i a = pixel_of(map, w->view[2 * pair]), b = pixel_of(map, w->view[2 * pair + 1]);
            _mm512_store_si512(lower + pair * BLOCK, _mm512_unpacklo_epi16(a, b));
            _mm512_store_si512(upper + pair * BLOCK, _mm512_unpackhi_epi16(a, b));
        }
    }
}

/* For each block, 32 rows of one channel's 32 pixels. */
APART void lay_gradients(const weighing *w, const bfloat16 *g, laid *room)
{
    for (int64_t block = 0; block < w->out_blocks; block++) {
        const bfloat16 *map = g + block * w->out_pixels * BLOCK;
        for (int64_t number = 0; number < w->blocks; number++, room += BLOCK * BLOCK) {
            const int32_t *pixel = w->spread + number * BLOCK;
            __m512i lower[16], upper[16];
            for (int pair = 0; pair < 16; pair++) {
                __m512i a = pixel_of(map, pixel[2 * pair]), b = pixel_of(map, pixel[2 * pair + 1]);
                lower[pair] = _mm512_unpacklo_epi16(a, b);
                upper[pair] = _mm512_unpackhi_epi16(a, b);
            }
            transpose(lower);
            transpose(upper);
            for (int i = 0; i < 16; i++) {
                _mm512_store_si512(room + channel_of(i) * BLOCK, lower[i]);
                _mm512_store_si512(room + channel_of(16 + i) * BLOCK, upper[i]);
            }
        }
    }
}

APART void group_products(const weighing *w, const laid *x, const laid *g, int64_t first,
                          int64_t count, float *sums)
{
    barrier();
    int64_t half = w->view_pixels / 2 * BLOCK;
    for (int64_t in = 0; in < w->in_blocks; in++)
        for (int64_t out = 0; out < w->out_blocks; out++) {
            const laid *rows = g + (out * w->blocks + first) * BLOCK * BLOCK;
            float *at = sums + (out * w->in_blocks + in) * w->taps * BLOCK * BLOCK;
            for (int64_t tap = 0; tap < w->taps; tap++, at += BLOCK * BLOCK) {
                sums_load(at);
                for (int64_t number = 0; number < count; number++)
                    for (int64_t part = 0; part < w->parts; part++) {
                        int64_t pixel = w->offset[tap * w->parts + part] + (first + number) * BLOCK;
                        const laid *column = x + in * 2 * half + pixel / 2 * BLOCK;
                        const laid *row = rows + number * BLOCK * BLOCK;
                        sums_step(row, row + BLOCK * 16, 64, column, column + half);
                    }
                sums_store(at);
            }
        }
}
#else
typedef float laid;

INLINE int64_t channel_of(int64_t column) { return column; }

INLINE void lay(const bfloat16 *map, const int32_t *pixel, int64_t count, float *to)
{
    for (int64_t i = 0; i < count; i++, to += BLOCK)
        for (int part = 0; part < PARTS; part++) {
            const bfloat16 *from = map + (ptrdiff_t)pixel[i] * BLOCK + part * WIDTH;
            store(to + part * WIDTH, pixel[i] < 0 ? all(0.0f) : widen(from));
        }
}

APART void lay_inputs(const weighing *w, const bfloat16 *x, laid *room)
{
    for (int64_t block = 0; block < w->in_blocks; block++)
        lay(x + block * w->in_pixels * BLOCK, w->view, w->view_pixels,
            room + block * w->view_pixels * BLOCK);
}

APART void lay_gradients(const weighing *w, const bfloat16 *g, laid *room)
{
    for (int64_t block = 0; block < w->out_blocks; block++)
        lay(g + block * w->out_pixels * BLOCK, w->spread, w->blocks * BLOCK,
            room + block * w->blocks * BLOCK * BLOCK);
}

APART void group_products(const weighing *w, const laid *x, const laid *g, int64_t first,
                          int64_t count, float *sums)
{
    for (int64_t in = 0; in < w->in_blocks; in++)
        for (int64_t out = 0; out < w->out_blocks; out++) {
            const laid *rows = g + (out * w->blocks + first) * BLOCK * BLOCK;
            float *at = sums + (out * w->in_blocks + in) * w->taps * BLOCK * BLOCK;
            for (int64_t tap = 0; tap < w->taps; tap++, at += BLOCK * BLOCK)
                for (int64_t m = 0; m < BLOCK; m += ROWS)
                    for (int64_t number = 0; number < count; number++)
                        for (int64_t part = 0; part < w->parts; part++) {
                            int64_t pixel =
                                w->offset[tap * w->parts + part] + (first + number) * BLOCK;
                            block_products(rows + number * BLOCK * BLOCK + m, 1, BLOCK,
                                           x + (in * w->view_pixels + pixel) * BLOCK, BLOCK,
                                           at + m * BLOCK, BLOCK);
                        }
        }
}
#endif

/* Sums (out_blocks, in_blocks, taps, 32, 32) of g x over `images` maps; columns stand in the order
 * of channel_of. `room_x` and `room_g` hold one image laid out. */
void weigh(const weighing *w, int64_t images, const bfloat16 *x, const bfloat16 *g, float *sums,
           laid *room_x, laid *room_g)
{
    memset(sums, 0,
           sizeof(float) * (size_t)(w->out_blocks * w->in_blocks * w->taps * BLOCK * BLOCK));
#if defined(WAY_AMX)
    tiles_on();
#endif
    for (int64_t image = 0; image < images; image++) {
        lay_inputs(w, x + image * w->in_blocks * w->in_pixels * BLOCK, room_x);
        lay_gradients(w, g + image * w->out_blocks * w->out_pixels * BLOCK, room_g);
        uint32_t mode = flushing();
        for (int64_t first = 0; first < w->blocks; first += GROUP) {
            int64_t count = w->blocks - first < GROUP ? w->blocks - first : GROUP;
            group_products(w, room_x, room_g, first, count, sums);
        }
        unflushing(mode);
    }
#if defined(WAY_AMX)
    tiles_off();
#endif
}

/* A weight's gradient (outputs, width) from the sums. `place` (in_blocks, 32, taps) says where in
 * its row each stands, or -1. */
void unpack(int64_t outputs, int64_t width, int64_t out_blocks, int64_t in_blocks, int64_t taps,
            const int32_t *place, const float *sums, float *gradient)
{
    (void)out_blocks;
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t in = 0; in < in_blocks; in++)
            for (int64_t tap = 0; tap < taps; tap++) {
                const float *row = sums + ((((o / BLOCK) * in_blocks + in) * taps + tap) * BLOCK
                                           + o % BLOCK) * BLOCK;
                for (int64_t column = 0; column < BLOCK; column++) {
                    int32_t at = place[(in * BLOCK + channel_of(column)) * taps + tap];
                    if (at >= 0) gradient[o * width + at] = row[column];
                }
            }
}
#endif
