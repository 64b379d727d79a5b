#include "crc.h"

#include <array>
#include <cstring>

namespace {

using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables makeTables() {
  Tables tables{};
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t value = n;
    for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ (value & 1 ? 0xedb88320u : 0);
    tables[0][n] = value;
  }
  for (size_t table = 1; table < 8; table++)
    for (size_t n = 0; n < 256; n++) {
      uint32_t before = tables[table - 1][n];
      tables[table][n] = (before >> 8) ^ tables[0][before & 0xff];
    }
  return tables;
}

constexpr Tables kTables = makeTables();

/** Eight bytes a step. `state` and the answer are not inverted. */
uint32_t sliceBy8(uint32_t state, const uint8_t* bytes, size_t length) {
  for (; length >= 8; bytes += 8, length -= 8) {
    uint32_t low, high;
    memcpy(&low, bytes, 4);
    memcpy(&high, bytes + 4, 4);
    low ^= state;
    state = kTables[7][low & 0xff] ^ kTables[6][(low >> 8) & 0xff] ^ kTables[5][(low >> 16) & 0xff] ^
            kTables[4][low >> 24] ^ kTables[3][high & 0xff] ^ kTables[2][(high >> 8) & 0xff] ^
            kTables[1][(high >> 16) & 0xff] ^ kTables[0][high >> 24];
  }
  for (; length > 0; bytes++, length--) state = (state >> 8) ^ kTables[0][(state ^ *bytes) & 0xff];
  return state;
}

}  // namespace

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

namespace {

#define WITH_PCLMUL __attribute__((target("pclmul,sse4.1")))

/** `value` times x^n for both halves, added to the next 16 bytes. */
WITH_PCLMUL inline __m128i fold(__m128i value, __m128i powers, __m128i next) {
  __m128i low = _mm_clmulepi64_si128(value, powers, 0x00);
  __m128i high = _mm_clmulepi64_si128(value, powers, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

WITH_PCLMUL inline __m128i load(const uint8_t* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); }

/**
 * Folds 64 bytes a step (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", with that
 * paper's constants for this polynomial), and lets the tables do what is left: the last 16 bytes are a message of their own,
 * whose CRC is the CRC of everything.
 */
WITH_PCLMUL uint32_t folded(uint32_t state, const uint8_t* bytes, size_t length) {
  if (length < 64) return sliceBy8(state, bytes, length);
  const __m128i by64 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
  const __m128i by16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
  __m128i a = _mm_xor_si128(load(bytes), _mm_cvtsi32_si128(static_cast<int>(state)));
  __m128i b = load(bytes + 16), c = load(bytes + 32), d = load(bytes + 48);
  for (bytes += 64, length -= 64; length >= 64; bytes += 64, length -= 64) {
    a = fold(a, by64, load(bytes));
    b = fold(b, by64, load(bytes + 16));
    c = fold(c, by64, load(bytes + 32));
    d = fold(d, by64, load(bytes + 48));
  }
  a = fold(a, by16, b);
  a = fold(a, by16, c);
  a = fold(a, by16, d);
  for (; length >= 16; bytes += 16, length -= 16) a = fold(a, by16, load(bytes));
  uint8_t rest[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rest), a);
  return sliceBy8(sliceBy8(0, rest, 16), bytes, length);
}

bool hasPclmul() { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"); }

}  // namespace
#else
namespace {
bool hasPclmul() { return false; }
uint32_t folded(uint32_t state, const uint8_t* bytes, size_t length) { return sliceBy8(state, bytes, length); }
}  // namespace
#endif

static const bool kFolds = hasPclmul();

uint32_t crc32(const uint8_t* bytes, size_t length) {
  return ~(kFolds ? folded(~0u, bytes, length) : sliceBy8(~0u, bytes, length));
}

const char* crcWay() { return kFolds ? "pclmulqdq" : "slice-by-8"; }
