// Scale, noise, bias, leaky ReLU, gain and clamp in one pass, and its gradients in another.
#pragma once

#include <algorithm>
#include <vector>

#include <omp.h>

#include "elementwise.h"
#include "processor_storage.h"

namespace {

constexpr int64_t BLOCK = 1 << 13;    // elements that one piece of work touches: inside the first-level cache
constexpr int64_t SERIAL = 1 << 15;   // below this, starting threads costs more than they save

// A parameter along the innermost axis: one number each, or the same for all.
template <class A>
struct Each {
    const A* values;
    A operator[](int64_t i) const { return values[i]; }
};
template <class A>
struct Same {
    A value;
    A operator[](int64_t) const { return value; }
};

// out = a of count values x; scale, noise and bias are Each or Same.
template <class A, class Scale, class Noise, class Bias>
inline void activate_line(
    const A* x, Scale scale, Noise noise, Bias bias, A* out, int64_t count, const Activation<A> act) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) out[i] = act.value(x[i] * scale[i] + noise[i] + bias[i]);
}

// One value for a missing parameter, so that the loops need no branch.
template <class A>
struct Parameters {
    std::vector<A> ones, zeros;
    const A *given_scale, *given_noise, *bias;
    int64_t channels, noise_step;

    // run: the longest run of pixels that is looked at in one go
    Parameters(const void* s, const void* n, const void* b, int64_t channels_, int64_t noise_step_, int64_t run)
        : ones(channels_, A(1)),
          zeros(std::max(run, channels_), A(0)),
          given_scale(static_cast<const A*>(s)),
          given_noise(static_cast<const A*>(n)),
          bias(b ? static_cast<const A*>(b) : zeros.data()),
          channels(channels_),
          noise_step(noise_step_) {}

    const A* scale(int64_t n) const { return given_scale ? given_scale + n * channels : ones.data(); }
    const A* noise(int64_t n, int64_t p) const { return given_noise ? given_noise + n * noise_step + p : zeros.data(); }
};

// Pieces of work: runs of pixels of one image.
struct Pieces {
    int64_t size, per_image, count;
    Pieces(const Shape& shape)
        : size(std::max<int64_t>(1, BLOCK / (shape.channels_last ? std::max<int64_t>(shape.c, 1) : 2))),
          per_image((shape.p + size - 1) / size),
          count(shape.n * per_image) {}
};

template <class T, class A = typename Wide<T>::type>
void activate(
    const T* x, const void* scale, const void* noise, const void* bias, T* out, Shape shape, int64_t noise_step,
    Activation<A> act) {
    const Pieces pieces(shape);
    const Parameters<A> given(scale, noise, bias, shape.c, noise_step, pieces.size);
#pragma omp parallel if (shape.n * shape.c * shape.p > SERIAL)
    {
        std::vector<A> buffer(std::max(shape.c, pieces.size));
#pragma omp for schedule(static)
        for (int64_t piece = 0; piece < pieces.count; ++piece) {
            const int64_t n = piece / pieces.per_image, first = piece % pieces.per_image * pieces.size;
            const int64_t last = std::min(shape.p, first + pieces.size);
            const A* s = given.scale(n);
            const A* map = given.noise(n, first);
            const auto line = [&](auto scale_, auto noise_, auto bias_, int64_t at, int64_t count) {
                A* to = workplace(out + at, buffer.data());
                activate_line(widen(x + at, buffer.data(), count), scale_, noise_, bias_, to, count, act);
                narrow(to, out + at, count);
            };
            if (shape.channels_last) {
                for (int64_t p = first; p < last; ++p)
                    line(Each<A>{s}, Same<A>{map[p - first]}, Each<A>{given.bias}, (n * shape.p + p) * shape.c, shape.c);
            } else {
                for (int64_t c = 0; c < shape.c; ++c) {
                    const int64_t at = (n * shape.c + c) * shape.p + first;
                    line(Same<A>{s[c]}, Each<A>{map}, Same<A>{given.bias[c]}, at, last - first);
                }
            }
        }
    }
}

// Where the sums of the backward pass go; null pointers are left out.
template <class A>
struct Sums {
    A *slope, *scaled, *noise;  // [N, C], [N, C], [N, P]
};

