// Smooth displacement fields on a coarse grid and on pixels, and a picture moved by one.
//
// latentface/ops/warp.py computes the same numbers with numpy, to the bit; it therefore needs -ffp-contract=off here,
// and sums in the same order there.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#ifdef __SSE4_1__
#include <immintrin.h>
#endif

namespace {

// weights of the four samples around a place t in [0, 1) past the second one: Catmull and Rom's cubic
inline void cubic(float t, float* w) {
    w[0] = ((-0.5f * t + 1.0f) * t - 0.5f) * t;
    w[1] = (1.5f * t - 2.5f) * t * t + 1.0f;
    w[2] = ((-1.5f * t + 2.0f) * t + 0.5f) * t;
    w[3] = (0.5f * t - 0.5f) * t * t;
}

// where output sample i of a grid's enlargement by `step` lies between samples of the grid
struct Taps {
    int32_t at[4];
    float weight[4];
};

std::vector<Taps> taps(int32_t size, int32_t step, int32_t count) {
    std::vector<Taps> made(size);
    for (int32_t i = 0; i < size; ++i) {
        const float place = (static_cast<float>(i) + 0.5f) / static_cast<float>(step) - 0.5f, low = std::floor(place);
        cubic(place - low, made[i].weight);
        for (int k = 0; k < 4; ++k)
            made[i].at[k] = std::clamp<int32_t>(static_cast<int32_t>(low) - 1 + k, 0, count - 1);
    }
    return made;
}

// a coordinate beyond the first or the last pixel, mirrored
inline float mirrored(float x, float last) { return last - std::fabs(last - std::fabs(x)); }

typedef float Four __attribute__((vector_size(16)));

// four bytes from a pixel on as floats: its three values and one more
inline Four values(const uint8_t* from) {
#ifdef __SSE4_1__
    int32_t packed;
    std::memcpy(&packed, from, 4);
    return _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(packed)));
#else
    return Four{static_cast<float>(from[0]), static_cast<float>(from[1]), static_cast<float>(from[2]), 0.0f};
#endif
}

// a picture [H, W, C] at a place, times a gain [C], by Catmull and Rom's cubic; edges are repeated; C is 3 or 4
template <int C>
inline void sample(const uint8_t* picture, int32_t height, int32_t width, float x, float y, const float* gain,
                   float* out) {
    const float left = std::floor(x), top = std::floor(y);
    float across[4], down[4];
    cubic(x - left, across);
    cubic(y - top, down);
    const int64_t column = static_cast<int64_t>(left) - 1, row = static_cast<int64_t>(top) - 1;
    Four sum = {};
    if (column >= 0 && column + 4 < width && row >= 0 && row + 3 < height) {
        const uint8_t* from = picture + C * (row * width + column);
        for (int j = 0; j < 4; ++j, from += C * static_cast<int64_t>(width)) {
            Four line = {};
            for (int i = 0; i < 4; ++i) line += across[i] * values(from + C * i);
            sum += down[j] * line;
        }
    } else {
        for (int j = 0; j < 4; ++j) {
            const int64_t r = std::clamp<int64_t>(row + j, 0, height - 1);
            Four line = {};
            for (int i = 0; i < 4; ++i) {
                const uint8_t* from = picture + C * (r * width + std::clamp<int64_t>(column + i, 0, width - 1));
                const Four value = {static_cast<float>(from[0]), static_cast<float>(from[1]),
                                    static_cast<float>(from[2]),
                                    C == 4 ? static_cast<float>(from[C - 1]) : 0.0f};
                line += across[i] * value;
            }
            sum += down[j] * line;
        }
    }
    for (int c = 0; c < C; ++c) out[c] = sum[c] * gain[c];
}

// the first `channels` of values [H, W, stride] at a place, bilinearly; beyond the first and last ones the nearest is taken
template <typename Value>
inline void read(const Value* values, int32_t height, int32_t width, int32_t stride, int32_t channels, float x, float y,
                 float* out) {
    x = std::clamp(x, 0.0f, static_cast<float>(width - 1));
    y = std::clamp(y, 0.0f, static_cast<float>(height - 1));
    const int32_t left = static_cast<int32_t>(x), top = static_cast<int32_t>(y);
    const int32_t right = std::min(left + 1, width - 1), bottom = std::min(top + 1, height - 1);
    const float dx = x - static_cast<float>(left), dy = y - static_cast<float>(top);
    const Value* above = values + static_cast<int64_t>(top) * width * stride;
    const Value* below = values + static_cast<int64_t>(bottom) * width * stride;
    const auto between = [&](const Value* row, int32_t c) {
        const float a = static_cast<float>(row[left * stride + c]);
        return a + dx * (static_cast<float>(row[right * stride + c]) - a);
    };
    for (int32_t c = 0; c < channels; ++c) {
        const float high = between(above, c);
        out[c] = high + dy * (between(below, c) - high);
    }
}

