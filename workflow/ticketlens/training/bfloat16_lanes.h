/* Vectors of float32, rounding to bfloat16, and activations: the same bits in lanes of any number.
 *
 * Only +, -, *, / and operations on integers: each is exact or rounded once by IEEE 754, so that
 * the width of the vectors cannot change a bit. Nothing here may be contracted to an FMA.
 */
#ifndef BFLOAT16_LANES_H
#define BFLOAT16_LANES_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(WAY_AMX) || defined(WAY_AVX512BF16) || defined(WAY_AVX512)
#include <immintrin.h>
#define WIDTH 16
#elif defined(WAY_AVX2)
#include <immintrin.h>
#define WIDTH 8
#else
#define WIDTH 4
#endif
/* Channels of one block, and vectors in it. */
#define BLOCK 32
#define PARTS (BLOCK / WIDTH)

#define INLINE static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))

typedef uint16_t bfloat16;
typedef float vector __attribute__((vector_size(4 * WIDTH)));
typedef int32_t integers __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t words __attribute__((vector_size(4 * WIDTH)));
typedef uint16_t halves __attribute__((vector_size(2 * WIDTH)));
typedef float unaligned __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef uint16_t unaligned_halves __attribute__((vector_size(2 * WIDTH), aligned(2), may_alias));

INLINE vector load(const float *from) { return *(const unaligned *)from; }
INLINE void store(float *to, vector value) { *(unaligned *)to = value; }
INLINE vector all(float value) { return value - (vector){0}; }
INLINE integers all_integers(int32_t value) { return value - (integers){0}; }
INLINE vector choose(integers which, vector yes, vector no)
{
    return (vector)((which & (integers)yes) | (~which & (integers)no));
}

/* bfloat16 is the upper half of a float32. */
INLINE vector widen(const bfloat16 *from)
{
    halves read = *(const unaligned_halves *)from;
    return (vector)(__builtin_convertvector(read, words) << 16);
}

INLINE float widen_one(bfloat16 value)
{
    uint32_t word = (uint32_t)value << 16;
    float wide;
    memcpy(&wide, &word, sizeof wide);
    return wide;
}

/* Round to the nearest bfloat16, ties to even. Below 2^-126 the result is a zero of the same sign;
 * a NaN stays one. */
INLINE words rounded(vector value)
{
    words word = (words)value;
    integers size = (integers)(word & 0x7fffffffu);
    words nearest = (word + 0x7fffu + ((word >> 16) & 1u)) >> 16;
    words zero = (word >> 16) & 0x8000u, quiet = (word >> 16) | 0x40u;
    words is_tiny = (words)(size < 0x00800000), is_nan = (words)(size > 0x7f800000);
    words found = (is_tiny & zero) | (~is_tiny & nearest);
    return (is_nan & quiet) | (~is_nan & found);
}

INLINE void narrow(bfloat16 *to, vector value)
{
    *(unaligned_halves *)to = __builtin_convertvector(rounded(value), halves);
}

INLINE bfloat16 narrow_one(float value)
{
    return (bfloat16)rounded(all(value))[0];
}

/* A block of 32 channels to bfloat16. */
INLINE void narrow_block(bfloat16 *to, const vector *values)
{
#if defined(WAY_AMX) || defined(WAY_AVX512BF16)
    __m512bh found = _mm512_cvtne2ps_pbh((__m512)values[1], (__m512)values[0]);
    memcpy(to, &found, sizeof found);
#else
    for (int part = 0; part < PARTS; part++) narrow(to + part * WIDTH, values[part]);
#endif
}

