/* Sparse layers phi(W x + b) on transposed activations, and their gradients at W's support.
 *
 * Activations and gradients are (neurons, samples), each neuron's samples contiguous, their number a
 * multiple of 16. A strip of a neuron's samples is held in vector registers while the weights of a
 * row pass by. Weights are sorted by (block of columns, row, column): start[block * rows + row] is
 * where a row begins within a block, and the block's part of the activations stays in the nearest
 * cache. Every sum has one order, whatever the width of the machine's vectors: over the weights as
 * they are sorted, over up to 128 samples in 16 lanes that are then added as a tree.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX__)
#define WIDTH 8
#else
#define WIDTH 4
#endif
/* Registers that a strip of a product fills, and vectors of 16 lanes in a strip of dots. */
#define STRIP 8
#define PARTS (LANES / WIDTH)

typedef float vector __attribute__((vector_size(4 * WIDTH)));
typedef int32_t integers __attribute__((vector_size(4 * WIDTH)));
/* The same, wherever it lies in memory. */
typedef float unaligned __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vector load(const float *from) { return *(const unaligned *)from; }
INLINE void store(float *to, vector value) { *(unaligned *)to = value; }
INLINE vector all(float value) { return value - (vector){0}; }
INLINE vector choose(integers which, vector yes, vector no)
{
    return (vector)((which & (integers)yes) | (~which & (integers)no));
}

/* Call a function with its first argument, the size of a strip, as a constant. */
#define WITH_SIZE(left, unit, function, ...)             \
    switch ((left) < STRIP * (unit) ? (left) / (unit) : STRIP) { \
    case 1: function(1, __VA_ARGS__); break;             \
    case 2: function(2, __VA_ARGS__); break;             \
    case 3: function(3, __VA_ARGS__); break;             \
    case 4: function(4, __VA_ARGS__); break;             \
    case 5: function(5, __VA_ARGS__); break;             \
    case 6: function(6, __VA_ARGS__); break;             \
    case 7: function(7, __VA_ARGS__); break;             \
    default: function(8, __VA_ARGS__); break;            \
    }

/* tanh x = t / (t + 2) with t = exp(2|x|) - 1 and the sign of x, within 2.5 units in the last place. */
INLINE vector tanh_of(vector x)
{
    const integers sign = (integers)x & INT32_MIN;
    vector a = (vector)((integers)x & INT32_MAX);
    a = choose(a > 9.1f, all(9.1f), a); /* keeps NaN */
    /* 2a = n log 2 + r with |r| <= log(2)/2; a large constant rounds, log 2 comes in two parts. */
    const vector shift = all(12582912.0f);
    const vector rounded = a * 2.885390082f + shift, n = rounded - shift;
    const vector r = (2.0f * a - n * 0.693145752f) - n * 1.42860677e-6f;
    vector p = r * (1 / 5040.0f) + 1 / 720.0f;
    p = p * r + 1 / 120.0f;
    p = p * r + 1 / 24.0f;
    p = p * r + 1 / 6.0f;
    p = p * r + 0.5f;
    p = p * r * r + r;
    const vector power = (vector)(((integers)rounded << 23) + (127 << 23));
    const vector t = power * p + (power - 1.0f);
    return (vector)((integers)(t / (t + 2.0f)) | sign);
}

enum { LINEAR, TANH, RELU, HARD_TANH };

INLINE vector activation(int kind, vector h)
{
    switch (kind) {
    case TANH: return tanh_of(h);
    case RELU: return choose(h < 0.0f, all(0.0f), h);
    case HARD_TANH: return choose(h > 1.0f, all(1.0f), choose(h < -1.0f, all(-1.0f), h));
    default: return h;
    }
}

/* grad * phi'(h), from y = phi(h); 0 at kinks, as in PyTorch. */
INLINE vector through_activation(int kind, vector y, vector grad)
{
    switch (kind) {
    case TANH: return grad * (1.0f - y * y);
    case RELU: return choose(y > 0.0f, grad, all(0.0f));
    case HARD_TANH: return choose((y > -1.0f) & (y < 1.0f), grad, all(0.0f));
    default: return grad;
    }
}

/* y = phi(W x + bias) for a strip of `size` vectors; weight j of the sorted ones is
 * values[place[j]], or values[j] without `place`; no `bias` means 0. */
