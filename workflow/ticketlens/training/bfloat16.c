/* Networks in bfloat16 arithmetic: the same bits with AMX, AVX-512, AVX2 and plain C.
 *
 * docs/precision.md defines every sum. One of WAY_AMX, WAY_AVX512BF16, WAY_AVX512, WAY_AVX2 and
 * WAY_PLAIN is defined by the command that compiles this; nothing may be contracted
 * (-ffp-contract=off).
 */
#include "bfloat16_convolution.h"
#include "bfloat16_weights.h"
#include "bfloat16_linear.h"
#include "bfloat16_readout.h"

/* Bytes of a number of packed weights and of a prepared map, and of one laid out for `weigh`. */
int64_t number_bytes(void) { return sizeof(number); }

/* A weight (outputs, width) as blocks (out_blocks, in_blocks, taps * parts, 32 inputs, 32 outputs),
 * or with inputs and outputs exchanged. `place` (in_blocks, 32, taps) says where in its row an
 * input's tap stands, or -1 for 0. With 2 parts, the first is the weight in bfloat16, the second
 * what that leaves of it. For AMX, pairs of inputs stand side by side, in two halves of outputs;
 * bfloat16_blocks.h says which for AVX512-BF16. */
void pack(int64_t outputs, int64_t width, int64_t out_blocks, int64_t in_blocks, int64_t taps,
          int64_t parts, int64_t exchanged, const int32_t *place, const float *weight, number *to)
{
    int64_t outer = exchanged ? in_blocks : out_blocks, inner = exchanged ? out_blocks : in_blocks;
    for (int64_t column_block = 0; column_block < outer; column_block++)
        for (int64_t row_block = 0; row_block < inner; row_block++)
            for (int64_t tap = 0; tap < taps; tap++)
                for (int64_t part = 0; part < parts; part++, to += BLOCK * BLOCK) {
                    bfloat16 block[BLOCK][BLOCK];
                    for (int64_t row = 0; row < BLOCK; row++) {
                        float found[BLOCK];
                        for (int64_t column = 0; column < BLOCK; column++) {
                            int64_t o = exchanged ? row_block * BLOCK + row
                                                  : column_block * BLOCK + column;
                            int64_t i = exchanged ? column_block * BLOCK + column
                                                  : row_block * BLOCK + row;
                            int32_t at = o < outputs ? place[i * taps + tap] : -1;
                            found[column] = at < 0 ? 0.0f : weight[o * width + at];
                        }
                        for (int v = 0; v < PARTS; v++) {
                            vector value = load(found + v * WIDTH);
                            bfloat16 *at = block[row] + v * WIDTH;
                            narrow(at, value);
                            if (part) narrow(at, value - widen(at));
                        }
                    }
#if defined(WAY_AMX)
                    for (int64_t half = 0; half < 2; half++)
                        for (int64_t row = 0; row < BLOCK; row += 2)
                            for (int64_t j = 0; j < 16; j++) {
                                number *at = to + half * 16 * BLOCK + row * 16 + 2 * j;
                                at[0] = block[row][half * 16 + j];
                                at[1] = block[row + 1][half * 16 + j];
                            }
#elif defined(WAY_AVX512BF16)
                    block_in_pairs(block[0], to);
#else
                    for (int64_t row = 0; row < BLOCK; row++)
                        for (int v = 0; v < PARTS; v++)
                            store(to + row * BLOCK + v * WIDTH, widen(block[row] + v * WIDTH));
#endif
                }
}

/* Images (channels, area) as bfloat16 and what that leaves. */
APART void split(int64_t count, const float *from, bfloat16 *high, bfloat16 *low)
{
    int64_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) {
        vector value = load(from + i);
        narrow(high + i, value);
        narrow(low + i, value - widen(high + i));
    }
    for (; i < count; i++) {
        high[i] = narrow_one(from[i]);
        low[i] = narrow_one(from[i] - widen_one(high[i]));
    }
}

