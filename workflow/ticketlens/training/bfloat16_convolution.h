/* Convolutions of blocks of 32 channels, with what follows them fused: forward and input gradients.
 *
 * A map is (image, block, pixel, 32) bfloat16, pixels with margins in an order that tables give.
 * A pass computes sums for slots of 16 pixels in a row, each the sum over blocks of inputs and, in
 * each, over taps: an offset of pixels, and a weight. `finish` turns the 32 sums of a pixel into
 * what is stored. With AMX it is spread over the products of the next chunk, which hide it.
 */
#ifndef BFLOAT16_CONVOLUTION_H
#define BFLOAT16_CONVOLUTION_H
#include "bfloat16_blocks.h"
#if defined(WAY_AMX)
#include "bfloat16_tiles.h"
#endif

/* Slots of a chunk, whose sums stay in the nearest cache: 128 pixels of 128 bytes. */
enum { SLOT = 16, CHUNK = 8, PIXELS = SLOT * CHUNK };
/* Pixels between one that is finished and one whose memory is asked for. */
enum { AHEAD = 32 };

typedef struct {
    int64_t taps;           /* of one block of inputs */
    const int32_t *offset;  /* of each tap, in pixels */
    const int32_t *weight;  /* of each tap: its place among `weights` */
    int64_t slots;          /* an even number */
    const int32_t *slot;    /* the first pixel that each slot reads, before offsets */
    const int32_t *to;      /* (slots, 16): where the pixel is stored, or -1 */
    const int32_t *aside;   /* the same for the derivative */
} pass;

typedef struct {
    int64_t in_blocks, out_blocks, weights, passes;
    int64_t pixels;         /* of a block of the source */
    int64_t gathered;       /* pixels of a block after gathering, 0 for none */
    const int32_t *gather;
    int64_t margins;        /* pairs (to, from) of the result */
    const int32_t *margin;
    pass pass[4];
} convolution;

typedef struct {
    int64_t is_forward, activation;
    const float *bias;      /* forward: (out_blocks, 32) */
    bfloat16 *to;           /* y or g as bfloat16, or NULL */
    bfloat16 *derivative;   /* phi'(h): written forward (unless NULL), read backward */
    float *trunk;           /* float32 of a residual network, where `to` is, or NULL */
    float *sums;            /* (images, out_blocks, 32): of y or g over the pixels, or NULL */
    int64_t pixels, aside_pixels; /* of a block of `to` and `trunk`, of `derivative` */
} finishing;

/* The addresses of one block of one image. */
typedef struct {
    const float *bias;
    bfloat16 *to, *derivative;
    float *trunk, *sums;
} target;

INLINE void finish_pixel(const target *t, const float *sums, int32_t to,
                         int32_t aside, int is_forward, int activation)
{
    if (to < 0) return;
    /* Lines that are written soon: without this, each waits for memory. */
    if (t->to) __builtin_prefetch(t->to + ((ptrdiff_t)to + AHEAD) * BLOCK, 1);
    if (t->derivative)
        __builtin_prefetch(t->derivative + ((ptrdiff_t)aside + AHEAD) * BLOCK, is_forward);
    vector found[PARTS];
    for (int part = 0; part < PARTS; part++) {
        vector sum = load(sums + part * WIDTH);
        if (is_forward) {
            sum += load(t->bias + part * WIDTH);
            if (t->trunk) {
                float *trunk = t->trunk + (ptrdiff_t)to * BLOCK + part * WIDTH;
                sum = load(trunk) + sum;
                store(trunk, sum);
            }
            found[part] = sum;
        } else {
            const bfloat16 *slope = t->derivative + (ptrdiff_t)aside * BLOCK + part * WIDTH;
            sum = sum * widen(slope);
            if (t->trunk) {
                float *trunk = t->trunk + (ptrdiff_t)to * BLOCK + part * WIDTH;
                sum = load(trunk) + sum;
                store(trunk, sum);
            }
            found[part] = sum;
        }
    }
    if (is_forward) {
        vector slope[PARTS];
        for (int part = 0; part < PARTS; part++)
            slope[part] = activate(activation, &found[part]);
        if (t->derivative) narrow_block(t->derivative + (ptrdiff_t)aside * BLOCK, slope);
    }
    if (t->sums)
        for (int part = 0; part < PARTS; part++) {
            float *at = t->sums + part * WIDTH;
            store(at, load(at) + found[part]);
        }
    if (t->to) narrow_block(t->to + (ptrdiff_t)to * BLOCK, found);
}

