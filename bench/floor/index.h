// Records by key: a slot for each hash, an entry for each record, the key compared in the record itself.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "log.h"

/** Where the key stands in a record, and how long it is. */
constexpr size_t kKeyAt = 16;
constexpr size_t kKeyBytes = 32;

class Index {
 public:
  Index(size_t slots, Log& log) : log_(log), slots_(slots, 0) {}

  /** Writes the key into the record, and enters it. */
  void add(std::string_view key, size_t record);

  /** Copies the newest record with this key into `into`; false where there is none. */
  bool find(std::string_view key, uint8_t* into) const;

 private:
  struct Entry {
    uint32_t hash;
    uint32_t record;
    /** The entry before it in the slot, from 1; 0 where there is none. */
    uint32_t before;
  };

  Log& log_;
  std::vector<uint32_t> slots_;
  std::vector<Entry> entries_;
};
