#pragma once

#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
    std::uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 v) {
    const std::uint32_t wide = std::uint32_t(v.bits) << 16;
    float f;
    std::memcpy(&f, &wide, 4);
    return f;
}
inline __nv_bfloat16 __float2bfloat16_rn(float f) {
    std::uint32_t wide;
    std::memcpy(&wide, &f, 4);
    return {std::uint16_t((wide + 0x7fff + ((wide >> 16) & 1)) >> 16)};
}
