// What both libraries export. Pointers are to dense arrays; parameters and sums are float (double for double storage).
//
// Let z = scale[n, c] x + noise[n, p] + bias[c] and a = clamp(gain lrelu(z)); null parameters are 1, 0, 0.
// noise_step: numbers from one image's noise to the next, 0 for noise shared by all. stream: the GPU's, else ignored.
// rows, columns: up, down, padding before, input size, output size, taps. mirror: convolve; else correlate.
#pragma once

#include <cstdint>

extern "C" {

// out = a, [N, C, P] or [N, P, C]; may be x itself.
int lf_activate(
    int storage, int channels_last, const void* x, const void* scale, const void* noise, const void* bias, void* out,
    std::int64_t n, std::int64_t c, std::int64_t p, std::int64_t noise_step, double slope, double gain, double clamp,
    void* stream);

// From a and the gradient of a: out = scale * g with g = grad da/dz, and where asked for the sums over pixels of g and
// of g * (scale * x), [N, C] each, and that over channels of g, [N, P].
int lf_activate_backward(
    int storage, int channels_last, const void* grad, const void* a, const void* scale, const void* noise,
    const void* bias, void* out, void* sum_slope, void* sum_scaled, void* sum_noise, std::int64_t n, std::int64_t c,
    std::int64_t p, std::int64_t noise_step, double slope, double gain, double clamp, void* stream);

// out = a of the filtered x: upsampled by zeros, padded, filtered with tap_gain * taps, every down-th pixel kept.
int lf_filter(
    int storage, int channels_last, const void* x, const void* taps, const void* scale, const void* noise,
    const void* bias, void* out, std::int64_t n, std::int64_t c, const std::int64_t* rows, const std::int64_t* columns,
    double tap_gain, int mirror, std::int64_t noise_step, double slope, double gain, double clamp, void* stream);

// A checksum of the bytes of an array; of the processor's library alone.
std::uint64_t lf_checksum(const void* bytes, std::int64_t count);
}
