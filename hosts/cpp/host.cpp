// Runs a brainseg bundle in C++: verifies its files, compares the golden cases, segments raw slices.
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "onnxruntime.hpp"

namespace {

const char USAGE[] =
    "usage: host BUNDLE [--variant NAME] [--digest HEX] [--library PATH] --golden DIR [--json]\n"
    "       host BUNDLE [--variant NAME] [--digest HEX] [--library PATH] --image FILE --height H --width W [--slices N]\n"
    "            --mask OUT [--probability OUT] [--json]\n";

struct Usage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Options = std::map<std::string, std::string>;  // the bundle under "BUNDLE", --json with an empty value

/// The one path of a file in its folder, whichever links lead there; the file need not exist.
std::filesystem::path place(const std::string& path) {
  const auto whole = std::filesystem::absolute(path);
  return std::filesystem::weakly_canonical(whole.parent_path()) / whole.filename();
}

void check(Options& options) {
  const auto given = [&](const char* name) { return options.count(name) != 0; };
  if (!given("BUNDLE")) throw Usage("expected a BUNDLE");
  const bool all = given("--image") && given("--height") && given("--width") && given("--mask");
  const bool any = given("--image") || given("--height") || given("--width") || given("--mask") || given("--slices") || given("--probability");
  if (given("--golden") ? any : !all) throw Usage("give either --golden, or --image, --height, --width and --mask");
  for (const char* name : {"--height", "--width", "--slices"}) {
    const std::string text = given(name) ? options.at(name) : "1";
    if (text.size() > 6 || text[0] == '0' || text.find_first_not_of("0123456789") != std::string::npos)
      throw Usage(std::string(name) + " is a number from 1 to 999999");
  }
  if (given("--digest")) {
    std::string& digest = options.at("--digest");
    if (digest.rfind("sha256:", 0) == 0) digest.erase(0, 7);
    for (char& each : digest) each = static_cast<char>(std::tolower(static_cast<unsigned char>(each)));
    if (digest.size() != 64 || digest.find_first_not_of("0123456789abcdef") != std::string::npos)
      throw Usage("--digest takes 64 hexadecimal digits");
  }
  std::set<std::filesystem::path> files;
  for (const std::string name : {"--image", "--library", "--mask", "--probability"})
    if (given(name.c_str()) && (!files.insert(place(options.at(name))).second ||
                        ((name == "--mask" || name == "--probability") && place(options.at(name)).parent_path() == place(options.at("BUNDLE") + "/.").parent_path())))
      throw Usage(name + " would be written over another file of this run, or into the bundle");
}

Options parse_arguments(int count, char** words) {
  static const std::set<std::string> names = {"--variant", "--digest", "--library", "--golden", "--image",
                                              "--height",  "--width",  "--slices",  "--mask",   "--probability"};
  Options options;
  for (int at = 1; at < count; at++) {
    std::string word = words[at], value;
    if (word.empty() || (names.count(word) != 0 && (at + 1 == count || *words[at + 1] == '\0' || *words[at + 1] == '-'))) throw Usage("a value is missing after " + word);
    if (names.count(word) != 0) {
      value = words[++at];
    } else if (word[0] != '-') {
      value = std::exchange(word, "BUNDLE");
    } else if (word != "--json") {
      throw Usage("unknown option " + word);
    }
    if (!options.emplace(word, value).second) throw Usage(word + " is given twice");
  }
  check(options);
  options.insert({{"--variant", "fp32"}, {"--library", "libonnxruntime.so"}, {"--slices", "1"}, {"--digest", ""}});
  return options;
}

struct Answer {
  Bytes mask;                      // (N, H, W), 0 or 1
  std::vector<float> probability;  // (N, H, W), in [0, 1]
};

/// Segment (N, H, W, 3) pixels one image at a time: a batch need not give the same bits.
Answer segment(const Session& session, Bytes& pixels, std::size_t n, std::size_t height, std::size_t width) {
  const std::size_t area = height * width;
  Answer answer{Bytes(n * area), std::vector<float>(n * area)};
  for (std::size_t at = 0; at < n * area; at += area)
    session.run(&pixels[3 * at], height, width, &answer.mask[at], &answer.probability[at]);
  return answer;
}

/// A golden array's bytes, which are those of a shape, and hashed as the index says.
Bytes read_array(const std::string& folder, const Json& entry, const Json& shape, const std::string& dtype, std::uint64_t size) {
  if (entry.at("dtype") != dtype || entry.at("shape") != shape || size > MAX_TOTAL_BYTES)
    throw Fault("index.json is wrong", "a " + dtype + " array of " + shown(shape), shown(entry), "write it again");
  return read_verified(folder + "/" + file_name(entry.at("file").get<std::string>()), size, entry.at("sha256").get<std::string>());
}

Json compare_case(const Session& session, const Bundle& bundle, const std::string& folder, const Json& entry, const std::string& variant) {
  const Json &lengths = entry.at("image").at("shape"), &expected = entry.at("variants").at(variant);
  const auto n = whole(lengths.at(0), "N", 1, 64), height = whole(lengths.at(1), "H", bundle.least, bundle.most),
             width = whole(lengths.at(2), "W", bundle.least, bundle.most), values = n * height * width;
  Bytes image = read_array(folder, entry.at("image"), {n, height, width, 3}, "uint8", 3 * values);
  const Bytes mask = read_array(folder, expected.at("mask"), {n, height, width}, "uint8", values);
  const Bytes raw = read_array(folder, expected.at("probability"), {n, height, width}, "float32", 4 * values);
  const Answer answer = segment(session, image, n, height, width);
  double furthest = 0;
  std::uint64_t different = 0;
  for (std::size_t at = 0; at < values; at++) {
    const std::uint32_t bits = raw[4 * at] | raw[4 * at + 1] << 8 | raw[4 * at + 2] << 16 | static_cast<std::uint32_t>(raw[4 * at + 3]) << 24;
    float probability;
    std::memcpy(&probability, &bits, sizeof probability);
    const double distance = std::fabs(static_cast<double>(answer.probability[at]) - probability);
    if (!(distance <= furthest)) furthest = distance;  // NaN stays, and is within no tolerance
    different += answer.mask[at] != mask[at];
  }
  const bool within = furthest <= bundle.probability_tolerance && static_cast<double>(different) <= bundle.mask_tolerance * static_cast<double>(values);
  return {{"name", entry.at("name").get<std::string>()}, {"max_probability_difference", furthest}, {"mask_pixels_different", different}, {"within", within}};
}

/// Every case that the variant answers.
Json compare_golden(const Session& session, const Bundle& bundle, const std::string& folder, const std::string& variant) {
  const Json index = parse_json(read_capped(folder + "/index.json", MAX_JSON_BYTES), "index.json", "brainseg/golden/1");
  const Json& digest = index.at("bundle").at("digest");
  if (digest != bundle.digest) throw Fault("the golden cases are another bundle's", bundle.digest, shown(digest), "write them again");
  Json cases = Json::array();
  for (const Json& each : index.at("cases").get_ref<const Json::array_t&>())
    if (each.at("variants").get_ref<const Json::object_t&>().count(variant) != 0) cases.push_back(compare_case(session, bundle, folder, each, variant));
  if (cases.empty()) throw Fault("there are no golden cases of " + shown(variant), "one at least", "none", "check another variant");
  return {{"cases", cases}};
}

/// Files that appear together, each whole, when all of them are on the disk; otherwise none does.
void write_whole(const std::vector<std::pair<std::string, std::pair<const void*, std::size_t>>>& outputs) {
  std::vector<std::string> made;
  std::string failed, reason;
  for (const auto& [path, data] : outputs) {
    made.push_back(path + ".XXXXXX");
    const int file = mkstemp(made.back().data());
    if (file < 0) made.pop_back();
    bool whole = file >= 0 && fchmod(file, 0644) == 0;
    for (std::size_t at = 0; whole && at < data.second;) {
      const ssize_t count = write(file, static_cast<const char*>(data.first) + at, data.second - at);
      whole = count > 0;
      at += whole ? static_cast<std::size_t>(count) : 0;
    }
    whole = whole && fsync(file) == 0;
    if (!whole) failed = path, reason = std::strerror(errno);
    if (file >= 0) close(file);
    if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path)) failed = path, reason = "a folder, or no file";
    if (!failed.empty()) break;
  }
  for (std::size_t at = 0; at < made.size(); at++) {
    if (failed.empty() && std::rename(made[at].c_str(), outputs[at].first.c_str()) != 0) failed = outputs[at].first, reason = std::strerror(errno);
    unlink(made[at].c_str());  // nothing, once it has its name
  }
  if (!failed.empty()) throw Fault(failed + " cannot be written", "an existing, writable folder with space", reason, "give another place");
}

