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

/* What a group of blocks is: part of an image, or several images that have few blocks. A group's
 * inputs and gradients are laid out together and stay in the nearer caches. */
typedef struct {
    int64_t in_blocks, out_blocks;
    int64_t first_out, outs;     /* blocks of outputs whose sums are computed */
    int64_t taps;
    int64_t parts;               /* products of a tap with a block: 2 for high and low inputs */
    int64_t in_pixels, out_pixels; /* of a block of channels of x, of g */
    int64_t blocks;              /* of 32 pixels of an image */
    int64_t images;              /* of a group */
    int64_t group;               /* blocks of each image of a group */
    int64_t view_pixels;         /* of all views of an image of a group, even */
    const int32_t *view;         /* (groups of an image, view_pixels): pixel of x, or -1: zeros */
    const int32_t *spread;       /* (blocks, 32): each one's pixel of g, or -1 for zeros */
    const int32_t *offset;       /* (taps, parts): the pixel that meets the first of block 0 */
    const int32_t *block;        /* (images * group,): pixels to each block of a group */
    const int32_t *order;        /* (taps,): in which they are taken */
} weighing;

/* Pixels of a group's views, and its blocks. */
INLINE int64_t laid_pixels(const weighing *w) { return w->images * w->view_pixels; }
INLINE int64_t laid_blocks(const weighing *w) { return w->images * w->group; }

#if defined(WAY_AMX)
typedef bfloat16 laid;
/* Pixels of a view that stand side by side. */
enum { LAID_APART = 2 };

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

/* One image's views of group `group`, block after block: pairs of pixels, for 16 channels the two
 * pixels' numbers side by side, in two halves of channels. */
APART void lay_inputs(const weighing *w, const bfloat16 *x, int64_t group, laid *room)
{
    int64_t half = laid_pixels(w) / 2 * BLOCK;
    const int32_t *view = w->view + group * w->view_pixels;
    for (int64_t block = 0; block < w->in_blocks; block++, x += w->in_pixels * BLOCK) {
        laid *lower = room + block * 2 * half, *upper = lower + half;
        for (int64_t pixel = 0; pixel < w->view_pixels; pixel += 2) {
            __m512i a = pixel_of(x, view[pixel]), b = pixel_of(x, view[pixel + 1]);
            _mm512_store_si512(lower + pixel / 2 * BLOCK, _mm512_unpacklo_epi16(a, b));
            _mm512_store_si512(upper + pixel / 2 * BLOCK, _mm512_unpackhi_epi16(a, b));
        }
    }
}

/* One image's `count` blocks from `first` on: for each, 32 rows of one channel's 32 pixels. */
APART void lay_gradients(const weighing *w, const bfloat16 *g, int64_t first, int64_t count,
                         laid *room)
{
    for (int64_t block = 0; block < w->outs; block++, g += w->out_pixels * BLOCK) {
        laid *to = room + block * laid_blocks(w) * BLOCK * BLOCK;
        for (int64_t number = first; number < first + count; number++, to += BLOCK * BLOCK) {
            const int32_t *pixel = w->spread + number * BLOCK;
            __m512i lower[16], upper[16];
            for (int pair = 0; pair < 16; pair++) {
                __m512i a = pixel_of(g, pixel[2 * pair]), b = pixel_of(g, pixel[2 * pair + 1]);
                lower[pair] = _mm512_unpacklo_epi16(a, b);
                upper[pair] = _mm512_unpackhi_epi16(a, b);
            }
            transpose(lower);
            transpose(upper);
            for (int i = 0; i < 16; i++) {
                _mm512_store_si512(to + channel_of(i) * BLOCK, lower[i]);
                _mm512_store_si512(to + channel_of(16 + i) * BLOCK, upper[i]);
            }
        }
    }
}

/* Sums are stored and the next ones loaded tile by tile. Taps that read one view follow one another,
 * as it stays in the nearest cache. */
