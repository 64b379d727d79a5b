#include "index.h"

#include <cstring>
#include <stdexcept>

namespace {

/** Java's String.hashCode, which RocketMQ's index is made with. */
uint32_t hashOf(std::string_view key) {
  uint32_t hash = 0;
  for (char byte : key) hash = hash * 31 + static_cast<uint8_t>(byte);
  return hash;
}

}  // namespace

void Index::add(std::string_view key, size_t record) {
  if (key.size() != kKeyBytes) throw std::invalid_argument("a key has 32 bytes");
  memcpy(log_.at(record) + kKeyAt, key.data(), kKeyBytes);
  uint32_t hash = hashOf(key);
  uint32_t& slot = slots_[hash % slots_.size()];
  entries_.push_back({hash, static_cast<uint32_t>(record), slot});
  slot = static_cast<uint32_t>(entries_.size());
}

bool Index::find(std::string_view key, uint8_t* into) const {
  if (key.size() != kKeyBytes) return false;
  uint32_t hash = hashOf(key);
  for (uint32_t at = slots_[hash % slots_.size()]; at != 0; at = entries_[at - 1].before) {
    const Entry& entry = entries_[at - 1];
    if (entry.hash != hash) continue;
    const uint8_t* record = log_.at(entry.record);
    if (memcmp(record + kKeyAt, key.data(), kKeyBytes) != 0) continue;
    memcpy(into, record, log_.shape().recordBytes);
    return true;
  }
  return false;
}