/* A chunk whose sums are known and which waits to be finished. */
typedef struct {
    const float *sums;
    const int32_t *to, *aside;
    target target;
    int64_t pixel, pixels;
} pending;

INLINE void finish_some(pending *p, int64_t count, int is_forward,
                        int activation)
{
    int64_t end = p->pixel + count < p->pixels ? p->pixel + count : p->pixels;
    for (; p->pixel < end; p->pixel++)
        finish_pixel(&p->target, p->sums + p->pixel * BLOCK, p->to[p->pixel],
                     p->aside[p->pixel], is_forward, activation);
}

/* The kinds that are used often are compiled apart. */
APART void finish_all(const finishing *f, pending *p)
{
    if (!f->is_forward) finish_some(p, p->pixels, 0, 0);
    else if (f->activation == TANH) finish_some(p, p->pixels, 1, TANH);
    else if (f->activation == RELU) finish_some(p, p->pixels, 1, RELU);
    else finish_some(p, p->pixels, 1, f->activation);
}

#if defined(WAY_AMX)
/* Sums of `count` slots from `first`; meanwhile `share` pixels of the chunk before are finished
 * after each step. */
INLINE void chunk_products(const convolution *c, const pass *p, const bfloat16 *source,
                           int64_t pixels, const bfloat16 *weights, int64_t first, int64_t count,
                           float *sums, const finishing *f, pending *before, int is_forward,
                           int activation)
{
    int64_t steps = c->in_blocks * (count / 2) * p->taps;
    int64_t share = steps ? (before->pixels + steps - 1) / steps : 0;
    barrier();
    for (int64_t block = 0; block < c->in_blocks; block++) {
        const bfloat16 *from = source + block * pixels * BLOCK;
        const bfloat16 *columns = weights + block * c->weights * BLOCK * BLOCK;
        for (int64_t pair = 0; pair < count; pair += 2) {
            const bfloat16 *upper = from + (ptrdiff_t)p->slot[first + pair] * BLOCK;
            const bfloat16 *lower = from + (ptrdiff_t)p->slot[first + pair + 1] * BLOCK;
            float *at = sums + pair * SLOT * BLOCK;
            if (block) sums_load(at);
            else sums_zero();
            for (int64_t tap = 0; tap < p->taps; tap++) {
                ptrdiff_t offset = (ptrdiff_t)p->offset[tap] * BLOCK;
                const bfloat16 *column = columns + (ptrdiff_t)p->weight[tap] * BLOCK * BLOCK;
                sums_step(upper + offset, lower + offset, 64, column, column + BLOCK * 16);
                finish_some(before, share, is_forward, activation);
            }
            sums_store(at);
        }
    }
    finish_some(before, before->pixels, is_forward, activation);
}

#define CHUNK_ARGUMENTS c, p, source, pixels, weights, first, count, sums, f, before
#define CHUNK_PARAMETERS                                                                     \
    const convolution *c, const pass *p, const bfloat16 *source, int64_t pixels,             \
        const bfloat16 *weights, int64_t first, int64_t count, float *sums, const finishing *f, \
        pending *before
APART void chunk_backward(CHUNK_PARAMETERS) { chunk_products(CHUNK_ARGUMENTS, 0, 0); }
APART void chunk_tanh(CHUNK_PARAMETERS) { chunk_products(CHUNK_ARGUMENTS, 1, TANH); }
APART void chunk_relu(CHUNK_PARAMETERS) { chunk_products(CHUNK_ARGUMENTS, 1, RELU); }
APART void chunk_other(CHUNK_PARAMETERS)
{
    chunk_products(CHUNK_ARGUMENTS, 1, (int)f->activation);
}
INLINE void chunk(CHUNK_PARAMETERS)
{
    if (!f->is_forward) chunk_backward(CHUNK_ARGUMENTS);
    else if (f->activation == TANH) chunk_tanh(CHUNK_ARGUMENTS);
    else if (f->activation == RELU) chunk_relu(CHUNK_ARGUMENTS);
    else chunk_other(CHUNK_ARGUMENTS);
}
#else
APART void chunk_products(const convolution *c, const pass *p, const float *source, int64_t pixels,
                          const float *weights, int64_t first, int64_t count, float *sums)
{
    memset(sums, 0, sizeof(float) * (size_t)(count * SLOT * BLOCK));
    for (int64_t block = 0; block < c->in_blocks; block++)
        for (int64_t tap = 0; tap < p->taps; tap++) {
            const float *from = source + (block * pixels + p->offset[tap]) * BLOCK;
            const float *columns = weights + (block * c->weights + p->weight[tap]) * BLOCK * BLOCK;
            for (int64_t slot = 0; slot < count; slot++)
                for (int64_t m = 0; m < SLOT; m += ROWS)
                    block_products(from + ((ptrdiff_t)p->slot[first + slot] + m) * BLOCK, BLOCK, 1,
                                   columns, BLOCK, sums + (slot * SLOT + m) * BLOCK, BLOCK);
        }
}

