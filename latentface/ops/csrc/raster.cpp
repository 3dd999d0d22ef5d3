// A z-buffered rasteriser of triangles in pixel coordinates, and the interpolation of vertex attributes.
//
// Corners are snapped to a grid of 1/256 pixel, so that edge functions are whole numbers: they are exact, and with the
// top-left rule a pixel on a shared edge belongs to one triangle. latentface/ops/raster.py computes the same numbers
// with numpy, to the bit; it therefore needs -ffp-contract=off here, and sums in the same order there.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace {

constexpr int64_t GRID = 256;
constexpr int64_t BAND = 16;  // rows that one thread fills at a time

struct Corner {
    int64_t x, y;
    double depth;
};

struct Triangle {
    Corner a, b, c;
    int64_t area;  // twice the area, in squared steps of the grid; positive
    bool flipped;  // b and c were exchanged to make it so
    int32_t left, right, top, bottom, number;
};

// positive on the inner side of p -> q, for triangles of positive area
inline int64_t edge(const Corner& p, const Corner& q, int64_t x, int64_t y) {
    return (q.x - p.x) * (y - p.y) - (q.y - p.y) * (x - p.x);
}

// whether the pixels on the edge p -> q itself belong to the triangle (rows go downwards)
inline bool owns(const Corner& p, const Corner& q) { return q.y < p.y || (q.y == p.y && q.x > p.x); }

inline int32_t at_least(int64_t value) { return static_cast<int32_t>((value + GRID - 1) >> 8); }
inline int32_t at_most(int64_t value) { return static_cast<int32_t>(value >> 8); }

bool set_up(const float* vertices, const int32_t* corners, int32_t number, int height, int width, int cull,
            Triangle& made) {
    const float right = static_cast<float>(width), bottom = static_cast<float>(height);
    const float* v0 = vertices + 3 * static_cast<int64_t>(corners[0]);
    const float* v1 = vertices + 3 * static_cast<int64_t>(corners[1]);
    const float* v2 = vertices + 3 * static_cast<int64_t>(corners[2]);
    if (std::max({v0[0], v1[0], v2[0]}) < -1.0f || std::min({v0[0], v1[0], v2[0]}) > right ||
        std::max({v0[1], v1[1], v2[1]}) < -1.0f || std::min({v0[1], v1[1], v2[1]}) > bottom)
        return false;  // outside; most are, if only the lips are wanted
    Corner found[3];
    for (int k = 0; k < 3; ++k) {
        const float* v = vertices + 3 * static_cast<int64_t>(corners[k]);
        found[k] = {std::llrint(static_cast<double>(v[0]) * GRID), std::llrint(static_cast<double>(v[1]) * GRID),
                    static_cast<double>(v[2])};
    }
    int64_t area = edge(found[0], found[1], found[2].x, found[2].y);
    bool flipped = area < 0;
    if (area == 0 || (cull && !flipped)) return false;  // seen from outside, corners go clockwise on a page: y is down
    if (flipped) {
        std::swap(found[1], found[2]);
        area = -area;
    }
    auto [x_low, x_high] = std::minmax({found[0].x, found[1].x, found[2].x});
    auto [y_low, y_high] = std::minmax({found[0].y, found[1].y, found[2].y});
    made = {found[0], found[1], found[2], area, flipped, std::max(at_least(x_low), 0),
            std::min(at_most(x_high), width - 1), std::max(at_least(y_low), 0), std::min(at_most(y_high), height - 1),
            number};
    return made.left <= made.right && made.top <= made.bottom;
}

void fill(const Triangle& t, int32_t top, int32_t bottom, int64_t width, int32_t* index, float* weights,
          float* depths) {
    const Corner* from[3] = {&t.b, &t.c, &t.a};
    const Corner* to[3] = {&t.c, &t.a, &t.b};
    const int32_t first = std::max(t.top, top), last = std::min(t.bottom, bottom);
    int64_t low[3], start[3], right[3], down[3];  // edge functions less their lowest values inside, and their steps
    for (int k = 0; k < 3; ++k) {
        low[k] = owns(*from[k], *to[k]) ? 0 : 1;
        start[k] = edge(*from[k], *to[k], t.left * GRID, first * GRID) - low[k];
        right[k] = -(to[k]->y - from[k]->y) * GRID;
        down[k] = (to[k]->x - from[k]->x) * GRID;
    }
    const double area = static_cast<double>(t.area);
    for (int32_t row = first; row <= last; ++row) {
        int64_t a = start[0], b = start[1], c = start[2];
        bool entered = false;
        for (int32_t column = t.left; column <= t.right; ++column, a += right[0], b += right[1], c += right[2]) {
            if ((a | b | c) < 0) {  // one of them is
                if (entered) break;
                continue;
            }
            entered = true;
            const double wa = static_cast<double>(a + low[0]) / area, wb = static_cast<double>(b + low[1]) / area;
            const double wc = static_cast<double>(c + low[2]) / area;
            const float depth = static_cast<float>(wa * t.a.depth + wb * t.b.depth + wc * t.c.depth);
            const int64_t pixel = row * width + column;
            if (!(depth > depths[pixel])) continue;  // of equal depths the first triangle's stays
            depths[pixel] = depth;
            index[pixel] = t.number;
            weights[3 * pixel] = static_cast<float>(wa);
            weights[3 * pixel + 1] = static_cast<float>(t.flipped ? wc : wb);
            weights[3 * pixel + 2] = static_cast<float>(t.flipped ? wb : wc);
        }
        for (int k = 0; k < 3; ++k) start[k] += down[k];
    }
}

