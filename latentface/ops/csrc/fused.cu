// Fused operations on the GPU: the arithmetic of elementwise.h, one thread an element. No torch headers.
//
// Values are stored as float, double, bfloat16 or half; arithmetic, parameters and sums are in float (double for double).
// Sums are added in a fixed order, so a run can be repeated exactly. Every function returns 0 or CUDA's error code.

#include "elementwise.h"
#include "interface.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#ifdef __CUDACC__
#define LF_LAUNCH(kernel, count, stream, ...) kernel<<<blocks(count), THREADS, 0, stream>>>(__VA_ARGS__)
#else  // a C++ compiler with stand-ins for these headers: the loops below run as one thread and can be tested
#define LF_LAUNCH(kernel, count, stream, ...) kernel(__VA_ARGS__)
#endif

namespace {

using std::int64_t;

constexpr int THREADS = 256;
constexpr int64_t MOST_BLOCKS = 1 << 16;
constexpr int64_t CHUNK = 1 << 10;  // pixels whose sum one thread or one block takes

template <class T>
struct Wide {
    using type = float;
};
template <>
struct Wide<double> {
    using type = double;
};

__device__ inline float load(float v) { return v; }
__device__ inline double load(double v) { return v; }
__device__ inline float load(__half v) { return __half2float(v); }
__device__ inline float load(__nv_bfloat16 v) { return __bfloat162float(v); }
__device__ inline void store(float& to, float v) { to = v; }
__device__ inline void store(double& to, double v) { to = v; }
__device__ inline void store(__half& to, float v) { to = __float2half_rn(v); }
__device__ inline void store(__nv_bfloat16& to, float v) { to = __float2bfloat16_rn(v); }

// An element's image, channel and pixel.
struct Place {
    int64_t n, c, p;
    __device__ Place(int64_t at, const Shape& shape) {
        const int64_t inner = shape.channels_last ? shape.c : shape.p, outer = shape.channels_last ? shape.p : shape.c;
        const int64_t fast = at % inner, slow = at / inner % outer;
        n = at / (inner * outer);
        c = shape.channels_last ? fast : slow;
        p = shape.channels_last ? slow : fast;
    }
};

__device__ inline int64_t offset(int64_t n, int64_t c, int64_t p, const Shape& shape) {
    return shape.channels_last ? (n * shape.p + p) * shape.c + c : (n * shape.c + c) * shape.p + p;
}

// The parameters of z; null pointers stand for 1, 0 and 0.
template <class A>
struct Parameters {
    const A *scale_, *noise_, *bias_;
    int64_t channels, noise_step;

    Parameters(const void* s, const void* n, const void* b, int64_t channels_, int64_t step)
        : scale_(static_cast<const A*>(s)),
          noise_(static_cast<const A*>(n)),
          bias_(static_cast<const A*>(b)),
          channels(channels_),
          noise_step(step) {}

