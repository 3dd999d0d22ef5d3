// Fused operations on the processor: OpenMP over pixels, vectorised over the innermost axis. No torch headers.
//
// Values are stored as float, double or bfloat16; arithmetic, parameters and sums are in float (double for double).
// A clamp of infinity is none. Every function returns 0, or 1 for a storage type it does not know.

#include "interface.h"
#include "processor_activation.h"
#include "processor_checksum.h"
#include "processor_filter.h"

namespace {

template <class T, class A = typename Wide<T>::type>
Activation<A> activation(double slope, double gain, double clamp) {
    return Activation<A>(A(slope), A(gain), A(clamp));
}

template <class T, class A = typename Wide<T>::type>
void filter_any(
    const T* x, const void* taps, const void* scale, const void* noise, const void* bias, T* out, Shape shape,
    const Axis& rows, const Axis& columns, double tap_gain, bool mirror, int64_t noise_step, Activation<A> act) {
    const int64_t count = rows.taps * columns.taps;
    std::vector<A> kernel(count);
    for (int64_t i = 0; i < count; ++i)
        kernel[i] = static_cast<const A*>(taps)[mirror ? count - 1 - i : i] * A(tap_gain);
    const Parameters<A> given(scale, noise, bias, shape.c, noise_step, columns.out);
    filter<T>(x, kernel, out, shape, rows, columns, Epilogue<A>{given, act});
}

// Call f with a value of the storage type.
template <class F>
int for_storage(int storage, F f) {
    if (storage == FLOAT) return f(float()), 0;
    if (storage == DOUBLE) return f(double()), 0;
    if (storage == BFLOAT16) return f(bfloat16()), 0;
    return 1;
}

Axis axis(const int64_t* v) { return {v[0], v[1], v[2], v[3], v[4], v[5]}; }

}  // namespace

int lf_activate(
    int storage, int channels_last, const void* x, const void* scale, const void* noise, const void* bias, void* out,
    int64_t n, int64_t c, int64_t p, int64_t noise_step, double slope, double gain, double clamp, void*) {
    return for_storage(storage, [&](auto zero) {
        using T = decltype(zero);
        activate(
            static_cast<const T*>(x), scale, noise, bias, static_cast<T*>(out), Shape{n, c, p, channels_last != 0},
            noise_step, activation<T>(slope, gain, clamp));
    });
}

int lf_activate_backward(
    int storage, int channels_last, const void* grad, const void* a, const void* scale, const void* noise,
    const void* bias, void* out, void* sum_slope, void* sum_scaled, void* sum_noise, int64_t n, int64_t c, int64_t p,
    int64_t noise_step, double slope, double gain, double clamp, void*) {
    return for_storage(storage, [&](auto zero) {
        using T = decltype(zero);
        using A = typename Wide<T>::type;
        activate_backward(
            static_cast<const T*>(grad), static_cast<const T*>(a), scale, noise, bias, static_cast<T*>(out),
            Sums<A>{static_cast<A*>(sum_slope), static_cast<A*>(sum_scaled), static_cast<A*>(sum_noise)},
            Shape{n, c, p, channels_last != 0}, noise_step, activation<T>(slope, gain, clamp));
    });
}

int lf_filter(
    int storage, int channels_last, const void* x, const void* taps, const void* scale, const void* noise,
    const void* bias, void* out, int64_t n, int64_t c, const int64_t* rows, const int64_t* columns, double tap_gain,
    int mirror, int64_t noise_step, double slope, double gain, double clamp, void*) {
    return for_storage(storage, [&](auto zero) {
        using T = decltype(zero);
        filter_any(
            static_cast<const T*>(x), taps, scale, noise, bias, static_cast<T*>(out), Shape{n, c, 0, channels_last != 0},
            axis(rows), axis(columns), tap_gain, mirror != 0, noise_step, activation<T>(slope, gain, clamp));
    });
}

std::uint64_t lf_checksum(const void* bytes, int64_t count) {
    return checksum(static_cast<const unsigned char*>(bytes), count);
}
