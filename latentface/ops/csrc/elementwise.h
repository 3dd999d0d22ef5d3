// Per-element arithmetic of the fused operations, included by fused.cpp (processor) and fused.cu (GPU) alike.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define LF_INLINE __host__ __device__ __forceinline__
#else
#define LF_INLINE inline
#endif

// Codes of the storage type, as in native.py.
enum Storage : int { FLOAT = 0, DOUBLE = 1, BFLOAT16 = 2, HALF = 3 };

// a = clamp(gain * lrelu(z)); a clamp of infinity clamps nothing.
template <class A>
struct Activation {
    A slope, gain, clamp, positive, negative;  // the last two: from a to z on either side of zero

    LF_INLINE Activation(A slope_, A gain_, A clamp_)
        : slope(slope_), gain(gain_), clamp(clamp_), positive(A(1) / gain_), negative(A(1) / (gain_ * slope_)) {}

    LF_INLINE A value(A z) const {
        const A a = (z > A(0) ? z : z * slope) * gain;
        return a > clamp ? clamp : (a < -clamp ? -clamp : a);
    }

    // da/dz where the value is a. The function and its derivative keep the sign, so z itself is not needed.
    LF_INLINE A derivative(A a) const {
        const A inside = a > A(0) ? gain : gain * slope;
        return (a >= clamp || a <= -clamp) ? A(0) : inside;
    }

    // z where the value is a, away from the clamp.
    LF_INLINE A inverse(A a) const { return a * (a > A(0) ? positive : negative); }
};

// Where tap k of a filter meets its input, for output position `at`: upsampled position at * down + k - before.
struct Axis {
    std::int64_t up, down, before, in, out, taps;

    LF_INLINE std::int64_t place(std::int64_t at, std::int64_t k) const { return at * down + k - before; }
    LF_INLINE bool meets(std::int64_t place) const { return place >= 0 && place % up == 0 && place / up < in; }
};

// Sizes, and which axis is innermost: channels (channels_last) or pixels (contiguous).
struct Shape {
    std::int64_t n, c, p;  // images, channels, pixels
    bool channels_last;
};
