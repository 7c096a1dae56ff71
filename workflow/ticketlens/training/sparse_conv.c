/* Convolutions at the support of their masks, float32: forward, and both gradients.
 *
 * Maps are (blocks, channels, height, width, 16): 16 samples of a block lie beside each other, so
 * that a weight, whatever its shift and the stride, multiplies whole vectors. A tile of 4 x 4
 * pixels of an output channel is held in registers while weights pass by. They are listed by groups
 * of input channels, so few that what the tile sees of them stays in the nearest cache for all
 * output channels, then by outputs; `offset` says how far from a tile's corner a weight's input
 * lies, in floats.
 *
 * Every sum has one order, a function of the shapes alone: forward and in the gradient by inputs
 * over the weights as they are listed, from the bias on; in the gradient by weights over a tile's
 * pixels in four parts by turns, over tiles, blocks, and the 16 lanes as a tree. Products are fused
 * into sums (fma), nothing else is: compiled without contraction, the bits are the same with
 * vectors of 16, 8 and 4, and without any.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define TILE 16
#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#include <immintrin.h>
#define WIDTH 16
#define REGISTERS 16
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define WIDTH 8
#define REGISTERS 8
#else
#define WIDTH 4
#define REGISTERS 4
#endif
#define PARTS (LANES / WIDTH)

typedef float vector __attribute__((vector_size(4 * WIDTH)));
typedef int32_t integers __attribute__((vector_size(4 * WIDTH)));
typedef float unaligned __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

INLINE vector load(const float *from) { return *(const unaligned *)from; }
INLINE void store(float *to, vector value) { *(unaligned *)to = value; }
INLINE vector all(float value) { return value - (vector){0}; }
INLINE vector fused(vector a, vector b, vector c)
{
#if WIDTH == 16
    return (vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif WIDTH == 8
    return (vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    for (int i = 0; i < WIDTH; i++)
        c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
#endif
}
INLINE vector choose(integers which, vector yes, vector no)
{
    return (vector)((which & (integers)yes) | (~which & (integers)no));
}

/* --- activations --- */

enum { LINEAR, TANH, RELU, HARD_TANH };

/* tanh x = t / (t + 2) with t = exp(2|x|) - 1 and the sign of x, within 2.5 units in the last place. */
INLINE vector tanh_of(vector x)
{
    const integers sign = (integers)x & INT32_MIN;
    vector a = (vector)((integers)x & INT32_MAX);
    a = choose(a > 9.1f, all(9.1f), a); /* keeps NaN */
    /* 2a = n log 2 + r with |r| <= log(2)/2; a large constant rounds, log 2 comes in two parts. */
    const vector shift = all(12582912.0f);
    const vector rounded = fused(a, all(2.885390082f), shift), n = rounded - shift;
    const vector r = fused(n, all(-1.42860677e-6f), fused(n, all(-0.693145752f), 2.0f * a));
    vector p = fused(r, all(1 / 5040.0f), all(1 / 720.0f));
    p = fused(p, r, all(1 / 120.0f));
    p = fused(p, r, all(1 / 24.0f));
    p = fused(p, r, all(1 / 6.0f));
    p = fused(p, r, all(0.5f));
    p = fused(p * r, r, r);
    const vector power = (vector)(((integers)rounded << 23) + (127 << 23));
    const vector t = fused(power, p, power - 1.0f);
    return (vector)((integers)(t / (t + 2.0f)) | sign);
}

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
INLINE vector through(int kind, vector y, vector grad)
{
    switch (kind) {
    case TANH: return grad * fused(-y, y, all(1.0f));
    case RELU: return choose(y > 0.0f, grad, all(0.0f));
    case HARD_TANH: return choose((y > -1.0f) & (y < 1.0f), grad, all(0.0f));
    default: return grad;
    }
}

/* --- maps, lists of weights, and where sums go --- */

