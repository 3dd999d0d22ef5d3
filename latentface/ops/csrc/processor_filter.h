// upfirdn: zero insertion, padding, filtering, downsampling, and the activation that may follow, one row at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <type_traits>
#include <vector>

#include "processor_activation.h"

namespace {

// to[i * TO] = sum over k of taps[k] * from[k][i * FROM], added to what is there if `add`.
template <int K, int TO, int FROM, bool ADD, class A>
void combine_taps(const A* const* from, const A* taps, A* to, int64_t count) {
    const A* const f0 = from[0];
    const A* const f1 = from[K > 1 ? 1 : 0];
    const A* const f2 = from[K > 2 ? 2 : 0];
    const A* const f3 = from[K > 3 ? 3 : 0];
    const A t0 = taps[0], t1 = taps[K > 1 ? 1 : 0], t2 = taps[K > 2 ? 2 : 0], t3 = taps[K > 3 ? 3 : 0];
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
        A sum = t0 * f0[i * FROM];
        if (K > 1) sum += t1 * f1[i * FROM];
        if (K > 2) sum += t2 * f2[i * FROM];
        if (K > 3) sum += t3 * f3[i * FROM];
        to[i * TO] = ADD ? to[i * TO] + sum : sum;
    }
}

template <int TO, int FROM, bool ADD, class A>
void combine_some(const A* const* from, const A* taps, int64_t k, A* to, int64_t count) {
    switch (k) {
        case 1: return combine_taps<1, TO, FROM, ADD>(from, taps, to, count);
        case 2: return combine_taps<2, TO, FROM, ADD>(from, taps, to, count);
        case 3: return combine_taps<3, TO, FROM, ADD>(from, taps, to, count);
        default: return combine_taps<4, TO, FROM, ADD>(from, taps, to, count);
    }
}

template <int TO, int FROM, class A>
void combine_strided(const A* const* from, const A* taps, int64_t k, A* to, int64_t count, bool add) {
    for (int64_t done = 0; done < k; done += 4) {
        if (add || done > 0) combine_some<TO, FROM, true>(from + done, taps + done, k - done, to, count);
        else combine_some<TO, FROM, false>(from + done, taps + done, k - done, to, count);
    }
}

// A row of A [columns, c] with zeros on both sides, and its filtering along the columns.
template <class A>
struct Row {
    const Axis axis;
    const int64_t c, phases, step, before;
    std::vector<A> padded;

    Row(const Axis& axis_, int64_t c_)
        : axis(axis_),
          c(c_),
          phases(axis.up / std::gcd(axis.up, axis.down)),
          step(axis.down / std::gcd(axis.up, axis.down)),
          before(std::max<int64_t>(0, (axis.before + axis.up - 1) / axis.up)),
          padded(c * (before + std::max(axis.in, axis.place(axis.out - 1, axis.taps - 1) / axis.up + 1)), A(0)) {}

    A* pixels() { return padded.data() + before * c; }

    // result [out columns, c] = taps applied to the pixels, added to what is there if `add`
    void filter(const A* taps, A* result, bool add) {
        std::vector<A> met(axis.taps);
        std::vector<const A*> from(axis.taps);
        for (int64_t phase = 0; phase < std::min(phases, axis.out); ++phase) {
            int64_t k = 0;
            for (int64_t tap = 0; tap < axis.taps; ++tap) {
                const int64_t place = axis.place(phase, tap);
                if (place % axis.up != 0) continue;
                met[k] = taps[tap];
                from[k++] = pixels() + place / axis.up * c;
            }
            const int64_t columns = (axis.out - phase + phases - 1) / phases;
            if (k == 0) met[0] = A(0), from[0] = padded.data(), k = 1;
            apply(from, met, k, result + phase * c, columns, add);
        }
    }

    void apply(std::vector<const A*>& from, const std::vector<A>& met, int64_t k, A* to, int64_t columns, bool add) {
        if (phases == 1 && step == 1) return combine_strided<1, 1>(from.data(), met.data(), k, to, columns * c, add);
        if (c == 1 && phases == 2 && step == 1)
            return combine_strided<2, 1>(from.data(), met.data(), k, to, columns, add);
        if (c == 1 && phases == 1 && step == 2)
            return combine_strided<1, 2>(from.data(), met.data(), k, to, columns, add);
        for (int64_t m = 0; m < columns; ++m) {
            combine_strided<1, 1>(from.data(), met.data(), k, to + m * phases * c, c, add);
            for (int64_t tap = 0; tap < k; ++tap) from[tap] += step * c;
        }
    }
};

