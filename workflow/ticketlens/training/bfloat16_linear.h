/* Fully connected layers: forward, gradients, and what follows each product.
 *
 * A map is (blocks of 32 neurons, rows, 32) bfloat16: a row is a sample, and rows are padded with
 * zeros to a multiple of 32. All three products of a layer are sums of 32 rows and 32 columns over
 * blocks of 32 numbers; `ahead`, `back`, `turn` and `interleave` lay out what they read.
 */
#ifndef BFLOAT16_LINEAR_H
#define BFLOAT16_LINEAR_H
#include "bfloat16_blocks.h"
#if defined(WAY_AMX)
#include "bfloat16_tiles.h"
#endif

enum { SQUARE = BLOCK * BLOCK };

typedef struct {
    int64_t inputs, outputs, in_blocks, out_blocks;
    int64_t is_on_trunk;          /* adds to the trunk of a residual network */
    const float *weight, *bias;   /* (outputs, inputs), (outputs,) */
    float *by_weight, *by_bias;   /* their gradients */
    float *padded;                /* the bias, (out_blocks, 32) */
    number *ahead;                /* the weight: (out_blocks, in_blocks, 32 inputs, 32 outputs) */
    number *back;                 /* (in_blocks, out_blocks, 32 outputs, 32 inputs), or NULL */
    const bfloat16 *x;            /* the map that it reads */
    bfloat16 *y;                  /* phi(h), rounded: the next layer's x, or NULL */
    bfloat16 *slope;              /* phi'(h), rounded, or NULL */
} linear;

typedef struct {
    int64_t samples, rows, activation;
    float *trunk;                 /* (blocks, rows, 32) of a residual network, or NULL */
    float *top;                   /* (samples, 32 blocks): phi(h) of the last layer */
    float *sums;                  /* 32 for each block of the widest layer */
    bfloat16 *gradient[2];        /* maps of gradients by h, used in turn */
    number *left, *right;         /* rooms for a map that is laid out again */
} batch;

#if defined(WAY_AMX)
/* Pairs of rows with their numbers side by side, in two halves of columns. */
INLINE void interleave(const bfloat16 *block, number *to)
{
    for (int pair = 0; pair < 16; pair++, block += 2 * BLOCK, to += BLOCK)
        side_by_side(_mm512_loadu_si512(block), _mm512_loadu_si512(block + BLOCK), to,
                     to + SQUARE / 2);
}

/* Columns are the block's rows: pairs of its columns stand side by side. */
INLINE void across(const bfloat16 *block, number *to)
{
    for (int half = 0; half < 2; half++)
        transpose_words(block + half * SQUARE / 2, to + half * SQUARE / 2, BLOCK);
}

/* Rows are the block's columns. */
INLINE void turn(const bfloat16 *block, number *to)
{
    bfloat16 pairs[SQUARE] __attribute__((aligned(64)));
    interleave(block, pairs);
    across(pairs, to);
}

/* What a product reads of a map as it is. */
INLINE const number *as_rows(const bfloat16 *map, int64_t blocks, number *room)
{
    (void)blocks, (void)room;
    return map;
}