    __device__ A scale(int64_t n, int64_t c) const { return scale_ ? scale_[n * channels + c] : A(1); }
    __device__ A noise(int64_t n, int64_t p) const { return noise_ ? noise_[n * noise_step + p] : A(0); }
    __device__ A bias(int64_t c) const { return bias_ ? bias_[c] : A(0); }
};

__device__ inline int64_t first() { return blockIdx.x * int64_t(blockDim.x) + threadIdx.x; }
__device__ inline int64_t stride() { return gridDim.x * int64_t(blockDim.x); }

template <class T, class A>
__global__ void activate(const T* x, T* out, Parameters<A> given, Shape shape, Activation<A> act) {
    for (int64_t at = first(); at < shape.n * shape.c * shape.p; at += stride()) {
        const Place is(at, shape);
        const A z = A(load(x[at])) * given.scale(is.n, is.c) + given.noise(is.n, is.p) + given.bias(is.c);
        store(out[at], act.value(z));
    }
}

template <class T, class A>
__global__ void slope(const T* grad, const T* a, T* out, Parameters<A> given, Shape shape, Activation<A> act) {
    for (int64_t at = first(); at < shape.n * shape.c * shape.p; at += stride()) {
        const Place is(at, shape);
        store(out[at], A(load(grad[at])) * act.derivative(load(a[at])) * given.scale(is.n, is.c));
    }
}

// Sums over one chunk of pixels, of g and of g (z - noise - bias): one thread a channel, neighbours read neighbours.
template <class T, class A>
__global__ void chunk_sums(
    const T* grad, const T* a, A* sums, int64_t chunks, Parameters<A> given, Shape shape, Activation<A> act) {
    const int64_t cells = shape.n * shape.c;
    for (int64_t at = first(); at < cells * chunks; at += stride()) {
        const int64_t cell = at % cells, chunk = at / cells, n = cell / shape.c, c = cell % shape.c;
        const int64_t end = (chunk + 1) * CHUNK < shape.p ? (chunk + 1) * CHUNK : shape.p;
        A plain = A(0), scaled = A(0);
        for (int64_t p = chunk * CHUNK; p < end; ++p) {
            const int64_t is = offset(n, c, p, shape);
            const A value = load(a[is]), g = A(load(grad[is])) * act.derivative(value);
            plain += g;
            scaled += g * (act.inverse(value) - given.noise(n, p) - given.bias(c));
        }
        sums[2 * at] = plain;
        sums[2 * at + 1] = scaled;
    }
}

template <class A>
__global__ void add_chunks(const A* sums, int64_t chunks, int64_t cells, A* plain, A* scaled) {
    for (int64_t cell = first(); cell < cells; cell += stride()) {
        double one = 0, other = 0;
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
            one += sums[2 * (chunk * cells + cell)];
            other += sums[2 * (chunk * cells + cell) + 1];
        }
        if (plain) plain[cell] = A(one);
        if (scaled) scaled[cell] = A(other);
    }
}

template <class T, class A>
__global__ void channel_sums(const T* grad, const T* a, A* total, Shape shape, Activation<A> act) {
    for (int64_t at = first(); at < shape.n * shape.p; at += stride()) {
        A sum = A(0);
        for (int64_t c = 0; c < shape.c; ++c) {
            const int64_t is = offset(at / shape.p, c, at % shape.p, shape);
            sum += A(load(grad[is])) * act.derivative(load(a[is]));
        }
        total[at] = sum;
    }
}

template <class T, class A>
__global__ void filter(
    const T* x, const A* taps, T* out, Parameters<A> given, Shape shape, Axis rows, Axis columns, A gain, bool mirror,
    Activation<A> act) {
    const Shape source{shape.n, shape.c, rows.in * columns.in, shape.channels_last};
    for (int64_t at = first(); at < shape.n * shape.c * shape.p; at += stride()) {
        const Place is(at, shape);
        A sum = A(0);
        for (int64_t i = 0; i < rows.taps; ++i) {
            const int64_t y = rows.place(is.p / columns.out, i);
            if (!rows.meets(y)) continue;
            for (int64_t j = 0; j < columns.taps; ++j) {
                const int64_t u = columns.place(is.p % columns.out, j);
                if (!columns.meets(u)) continue;
                const int64_t k = i * columns.taps + j, pixel = y / rows.up * columns.in + u / columns.up;
                const A tap = taps[mirror ? rows.taps * columns.taps - 1 - k : k];
                sum += tap * A(load(x[offset(is.n, is.c, pixel, source)]));
            }
        }
        const A z = sum * gain * given.scale(is.n, is.c) + given.noise(is.n, is.p) + given.bias(is.c);
        store(out[at], act.value(z));
    }
}

unsigned blocks(int64_t count) {
    const int64_t wanted = (count + THREADS - 1) / THREADS;
    return unsigned(wanted < 1 ? 1 : wanted > MOST_BLOCKS ? MOST_BLOCKS : wanted);
}

// Call f with a value of the storage type.
template <class F>
int for_storage(int storage, F f) {
    switch (storage) {
        case FLOAT: return f(float());
        case DOUBLE: return f(double());
        case BFLOAT16: return f(__nv_bfloat16());
        case HALF: return f(__half());
        default: return int(cudaErrorInvalidValue);
    }
}

