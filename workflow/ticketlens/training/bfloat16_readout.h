/* Mean, readout, softmax, loss and optimisers in float32, every sum in one order. */
#ifndef BFLOAT16_READOUT_H
#define BFLOAT16_READOUT_H
#include "bfloat16_lanes.h"

/* Classes whose logits are summed at the same time. */
enum { TOGETHER = 10 };

/* Means (images, channels) of sums (images, stride) over pixels, and logits (images, classes). */
void read_out(int64_t images, int64_t channels, int64_t stride, int64_t classes, int64_t pixels,
              const float *sums, const float *weight, const float *bias, float *mean,
              float *logits)
{
    for (int64_t n = 0; n < images; n++) {
        for (int64_t c = 0; c < channels; c++)
            mean[n * channels + c] = sums[n * stride + c] / (float)pixels;
        /* Sums side by side: each waits for the one before it in its own chain alone. */
        for (int64_t first = 0; first < classes; first += TOGETHER) {
            int64_t count = classes - first < TOGETHER ? classes - first : TOGETHER;
            const float *row[TOGETHER];
            float sum[TOGETHER] = {0};
            for (int64_t k = 0; k < TOGETHER; k++)
                row[k] = weight + (first + (k < count ? k : 0)) * channels;
            for (int64_t c = 0; c < channels; c++)
                for (int k = 0; k < TOGETHER; k++) sum[k] += mean[n * channels + c] * row[k][c];
            for (int64_t k = 0; k < count; k++)
                logits[n * classes + first + k] = sum[k] + bias[first + k];
        }
    }
}

/* Losses (images,), how many logits are largest at the label, and unless NULL the gradient of the
 * mean loss by the logits. Returns the sum of the losses, added up in float64. */
double cross_entropy(int64_t images, int64_t classes, const float *logits, const int64_t *labels,
                     float *losses, int64_t *correct, float *gradient)
{
    double total = 0.0;
    *correct = 0;
    for (int64_t n = 0; n < images; n++, logits += classes) {
        int64_t largest = 0;
        for (int64_t k = 1; k < classes; k++)
            if (logits[k] > logits[largest]) largest = k;
        float sum = 0.0f, most = logits[largest];
        for (int64_t k = 0; k < classes; k++) sum += exp_of(all(logits[k] - most))[0];
        losses[n] = log_of(sum) - (logits[labels[n]] - most);
        total += losses[n];
        *correct += largest == labels[n];
        if (!gradient) continue;
        for (int64_t k = 0; k < classes; k++) {
            float share = exp_of(all(logits[k] - most))[0] / sum;
            gradient[n * classes + k] = (share - (k == labels[n] ? 1.0f : 0.0f)) / (float)images;
        }
    }
    return total;
}

/* Gradients of the readout, and of the loss by each of the pixels whose mean it reads. */
void read_back(int64_t images, int64_t channels, int64_t stride, int64_t classes, int64_t pixels,
               const float *gradient, const float *mean, const float *weight, float *by_weight,
               float *by_bias, float *slope)
{
    for (int64_t k = 0; k < classes; k++) {
        by_bias[k] = 0.0f;
        for (int64_t c = 0; c < channels; c++) by_weight[k * channels + c] = 0.0f;
    }
    for (int64_t n = 0; n < images; n++) {
        for (int64_t c = 0; c < stride; c++) slope[n * stride + c] = 0.0f;
        for (int64_t k = 0; k < classes; k++) {
            float g = gradient[n * classes + k];
            by_bias[k] += g;
            for (int64_t c = 0; c < channels; c++) {
                by_weight[k * channels + c] += g * mean[n * channels + c];
                slope[n * stride + c] += g * weight[k * channels + c];
            }
        }
        for (int64_t c = 0; c < channels; c++) slope[n * stride + c] /= (float)pixels;
    }
}

/* Sums (count,) over images of (images, stride). */
void total(int64_t images, int64_t stride, int64_t count, const float *from, float *to)
{
    for (int64_t c = 0; c < count; c++) to[c] = 0.0f;
    for (int64_t n = 0; n < images; n++)
        for (int64_t c = 0; c < count; c++) to[c] += from[n * stride + c];
}

/* A gradient where the mask is not 0, or there is none. */
INLINE float held(const uint8_t *mask, const float *gradient, int64_t i)
{
    return !mask || mask[i] ? gradient[i] : 0.0f;
}

/* Off the mask, where weight and momentum are 0, they stay 0. */
void sgd(int64_t count, float *restrict weight, const float *restrict gradient,
         const uint8_t *restrict mask, float *restrict momentum, float rate, float kept, float decay)
{
    for (int64_t i = 0; i < count; i++) {
        float g = held(mask, gradient, i);
        if (decay != 0.0f) g += decay * weight[i];
        if (momentum) g = momentum[i] = kept * momentum[i] + g;
        weight[i] -= rate * g;
    }
}

INLINE double power(double base, int64_t exponent)
{
    double found = 1.0;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) found *= base;
    return found;
}

/* Adam with its bias corrections; `step` counts from 1. */
void adam(int64_t count, float *restrict weight, const float *restrict gradient,
          const uint8_t *restrict mask, float *restrict mean, float *restrict square, int64_t step,
          double rate, double beta1, double beta2, double tiny, float decay)
{
    float first = (float)beta1, second = (float)beta2;
    float new_first = (float)(1.0 - beta1), new_second = (float)(1.0 - beta2);
    float size = (float)(rate / (1.0 - power(beta1, step)));
    float root = (float)__builtin_sqrt(1.0 - power(beta2, step)), least = (float)tiny;
    for (int64_t i = 0; i < count; i++) {
        float g = held(mask, gradient, i);
        if (decay != 0.0f) g += decay * weight[i];
        mean[i] = first * mean[i] + new_first * g;
        square[i] = second * square[i] + new_second * (g * g);
        weight[i] -= size * mean[i] / (__builtin_sqrtf(square[i]) / root + least);
    }
}
#endif