/* Sums of 32 rows and 32 columns over `count` blocks. */
INLINE void sums_of(const number *rows, ptrdiff_t next, int is_turned, const number *columns,
                    int64_t count, float *sums)
{
    (void)is_turned;
    sums_zero();
    for (int64_t k = 0; k < count; k++, rows += next, columns += SQUARE)
        sums_step(rows, rows + SQUARE / 2, 2 * BLOCK, columns, columns + SQUARE / 2);
    sums_store(sums);
}
INLINE void products_on(void)
{
    tiles_on();
    barrier();
}
INLINE void products_off(void) { tiles_off(); }
#else
#if defined(WAY_AVX512BF16)
INLINE void interleave(const bfloat16 *block, number *to) { block_in_pairs(block, to); }
INLINE void rows_of(const bfloat16 *block, number *to)
{
    for (int row = 0; row < BLOCK; row++)
        _mm512_storeu_si512(to + row * BLOCK, in_pairs(block + row * BLOCK));
}
INLINE void across(const bfloat16 *block, number *to)
{
    bfloat16 rows[SQUARE] __attribute__((aligned(64)));
    rows_of(block, rows);
    for (int half = 0; half < 2; half++)
        transpose_words(rows + half * SQUARE / 2, to + half * BLOCK, 2 * BLOCK);
}
#else
INLINE void interleave(const bfloat16 *block, number *to)
{
    for (int i = 0; i < SQUARE; i += WIDTH) store(to + i, widen(block + i));
}
INLINE void rows_of(const bfloat16 *block, number *to) { interleave(block, to); }
INLINE void across(const bfloat16 *block, number *to)
{
    for (int row = 0; row < BLOCK; row++)
        for (int column = 0; column < BLOCK; column++)
            to[column * BLOCK + row] = widen_one(block[row * BLOCK + column]);
}
#endif
/* Products read it by columns: see `is_turned`. */
INLINE void turn(const bfloat16 *block, number *to) { interleave(block, to); }
INLINE const number *as_rows(const bfloat16 *map, int64_t blocks, number *room)
{
    for (int64_t i = 0; i < blocks; i++) rows_of(map + i * SQUARE, room + i * SQUARE);
    return room;
}

APART void products(const number *rows, ptrdiff_t next, int is_turned, const number *columns,
                    int64_t count, float *sums)
{
    memset(sums, 0, sizeof(float) * SQUARE);
    for (int64_t k = 0; k < count; k++, rows += next, columns += SQUARE)
        for (int m = 0; m < BLOCK; m += ROWS) {
            float *at = sums + m * BLOCK;
            if (is_turned)
                block_products(rows + m * ASIDE, ASIDE, BLOCK, columns, BLOCK, at, BLOCK);
            else block_products(rows + m * BLOCK, BLOCK, 1, columns, BLOCK, at, BLOCK);
        }
}
INLINE void sums_of(const number *rows, ptrdiff_t next, int is_turned, const number *columns,
                    int64_t count, float *sums)
{
    uint32_t mode = flushing();
    products(rows, next, is_turned, columns, count, sums);
    unflushing(mode);
}
INLINE void products_on(void) {}
INLINE void products_off(void) {}
#endif

/* 32 numbers of a row as bfloat16; 0 from `count` on. */
INLINE void narrow_row(const float *from, int64_t count, bfloat16 *to)
{
    float some[BLOCK] = {0};
    if (count < BLOCK) {
        if (count > 0) memcpy(some, from, sizeof(float) * (size_t)count);
        from = some;
    }
    vector values[PARTS];
    for (int part = 0; part < PARTS; part++) values[part] = load(from + part * WIDTH);
    narrow_block(to, values);
}

/* Lay out the weights and biases of layers. */
void linear_pack(const linear *layers, int64_t count)
{
    for (const linear *l = layers; l < layers + count; l++) {
        memset(l->padded, 0, sizeof(float) * (size_t)(l->out_blocks * BLOCK));
        memcpy(l->padded, l->bias, sizeof(float) * (size_t)l->outputs);
        for (int64_t out = 0; out < l->out_blocks; out++)
            for (int64_t in = 0; in < l->in_blocks; in++) {
                bfloat16 block[SQUARE] __attribute__((aligned(64)));
                for (int64_t row = 0; row < BLOCK; row++) {
                    int64_t o = out * BLOCK + row, i = in * BLOCK;
                    narrow_row(l->weight + o * l->inputs + i,
                               o < l->outputs ? l->inputs - i : 0, block + row * BLOCK);
                }
                across(block, l->ahead + (out * l->in_blocks + in) * SQUARE);
                if (l->back) interleave(block, l->back + (in * l->out_blocks + out) * SQUARE);
            }
    }
}