APART void group_products(const weighing *w, const laid *x, const laid *g, int64_t count,
                          float *sums, coming *soon_x, coming *soon_g)
{
    barrier();
    int64_t half = laid_pixels(w) / 2 * BLOCK, all_taps = w->taps * BLOCK * BLOCK;
    int64_t lines = (BLOCK * BLOCK / 16 + count * w->parts - 1) / (count * w->parts);
    float *at = sums + w->order[0] * BLOCK * BLOCK;
    sums_load(at);
    for (int64_t in = 0; in < w->in_blocks; in++)
        for (int64_t out = 0; out < w->outs; out++) {
            const laid *rows = g + out * laid_blocks(w) * BLOCK * BLOCK;
            const laid *columns = x + in * 2 * half;
            for (int64_t turn = 0; turn < w->taps; turn++) {
                int64_t tap = w->order[turn], next_in = in, next_out = out, next_turn = turn + 1;
                if (next_turn == w->taps) next_turn = 0, next_out++;
                if (next_out == w->outs) next_out = 0, next_in++;
                if (next_in == w->in_blocks) next_in = 0;
                float *next = sums + (next_out * w->in_blocks + next_in) * all_taps
                              + w->order[next_turn] * BLOCK * BLOCK;
                const float *line = next;
                for (int64_t number = 0; number < count; number++)
                    for (int64_t part = 0; part < w->parts; part++) {
                        int64_t pixel = w->offset[tap * w->parts + part] + w->block[number];
                        const laid *column = columns + pixel / 2 * BLOCK;
                        const laid *row = rows + number * BLOCK * BLOCK;
                        sums_step(row, row + BLOCK * 16, 64, column, column + half);
                        for (int64_t i = 0; i < lines; i++, line += 16)
                            __builtin_prefetch(line, 1);
                        ask(soon_x);
                        ask(soon_g);
                    }
                sums_exchange(at, next);
                at = next;
            }
        }
}
#else
typedef number laid;
enum { LAID_APART = 1 };

INLINE int64_t channel_of(int64_t column) { return column; }

#if defined(WAY_AVX512BF16)
INLINE void lay(const bfloat16 *map, const int32_t *pixel, int64_t count, laid *to)
{
    static const bfloat16 zeros[BLOCK];
    for (int64_t i = 0; i < count; i += 4, to += 4 * BLOCK) {
        const bfloat16 *row[4];
        for (int j = 0; j < 4; j++)
            row[j] = pixel[i + j] < 0 ? zeros : map + (ptrdiff_t)pixel[i + j] * BLOCK;
        rows_in_pairs(row, to);
    }
}

/* A block of the inputs from a pixel on, an even one. Where it does not begin with a word, words are
 * made anew from the halves of two. */
INLINE const laid *inputs_from(const laid *x, int64_t pixel, laid *room)
{
    if (pixel % 4 == 0) return x + pixel * BLOCK;
    x += (pixel - 2) * BLOCK;
    for (int i = 0; i < BLOCK; i++) {
        __m512i earlier = _mm512_loadu_si512(x + i * BLOCK);
        __m512i later = _mm512_loadu_si512(x + (i + 4) * BLOCK);
        _mm512_store_si512(room + i * BLOCK, _mm512_or_si512(_mm512_slli_epi32(earlier, 16),
                                                             _mm512_srli_epi32(later, 16)));
    }
    return room;
}
#else
INLINE void lay(const bfloat16 *map, const int32_t *pixel, int64_t count, laid *to)
{
    for (int64_t i = 0; i < count; i++, to += BLOCK)
        for (int part = 0; part < PARTS; part++) {
            const bfloat16 *from = map + (ptrdiff_t)pixel[i] * BLOCK + part * WIDTH;
            store(to + part * WIDTH, pixel[i] < 0 ? all(0.0f) : widen(from));
        }
}

INLINE const laid *inputs_from(const laid *x, int64_t pixel, laid *room)
{
    (void)room;
    return x + pixel * BLOCK;
}
#endif