/* Pixels of maps, or every few of them: `at` is channel 0's first one, the rest are in floats. */
struct view {
    float *at;
    int64_t block, plane, row, pixel;
};

/* Weights by group and output: those of output o are the ones from start[group * outputs + o] on,
 * up to the next entry, each with its offset. `place` says where its value, or gradient, lies. */
struct list {
    int64_t groups;
    const int32_t *start, *offset, *place;
    const float *value;
};

/* What becomes of a sum: forward, phi(sum + add), and the sum itself in `also`; backward, what
 * phi'(y) leaves of it, + add. Views without an address do not take part. */
struct sink {
    struct view to, also, add, y;
    int64_t kind, forward;
};

INLINE const float *moved(const struct view *view, int64_t channel, int64_t row, int64_t column)
{
    return view->at + channel * view->plane + row * view->row + column * view->pixel;
}

INLINE struct sink of_block(const struct sink *told, int64_t block)
{
    struct sink sink = *told;
    struct view *views[] = {&sink.to, &sink.also, &sink.add, &sink.y};
    for (int i = 0; i < 4; i++)
        if (views[i]->at)
            views[i]->at += block * views[i]->block;
    return sink;
}

INLINE void finished(
    const struct sink *sink, const int kind, const int forward, const int slope, const int added,
    int64_t channel, int64_t row, int64_t column, const int rows, const int columns,
    const float *sums)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++, sums += LANES) {
            const int64_t r = row + i, c = column + j;
            for (int part = 0; part < LANES; part += WIDTH) {
                vector sum = load(sums + part);
                if (slope)
                    sum = through(kind, load(moved(&sink->y, channel, r, c) + part), sum);
                if (added)
                    sum = sum + load(moved(&sink->add, channel, r, c) + part);
                if (forward && sink->also.at)
                    store((float *)moved(&sink->also, channel, r, c) + part, sum);
                if (forward)
                    sum = activation(kind, sum);
                store((float *)moved(&sink->to, channel, r, c) + part, sum);
            }
        }
}

static void finish(
    const struct sink *sink, int64_t channel, int64_t row, int64_t column, int rows, int columns,
    const float *sums)
{
    const int kind = (int)sink->kind, forward = (int)sink->forward;
    const int slope = sink->y.at != NULL, add = sink->add.at != NULL;
    /* The usual cases, with what they do as constants. */
    if (rows == 4 && columns == 4 && kind == TANH && forward && !slope && !add)
        finished(sink, TANH, 1, 0, 0, channel, row, column, 4, 4, sums);
    else if (rows == 4 && columns == 4 && kind == TANH && !forward && slope && !add)
        finished(sink, TANH, 0, 1, 0, channel, row, column, 4, 4, sums);
    else
        finished(sink, kind, forward, slope, add, channel, row, column, rows, columns, sums);
}

/* --- tiles --- */

/* Tiles have 4 columns, where that many are left 2 or 1, and as many rows as make 16 pixels, or one
 * row where fewer are left. */
INLINE int wide(int64_t left)
{
    return left >= 4 ? 4 : left >= 2 ? 2 : 1;
}
INLINE int high(int64_t left, int columns)
{
    return left < TILE / columns ? 1 : TILE / columns;
}

/* sums[pixel] += the weights times what they see from `from` on; with a bias, from it on. */
INLINE void gather(
    const int rows, const int columns, const int64_t pixel, int64_t row, const float *from,
    int64_t count, const int32_t *offset, const float *value, const float *bias, float *sums)
{
    const int size = rows * columns;
    for (int part = 0; part < LANES; part += WIDTH)
        for (int begin = 0; begin < size; begin += REGISTERS) {
            const int held = size - begin < REGISTERS ? size - begin : REGISTERS;
            vector sum[REGISTERS];
#pragma GCC unroll 16
            for (int j = 0; j < held; j++)
                sum[j] = bias ? all(*bias) : load(sums + (begin + j) * LANES + part);
            for (int64_t i = 0; i < count; i++) {
                const float *x = from + offset[i] + part;
                const vector weight = all(value[i]);
#pragma GCC unroll 16
                for (int j = 0; j < held; j++) {
                    const int at = begin + j;
                    sum[j] = fused(
                        weight, load(x + at / columns * row + at % columns * pixel), sum[j]);
                }
            }
#pragma GCC unroll 16
            for (int j = 0; j < held; j++)
                store(sums + (begin + j) * LANES + part, sum[j]);
        }
}

