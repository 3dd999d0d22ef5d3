// A checksum of an array's bytes, to tell whether it is still the array that something was computed from.
//
// Blocks are hashed independently, so that threads share the work and the result does not depend on their number. A
// lane's step is a bijection of its state for a given word and of the word for a given state, and so is each step that
// joins lanes and blocks: a change of one word always shows, any other but for one chance in 2^64.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

using std::int64_t;
using std::uint64_t;

constexpr uint64_t CHECK_ODD = 0xd6e8feb86659fd93u;  // multiplier of Degski's 64-bit mixer
constexpr int CHECK_LANES = 16;
constexpr int64_t CHECKED = int64_t(1) << 16;  // bytes, a multiple of 8 CHECK_LANES

inline uint64_t mix(uint64_t state, uint64_t word) {
    state = (state ^ word) * CHECK_ODD;
    return state ^ (state >> 32);
}

inline uint64_t block_checksum(const unsigned char* bytes, int64_t count) {
    uint64_t lanes[CHECK_LANES], word;
    for (int j = 0; j < CHECK_LANES; ++j) lanes[j] = CHECK_ODD * uint64_t(j + 1);
    const int64_t rows = count / (8 * CHECK_LANES);
    for (int64_t i = 0; i < rows; ++i)
        for (int j = 0; j < CHECK_LANES; ++j) {
            std::memcpy(&word, bytes + 8 * (i * CHECK_LANES + j), 8);
            lanes[j] = mix(lanes[j], word);
        }
    uint64_t sum = uint64_t(count);
    for (int j = 0; j < CHECK_LANES; ++j) sum = mix(sum, lanes[j]);
    for (int64_t i = rows * 8 * CHECK_LANES; i < count; ++i) sum = mix(sum, bytes[i]);
    return sum;
}

inline uint64_t checksum(const unsigned char* bytes, int64_t count) {
    const int64_t blocks = (count + CHECKED - 1) / CHECKED;
    std::vector<uint64_t> sums(blocks);
#pragma omp parallel for if (blocks > 1)
    for (int64_t k = 0; k < blocks; ++k) {
        const int64_t rest = count - k * CHECKED;
        sums[k] = block_checksum(bytes + k * CHECKED, rest < CHECKED ? rest : CHECKED);
    }
    uint64_t sum = uint64_t(count);
    for (int64_t k = 0; k < blocks; ++k) sum = mix(sum, sums[k]);
    return sum;
}
