// Half has no portable type in C++17: it is there to compile, and no test stores it.
#pragma once

struct __half {
    float value;
};

inline float __half2float(__half v) { return v.value; }
inline __half __float2half_rn(float f) { return {f}; }
