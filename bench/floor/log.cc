#include "log.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "crc.h"

namespace {

/** Where the CRC of the body stands in a record. */
constexpr size_t kCrcAt = 8;

[[noreturn]] void fail(const char* call) { throw std::system_error(errno, std::generic_category(), call); }

/** All `length` bytes of `bytes`, at `at`. */
void writeWhole(int file, const uint8_t* bytes, size_t length, off_t at) {
  while (length > 0) {
    ssize_t written = pwrite(file, bytes, length, at);
    if (written < 0) fail("pwrite");
    bytes += written;
    at += written;
    length -= static_cast<size_t>(written);
  }
}

void syncData(int file) {
#ifdef __APPLE__
  if (fcntl(file, F_FULLFSYNC) < 0) fail("F_FULLFSYNC");
#else
  if (fdatasync(file) < 0) fail("fdatasync");
#endif
}

}  // namespace

Log::Log(const std::string& path, size_t records, Shape shape, bool fresh)
    : shape_(shape), records_(records), template_(shape.recordBytes - shape.bodyBytes, 0x2a) {
  size_t length = records * shape.recordBytes;
  file_ = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
  if (file_ < 0) fail("open");
  if (ftruncate(file_, static_cast<off_t>(length)) < 0) fail("ftruncate");
  // Written, not only allocated: or every first write of a block would change the file's own description, too.
  std::vector<uint8_t> zeros(1 << 20);
  for (size_t at = 0; at < length && !fresh; at += zeros.size())
    writeWhole(file_, zeros.data(), std::min(zeros.size(), length - at), static_cast<off_t>(at));
  syncData(file_);
  void* mapped = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (mapped == MAP_FAILED) fail("mmap");
  bytes_ = static_cast<uint8_t*>(mapped);
}

Log::~Log() {
  if (bytes_ != nullptr) munmap(bytes_, records_ * shape_.recordBytes);
  if (file_ >= 0) close(file_);
}

void Log::makeRecord(uint8_t* at, const uint8_t* body) {
  uint32_t crc = crc32(body, shape_.bodyBytes);
  memcpy(at, template_.data(), template_.size());
  memcpy(at + kCrcAt, &crc, sizeof crc);
  memcpy(at + template_.size(), body, shape_.bodyBytes);
}

void Log::copy(const uint8_t* body, size_t count) {
  for (size_t n = 0; n < count; n++) {
    makeRecord(at(next_), body);
    next_ = next_ + 1 == records_ ? 0 : next_ + 1;
  }
}

void Log::writeDurably(const uint8_t* body, size_t count) {
  if (count > records_) throw std::invalid_argument("a group has to fit the log");
  if (next_ + count > records_) next_ = 0;
  group_.resize(count * shape_.recordBytes);
  for (size_t n = 0; n < count; n++) makeRecord(group_.data() + n * shape_.recordBytes, body);
  writeWhole(file_, group_.data(), group_.size(), static_cast<off_t>(next_ * shape_.recordBytes));
  syncData(file_);
  next_ += count;
}

void Log::read(size_t first, size_t count, uint8_t* into, bool checked) const {
  memcpy(into, at(first), count * shape_.recordBytes);
  if (!checked) return;
  for (size_t n = 0; n < count; n++) {
    const uint8_t* record = into + n * shape_.recordBytes;
    uint32_t stored;
    memcpy(&stored, record + kCrcAt, sizeof stored);
    if (crc32(record + template_.size(), shape_.bodyBytes) != stored) throw std::runtime_error("a body has another CRC");
  }
}