/* totals[i] += the tile's gradient times what weight i sees; `bias` += the gradient. */
INLINE void dots(
    const int rows, const int columns, const int64_t pixel, int64_t row, const float *from,
    int64_t count, const int32_t *offset, const float *gradient, int64_t gradient_row, float *bias,
    float *totals)
{
    const int size = rows * columns;
    for (int part = 0; part < LANES; part += WIDTH) {
        vector grad[TILE], sum[4] = {{0}, {0}, {0}, {0}};
#pragma GCC unroll 16
        for (int j = 0; j < size; j++) {
            grad[j] = load(gradient + j / columns * gradient_row + j % columns * LANES + part);
            sum[j % 4] = sum[j % 4] + grad[j];
        }
        store(bias + part, load(bias + part) + ((sum[0] + sum[1]) + (sum[2] + sum[3])));
        for (int64_t i = 0; i < count; i++) {
            const float *x = from + offset[i] + part;
            vector found[4] = {{0}, {0}, {0}, {0}};
#pragma GCC unroll 16
            for (int j = 0; j < size; j++)
                found[j % 4] = fused(
                    grad[j], load(x + j / columns * row + j % columns * pixel), found[j % 4]);
            float *total = totals + i * LANES + part;
            store(total, load(total) + ((found[0] + found[1]) + (found[2] + found[3])));
        }
    }
}

/* Each shape of a tile has functions of its own, and so have pixels that lie side by side or every
 * second one: distances are then constants. */
typedef void gathering(
    int64_t pixel, int64_t row, const float *from, int64_t count, const int32_t *offset,
    const float *value, const float *bias, float *sums);
typedef void dotting(
    int64_t pixel, int64_t row, const float *from, int64_t count, const int32_t *offset,
    const float *gradient, int64_t gradient_row, float *bias, float *totals);

#define DEFINE(name, rows, columns, pixel_)                                                    \
    static void gather_##name(                                                                 \
        int64_t pixel, int64_t row, const float *from, int64_t count, const int32_t *offset,   \
        const float *value, const float *bias, float *sums)                                    \
    {                                                                                          \
        (void)pixel;                                                                           \
        gather(rows, columns, pixel_, row, from, count, offset, value, bias, sums);            \
    }                                                                                          \
    static void dots_##name(                                                                   \
        int64_t pixel, int64_t row, const float *from, int64_t count, const int32_t *offset,   \
        const float *gradient, int64_t gradient_row, float *bias, float *totals)               \
    {                                                                                          \
        (void)pixel;                                                                           \
        dots(rows, columns, pixel_, row, from, count, offset, gradient, gradient_row, bias,    \
             totals);                                                                          \
    }