Axis axis(const int64_t* v) { return {v[0], v[1], v[2], v[3], v[4], v[5]}; }

template <class T, class A>
int sum_gradients(
    const T* grad, const T* a, A* plain, A* scaled, Parameters<A> given, Shape shape, Activation<A> act,
    cudaStream_t stream) {
    const int64_t chunks = (shape.p + CHUNK - 1) / CHUNK, cells = shape.n * shape.c;
    void* sums = nullptr;
    const cudaError_t code = cudaMallocAsync(&sums, 2 * sizeof(A) * (cells * chunks + 1), stream);
    if (code != cudaSuccess) return int(code);
    A* partial = static_cast<A*>(sums);
    LF_LAUNCH(chunk_sums, cells * chunks, stream, grad, a, partial, chunks, given, shape, act);
    LF_LAUNCH(add_chunks, cells, stream, partial, chunks, cells, plain, scaled);
    return int(cudaFreeAsync(sums, stream));
}

}  // namespace

int lf_activate(
    int storage, int channels_last, const void* x, const void* scale, const void* noise, const void* bias, void* out,
    int64_t n, int64_t c, int64_t p, int64_t noise_step, double slope, double gain, double clamp, void* stream) {
    return for_storage(storage, [&](auto zero) {
        using T = decltype(zero);
        using A = typename Wide<T>::type;
        LF_LAUNCH(
            activate, n * c * p, static_cast<cudaStream_t>(stream), static_cast<const T*>(x), static_cast<T*>(out),
            Parameters<A>(scale, noise, bias, c, noise_step), Shape{n, c, p, channels_last != 0},
            Activation<A>(A(slope), A(gain), A(clamp)));
        return int(cudaGetLastError());
    });
}

int lf_activate_backward(
    int storage, int channels_last, const void* grad, const void* a, const void* scale, const void* noise,
    const void* bias, void* out, void* sum_slope, void* sum_scaled, void* sum_noise, int64_t n, int64_t c, int64_t p,
    int64_t noise_step, double slope_, double gain, double clamp, void* stream_) {
    const cudaStream_t stream = static_cast<cudaStream_t>(stream_);
    return for_storage(storage, [&](auto zero) {
        using T = decltype(zero);
        using A = typename Wide<T>::type;
        const T *g = static_cast<const T*>(grad), *value = static_cast<const T*>(a);
        const Shape shape{n, c, p, channels_last != 0};
        const Parameters<A> given(scale, noise, bias, c, noise_step);
        const Activation<A> act{A(slope_), A(gain), A(clamp)};
        int code = 0;  // the sums come first: out may lie where grad does
        if (sum_slope || sum_scaled)
            code = sum_gradients(
                g, value, static_cast<A*>(sum_slope), static_cast<A*>(sum_scaled), given, shape, act, stream);
        if (code) return code;
        if (sum_noise)
            LF_LAUNCH(channel_sums, n * p, stream, g, value, static_cast<A*>(sum_noise), shape, act);
        LF_LAUNCH(slope, n * c * p, stream, g, value, static_cast<T*>(out), given, shape, act);
        return int(cudaGetLastError());
    });
}

int lf_filter(
    int storage, int channels_last, const void* x, const void* taps, const void* scale, const void* noise,
    const void* bias, void* out, int64_t n, int64_t c, const int64_t* rows, const int64_t* columns, double tap_gain,
    int mirror, int64_t noise_step, double slope, double gain, double clamp, void* stream) {
    return for_storage(storage, [&](auto zero) {
        using T = decltype(zero);
        using A = typename Wide<T>::type;
        const Axis down = axis(rows), across = axis(columns);
        const Shape shape{n, c, down.out * across.out, channels_last != 0};
        LF_LAUNCH(
            filter, n * c * shape.p, static_cast<cudaStream_t>(stream), static_cast<const T*>(x),
            static_cast<const A*>(taps), static_cast<T*>(out), Parameters<A>(scale, noise, bias, c, noise_step), shape,
            down, across, A(tap_gain), mirror != 0, Activation<A>(A(slope), A(gain), A(clamp)));
        return int(cudaGetLastError());
    });
}