INLINE void product_strip(
    const int size, ptrdiff_t rows, ptrdiff_t blocks, const int32_t *start, const int32_t *column,
    const int32_t *place, const float *values, const float *bias, int kind, const float *x,
    float *y, ptrdiff_t samples)
{
    for (ptrdiff_t block = 0; block < blocks; block++)
        for (ptrdiff_t row = 0; row < rows; row++, start++) {
            float *out = y + row * samples;
            vector sum[STRIP];
            for (int k = 0; k < size; k++)
                sum[k] = block ? load(out + WIDTH * k) : all(bias ? bias[row] : 0.0f);
            for (int32_t j = start[0]; j < start[1]; j++) {
                const float *in = x + column[j] * samples;
                const float value = values[place ? place[j] : j];
                for (int k = 0; k < size; k++)
                    sum[k] += value * load(in + WIDTH * k);
            }
            const int last = block == blocks - 1 ? kind : LINEAR;
            for (int k = 0; k < size; k++)
                store(out + WIDTH * k, activation(last, sum[k]));
        }
}

/* to[i] = the sum over the lanes of the i-th of 16 rows, as a tree; added if `add`. */
INLINE void put_sums(const float *lanes, float *to, int count, int add)
{
    float eight[LANES * 8], quarter[LANES * 4];
    for (int i = 0; i < LANES; i++)
        for (int l = 0; l < 8; l++)
            eight[8 * i + l] = lanes[LANES * i + l] + lanes[LANES * i + l + 8];
    for (int i = 0; i < LANES; i++)
        for (int l = 0; l < 4; l++)
            quarter[4 * i + l] = eight[8 * i + l] + eight[8 * i + l + 4];
    for (int i = 0; i < count; i++) {
        const float *q = quarter + 4 * i, sum = (q[0] + q[2]) + (q[1] + q[3]);
        to[i] = add ? to[i] + sum : sum;
    }
}

/* to[j] = grad[row of j] . x[column of j], summed over a strip of `size` times 16 samples. */
INLINE void dots_strip(
    const int size, ptrdiff_t rows, ptrdiff_t blocks, const int32_t *start, const int32_t *column,
    const float *grad, const float *x, float *to, ptrdiff_t samples, int add)
{
    float lanes[LANES * LANES] = {0};
    const int32_t count = start[rows * blocks];
    for (ptrdiff_t block = 0; block < blocks; block++)
        for (ptrdiff_t row = 0; row < rows; row++, start++) {
            vector g[STRIP * PARTS];
            for (int k = 0; k < size * PARTS; k++)
                g[k] = load(grad + row * samples + WIDTH * k);
            for (int32_t j = start[0]; j < start[1]; j++) {
                const float *in = x + column[j] * samples;
                float *const lane = lanes + LANES * (j % LANES);
                for (int part = 0; part < PARTS; part++) {
                    vector dot = g[part] * load(in + WIDTH * part);
                    for (int k = part + PARTS; k < size * PARTS; k += PARTS)
                        dot += g[k] * load(in + WIDTH * k);
                    store(lane + WIDTH * part, dot);
                }
                if (j % LANES == LANES - 1)
                    put_sums(lanes, to + j - (LANES - 1), LANES, add);
            }
        }
    put_sums(lanes, to + count - count % LANES, count % LANES, add);
}

/* bias_grad[row] = the sum over the row of delta = grad * phi'(h); y = phi(h). */
static void deltas(
    ptrdiff_t rows, int kind, const float *y, const float *grad, float *delta, float *bias_grad,
    ptrdiff_t samples)
{
    float lanes[LANES * LANES] = {0};
    for (ptrdiff_t row = 0; row < rows; row++) {
        for (int part = 0; part < PARTS; part++) {
            vector sum = {0};
            for (ptrdiff_t at = row * samples + WIDTH * part; at < (row + 1) * samples; at += LANES) {
                const vector d = through_activation(kind, load(y + at), load(grad + at));
                store(delta + at, d);
                sum += d;
            }
            store(lanes + LANES * (row % LANES) + WIDTH * part, sum);
        }
        if (row % LANES == LANES - 1)
            put_sums(lanes, bias_grad + row - (LANES - 1), LANES, 0);
    }
    put_sums(lanes, bias_grad + rows - rows % LANES, rows % LANES, 0);
}

/* One layer of a run. The transposed weights' j-th one is weight place[j]. `kind` is an activation.
 */
typedef struct {
    int64_t rows, columns, weights, blocks, transposed_blocks, kind;
    const int32_t *start, *column, *transposed_start, *transposed_column, *place;
} layer;

/* A run of layers y = phi(W x + bias) on x (columns of the first, samples). `found` takes every
 * layer's y, one after the other, (rows, samples) each; `parameter` is values, bias, values, ... */
void forward(
    const layer *layers, ptrdiff_t count, const float *parameter, const float *x, float *found,
    ptrdiff_t samples)
{
    for (const layer *l = layers; l < layers + count; l++) {
        for (ptrdiff_t at = 0; at < samples; at += STRIP * WIDTH)
            WITH_SIZE(samples - at, WIDTH, product_strip, l->rows, l->blocks, l->start, l->column,
                      NULL, parameter, parameter + l->weights, (int)l->kind, x + at, found + at,
                      samples)
        x = found;
        found += l->rows * samples;
        parameter += l->weights + l->rows;
    }
}