/* x P(x^2) / Q(x^2), fitted to tanh up to 9.02 (relative error 2.1e-8), where it is 1 - 3e-8. */
INLINE vector tanh_of(vector x)
{
    vector size = (vector)((words)x & 0x7fffffffu);
    integers sign = (integers)((words)x & 0x80000000u);
    size = choose(size > all(9.02f), all(9.02f), size);
    vector t = size * size;
    vector p = t * 1.3319029835951421e-08f + 2.0583449665467577e-05f;
    p = p * t + 0.0034940326042797757f;
    p = p * t + 0.13379716289210034f;
    p = p * t + 0.9999999790189312f;
    vector q = t * 7.762001826757171e-07f + 0.00032830896622241737f;
    q = q * t + 0.025871065741384855f;
    q = q * t + 0.467130315303301f;
    q = q * t + 1.0f;
    vector y = size * p / q;
    y = choose(y > all(1.0f), all(1.0f), y);
    return (vector)((integers)y | sign);
}

/* x P(x^2) / Q(x^2), fitted to erf up to 3.95 (relative error 2.1e-8), where it is 1 - 2e-8. */
INLINE vector erf_of(vector x)
{
    vector size = (vector)((words)x & 0x7fffffffu);
    integers sign = (integers)((words)x & 0x80000000u);
    size = choose(size > all(3.95f), all(3.95f), size);
    vector t = size * size;
    vector p = t * 2.0259023206625702e-06f + 0.0002846876917492548f;
    p = p * t + 0.003808172837002303f;
    p = p * t + 0.05287548135050122f;
    p = p * t + 0.19155062083455485f;
    p = p * t + 1.1283791437444721f;
    vector q = t * 3.783173871718895e-05f + 0.00117072791616744f;
    q = q * t + 0.015055112949755561f;
    q = q * t + 0.11455974637058604f;
    q = q * t + 0.5030899933686672f;
    q = q * t + 1.0f;
    vector y = size * p / q;
    y = choose(y > all(1.0f), all(1.0f), y);
    return (vector)((integers)y | sign);
}

/* e^x for x <= 0: 2^n e^r with |r| <= log(2)/2; 0 below -87. The last product is exact. */
INLINE vector exp_of(vector x)
{
    integers is_lost = x < all(-87.0f);
    vector bounded = choose(is_lost, all(0.0f), x);
    vector n = (bounded * 1.44269504f + 12582912.0f) - 12582912.0f;
    vector r = (bounded - n * 0.693145752f) - n * 1.42860677e-6f;
    vector p = r * 0.00138888889f + 0.00833333333f;
    p = p * r + 0.0416666667f;
    p = p * r + 0.166666667f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    vector scale = (vector)((__builtin_convertvector(n, integers) + 127) << 23);
    return choose(is_lost, all(0.0f), p * scale);
}

/* log(x) of a finite x >= 1: log(m) + n log(2), m within [0.75, 1.5), by the series of artanh. */
INLINE float log_of(float x)
{
    if (!(x < __builtin_inff())) return x;
    int32_t word;
    memcpy(&word, &x, sizeof word);
    int32_t n = (word - 0x3f400000) >> 23;
    word -= n << 23;
    float m;
    memcpy(&m, &word, sizeof m);
    float f = (m - 1.0f) / (m + 1.0f), t = f * f;
    float p = t * 0.0909090909f + 0.111111111f;
    p = p * t + 0.142857143f;
    p = p * t + 0.2f;
    p = p * t + 0.333333333f;
    float series = f + f * (p * t);
    return 2.0f * series + (float)n * 0.69314718f;
}

/* As numbered in bfloat16_library.py. */
enum { LINEAR, TANH, RELU, HARD_TANH, ERF };

/* y = phi(h) in the place of h, and phi'(h). At a kink the derivative is 0. */
INLINE vector activate(int kind, vector *h)
{
    vector y = *h, one = all(1.0f), zero = all(0.0f);
    switch (kind) {
    case TANH:
        y = tanh_of(y);
        *h = y;
        return 1.0f - y * y;
    case RELU:
        *h = choose(y <= zero, zero, y);
        return choose(y > zero, one, zero);
    case HARD_TANH:
        *h = choose(y > one, one, choose(y < -one, -one, y));
        return choose((y > -one) & (y < one), one, zero);
    case ERF:
        *h = erf_of(y);
        return 1.12837917f * exp_of(-(y * y));
    default:
        return one;
    }
}
#endif