// factors [rows, columns] that are known at every `step`th pixel from pixel step / 2 on
struct Gain {
    const float* values;
    int32_t rows, columns, step;

    void at(int32_t x, int32_t y, float* gain) const {
        read(values, rows, columns, 3, 3, static_cast<float>(x - step / 2) / static_cast<float>(step),
             static_cast<float>(y - step / 2) / static_cast<float>(step), gain);
    }
};

// displacements [rows, columns, 2], one for the middle of each step x step pixels from (left, top) on; none without rows
struct Pull {
    const float* values;
    int32_t rows, columns, left, top, step;

    void at(int32_t x, int32_t y, float* pull) const {
        pull[0] = pull[1] = 0.0f;
        if (rows)
            read(values, rows, columns, 2, 2, (static_cast<float>(x - left) + 0.5f) / static_cast<float>(step) - 0.5f,
                 (static_cast<float>(y - top) + 0.5f) / static_cast<float>(step) - 0.5f, pull);
    }
};

// a picture [H, W, C], mirrored at its edges, at the place that comes to the pixel (x, y), times the gain there; a fourth
// value is an opacity, which no light changes
template <int C>
inline void bring(const uint8_t* picture, int32_t height, int32_t width, float at_x, float at_y, const Gain& gains,
                  int32_t x, int32_t y, float* out) {
    float gain[4] = {1.0f, 1.0f, 1.0f, 1.0f};
    gains.at(x, y, gain);
    sample<C>(picture, height, width, mirrored(at_x, static_cast<float>(width - 1)),
           mirrored(at_y, static_cast<float>(height - 1)), gain, out);
}

}  // namespace

extern "C" {

// out [P, C] of values [H, W, C] at places [P, 2] (column, row), bilinearly. Beyond the first and last values the nearest
// is taken, or, with `bounded`, 0.
int lf_read(const float* values, int32_t height, int32_t width, int32_t channels, const float* places, int64_t count,
            int32_t bounded, float* out) {
    const float far_x = static_cast<float>(width - 1), far_y = static_cast<float>(height - 1);
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < count; ++k) {
        const float x = places[2 * k], y = places[2 * k + 1];
        float* to = out + k * channels;
        if (bounded && !(x >= 0.0f && x <= far_x && y >= 0.0f && y <= far_y))
            std::fill(to, to + channels, 0.0f);
        else
            read(values, height, width, channels, channels, x, y, to);
    }
    return 0;
}

// sums [R, C, 3] over blocks of step x step pixels of values x trust and of trust: mesh [H, W, 3] holds two values and
// the trust, which counts where layer [H, W] is 0.
int lf_block_sums(const float* mesh, const int8_t* layer, int32_t height, int32_t width, int32_t step, double* out) {
    const int32_t rows = (height + step - 1) / step, columns = (width + step - 1) / step;
#pragma omp parallel for schedule(static)
    for (int32_t r = 0; r < rows; ++r) {
        double* line = out + static_cast<int64_t>(r) * columns * 3;
        std::fill(line, line + 3 * columns, 0.0);
        for (int32_t y = r * step; y < std::min(height, (r + 1) * step); ++y) {
            const float* from = mesh + static_cast<int64_t>(y) * width * 3;
            const int8_t* seen = layer + static_cast<int64_t>(y) * width;
            for (int32_t x = 0; x < width; ++x) {
                if (seen[x]) continue;
                const double trust = from[3 * x + 2];
                double* to = line + 3 * (x / step);
                to[0] += from[3 * x] * trust;
                to[1] += from[3 * x + 1] * trust;
                to[2] += trust;
            }
        }
    }
    return 0;
}