APART void lay_inputs(const weighing *w, const bfloat16 *x, int64_t group, laid *room)
{
    for (int64_t block = 0; block < w->in_blocks; block++)
        lay(x + block * w->in_pixels * BLOCK, w->view + group * w->view_pixels, w->view_pixels,
            room + block * laid_pixels(w) * BLOCK);
}

APART void lay_gradients(const weighing *w, const bfloat16 *g, int64_t first, int64_t count,
                         laid *room)
{
    for (int64_t block = 0; block < w->outs; block++)
        lay(g + block * w->out_pixels * BLOCK, w->spread + first * BLOCK, count * BLOCK,
            room + block * laid_blocks(w) * BLOCK * BLOCK);
}

APART void group_products(const weighing *w, const laid *x, const laid *g, int64_t count,
                          float *sums, coming *soon_x, coming *soon_g)
{
    (void)soon_x, (void)soon_g;
    laid room[BLOCK * BLOCK] __attribute__((aligned(64)));
    uint32_t mode = flushing();
    for (int64_t in = 0; in < w->in_blocks; in++)
        for (int64_t out = 0; out < w->outs; out++) {
            const laid *rows = g + out * laid_blocks(w) * BLOCK * BLOCK;
            float *at = sums + (out * w->in_blocks + in) * w->taps * BLOCK * BLOCK;
            for (int64_t tap = 0; tap < w->taps; tap++, at += BLOCK * BLOCK)
                for (int64_t number_ = 0; number_ < count; number_++)
                    for (int64_t part = 0; part < w->parts; part++) {
                        int64_t pixel = w->offset[tap * w->parts + part] + w->block[number_];
                        const laid *column =
                            inputs_from(x + in * laid_pixels(w) * BLOCK, pixel, room);
                        const laid *row = rows + number_ * BLOCK * BLOCK;
                        for (int64_t m = 0; m < BLOCK; m += ROWS)
                            block_products(row + m * ASIDE, ASIDE, BLOCK, column, BLOCK,
                                           at + m * BLOCK, BLOCK);
                    }
        }
    unflushing(mode);
}
#endif

/* Sums (out_blocks, in_blocks, taps, 32, 32) of g x over `images` maps, of the `outs` blocks of
 * outputs from `first_out` on; columns stand in the order of channel_of. `room_x` and `room_g` hold
 * one group laid out. */
void weigh(const weighing *w, int64_t images, const bfloat16 *x, const bfloat16 *g, float *sums,
           laid *room_x, laid *room_g)
{
    int64_t pairs = w->in_blocks * w->outs * w->taps, lines_g = w->outs * w->out_pixels;
    int64_t image_x = w->in_blocks * w->in_pixels, image_g = w->out_blocks * w->out_pixels;
    int64_t products = pairs * w->parts * w->blocks;
    g += w->first_out * w->out_pixels * BLOCK;
    sums += w->first_out * w->in_blocks * w->taps * BLOCK * BLOCK;
    memset(sums, 0, sizeof(float) * (size_t)(pairs * BLOCK * BLOCK));
#if defined(WAY_AMX)
    tiles_on();
#endif
    for (int64_t image = 0; image < images; image += w->images) {
        int64_t together = images - image < w->images ? images - image : w->images;
        const bfloat16 *from_x = x + image * image_x * BLOCK, *from_g = g + image * image_g * BLOCK;
        coming soon_x = coming_from(from_x + together * image_x * BLOCK, image_x, products);
        coming soon_g = coming_from(from_g + together * image_g * BLOCK, lines_g, products);
        for (int64_t first = 0; first < w->blocks; first += w->group) {
            int64_t count = w->blocks - first < w->group ? w->blocks - first : w->group;
            for (int64_t i = 0; i < together; i++) {
                lay_inputs(w, from_x + i * image_x * BLOCK, first / w->group,
                           room_x + i * (w->view_pixels / LAID_APART) * BLOCK);
                lay_gradients(w, from_g + i * image_g * BLOCK, first, count,
                              room_g + i * w->group * BLOCK * BLOCK);
            }
            group_products(w, room_x, room_g, together * count, sums, &soon_x, &soon_g);
        }
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