#define SHAPE(rows, columns)                                  \
    DEFINE(rows##x##columns##_beside, rows, columns, LANES)   \
    DEFINE(rows##x##columns##_second, rows, columns, 2 * LANES) \
    DEFINE(rows##x##columns##_any, rows, columns, pixel)
#define NAMES(kind, rows, columns)                                                              \
    {kind##_##rows##x##columns##_beside, kind##_##rows##x##columns##_second,                    \
     kind##_##rows##x##columns##_any}
/* By the logarithm of their columns: tiles of 16 pixels, and of one row. */
#define SHAPES(kind)                             \
    {                                            \
        {NAMES(kind, 16, 1), NAMES(kind, 1, 1)}, \
        {NAMES(kind, 8, 2), NAMES(kind, 1, 2)},  \
        {NAMES(kind, 4, 4), NAMES(kind, 1, 4)},  \
    }
SHAPE(16, 1)
SHAPE(8, 2)
SHAPE(4, 4)
SHAPE(1, 4)
SHAPE(1, 2)
SHAPE(1, 1)
static gathering *const GATHER[3][2][3] = SHAPES(gather);
static dotting *const DOTS[3][2][3] = SHAPES(dots);

INLINE int variant(int64_t pixel)
{
    return pixel == LANES ? 0 : pixel == 2 * LANES ? 1 : 2;
}

/* --- one layer --- */

/* For each output, the sums of its list over a grid of rows x columns targets, into the sink.
 * `source` steps from one target to the next; `bias` has a number for each output; `room` holds 256
 * floats for each output. */
void products(
    int64_t blocks, int64_t outputs, int64_t rows, int64_t columns, const struct list *list,
    const float *bias, const struct view *source, const struct sink *told, float *room)
{
    const int64_t pixel = source->pixel, row = source->row;
    for (int64_t block = 0; block < blocks; block++) {
        const struct sink sink = of_block(told, block);
        const float *maps = source->at + block * source->block;
        for (int64_t column = 0, width; column < columns; column += width) {
            width = wide(columns - column);
            for (int64_t top = 0, held; top < rows; top += held) {
                held = high(rows - top, (int)width);
                gathering *const add =
                    GATHER[__builtin_ctz((unsigned)width)][held * width < TILE][variant(pixel)];
                const float *from = maps + top * row + column * pixel;
                const int32_t *start = list->start;
                for (int64_t group = 0; group < list->groups; group++)
                    for (int64_t o = 0; o < outputs; o++, start++)
                        if (start[1] > start[0] || group == 0)
                            add(pixel, row, from, start[1] - start[0], list->offset + start[0],
                                list->value + start[0], group ? NULL : bias + o,
                                room + o * TILE * LANES);
                for (int64_t o = 0; o < outputs; o++)
                    finish(
                        &sink, o, top, column, (int)held, (int)width, room + o * TILE * LANES);
            }
        }
    }
}

/* The 16 lanes of each of `count` totals, added as a tree. */
static void reduce(int64_t count, const float *totals, const int32_t *place, float *to)
{
    for (int64_t i = 0; i < count; i++, totals += LANES) {
        float lane[LANES];
        memcpy(lane, totals, sizeof lane);
        for (int half = LANES / 2; half; half /= 2)
            for (int j = 0; j < half; j++)
                lane[j] += lane[j + half];
        to[place ? place[i] : i] = lane[0];
    }
}

/* The gradients by weights and biases. `source` and the list are those of the layer forward,
 * `gradient` is that by its outputs; `room` holds 16 floats for each weight and output. */
void weight_gradients(
    int64_t blocks, int64_t outputs, int64_t rows, int64_t columns, const struct list *list,
    const struct view *source, const struct view *gradient, float *room,
    float *by_weight, float *by_bias)
{
    const int64_t weights = list->start[list->groups * outputs];
    const int64_t pixel = source->pixel, row = source->row;
    float *bias = room + weights * LANES, unused[LANES] = {0};
    memset(room, 0, (size_t)(weights + outputs) * LANES * sizeof *room);
    for (int64_t block = 0; block < blocks; block++) {
        const float *maps = source->at + block * source->block;
        const float *gradients = gradient->at + block * gradient->block;
        for (int64_t column = 0, width; column < columns; column += width) {
            width = wide(columns - column);
            for (int64_t top = 0, held; top < rows; top += held) {
                held = high(rows - top, (int)width);
                dotting *const add =
                    DOTS[__builtin_ctz((unsigned)width)][held * width < TILE][variant(pixel)];
                const float *from = maps + top * row + column * pixel;
                const float *tile = gradients + top * gradient->row + column * LANES;
                const int32_t *start = list->start;
                for (int64_t group = 0; group < list->groups; group++)
                    for (int64_t o = 0; o < outputs; o++, start++)
                        if (start[1] > start[0] || group == 0)
                            add(pixel, row, from, start[1] - start[0], list->offset + start[0],
                                tile + o * gradient->plane, gradient->row,
                                group ? unused : bias + o * LANES, room + start[0] * LANES);
            }
        }
    }
    reduce(weights, room, list->place, by_weight);
    reduce(outputs, bias, NULL, by_bias);
}

/* --- borders, pooling --- */

/* Fill the margins of maps (count, height + 2 margin, width + 2 margin, 16): with the borders
 * opposite, or 0. A margin may be as wide as the map. */
void fill(int64_t count, int64_t height, int64_t width, int64_t margin, int64_t circular, float *maps)
{
    const int64_t row = (width + 2 * margin) * LANES, side = margin * LANES;
    const size_t edge = (size_t)side * sizeof *maps, line = (size_t)row * sizeof *maps;
    for (int64_t map = 0; margin && map < count; map++, maps += (height + 2 * margin) * row) {
        for (int64_t r = margin; r < margin + height; r++) {
            float *begin = maps + r * row, *end = begin + row - side;
            if (circular) {
                memcpy(begin, end - side, edge);
                memcpy(end, begin + side, edge);
            } else {
                memset(begin, 0, edge);
                memset(end, 0, edge);
            }
        }
        for (int64_t r = 0; r < margin; r++) {
            float *above = maps + r * row, *below = maps + (margin + height + r) * row;
            if (circular) {
                memcpy(above, maps + (height + r) * row, line);
                memcpy(below, maps + (margin + r) * row, line);
            } else {
                memset(above, 0, line);
                memset(below, 0, line);
            }
        }
    }
}

INLINE void added(float *to, const float *from, int64_t count)
{
    for (int64_t i = 0; i < count; i += WIDTH)
        store(to + i, load(to + i) + load(from + i));
}

/* The adjoint of a circular `fill`: add the margins to the borders opposite. */
void fold(int64_t count, int64_t height, int64_t width, int64_t margin, float *maps)
{
    const int64_t row = (width + 2 * margin) * LANES, side = margin * LANES;
    for (int64_t map = 0; margin && map < count; map++, maps += (height + 2 * margin) * row) {
        for (int64_t r = 0; r < margin; r++) {
            added(maps + (height + r) * row, maps + r * row, row);
            added(maps + (margin + r) * row, maps + (margin + height + r) * row, row);
        }
        for (int64_t r = margin; r < margin + height; r++) {
            float *begin = maps + r * row, *end = begin + row - side;
            added(end - side, begin, side);
            added(begin + side, end, side);
        }
    }
}

/* Put whole maps through the sink: sums that are there already. */
void copy(
    int64_t blocks, int64_t channels, int64_t rows, int64_t columns, const struct view *sums,
    const struct sink *told)
{
    for (int64_t block = 0; block < blocks; block++) {
        const struct sink sink = of_block(told, block);
        for (int64_t channel = 0; channel < channels; channel++)
            for (int64_t row = 0; row < rows; row++)
                for (int64_t column = 0; column < columns; column++)
                    finish(
                        &sink, channel, row, column, 1, 1,
                        moved(sums, channel, row, column) + block * sums->block);
    }
}

/* Mean over pixels of maps (count, pixels, 16), as they lie, four sums by turns: (count, 16). */
void pool(int64_t count, int64_t pixels, const float *maps, float *means)
{
    for (int64_t map = 0; map < count; map++, maps += pixels * LANES, means += LANES)
        for (int part = 0; part < LANES; part += WIDTH) {
            vector sum[4] = {{0}, {0}, {0}, {0}};
            for (int64_t at = 0; at < pixels; at++)
                sum[at % 4] = sum[at % 4] + load(maps + at * LANES + part);
            store(means + part, ((sum[0] + sum[1]) + (sum[2] + sum[3])) / (float)pixels);
        }
}
