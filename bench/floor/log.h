// A file of records of one size: what every store has to do with the bytes, and nothing else.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/** How records look: the body stands at the end. */
struct Shape {
  size_t recordBytes;
  size_t bodyBytes;
};

class Log {
 public:
  /** A mapped file of `records` records: written with zeros and synced, or `fresh`, as a hole. */
  Log(const std::string& path, size_t records, Shape shape, bool fresh);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /** Copies `count` records that end with `body` into the mapping, with the CRC of each body; at its end from the front again. */
  void copy(const uint8_t* body, size_t count);

  /** The same into a buffer that one pwrite and one fdatasync bring to the disk. */
  void writeDurably(const uint8_t* body, size_t count);

  /** Copies `count` records from `first` on into `into`; `checked`: with the CRC of each body held against the record's. */
  void read(size_t first, size_t count, uint8_t* into, bool checked) const;

  size_t records() const { return records_; }
  const Shape& shape() const { return shape_; }
  uint8_t* at(size_t record) const { return bytes_ + record * shape_.recordBytes; }

 private:
  void makeRecord(uint8_t* at, const uint8_t* body);

  Shape shape_;
  size_t records_;
  size_t next_ = 0;
  int file_ = -1;
  uint8_t* bytes_ = nullptr;
  std::vector<uint8_t> template_;
  std::vector<uint8_t> group_;
};