// weights of the four samples around a place t in [0, 1) past the second one: Catmull and Rom's cubic
inline void cubic(float t, float* w) {
    w[0] = ((-0.5f * t + 1.0f) * t - 0.5f) * t;
    w[1] = (1.5f * t - 2.5f) * t * t + 1.0f;
    w[2] = ((-1.5f * t + 2.0f) * t + 0.5f) * t;
    w[3] = (0.5f * t - 0.5f) * t * t;
}

}  // namespace

extern "C" {

// vertices [V, 3]: column, row, and a depth that grows towards the viewer; triangles [T, 3]. index [H, W] gets the
// triangle, or -1; weights [H, W, 3] those of its corners, or 0; depths [H, W] the depth, or minus infinity.
int lf_rasterise(const float* vertices, const int32_t* triangles, int64_t count, int32_t height, int32_t width,
                 int32_t cull, int32_t* index, float* weights, float* depths) {
    const int64_t pixels = static_cast<int64_t>(height) * width, bands = (height + BAND - 1) / BAND;
    std::fill(index, index + pixels, -1);
    std::fill(weights, weights + 3 * pixels, 0.0f);
    std::fill(depths, depths + pixels, -std::numeric_limits<float>::infinity());
    std::vector<Triangle> ready;
    ready.reserve(count);
    std::vector<std::vector<int32_t>> lists(bands);
    for (int64_t k = 0; k < count; ++k) {
        Triangle made;
        if (!set_up(vertices, triangles + 3 * k, static_cast<int32_t>(k), height, width, cull, made)) continue;
        for (int64_t band = made.top / BAND; band <= made.bottom / BAND; ++band)
            lists[band].push_back(static_cast<int32_t>(ready.size()));
        ready.push_back(made);
    }
#pragma omp parallel for schedule(dynamic)
    for (int64_t band = 0; band < bands; ++band) {
        const int32_t top = static_cast<int32_t>(band * BAND), bottom = static_cast<int32_t>(top + BAND - 1);
        for (int32_t which : lists[band]) fill(ready[which], top, bottom, width, index, weights, depths);
    }
    return 0;
}

// out [P, C] of attributes [V, C] at pixels with index [P] and weights [P, 3]; 0 where the index is -1.
int lf_interpolate(const int32_t* triangles, const int32_t* index, const float* weights, int64_t pixels,
                   const float* attributes, int64_t channels, float* out) {
#pragma omp parallel for schedule(static)
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
        float* to = out + pixel * channels;
        if (index[pixel] < 0) {
            std::fill(to, to + channels, 0.0f);
            continue;
        }
        const int32_t* corners = triangles + 3 * static_cast<int64_t>(index[pixel]);
        const float* from[3];
        for (int k = 0; k < 3; ++k) from[k] = attributes + corners[k] * channels;
        const float a = weights[3 * pixel], b = weights[3 * pixel + 1], c = weights[3 * pixel + 2];
        for (int64_t k = 0; k < channels; ++k) to[k] = a * from[0][k] + b * from[1][k] + c * from[2][k];
    }
    return 0;
}

// out [P, C] of a picture [H, W, C] at places [P, 2] (column, row), by Catmull and Rom's cubic; edges are repeated.
int lf_sample(const uint8_t* picture, int32_t height, int32_t width, int32_t channels, const float* places,
              int64_t count, float* out) {
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < count; ++k) {
        const float x = places[2 * k], y = places[2 * k + 1];
        const float left = std::floor(x), top = std::floor(y);
        float across[4], down[4];
        cubic(x - left, across);
        cubic(y - top, down);
        int64_t columns[4], rows[4];
        for (int i = 0; i < 4; ++i) {
            columns[i] = std::clamp<int64_t>(static_cast<int64_t>(left) - 1 + i, 0, width - 1) * channels;
            rows[i] = std::clamp<int64_t>(static_cast<int64_t>(top) - 1 + i, 0, height - 1) * width * channels;
        }
        for (int32_t channel = 0; channel < channels; ++channel) {
            float sum = 0.0f;
            for (int j = 0; j < 4; ++j) {
                const uint8_t* row = picture + rows[j] + channel;
                float line = across[0] * row[columns[0]];
                for (int i = 1; i < 4; ++i) line += across[i] * row[columns[i]];
                sum += down[j] * line;
            }
            out[k * channels + channel] = sum;
        }
    }
    return 0;
}

// out [V, 3]: unit normals of vertices [V, 3], the sum of (c - a) x (b - a) over the triangles that a vertex belongs to.
int lf_normals(const float* vertices, int64_t count, const int32_t* triangles, int64_t faces, float* out) {
    std::vector<double> total(3 * count, 0.0);
    for (int64_t k = 0; k < faces; ++k) {
        const int32_t* corners = triangles + 3 * k;
        double u[3], v[3];
        for (int i = 0; i < 3; ++i) {
            const double a = vertices[3 * static_cast<int64_t>(corners[0]) + i];
            u[i] = vertices[3 * static_cast<int64_t>(corners[2]) + i] - a;
            v[i] = vertices[3 * static_cast<int64_t>(corners[1]) + i] - a;
        }
        const double normal[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
        for (int corner = 0; corner < 3; ++corner)
            for (int i = 0; i < 3; ++i) total[3 * static_cast<int64_t>(corners[corner]) + i] += normal[i];
    }
    for (int64_t k = 0; k < count; ++k) {
        const double* n = &total[3 * k];
        const double length = std::max(std::sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]), 1e-12);
        for (int i = 0; i < 3; ++i) out[3 * k + i] = static_cast<float>(n[i] / length);
    }
    return 0;
}

}