// Channels innermost: the sums over pixels are kept in arrays, that over channels is returned.
template <bool WITH_SUMS, class A>
A slope_pixel(
    const A* grad, const A* a, const A* scale, A noise, const A* bias, A* out, A* __restrict slope,
    A* __restrict scaled, int64_t count, const Activation<A> act) {
    A sum = A(0);
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; ++i) {
        const A value = a[i], g = grad[i] * act.derivative(value);
        out[i] = g * scale[i];
        if (WITH_SUMS) {
            slope[i] += g;
            scaled[i] += g * (act.inverse(value) - noise - bias[i]);
            sum += g;
        }
    }
    return sum;
}

// Pixels innermost: the sums over channels are kept in an array.
template <bool WITH_SUMS, class A>
void slope_line(
    const A* grad, const A* a, A scale, const A* noise, A bias, A* out, A& slope, A& scaled, A* __restrict total,
    int64_t count, const Activation<A> act) {
    A first = A(0), second = A(0);
#pragma omp simd reduction(+ : first, second)
    for (int64_t i = 0; i < count; ++i) {
        const A value = a[i], g = grad[i] * act.derivative(value);
        out[i] = g * scale;
        if (WITH_SUMS) {
            first += g;
            second += g * (act.inverse(value) - noise[i] - bias);
            total[i] += g;
        }
    }
    slope = first;
    scaled = second;
}

template <class T, class A = typename Wide<T>::type>
void activate_backward(
    const T* grad, const T* a, const void* scale, const void* noise, const void* bias, T* out, Sums<A> sums, Shape shape,
    int64_t noise_step, Activation<A> act) {
    const Pieces pieces(shape);
    const Parameters<A> given(scale, noise, bias, shape.c, noise_step, pieces.size);
    const bool wanted = sums.slope || sums.scaled || sums.noise;
    const int threads = shape.n * shape.c * shape.p > SERIAL ? omp_get_max_threads() : 1;
    const int64_t cells = shape.n * shape.c;
    // each thread sums its own share in double; shares are added in a fixed order, so a run can be repeated exactly
    std::vector<double> shares(wanted ? 2 * cells * threads : 0);
#pragma omp parallel num_threads(threads)
    {
        std::vector<A> slope(shape.c), scaled(shape.c), total(pieces.size);
        const int64_t longest = std::max(shape.c, pieces.size);
        std::vector<A> one(longest), other(longest);
        double* share = shares.data() + (wanted ? 2 * cells * omp_get_thread_num() : 0);
#pragma omp for schedule(static)
        for (int64_t piece = 0; piece < pieces.count; ++piece) {
            const int64_t n = piece / pieces.per_image, first = piece % pieces.per_image * pieces.size;
            const int64_t last = std::min(shape.p, first + pieces.size);
            const A* s = given.scale(n);
            const A* map = given.noise(n, first);
            std::fill(slope.begin(), slope.end(), A(0));
            std::fill(scaled.begin(), scaled.end(), A(0));
            std::fill(total.begin(), total.end(), A(0));
            if (shape.channels_last) {
                const auto pixel = wanted ? slope_pixel<true, A> : slope_pixel<false, A>;
                for (int64_t p = first; p < last; ++p) {
                    const int64_t at = (n * shape.p + p) * shape.c;
                    A* to = workplace(out + at, one.data());
                    total[p - first] = pixel(
                        widen(grad + at, one.data(), shape.c), widen(a + at, other.data(), shape.c), s, map[p - first],
                        given.bias, to, slope.data(), scaled.data(), shape.c, act);
                    narrow(to, out + at, shape.c);
                }
            } else {
                const auto line = wanted ? slope_line<true, A> : slope_line<false, A>;
                for (int64_t c = 0; c < shape.c; ++c) {
                    const int64_t at = (n * shape.c + c) * shape.p + first, count = last - first;
                    A* to = workplace(out + at, one.data());
                    line(
                        widen(grad + at, one.data(), count), widen(a + at, other.data(), count), s[c], map,
                        given.bias[c], to, slope[c], scaled[c], total.data(), count, act);
                    narrow(to, out + at, count);
                }
            }
            if (sums.noise) std::copy_n(total.begin(), last - first, sums.noise + n * shape.p + first);
            for (int64_t c = 0; wanted && c < shape.c; ++c) {
                share[n * shape.c + c] += slope[c];
                share[cells + n * shape.c + c] += scaled[c];
            }
        }
    }
    for (int64_t i = 0; i < cells; ++i) {
        double first = 0, second = 0;
        for (int t = 0; wanted && t < threads; ++t) {
            first += shares[2 * cells * t + i];
            second += shares[2 * cells * t + cells + i];
        }
        if (sums.slope) sums.slope[i] = A(first);
        if (sums.scaled) sums.scaled[i] = A(second);
    }
}

}  // namespace