/* What the first layer reads of images (images, channels, area): for each output pixel the kernel's
 * inputs in the order (row, column, channel), in blocks of 32, once in bfloat16 and once what that
 * leaves: (images, blocks, 2, rows * columns, 32). `source` (padded) says which pixel of the image
 * each pixel of the padded image is, or -1 for 0; a row of it has `pitch` pixels. `room` is
 * 2 channels (area + padded) numbers and 64 more. */
void unfold(int64_t images, int64_t channels, int64_t area, int64_t blocks, int64_t kernel,
            int64_t stride, int64_t rows, int64_t columns, int64_t padded, int64_t pitch,
            const int32_t *source, const float *from, bfloat16 *to, bfloat16 *room)
{
    int64_t run = kernel * channels, length = kernel * run, pixels = rows * columns;
    bfloat16 *plane = room + 2 * channels * area;
    for (int64_t image = 0; image < images; image++, from += channels * area) {
        split(channels * area, from, room, room + channels * area);
        for (int64_t part = 0; part < 2; part++) {
            const bfloat16 *flat = room + part * channels * area;
            for (int64_t pixel = 0; pixel < padded; pixel++)
                for (int64_t c = 0; c < channels; c++)
                    plane[pixel * channels + c] =
                        source[pixel] < 0 ? 0 : flat[c * area + source[pixel]];
            for (int64_t pixel = 0; pixel < pixels; pixel++) {
                const bfloat16 *corner = plane
                    + (pixel / columns * stride * pitch + pixel % columns * stride) * channels;
                bfloat16 *base = to + part * pixels * BLOCK + pixel * BLOCK;
                int is_end = image + 1 == images && part == 1 && pixel + 1 == pixels;
                if (blocks == 1 && !is_end) {
                    /* Copies may run over: what is behind is written later. */
                    for (int64_t row = 0; row < kernel; row++)
                        for (int64_t i = 0; i < run; i += 16)
                            memcpy(base + row * run + i, corner + row * pitch * channels + i, 32);
                    for (int64_t k = length; k < BLOCK; k++) base[k] = 0;
                } else
                    for (int64_t k = 0; k < blocks * BLOCK; k++)
                        base[k / BLOCK * 2 * pixels * BLOCK + k % BLOCK] =
                            k < length ? corner[k / run * pitch * channels + k % run] : 0;
            }
        }
        to += blocks * 2 * pixels * BLOCK;
    }
}

/* The gradient of the mean over pixels, `slope` (images, blocks, 32) for each, through phi. */
void spread(int64_t images, int64_t blocks, int64_t count, const int32_t *to_pixel,
            const int32_t *aside_pixel, int64_t pixels, int64_t aside_pixels, const float *slope,
            const bfloat16 *derivative, bfloat16 *to, float *trunk, float *sums)
{
    for (int64_t at = 0; at < images * blocks; at++) {
        const bfloat16 *factor = derivative + at * aside_pixels * BLOCK;
        bfloat16 *map = to + at * pixels * BLOCK;
        vector sum[PARTS] = {{0}}, value[PARTS];
        for (int64_t pixel = 0; pixel < count; pixel++) {
            ptrdiff_t place = (ptrdiff_t)to_pixel[pixel] * BLOCK;
            for (int v = 0; v < PARTS; v++) {
                value[v] = load(slope + at * BLOCK + v * WIDTH)
                           * widen(factor + (ptrdiff_t)aside_pixel[pixel] * BLOCK + v * WIDTH);
                sum[v] += value[v];
                if (trunk) store(trunk + at * pixels * BLOCK + place + v * WIDTH, value[v]);
            }
            narrow_block(map + place, value);
        }
        for (int v = 0; v < PARTS; v++) store(sums + at * BLOCK + v * WIDTH, sum[v]);
    }
}

/* Copy pixels of maps: pairs (to, from). */
void wrap(int64_t maps, int64_t pixels, int64_t margins, const int32_t *margin, bfloat16 *map)
{
    for (int64_t at = 0; at < maps; at++, map += pixels * BLOCK)
        for (int64_t pair = 0; pair < margins; pair++)
            memcpy(map + (ptrdiff_t)margin[2 * pair] * BLOCK,
                   map + (ptrdiff_t)margin[2 * pair + 1] * BLOCK, 2 * BLOCK);
}
