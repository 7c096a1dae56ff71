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

/* Slots of a chunk, whose sums stay in the nearest cache: 128 pixels of 128 bytes, of one image or
 * of several small ones. */
enum { SLOT = 16, CHUNK = 8, PIXELS = SLOT * CHUNK };
/* Pixels between one that is finished and one whose memory is asked for. */
enum { AHEAD = 32 };
/* Sums over so many products stay in tiles; longer ones are stored after each block of inputs, whose
 * weights stay in the nearest cache. (A tile store after many products without one stalls.) */
enum { KEPT = 16 };

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
    int64_t together;       /* images of a chunk */
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

/* A chunk whose sums are known and which waits to be finished: `pixels`, `each` of them of one
 * image. `target`, `to` and `aside` are right from `pixel` to `end`, where the next image begins. */
typedef struct {
    const float *sums;
    const int32_t *to, *aside;
    target target;
    int64_t pixel, pixels, end, each, out_blocks;
} pending;

INLINE void next_image(pending *p, const finishing *f)
{
    target *t = &p->target;
    p->to -= p->each;
    p->aside -= p->each;
    p->end += p->each;
    if (t->to) t->to += p->out_blocks * f->pixels * BLOCK;
    if (t->derivative) t->derivative += p->out_blocks * f->aside_pixels * BLOCK;
    if (t->trunk) t->trunk += p->out_blocks * f->pixels * BLOCK;
    if (t->sums) t->sums += p->out_blocks * BLOCK;
}

INLINE void finish_some(pending *p, const finishing *f, int64_t count, int is_forward,
                        int activation)
{
    int64_t end = p->pixel + count < p->pixels ? p->pixel + count : p->pixels;
    for (; p->pixel < end; p->pixel++) {
        if (p->pixel == p->end) next_image(p, f);
        finish_pixel(&p->target, p->sums + p->pixel * BLOCK, p->to[p->pixel],
                     p->aside[p->pixel], is_forward, activation);
    }
}

/* The kinds that are used often are compiled apart. */
APART void finish_all(const finishing *f, pending *p)
{
    if (!f->is_forward) finish_some(p, f, p->pixels, 0, 0);
    else if (f->activation == TANH) finish_some(p, f, p->pixels, 1, TANH);
    else if (f->activation == RELU) finish_some(p, f, p->pixels, 1, RELU);
    else finish_some(p, f, p->pixels, 1, (int)f->activation);
}

/* A chunk: `count` slots from `first` on, of images one behind the other. */
typedef struct {
    const convolution *c;
    const pass *p;
    const number *source;   /* of the first image, as the products read it */
    int64_t pixels;         /* of a block of it */
    const number *weights;
    int64_t first, count;
    float *sums;
} portion;

/* Where its slots begin in the first block of inputs, before offsets. */
INLINE void find_slots(const portion *d, const number **start)
{
    const number *image = d->source;
    for (int64_t i = 0, slot = d->first; i < d->count; i++, slot++) {
        if (slot == d->p->slots) slot = 0, image += d->c->in_blocks * d->pixels * BLOCK;
        start[i] = image + (ptrdiff_t)d->p->slot[slot] * BLOCK;
    }
}

#if defined(WAY_AMX)
/* Meanwhile `share` pixels of the chunk before are finished after each product. */
INLINE void chunk_products(const portion *d, const finishing *f, pending *before, coming *soon,
                           int is_forward, int activation)
{
    const number *start[CHUNK];
    find_slots(d, start);
    const int32_t *offset = d->p->offset, *weight = d->p->weight;
    int64_t blocks = d->c->in_blocks, taps = d->p->taps, count = d->count;
    int64_t apart = d->pixels * BLOCK, weights_apart = d->c->weights * BLOCK * BLOCK;
    int64_t steps = blocks * (count / 2) * taps;
    int64_t share = steps ? (before->pixels + steps - 1) / steps : 0;
    int64_t whole = blocks * taps <= KEPT ? blocks : 1;
    coming next = *soon;
    barrier();
    for (int64_t first = 0; first < blocks; first += whole)
        for (int64_t pair = 0; pair < count; pair += 2) {
            float *at = d->sums + pair * SLOT * BLOCK;
            if (first) sums_load(at);
            else sums_zero();
            for (int64_t block = first; block < first + whole; block++) {
                const bfloat16 *upper = start[pair] + block * apart;
                const bfloat16 *lower = start[pair + 1] + block * apart;
                const bfloat16 *columns = d->weights + block * weights_apart;
                for (int64_t tap = 0; tap < taps; tap++) {
                    ptrdiff_t shift = (ptrdiff_t)offset[tap] * BLOCK;
                    const bfloat16 *column = columns + (ptrdiff_t)weight[tap] * BLOCK * BLOCK;
                    sums_step(upper + shift, lower + shift, 64, column, column + BLOCK * 16);
                    ask(&next);
                    finish_some(before, f, share, is_forward, activation);
                }
            }
            sums_store(at);
        }
    *soon = next;
    finish_some(before, f, before->pixels, is_forward, activation);
}

