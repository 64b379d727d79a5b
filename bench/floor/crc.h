// CRC-32 of zlib and RocketMQ (polynomial 0x04c11db7, reflected), as fast as this machine can.
#pragma once
#include <cstddef>
#include <cstdint>

uint32_t crc32(const uint8_t* bytes, size_t length);

/** How `crc32` does it on this machine: "pclmulqdq" or "slice-by-8". */
const char* crcWay();