// x [R, C, 2] of (L + diagonal) x = right, L the Laplacian of a grid whose edges reflect, from what x holds: red-black
// over-relaxation, until no value changes by more than `tolerance` or `rounds` are done; returns the rounds.
int lf_relax(const double* diagonal, const double* right, int32_t rows, int32_t columns, double omega,
             double tolerance, int32_t rounds, double* x) {
    for (int32_t round = 1; round <= rounds; ++round) {
        double most = 0.0;
        for (int32_t colour = 0; colour < 2; ++colour)
            for (int32_t r = 0; r < rows; ++r)
                for (int32_t c = (r + colour) & 1; c < columns; c += 2) {
                    const int64_t k = static_cast<int64_t>(r) * columns + c;
                    const double near = (r > 0) + (r < rows - 1) + (c > 0) + (c < columns - 1);
                    const double total = near + diagonal[k];
                    for (int32_t channel = 0; channel < 2; ++channel) {
                        double sum = right[2 * k + channel];
                        if (r > 0) sum += x[2 * (k - columns) + channel];
                        if (r < rows - 1) sum += x[2 * (k + columns) + channel];
                        if (c > 0) sum += x[2 * (k - 1) + channel];
                        if (c < columns - 1) sum += x[2 * (k + 1) + channel];
                        const double change = omega * (sum / total - x[2 * k + channel]);
                        x[2 * k + channel] += change;
                        most = std::max(most, std::fabs(change));
                    }
                }
        if (most <= tolerance) return round;
    }
    return rounds;
}

// out [H, W, 2]: a grid [R, C, 2] enlarged to pixels by Catmull and Rom's cubic, and, where layer [H, W] is 0, mixed
// with the two values of mesh [H, W, 3] by the trust that is its third.
int lf_enlarge(const float* grid, int32_t rows, int32_t columns, int32_t step, const float* mesh, const int8_t* layer,
               int32_t height, int32_t width, float* out) {
    const std::vector<Taps> down = taps(height, step, rows), across = taps(width, step, columns);
#pragma omp parallel for schedule(static)
    for (int32_t y = 0; y < height; ++y) {
        std::vector<float> line(2 * static_cast<size_t>(columns), 0.0f);
        for (int k = 0; k < 4; ++k) {
            const float* from = grid + static_cast<int64_t>(down[y].at[k]) * columns * 2;
            for (int32_t c = 0; c < 2 * columns; ++c) line[c] += down[y].weight[k] * from[c];
        }
        for (int32_t x = 0; x < width; ++x) {
            float a = 0.0f, b = 0.0f;
            for (int k = 0; k < 4; ++k) {
                a += across[x].weight[k] * line[2 * across[x].at[k]];
                b += across[x].weight[k] * line[2 * across[x].at[k] + 1];
            }
            const int64_t pixel = static_cast<int64_t>(y) * width + x;
            if (layer[pixel] == 0) {
                const float trust = mesh[3 * pixel + 2];
                a += trust * (mesh[3 * pixel] - a);
                b += trust * (mesh[3 * pixel + 1] - b);
            }
            out[2 * pixel] = a;
            out[2 * pixel + 1] = b;
        }
    }
    return 0;
}

// out [h, w, 3]: the pixels of a picture [H, W, 3] from `left` and `top` on, each taken from where shift [h, w, 2]
// says, by Catmull and Rom's cubic, mirrored at the edges, times a gain [gh, gw, 3] that is known at every `step`th pixel
// from pixel step / 2 on. What moves by no more than `still` in either direction stays as it is.
int lf_move(const uint8_t* picture, int32_t height, int32_t width, int32_t left, int32_t top, const float* shift,
            int32_t h, int32_t w, float still, const float* gain, int32_t gh, int32_t gw, int32_t step, float* out) {
    const Gain gains = {gain, gh, gw, step};
#pragma omp parallel for schedule(static)
    for (int32_t y = 0; y < h; ++y)
        for (int32_t x = 0; x < w; ++x) {
            const int64_t pixel = static_cast<int64_t>(y) * w + x;
            const float dx = shift[2 * pixel], dy = shift[2 * pixel + 1];
            float* to = out + 3 * pixel;
            if (std::fabs(dx) <= still && std::fabs(dy) <= still) {
                const uint8_t* from = picture + 3 * (static_cast<int64_t>(y + top) * width + x + left);
                for (int c = 0; c < 3; ++c) to[c] = static_cast<float>(from[c]);
                continue;
            }
            bring<3>(picture, height, width, static_cast<float>(x + left) + dx, static_cast<float>(y + top) + dy, gains, x,
                  y, to);
        }
    return 0;
}