/* Rows (samples, width) as a map; `chosen` says which, or is NULL for the first ones. */
void linear_gather(int64_t samples, int64_t rows, int64_t width, const int64_t *chosen,
                   const float *from, bfloat16 *to)
{
    enum { ABREAST = 8 }; /* samples whose blocks stand side by side */
    int64_t blocks = (width + BLOCK - 1) / BLOCK;
    for (int64_t first = 0; first < rows; first += ABREAST)
        for (int64_t block = 0; block < blocks; block++)
            for (int64_t row = first; row < first + ABREAST; row++) {
                int64_t number_ = row < samples ? (chosen ? chosen[row] : row) : 0;
                narrow_row(from + number_ * width + block * BLOCK,
                           row < samples ? width - block * BLOCK : 0,
                           to + (block * rows + row) * BLOCK);
            }
}

/* phi and phi' of 32 rows of one block, from `first` on. */
INLINE void finish(const linear *l, const batch *b, int64_t block, int64_t first, const float *sums,
                   int activation)
{
    int64_t from = (block * b->rows + first) * BLOCK;
    for (int64_t row = 0; row < BLOCK; row++, from += BLOCK, sums += BLOCK) {
        vector found[PARTS], slope[PARTS];
        for (int part = 0; part < PARTS; part++) {
            vector h = load(sums + part * WIDTH) + load(l->padded + block * BLOCK + part * WIDTH);
            if (l->is_on_trunk) {
                float *trunk = b->trunk + from + part * WIDTH;
                h = load(trunk) + h;
                store(trunk, h);
            }
            found[part] = h;
            slope[part] = activate(activation, &found[part]);
        }
        if (l->slope) narrow_block(l->slope + from, slope);
        if (l->y) narrow_block(l->y + from, found);
        else if (first + row < b->samples)
            for (int part = 0; part < PARTS; part++)
                store(b->top + ((first + row) * l->out_blocks + block) * BLOCK + part * WIDTH,
                      found[part]);
    }
}
APART void finish_tanh(const linear *l, const batch *b, int64_t block, int64_t first,
                       const float *sums)
{
    finish(l, b, block, first, sums, TANH);
}
APART void finish_other(const linear *l, const batch *b, int64_t block, int64_t first,
                        const float *sums)
{
    finish(l, b, block, first, sums, (int)b->activation);
}

/* The forward pass of layers up to the readout. */
void linear_forward(const linear *layers, int64_t count, const batch *b)
{
    float sums[SQUARE] __attribute__((aligned(64)));
    if (b->trunk)
        memset(b->trunk, 0, sizeof(float) * (size_t)(layers->out_blocks * b->rows * BLOCK));
    for (const linear *l = layers; l < layers + count; l++) {
        const number *x = as_rows(l->x, l->in_blocks * b->rows / BLOCK, b->left);
        products_on();
        for (int64_t block = 0; block < l->out_blocks; block++)
            for (int64_t first = 0; first < b->rows; first += BLOCK) {
                sums_of(x + first * BLOCK, b->rows * BLOCK, 0,
                        l->ahead + block * l->in_blocks * SQUARE, l->in_blocks, sums);
                if (b->activation == TANH) finish_tanh(l, b, block, first, sums);
                else finish_other(l, b, block, first, sums);
            }
        products_off();
    }
}

/* g of 32 rows of one block of the layer `l`, from the gradient by its phi(h); `total` is the sum
 * over all rows. */
APART void finish_back(const linear *l, const batch *b, int64_t block, int64_t first,
                       const float *by_y, bfloat16 *to)
{
    int64_t from = (block * b->rows + first) * BLOCK;
    float *total = b->sums + block * BLOCK;
    for (int64_t row = 0; row < BLOCK; row++, from += BLOCK, by_y += BLOCK) {
        vector g[PARTS];
        for (int part = 0; part < PARTS; part++) {
            g[part] = load(by_y + part * WIDTH) * widen(l->slope + from + part * WIDTH);
            if (l->is_on_trunk) {
                float *trunk = b->trunk + from + part * WIDTH;
                g[part] = load(trunk) + g[part];
                store(trunk, g[part]);
            }
            store(total + part * WIDTH, load(total + part * WIDTH) + g[part]);
        }
        narrow_block(to + from, g);
    }
}

