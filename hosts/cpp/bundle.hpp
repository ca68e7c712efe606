// A bundle's folder, read once: the digest is checked before the manifest is parsed, and every listed file is hashed.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

using Bytes = std::vector<std::uint8_t>;
using Json = nlohmann::json;

constexpr std::uint64_t MAX_JSON_BYTES = 1 << 20, MAX_FILE_BYTES = 1 << 29, MAX_TOTAL_BYTES = 1 << 30;
constexpr int MAX_DEPTH = 32;
// Where the manifest states no tolerance: float32 rounded in another order, and not one pixel of the mask.
inline const Json EXACT = {{"probability", 1e-4}, {"mask", 0.0}};

/// A named fault (exit code 1): what, expected, got and remedy.
struct Fault : std::runtime_error {
  Fault(const std::string& what, const std::string& expected, const std::string& got, const std::string& remedy = "get it again")
      : std::runtime_error(what + "; expected " + expected + "; got " + got + "; " + remedy) {}
};

/// A value in an error: cut off, with nothing that a terminal would obey.
inline std::string shown(const Json& value) { return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 200); }

/// A regular file's bytes, read once; links, devices and files beyond the cap are refused.
inline Bytes read_capped(const std::string& path, std::uint64_t limit) {
  const int file = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat found {};
  if (file < 0 || fstat(file, &found) != 0 || !S_ISREG(found.st_mode)) {
    const std::string reason = file < 0 ? std::strerror(errno) : "something else";
    if (file >= 0) close(file);
    throw Fault(path + " cannot be read", "a regular file that is not a link", reason, "give another file");
  }
  Bytes data(std::min<std::uint64_t>(static_cast<std::uint64_t>(found.st_size), limit) + 1);  // one more tells that it is too large
  std::size_t size = 0;
  for (ssize_t count; size < data.size() && (count = read(file, &data[size], data.size() - size)) > 0;) size += static_cast<std::size_t>(count);
  close(file);
  if (size > limit) throw Fault(path + " is too large", "at most " + std::to_string(limit) + " bytes", "more");
  data.resize(size);
  return data;
}

/// SHA-256 in 64 lower-case hexadecimal digits.
inline std::string sha256(const Bytes& data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_Digest(data.data(), data.size(), digest, &length, EVP_sha256(), nullptr) != 1) throw std::runtime_error("libcrypto has no SHA-256");
  std::string hex;
  for (unsigned at = 0; at < length; at++) hex += {"0123456789abcdef"[digest[at] >> 4], "0123456789abcdef"[digest[at] & 15]};
  return hex;
}

/// A file's bytes, of the size and SHA-256 stated.
inline Bytes read_verified(const std::string& path, std::uint64_t size, const std::string& digest) {
  Bytes data = read_capped(path, size);
  if (data.size() != size || sha256(data) != digest)
    throw Fault(path + " is not the file that was listed", std::to_string(size) + " bytes with SHA-256 " + shown(digest),
                std::to_string(data.size()) + " bytes with " + sha256(data));
  return data;
}

/// JSON of a schema. Refused: an object with a key twice (readers differ in which one they take), what is so deep that
/// whoever walks it runs out of stack, and what nlohmann passes over: a byte order mark, and all that follows a NUL.
inline Json parse_json(const Bytes& data, const std::string& what, const std::string& schema) {
  std::vector<std::set<std::string>> keys;
  bool refused = std::count(data.begin(), data.end(), 0) != 0 || (!data.empty() && data.front() == 0xEF);
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    const bool object = event == Json::parse_event_t::object_start;
    if (object) keys.emplace_back();
    if ((object || event == Json::parse_event_t::array_start) && depth >= MAX_DEPTH) refused = true;  // the outermost is at 0
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) refused = !keys.back().insert(parsed.get<std::string>()).second || refused;
    return depth < MAX_DEPTH;
  };
  const Json value = Json::parse(data.begin(), data.end(), watch, false);
  if (refused || !value.is_object()) throw Fault(what + " cannot be read", "JSON in UTF-8, each key once, 32 levels at most", "something else");
  if (value.value("schema", Json()) != schema)
    throw Fault(what + " has an unknown schema", schema, shown(value.value("schema", Json())), "use a host of the same release");
  return value;
}