// kernel[i, j] = column[i] row[j] if that holds to rounding: two passes of one axis then replace one of both.
template <class A>
bool separate(const std::vector<A>& kernel, int64_t kh, int64_t kw, std::vector<A>& column, std::vector<A>& row) {
    int64_t top = 0;
    for (int64_t i = 1; i < kh * kw; ++i)
        if (std::abs(kernel[i]) > std::abs(kernel[top])) top = i;
    const A most = kernel[top];
    if (most == A(0)) return false;
    for (int64_t i = 0; i < kh; ++i) column[i] = kernel[i * kw + top % kw];
    for (int64_t j = 0; j < kw; ++j) row[j] = kernel[top / kw * kw + j] / most;
    const A tolerance = std::abs(most) * (sizeof(A) == 8 ? A(1e-15) : A(1e-7));
    for (int64_t i = 0; i < kh * kw; ++i)
        if (std::abs(column[i / kw] * row[i % kw] - kernel[i]) > tolerance) return false;
    return true;
}

// The activation that may follow a filter, on rows of the output.
template <class A>
struct Epilogue {
    const Parameters<A>& given;
    const Activation<A> act;
};

template <class T, class A>
void finish_row(A* result, T* out, int64_t image, int64_t y, const Shape& shape, int64_t width, const Epilogue<A>& end) {
    const int64_t n = shape.channels_last ? image : image / shape.c;
    const A* s = end.given.scale(n);
    const A* map = end.given.noise(n, y * width);
    A* to = workplace(out, result);
    if (shape.channels_last) {
        for (int64_t x = 0, at = 0; x < width; ++x, at += shape.c)
            activate_line(
                result + at, Each<A>{s}, Same<A>{map[x]}, Each<A>{end.given.bias}, to + at, shape.c, end.act);
    } else {
        const int64_t c = image % shape.c;
        activate_line(result, Same<A>{s[c]}, Each<A>{map}, Same<A>{end.given.bias[c]}, to, width, end.act);
    }
    narrow(to, out, width * (shape.channels_last ? shape.c : 1));
}

// The input rows that an output row meets, widened; neighbouring output rows share most of them.
template <class T, class A>
struct Window {
    const int64_t length;
    std::vector<A> buffer;
    std::vector<int64_t> held;

    Window(int64_t rows, int64_t length_)
        : length(length_), buffer(std::is_same<T, A>::value ? 0 : rows * length_), held(rows, -1) {}

    const A* row(const T* x, int64_t number) {
        const int64_t slot = number % int64_t(held.size());
        A* place = buffer.data() + (buffer.empty() ? 0 : slot * length);
        if (!buffer.empty() && held[slot] == number) return place;
        held[slot] = number;
        return widen(x + number * length, place, length);
    }
};

template <class T, class A = typename Wide<T>::type>
void filter(
    const T* x, const std::vector<A>& kernel, T* out, Shape shape, const Axis& rows, const Axis& columns,
    const Epilogue<A>& end) {
    const int64_t images = shape.channels_last ? shape.n : shape.n * shape.c, c = shape.channels_last ? shape.c : 1;
    std::vector<A> column(rows.taps), line(columns.taps);
    const bool separable = separate(kernel, rows.taps, columns.taps, column, line);
#pragma omp parallel if (images * rows.out * columns.out * c > SERIAL)
    {
        Row<A> row(columns, c);
        Window<T, A> window(rows.taps, columns.in * c);
        std::vector<A> result(columns.out * c), met(rows.taps);
        std::vector<const A*> from(rows.taps);
        std::vector<int64_t> which(rows.taps);
#pragma omp for schedule(static)
        for (int64_t at = 0; at < images * rows.out; ++at) {
            const int64_t image = at / rows.out, y = at % rows.out;
            int64_t k = 0;
            for (int64_t tap = 0; tap < rows.taps; ++tap) {
                const int64_t place = rows.place(y, tap);
                if (!rows.meets(place)) continue;
                which[k] = tap;
                met[k] = column[tap];
                from[k++] = window.row(x, image * rows.in + place / rows.up);
            }
            if (separable && k > 0) {
                combine_strided<1, 1>(from.data(), met.data(), k, row.pixels(), columns.in * c, false);
                row.filter(line.data(), result.data(), false);
            } else {
                std::fill(result.begin(), result.end(), A(0));
                const A one = A(1);
                for (int64_t i = 0; i < k; ++i) {
                    combine_strided<1, 1>(&from[i], &one, 1, row.pixels(), columns.in * c, false);
                    row.filter(kernel.data() + which[i] * columns.taps, result.data(), true);
                }
            }
            finish_row(result.data(), out + at * columns.out * c, image, y, shape, columns.out, end);
        }
    }
}

}  // namespace