/* The gradients by `parameter` and, unless x_grad is NULL, by x, from `grad`, that by the last y.
 * `room` has space for two of the run's widest y or x. */
void backward(
    const layer *layers, ptrdiff_t count, const float *parameter, const float *x,
    const float *found, const float *grad, float *room, ptrdiff_t room_size, float *parameter_grad,
    float *x_grad, ptrdiff_t samples)
{
    float *const delta = room, *const between = room + room_size;
    for (const layer *l = layers; l < layers + count; l++) {
        found += l->rows * samples;
        parameter += l->weights + l->rows;
        parameter_grad += l->weights + l->rows;
    }
    for (const layer *l = layers + count - 1; l >= layers; l--) {
        const float *y = found -= l->rows * samples;
        const float *in = l > layers ? y - l->columns * samples : x;
        float *to = l > layers ? between : x_grad;
        parameter -= l->weights + l->rows;
        parameter_grad -= l->weights + l->rows;
        deltas(l->rows, (int)l->kind, y, grad, delta, parameter_grad + l->weights, samples);
        for (ptrdiff_t at = 0; at < samples; at += STRIP * LANES)
            WITH_SIZE(samples - at, LANES, dots_strip, l->rows, l->blocks, l->start, l->column,
                      delta + at, in + at, parameter_grad, samples, at > 0)
        for (ptrdiff_t at = 0; to && at < samples; at += STRIP * WIDTH)
            WITH_SIZE(samples - at, WIDTH, product_strip, l->columns, l->transposed_blocks,
                      l->transposed_start, l->transposed_column, l->place, parameter, NULL, LINEAR,
                      delta + at, to + at, samples)
        grad = to;
    }
}

/* Sixteen numbers, in registers of whatever width there are. */
typedef float tile __attribute__((vector_size(64), aligned(4), may_alias));

#ifdef __clang__
#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t tile_order __attribute__((vector_size(64)));
#define MIX(a, b, ...) __builtin_shuffle(a, b, (tile_order){__VA_ARGS__})
#endif
/* Columns of a part of a transpose: four lines of the cache of each row. */
#define PART 64

/* Rows i and i + 8 of `from`, mixed number by number, are rows 2i and 2i + 1 of `to`. */
INLINE void mix(const tile from[LANES], tile to[LANES])
{
    for (int i = 0; i < LANES / 2; i++) {
        const tile a = from[i], b = from[i + LANES / 2];
        to[2 * i] = MIX(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        to[2 * i + 1] = MIX(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
}

/* to = the transpose of 16 numbers, from `at` on, of each of 16 rows. */
INLINE void transpose_tile(const float *const from[LANES], ptrdiff_t at, float *to, ptrdiff_t stride)
{
    tile one[LANES], two[LANES];
    for (int i = 0; i < LANES; i++)
        one[i] = *(const tile *)(from[i] + at);
    mix(one, two), mix(two, one), mix(one, two), mix(two, one);
    for (int i = 0; i < LANES; i++)
        *(tile *)(to + i * stride) = one[i];
}

/* to (columns, padded) = the transpose of the rows `chosen` of from (any, columns), of the first
 * `rows` where it is NULL; rows up to `padded` count as 0. All rows of a part of the columns, so that
 * what is written lies together; the next part is asked for ahead, as rows lie all over the memory. */
void transpose(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t padded, const int64_t *chosen,
               const float *from, float *to)
{
#define ROW(number) (from + (chosen ? chosen[number] : (number)) * columns)
    const ptrdiff_t whole = rows - rows % LANES, wide = columns - columns % LANES;
    for (ptrdiff_t part = 0; part < wide; part += PART)
        for (ptrdiff_t first = 0; first < whole; first += LANES) {
            const float *row[LANES];
            for (int i = 0; i < LANES; i++)
                row[i] = ROW(first + i);
            for (ptrdiff_t at = part; at < part + PART && at < wide; at += LANES) {
                for (int i = 0; i < LANES; i++)
                    __builtin_prefetch(row[i] + at + PART);
                transpose_tile(row, at, to + at * padded + first, padded);
            }
        }
    for (ptrdiff_t column = 0; column < columns; column++)
        for (ptrdiff_t row = column < wide ? whole : 0; row < padded; row++)
            to[column * padded + row] = row < rows ? ROW(row)[column] : 0.0f;
#undef ROW
}

/* The transpose of the rows `chosen`, a multiple of 16, of from (all, columns); whether all of them
 * are there. Where one is not, nothing is written. */
int gather(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t all, const int64_t *chosen,
           const float *from, float *to)
{
    for (ptrdiff_t row = 0; row < rows; row++)
        if (chosen[row] < 0 || chosen[row] >= all)
            return 0;
    transpose(rows, columns, rows, chosen, from, to);
    return 1;
}
