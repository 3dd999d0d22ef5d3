// Enough of CUDA's run time for a C++ compiler: every kernel runs as one thread of one block.
#pragma once

#include <cstdlib>

#define __global__
#define __device__
#define __host__

struct Single {
    unsigned x;
};
static const Single blockIdx{0}, threadIdx{0}, blockDim{1}, gridDim{1};

using cudaStream_t = void*;
using cudaError_t = int;
enum { cudaSuccess = 0, cudaErrorInvalidValue = 1 };

inline cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t) {
    *pointer = std::malloc(bytes);
    return *pointer ? cudaSuccess : 2;
}
inline cudaError_t cudaFreeAsync(void* pointer, cudaStream_t) {
    std::free(pointer);
    return cudaSuccess;
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