/// A whole number within limits.
inline std::uint64_t whole(const Json& value, const std::string& name, std::uint64_t low, std::uint64_t high) {
  if (!value.is_number() || value < low || value > high || value != std::floor(value.get<double>()))
    throw Fault(name + " is wrong", std::to_string(low) + " to " + std::to_string(high), shown(value));
  return value.get<std::uint64_t>();
}

/// A name that is a file's in the folder itself: no separators, no leading dot, no Windows device.
inline const std::string& file_name(const std::string& name) {
  static const std::regex allowed(R"((?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)", std::regex::icase);
  if (name.size() > 64 || !std::regex_match(name, allowed))
    throw Fault("a file's name is wrong", "1 to 64 letters, digits and . _ -", shown(name));
  return name;
}

/// A verified bundle, and the one variant that is to run.
struct Bundle {
  std::string name, version, digest;  // the digest is the SHA-256 of manifest.json
  Bytes model;
  std::uint64_t least = 0, most = 0;                   // pixels of a side
  double probability_tolerance = 0, mask_tolerance = 0;  // of golden cases: a difference, and a fraction of the pixels
  bool squeezes = false;

  Bundle(const std::string& folder, const std::string& variant, const std::string& pinned) {
    const Bytes data = read_capped(folder + "/manifest.json", MAX_JSON_BYTES);
    digest = sha256(data);
    if (!pinned.empty() && pinned != digest) throw Fault("the bundle is not the pinned one", pinned, digest, "load the bundle that was approved");
    const Json manifest = parse_json(data, "manifest.json", "brainseg/bundle/1");
    name = manifest.at("name").get<std::string>();
    version = manifest.at("version").get<std::string>();
    check_contract(manifest.at("contract"));
    std::map<std::string, Bytes> files = read_files(folder, manifest.at("files"));
    if (!manifest.at("variants").contains(variant))
      throw Fault("the bundle has no such variant", "one of " + shown(manifest.at("variants")), shown(variant), "name another");
    const Json& chosen = manifest.at("variants").at(variant);
    model = files.at(chosen.at("file").get<std::string>());
    const Json& tolerances = chosen.at("tolerances");
    const Json tolerance = tolerances.value("cpu", tolerances.value("default", EXACT));
    for (const char* each : {"probability", "mask"})
      if (!tolerance.at(each).is_number() || tolerance.at(each) < 0 || tolerance.at(each) > 1)
        throw Fault("a tolerance in manifest.json is wrong", "0 to 1", shown(tolerance));
    probability_tolerance = tolerance.at("probability");
    mask_tolerance = tolerance.at("mask");
    const Json aspect = manifest.at("training").value("aspect_ratio", Json());
    squeezes = !aspect.is_string() || aspect.get<std::string>().rfind("kept", 0) != 0;
  }

 private:
  void check_contract(const Json& contract) {
    static const Json input = Json::parse(R"({"name": "image", "dtype": "uint8", "shape": ["N", "H", "W", "3"]})");
    static const Json outputs = Json::parse(R"([{"name": "mask", "dtype": "uint8", "shape": ["N", "H", "W"]},
                                                {"name": "probability", "dtype": "float32", "shape": ["N", "H", "W"]}])");
    if (contract.at("input") != input || contract.at("outputs") != outputs)
      throw Fault("the contract is not the one that this host knows", "image in, mask and probability out", shown(contract));
    const Json& limits = contract.at("limits");
    whole(limits.at("max_batch"), "max_batch", 1, 64);  // kept by running one image at a time
    least = whole(limits.at("min_side"), "min_side", 16, 2048);
    most = whole(limits.at("max_side"), "max_side", least, 2048);
  }

  /// Every listed file is checked, not only the model; sizes first, so that nothing is read for a list that is too long.
  static std::map<std::string, Bytes> read_files(const std::string& folder, const Json& listed) {
    std::uint64_t total = 0;
    for (const auto& [file, entry] : listed.get_ref<const Json::object_t&>()) total += whole(entry.at("bytes"), file_name(file), 0, MAX_FILE_BYTES);
    if (listed.size() > 32 || total > MAX_TOTAL_BYTES) throw Fault("the bundle is too large", "32 files, 1 GiB", std::to_string(total) + " bytes");
    std::map<std::string, Bytes> files;
    for (const auto& [file, entry] : listed.items())
      files[file] = read_verified(folder + "/" + file, entry.at("bytes"), entry.at("sha256").get<std::string>());
    return files;
  }
};
