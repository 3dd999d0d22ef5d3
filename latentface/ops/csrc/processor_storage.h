// Storage types of the processor's build and the arithmetic type that goes with each.
#pragma once

#include <cstdint>

using std::int64_t;

struct bfloat16 {
    std::uint16_t bits;
};

// A union and not memcpy: compilers vectorise loops over it.
union Bits {
    float value;
    std::uint32_t bits;
};
inline float load(bfloat16 v) {
    Bits wide;
    wide.bits = std::uint32_t(v.bits) << 16;
    return wide.value;
}
inline void store(bfloat16& to, float v) {
    Bits wide;
    wide.value = v;
    const std::uint32_t rounded = (wide.bits + 0x7fffu + ((wide.bits >> 16) & 1u)) >> 16;  // to nearest, ties to even
    const bool nan = (wide.bits & 0x7fffffffu) > 0x7f800000u;
    to.bits = std::uint16_t(nan ? 0x7fc0u : rounded);
}

// The type in which values of type T are computed.
template <class T>
struct Wide {
    using type = float;
};
template <>
struct Wide<double> {
    using type = double;
};

// Values in the type they are computed in: the array itself, or a widened copy in `buffer`. Loops that only convert and
// loops that only compute vectorise well; loops that do both do not (measured four times slower).
template <class A>
inline const A* widen(const A* values, A*, int64_t) {
    return values;
}
inline const float* widen(const bfloat16* values, float* buffer, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) buffer[i] = load(values[i]);
    return buffer;
}

// Where to compute results that belong in `out`, and how they get there.
template <class A>
inline A* workplace(A* out, A*) {
    return out;
}
inline float* workplace(bfloat16*, float* buffer) { return buffer; }
template <class A>
inline void narrow(const A*, A*, int64_t) {}
inline void narrow(const float* results, bfloat16* out, int64_t count) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) store(out[i], results[i]);
}
