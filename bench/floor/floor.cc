// The floor: only the physical work (copying, CRC, writing, syncing, reading), called from JavaScript as a store is.
#include <napi.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "crc.h"
#include "index.h"
#include "log.h"

namespace {

/** One log, and an index where one was asked for. */
class FloorLog : public Napi::ObjectWrap<FloorLog> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "FloorLog",
                       {
                           InstanceMethod("copy", &FloorLog::copy),
                           InstanceMethod("writeDurably", &FloorLog::writeDurably),
                           InstanceMethod("read", &FloorLog::read),
                           InstanceMethod("index", &FloorLog::index),
                           InstanceMethod("find", &FloorLog::find),
                           InstanceMethod("findMany", &FloorLog::findMany),
                           InstanceMethod("close", &FloorLog::close),
                       });
  }

  /** (path, records, recordBytes, bodyBytes, fresh) */
  explicit FloorLog(const Napi::CallbackInfo& info) : Napi::ObjectWrap<FloorLog>(info) {
    Shape shape{number(info, 2), number(info, 3)};
    if (shape.recordBytes < shape.bodyBytes + kKeyAt + kKeyBytes || number(info, 1) == 0)
      throw Napi::RangeError::New(info.Env(), "a record has 48 bytes before its body, and a log a record");
    guarded(info, [&] { log_ = std::make_unique<Log>(info[0].As<Napi::String>(), number(info, 1), shape, info[4].As<Napi::Boolean>()); });
  }

 private:
  static size_t number(const Napi::CallbackInfo& info, size_t at) {
    int64_t value = info[at].As<Napi::Number>().Int64Value();
    if (value < 0) throw Napi::RangeError::New(info.Env(), "a number is below 0");
    return static_cast<size_t>(value);
  }

  template <typename Work>
  static void guarded(const Napi::CallbackInfo& info, Work work) {
    try {
      work();
    } catch (const std::exception& error) {
      throw Napi::Error::New(info.Env(), error.what());
    }
  }

  Log& log(const Napi::CallbackInfo& info) {
    if (!log_) throw Napi::Error::New(info.Env(), "the log is closed");
    return *log_;
  }

  const uint8_t* body(const Napi::CallbackInfo& info) {
    auto bytes = info[0].As<Napi::Uint8Array>();
    if (bytes.ByteLength() < log(info).shape().bodyBytes) throw Napi::RangeError::New(info.Env(), "the body is too short");
    return bytes.Data();
  }

  /** Room for `records` in the argument `at`. */
  uint8_t* room(const Napi::CallbackInfo& info, size_t at, size_t records) {
    auto bytes = info[at].As<Napi::Uint8Array>();
    if (bytes.ByteLength() / log(info).shape().recordBytes < records)
      throw Napi::RangeError::New(info.Env(), "the records do not fit");
    return bytes.Data();
  }

  /** (body, count) */
  void copy(const Napi::CallbackInfo& info) {
    const uint8_t* bytes = body(info);
    log(info).copy(bytes, number(info, 1));
  }

  /** (body, count) */
  void writeDurably(const Napi::CallbackInfo& info) {
    const uint8_t* bytes = body(info);
    guarded(info, [&] { log(info).writeDurably(bytes, number(info, 1)); });
  }

  /** (first, count, into, checked) */
  void read(const Napi::CallbackInfo& info) {
    size_t first = number(info, 0), count = number(info, 1), records = log(info).records();
    if (first > records || count > records - first) throw Napi::RangeError::New(info.Env(), "no such records");
    uint8_t* into = room(info, 2, count);
    guarded(info, [&] { log(info).read(first, count, into, info[3].As<Napi::Boolean>()); });
  }

  /** (slots, keys): 32 bytes of `keys` for each record, from the first on. */
  void index(const Napi::CallbackInfo& info) {
    auto keys = info[1].As<Napi::Uint8Array>();
    if (number(info, 0) == 0 || keys.ByteLength() / kKeyBytes > log(info).records())
      throw Napi::RangeError::New(info.Env(), "an index has a slot, and a log a record for each key");
    index_ = std::make_unique<Index>(number(info, 0), log(info));
    const char* at = reinterpret_cast<const char*>(keys.Data());
    for (size_t n = 0; n < keys.ByteLength() / kKeyBytes; n++) index_->add({at + n * kKeyBytes, kKeyBytes}, n);
  }

  Index& indexed(const Napi::CallbackInfo& info) {
    if (!index_) throw Napi::Error::New(info.Env(), "the log has no index");
    return *index_;
  }

  /** (key, into): whether there is one. */
  Napi::Value find(const Napi::CallbackInfo& info) {
    char key[kKeyBytes + 1];
    size_t length = 0;
    napi_get_value_string_utf8(info.Env(), info[0], key, sizeof key, &length);
    return Napi::Boolean::New(info.Env(), indexed(info).find({key, length}, room(info, 1, 1)));
  }

  /** (keys, into): 32 bytes of `keys` for each; how many there are. */
  Napi::Value findMany(const Napi::CallbackInfo& info) {
    auto keys = info[0].As<Napi::Uint8Array>();
    size_t count = keys.ByteLength() / kKeyBytes, found = 0;
    uint8_t* into = room(info, 1, count);
    const char* at = reinterpret_cast<const char*>(keys.Data());
    for (size_t n = 0; n < count; n++)
      found += indexed(info).find({at + n * kKeyBytes, kKeyBytes}, into + n * log(info).shape().recordBytes);
    return Napi::Number::New(info.Env(), static_cast<double>(found));
  }

  void close(const Napi::CallbackInfo&) {
    index_.reset();
    log_.reset();
  }

  std::unique_ptr<Log> log_;
  std::unique_ptr<Index> index_;
};

Napi::Value crcOf(const Napi::CallbackInfo& info) {
  auto bytes = info[0].As<Napi::Uint8Array>();
  return Napi::Number::New(info.Env(), crc32(bytes.Data(), bytes.ByteLength()));
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("FloorLog", FloorLog::define(env));
  exports.Set("crc32", Napi::Function::New(env, crcOf));
  exports.Set("crcWay", Napi::String::New(env, crcWay()));
  return exports;
}

}  // namespace

NODE_API_MODULE(floor, init)