/* A layer's gradients by weight and bias from its g. */
INLINE void weigh_linear(const linear *l, const batch *b, const bfloat16 *g)
{
    float sums[SQUARE] __attribute__((aligned(64)));
    int64_t blocks = b->rows / BLOCK;
    memcpy(l->by_bias, b->sums, sizeof(float) * (size_t)l->outputs);
    for (int64_t i = 0; i < l->out_blocks * blocks; i++) turn(g + i * SQUARE, b->left + i * SQUARE);
    for (int64_t i = 0; i < l->in_blocks * blocks; i++)
        interleave(l->x + i * SQUARE, b->right + i * SQUARE);
    products_on();
    for (int64_t out = 0; out < l->out_blocks; out++)
        for (int64_t in = 0; in < l->in_blocks; in++) {
            sums_of(b->left + out * blocks * SQUARE, SQUARE, 1, b->right + in * blocks * SQUARE,
                    blocks, sums);
            float *to = l->by_weight + out * BLOCK * l->inputs + in * BLOCK;
            int64_t rows = l->outputs - out * BLOCK, columns = l->inputs - in * BLOCK;
            if (rows > BLOCK) rows = BLOCK;
            if (columns >= BLOCK)
                for (int64_t row = 0; row < rows; row++)
                    for (int part = 0; part < PARTS; part++)
                        store(to + row * l->inputs + part * WIDTH,
                              load(sums + row * BLOCK + part * WIDTH));
            else
                for (int64_t row = 0; row < rows; row++)
                    memcpy(to + row * l->inputs, sums + row * BLOCK,
                           sizeof(float) * (size_t)columns);
        }
    products_off();
}

/* All gradients by weights and biases, from `slope` (samples, 32 out_blocks), that by phi(h) of the
 * last layer. */
void linear_backward(const linear *layers, int64_t count, const batch *b, const float *slope)
{
    float sums[SQUARE] __attribute__((aligned(64)));
    const linear *l = layers + count - 1;
    bfloat16 *g = b->gradient[0], *below = b->gradient[1];
    if (b->trunk)
        memset(b->trunk, 0, sizeof(float) * (size_t)(l->out_blocks * b->rows * BLOCK));
    memset(b->sums, 0, sizeof(float) * (size_t)(l->out_blocks * BLOCK));
    for (int64_t block = 0; block < l->out_blocks; block++)
        for (int64_t first = 0; first < b->rows; first += BLOCK) {
            memset(sums, 0, sizeof sums);
            for (int64_t row = 0; row < BLOCK && first + row < b->samples; row++)
                memcpy(sums + row * BLOCK,
                       slope + ((first + row) * l->out_blocks + block) * BLOCK, 4 * BLOCK);
            finish_back(l, b, block, first, sums, g);
        }
    for (;; l--) {
        weigh_linear(l, b, g);
        if (l == layers) break;
        const number *rows = as_rows(g, l->out_blocks * b->rows / BLOCK, b->left);
        memset(b->sums, 0, sizeof(float) * (size_t)(l->in_blocks * BLOCK));
        products_on();
        for (int64_t block = 0; block < l->in_blocks; block++)
            for (int64_t first = 0; first < b->rows; first += BLOCK) {
                sums_of(rows + first * BLOCK, b->rows * BLOCK, 0,
                        l->back + block * l->out_blocks * SQUARE, l->out_blocks, sums);
                finish_back(l - 1, b, block, first, sums, below);
            }
        products_off();
        bfloat16 *next = g;
        g = below;
        below = next;
    }
}
#endif