/// A raw image file to a raw mask, and to probabilities if they are wanted.
Json segment_file(const Session& session, const Bundle& bundle, const Options& options) {
  const std::size_t n = std::stoul(options.at("--slices")), height = std::stoul(options.at("--height")), width = std::stoul(options.at("--width"));
  const std::string sides = std::to_string(height) + " x " + std::to_string(width);
  if (std::min(height, width) < bundle.least || std::max(height, width) > bundle.most)
    throw Fault("the image's size is wrong", std::to_string(bundle.least) + " to " + std::to_string(bundle.most) + " a side", sides, "resample it");
  const std::uint64_t size = std::uint64_t{n} * height * width * 3;
  if (size > MAX_TOTAL_BYTES) throw Fault("the image is too large", "at most 1 GiB", std::to_string(size) + " bytes", "split it");
  Bytes pixels = read_capped(options.at("--image"), size);
  if (pixels.size() != size)
    throw Fault("the image file's size is wrong", std::to_string(size) + " bytes", std::to_string(pixels.size()) + " bytes", "check --height, --width and --slices");
  const Answer answer = segment(session, pixels, n, height, width);
  std::vector<std::pair<std::string, std::pair<const void*, std::size_t>>> outputs = {{options.at("--mask"), {answer.mask.data(), answer.mask.size()}}};
  if (options.count("--probability") != 0)
    outputs.push_back({options.at("--probability"), {answer.probability.data(), answer.probability.size() * sizeof(float)}});
  write_whole(outputs);
  Json warnings = Json::array();
  if (bundle.squeezes && 3 * std::max(height, width) > 4 * std::min(height, width))
    warnings.push_back("the bundle squeezes images to a square, which costs accuracy: pad this one with zeros to a square");
  return {{"slices", n}, {"tumour_pixels", std::count(answer.mask.begin(), answer.mask.end(), 1)}, {"warnings", warnings}};
}