INLINE void chunk(const convolution *c, const pass *p, const float *source, int64_t pixels,
                  const float *weights, int64_t first, int64_t count, float *sums,
                  const finishing *f, pending *before)
{
    finish_all(f, before);
    uint32_t mode = flushing();
    chunk_products(c, p, source, pixels, weights, first, count, sums);
    unflushing(mode);
}
#endif

/* One image's blocks as the products read them: gathered, and widened unless AMX reads them. */
APART void prepare(const convolution *c, const bfloat16 *image, number *room)
{
    for (int64_t block = 0; block < c->in_blocks; block++, image += c->pixels * BLOCK) {
        int64_t count = c->gathered ? c->gathered : c->pixels;
        for (int64_t pixel = 0; pixel < count; pixel++, room += BLOCK) {
            const bfloat16 *from = image + (c->gathered ? c->gather[pixel] : pixel) * BLOCK;
#if defined(WAY_AMX)
            memcpy(room, from, 2 * BLOCK);
#else
            for (int part = 0; part < PARTS; part++)
                store(room + part * WIDTH, widen(from + part * WIDTH));
#endif
        }
    }
}

/* Fill the margins of one block. */
INLINE void wrap_block(const convolution *c, bfloat16 *map)
{
    for (int64_t pair = 0; map && pair < c->margins; pair++)
        memcpy(map + (ptrdiff_t)c->margin[2 * pair] * BLOCK,
               map + (ptrdiff_t)c->margin[2 * pair + 1] * BLOCK, 2 * BLOCK);
}

/* Convolve `images` maps. `weights` are packed (out_blocks, in_blocks, weights, 32, 32); `room`
 * holds a prepared image and a slot more; the source has a slot to spare at its end, too. */
void convolve(const convolution *c, const finishing *f, int64_t images, const bfloat16 *source,
              const number *weights, number *room)
{
    float sums[2][PIXELS * BLOCK] __attribute__((aligned(64)));
    int64_t pixels = c->gathered ? c->gathered : c->pixels, turn = 0;
    pending before = {0};
    bfloat16 *ended = NULL; /* a block whose last chunk is pending */
    if (f->sums)
        memset(f->sums, 0, sizeof(float) * (size_t)(images * c->out_blocks * BLOCK));
#if defined(WAY_AMX)
    tiles_on();
    int is_direct = !c->gathered;
#else
    int is_direct = 0;
#endif
    for (int64_t image = 0; image < images; image++) {
        const bfloat16 *from = source + image * c->in_blocks * c->pixels * BLOCK;
        if (!is_direct) prepare(c, from, room);
        const number *prepared = is_direct ? (const number *)from : room;
        for (int64_t block = 0; block < c->out_blocks; block++) {
            int64_t at = image * c->out_blocks + block;
            target found = {
                f->bias ? f->bias + block * BLOCK : NULL,
                f->to ? f->to + at * f->pixels * BLOCK : NULL,
                f->derivative ? f->derivative + at * f->aside_pixels * BLOCK : NULL,
                f->trunk ? f->trunk + at * f->pixels * BLOCK : NULL,
                f->sums ? f->sums + at * BLOCK : NULL,
            };
            const number *matrix = weights + block * c->in_blocks * c->weights * BLOCK * BLOCK;
            for (int64_t number_ = 0; number_ < c->passes; number_++) {
                const pass *p = &c->pass[number_];
                for (int64_t first = 0; first < p->slots; first += CHUNK) {
                    int64_t count = p->slots - first < CHUNK ? p->slots - first : CHUNK;
                    chunk(c, p, prepared, pixels, matrix, first, count, sums[turn], f, &before);
                    wrap_block(c, ended);
                    ended = NULL;
                    before = (pending){sums[turn], p->to + first * SLOT, p->aside + first * SLOT,
                                       found, 0, count * SLOT};
                    turn = 1 - turn;
                }
            }
            ended = found.to;
        }
    }
    finish_all(f, &before);
    wrap_block(c, ended);
#if defined(WAY_AMX)
    tiles_off();
#endif
}
#endif