#define CHUNK_ARGUMENTS d, f, before, soon
#define CHUNK_PARAMETERS const portion *d, const finishing *f, pending *before, coming *soon
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
APART void chunk_products(const portion *d)
{
    const number *start[CHUNK];
    find_slots(d, start);
    memset(d->sums, 0, sizeof(float) * (size_t)(d->count * SLOT * BLOCK));
    for (int64_t block = 0; block < d->c->in_blocks; block++)
        for (int64_t tap = 0; tap < d->p->taps; tap++) {
            int64_t from = (block * d->pixels + d->p->offset[tap]) * BLOCK;
            int64_t weight = block * d->c->weights + d->p->weight[tap];
            for (int64_t slot = 0; slot < d->count; slot++)
                for (int64_t m = 0; m < SLOT; m += ROWS)
                    block_products(start[slot] + from + m * BLOCK, BLOCK, 1,
                                   d->weights + weight * BLOCK * BLOCK, BLOCK,
                                   d->sums + (slot * SLOT + m) * BLOCK, BLOCK);
        }
}

INLINE void chunk(const portion *d, const finishing *f, pending *before, coming *soon)
{
    (void)soon;
    finish_all(f, before);
    uint32_t mode = flushing();
    chunk_products(d);
    unflushing(mode);
}
#endif

/* One image's blocks as the products read them: gathered, and widened or in pairs. */
APART void prepare(const convolution *c, const bfloat16 *image, number *room)
{
    for (int64_t block = 0; block < c->in_blocks; block++, image += c->pixels * BLOCK) {
        int64_t count = c->gathered ? c->gathered : c->pixels;
        for (int64_t pixel = 0; pixel < count; pixel++, room += BLOCK) {
            const bfloat16 *from = image + (c->gathered ? c->gather[pixel] : pixel) * BLOCK;
#if defined(WAY_AMX)
            memcpy(room, from, 2 * BLOCK);
#elif defined(WAY_AVX512BF16)
            _mm512_storeu_si512(room, in_pairs(from));
#else
            for (int part = 0; part < PARTS; part++)
                store(room + part * WIDTH, widen(from + part * WIDTH));
#endif
        }
    }
}

/* Blocks of some images, one behind the other, whose last chunk is finished. */
typedef struct {
    bfloat16 *map;
    int64_t images, apart;
} ended;

/* Fill their margins. */
INLINE void wrap_blocks(const convolution *c, const ended *e)
{
    for (int64_t image = 0; e->map && image < e->images; image++) {
        bfloat16 *map = e->map + image * e->apart;
        for (int64_t pair = 0; pair < c->margins; pair++)
            memcpy(map + (ptrdiff_t)c->margin[2 * pair] * BLOCK,
                   map + (ptrdiff_t)c->margin[2 * pair + 1] * BLOCK, 2 * BLOCK);
    }
}

/* Products of an image, all passes together. */
INLINE int64_t products_of(const convolution *c)
{
    int64_t count = 0;
    for (int64_t number_ = 0; number_ < c->passes; number_++)
        count += c->pass[number_].taps * (c->pass[number_].slots / 2);
    return count * c->in_blocks * c->out_blocks;
}

/* Convolve `images` maps. `weights` are packed (out_blocks, in_blocks, weights, 32, 32); `room`
 * holds the prepared images of a chunk and a slot more; the source has a slot to spare at its end,
 * too. */
void convolve(const convolution *c, const finishing *f, int64_t images, const bfloat16 *source,
              const number *weights, number *room)
{
    float sums[2][PIXELS * BLOCK] __attribute__((aligned(64)));
    int64_t pixels = c->gathered ? c->gathered : c->pixels, turn = 0;
    int64_t image_pixels = c->in_blocks * c->pixels;
    pending before = {0};
    ended last = {0};
    if (f->sums)
        memset(f->sums, 0, sizeof(float) * (size_t)(images * c->out_blocks * BLOCK));
#if defined(WAY_AMX)
    tiles_on();
    int is_direct = !c->gathered;
#else
    int is_direct = 0;
#endif
    for (int64_t image = 0; image < images; image += c->together) {
        int64_t together = images - image < c->together ? images - image : c->together;
        const bfloat16 *from = source + image * image_pixels * BLOCK;
        if (!is_direct)
            for (int64_t i = 0; i < together; i++)
                prepare(c, from + i * image_pixels * BLOCK, room + i * c->in_blocks * pixels * BLOCK);
        coming soon = coming_from(from + together * image_pixels * BLOCK, image_pixels,
                                  products_of(c));
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
                int64_t slots = p->slots * together;
                for (int64_t first = 0; first < slots; first += CHUNK) {
                    int64_t count = slots - first < CHUNK ? slots - first : CHUNK;
                    portion here = {c, p, is_direct ? (const number *)from : room, pixels, matrix,
                                    first, count, sums[turn]};
                    chunk(&here, f, &before, &soon);
                    wrap_blocks(c, &last);
                    last.map = NULL;
                    before = (pending){
                        sums[turn], p->to + first * SLOT, p->aside + first * SLOT, found, 0,
                        count * SLOT, p->slots * SLOT, p->slots * SLOT, c->out_blocks,
                    };
                    turn = 1 - turn;
                }
            }
            last = (ended){found.to, together, c->out_blocks * f->pixels * BLOCK};
        }
    }
    finish_all(f, &before);
    wrap_blocks(c, &last);
#if defined(WAY_AMX)
    tiles_off();
#endif
}
#endif