int run(const Options& options) {
  const auto began = std::chrono::steady_clock::now();
  const std::string& variant = options.at("--variant");
  const Bundle bundle(options.at("BUNDLE"), variant, options.at("--digest"));
  const Session session(options.at("--library"), bundle.model);
  Json report = {{"host", "cpp"}, {"onnxruntime", session.version}, {"variant", variant}, {"ok", true}};
  report["bundle"] = {{"name", bundle.name}, {"version", bundle.version}, {"digest", bundle.digest}};
  const bool golden = options.count("--golden") != 0;
  report.update(golden ? compare_golden(session, bundle, options.at("--golden"), variant) : segment_file(session, bundle, options));
  for (const Json& each : report.value("cases", Json::array())) report["ok"] = report["ok"] && each["within"];
  report["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (options.count("--json") != 0)
    std::cout << report.dump(2) << '\n';
  else
    for (const auto& [name, value] : report.items()) std::cout << name << ": " << value.dump() << '\n';
  if (!std::cout.flush()) throw Fault("the report cannot be written", "a standard output that takes it", "an error", "free space there");
  if (!report["ok"])
    throw Fault("golden cases are answered otherwise here", "every case within the manifest's tolerance", "cases beyond it",
                "do not use this machine; try another release of onnxruntime");
  return 0;
}

}  // namespace

int main(int count, char** words) {
  try {
    return run(parse_arguments(count, words));
  } catch (const Usage& error) {
    std::cerr << error.what() << '\n' << USAGE;
    return 2;
  } catch (const Fault& error) {
    std::cerr << "error: " << error.what() << '\n';
  } catch (const std::exception& error) {  // a key that JSON lacks, memory that runs out
    std::cerr << "error: " << Fault("the run failed", "a bundle as its maker wrote it, and enough memory", error.what(), "see the message").what() << '\n';
  }
  return 1;
}