// moved [h, w, 3], a part of a picture from `left` and `top` on after lf_move, with the background [H, W, 3] where it
// was: `seen` [H, W, 4] is the background times its share of each pixel, and that share in 255ths. The background that came
// along is taken off, and what is free after the motion gets the background that stands there, or, if it moves farther
// than `still`, from where `pull` [ph, pw, 2] says; both are sampled alike, or edges of the share would show.
// behind [h, w]: how much of each pixel is background before and after.
int lf_keep_background(const uint8_t* background, const uint8_t* seen, int32_t height, int32_t width, int32_t left,
                       int32_t top, const float* shift, int32_t h, int32_t w, float still, const float* gain,
                       int32_t gh, int32_t gw, int32_t step, const float* pull, int32_t ph, int32_t pw,
                       int32_t pull_left, int32_t pull_top, int32_t pull_step, float* moved, float* behind) {
    const Gain gains = {gain, gh, gw, step};
    const Pull pulls = {pull, ph, pw, pull_left, pull_top, pull_step};
    const float same[3] = {1.0f, 1.0f, 1.0f};
#pragma omp parallel for schedule(static)
    for (int32_t y = 0; y < h; ++y)
        for (int32_t x = 0; x < w; ++x) {
            const int64_t pixel = static_cast<int64_t>(y) * w + x;
            const int64_t there = static_cast<int64_t>(y + top) * width + x + left;
            const float dx = shift[2 * pixel], dy = shift[2 * pixel + 1];
            const float at_x = static_cast<float>(x + left) + dx, at_y = static_cast<float>(y + top) + dy;
            const float here = static_cast<float>(seen[4 * there + 3]) / 255.0f;
            float opacity;
            read(seen + 3, height, width, 4, 1, at_x, at_y, &opacity);
            const float free = opacity / 255.0f;
            behind[pixel] = std::min(here, free);
            if (!(free > 0.0f)) continue;
            float own[3], from[2];
            pulls.at(x + left, y + top, from);
            const bool pulled = std::fabs(from[0]) > still || std::fabs(from[1]) > still;
            if (!pulled && std::fabs(dx) <= still && std::fabs(dy) <= still) continue;
            if (pulled)
                sample<3>(background, height, width,
                          mirrored(static_cast<float>(x + left) + from[0], static_cast<float>(width - 1)),
                          mirrored(static_cast<float>(y + top) + from[1], static_cast<float>(height - 1)), same, own);
            else
                for (int c = 0; c < 3; ++c) own[c] = static_cast<float>(background[3 * there + c]);
            float* to = moved + 3 * pixel;
            if (free == 1.0f && here == 1.0f) {
                for (int c = 0; c < 3; ++c) to[c] = own[c];
                continue;
            }
            float came[4];
            bring<4>(seen, height, width, at_x, at_y, gains, x, y, came);
            const float open = came[3] / 255.0f;
            for (int c = 0; c < 3; ++c) to[c] += open * own[c] - came[c];
        }
    return 0;
}

// out [h, w, 2]: displacements of a part of a picture from `left` and `top` on, bent so that none exceeds `most` of
// the distance to the picture's edge on its side.
int lf_keep_inside(const float* shift, int32_t h, int32_t w, int32_t left, int32_t top, int32_t height, int32_t width,
                   float most, float* out) {
    const float far[2] = {static_cast<float>(width - 1), static_cast<float>(height - 1)};
#pragma omp parallel for schedule(static)
    for (int32_t y = 0; y < h; ++y)
        for (int32_t x = 0; x < w; ++x) {
            const int64_t pixel = static_cast<int64_t>(y) * w + x;
            const float place[2] = {static_cast<float>(x + left), static_cast<float>(y + top)};
            for (int k = 0; k < 2; ++k) {
                const float d = shift[2 * pixel + k];
                const float limit = most * std::max(d > 0.0f ? far[k] - place[k] : place[k], 0.0f);
                float share = std::min(std::fabs(d) / std::max(limit, 1e-3f), 1e4f);
                share *= share;
                share *= share;
                share *= share;
                const float bent = d / std::sqrt(std::sqrt(std::sqrt(1.0f + share)));
                out[2 * pixel + k] = std::min(std::max(bent, -limit), limit);
            }
        }
    return 0;
}

}
