// JSON events to an InferRequest, without a tree: a body of 16 MiB would make one of hundreds of megabytes.
#ifndef SELVEDGE_SERVE_INFER_READER_H
#define SELVEDGE_SERVE_INFER_READER_H

#include <cstdint>
#include <string>
#include <vector>

#include <rapidjson/reader.h>

#include "serve/infer_request.h"

namespace selvedge::serve {

/// Handler for rapidjson::Reader. Returns false, and so ends the parsing, at the first fault; `fault` says which.
class InferReader {
 public:
  InferReader(const InferLimits& limits, InferRequest* request) : limits_(limits), request_(request) {}

  bool Null() { return other(); }
  bool Bool(bool value);
  /// Numbers come as text (kParseNumbersAsStringsFlag): RapidJSON's own exact conversion is undefined for 0.000...0.
  bool RawNumber(const char* text, rapidjson::SizeType size, bool);
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }
  bool String(const char* text, rapidjson::SizeType size, bool);
  bool Key(const char* text, rapidjson::SizeType size, bool);
  bool StartObject();
  bool EndObject(rapidjson::SizeType);
  bool StartArray();
  bool EndArray(rapidjson::SizeType);

  const std::string& fault() const { return fault_; }

 private:
  /// Where in the document we are.
  enum class Place : uint8_t {
    outside,
    request,
    inputs,
    input,
    shape,
    data,
    inputParameters,
    outputs,
    output,
    outputParameters,
    parameters,
    ignored,
  };
  Place place() const { return places_.empty() ? Place::outside : places_.back(); }
  bool enter(Place place);
  bool refuse(const char* what);
  bool other();
  bool addValue(double value);
  RequestedInput& input() { return request_->inputs.back(); }

  InferLimits limits_;
  InferRequest* request_;
  std::vector<Place> places_;
  /// Key whose value comes next, when we are in an object.
  std::string key_;
  size_t dataDepth_ = 0;
  std::string fault_;
};

}  // namespace selvedge::serve

#endif
