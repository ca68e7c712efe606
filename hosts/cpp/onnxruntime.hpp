// One model in onnxruntime, made from bytes, by the functions of its C interface called by their place in its table.
//
// The table only ever grows at its end (onnxruntime's promise for its binary interface), so the places below are those
// of every release, and no header of one release is compiled in. They are listed in onnxruntime_c_api.h, struct OrtApi.
#pragma once

#include <cstdint>
#include <string>

#include <dlfcn.h>
#include <stdlib.h>

#include "bundle.hpp"

/// Lives as long as the process; only what a run makes is released.
class Session {
 public:
  std::string version;  // of onnxruntime

  Session(const std::string& library, const Bytes& model) {
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);  // official builds report to their maker by default
    void* opened = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    void* entry = opened == nullptr ? nullptr : dlsym(opened, "OrtGetApiBase");
    if (entry == nullptr) throw Fault("onnxruntime cannot be opened", "its shared library", dlerror(), "name it with --library");
    const auto* base = reinterpret_cast<const Base* (*)()>(entry)();
    version = base->version();
    table = static_cast<void* const*>(base->api(18));  // in releases since 1.18
    if (table == nullptr) throw Fault("onnxruntime is too old", "1.18 or newer", version, "name another with --library");
    void *environment = nullptr, *options = nullptr;
    call(CREATE_ENV, FATAL_ALONE, "brainseg", &environment);  // what is less comes back as a status
    call(CREATE_SESSION_OPTIONS, &options);
    call(SET_INTRA_OP_NUM_THREADS, options, 1);
    // A model that names external files would have them read from the current folder.
    call(ADD_SESSION_CONFIG_ENTRY, options, "session.model_external_initializers_file_folder_path", "/dev/null/none");
    call(CREATE_SESSION_FROM_ARRAY, environment, static_cast<const void*>(model.data()), model.size(), options, &session);
    call(CREATE_CPU_MEMORY_INFO, 0, 0, &memory);
    const std::string expected = "image 2/4, mask 2/3, probability 1/3, ";  // type/axes; 1 is float32, 2 is uint8
    const std::string found = tensors(SESSION_GET_INPUT_COUNT, SESSION_GET_INPUT_NAME, SESSION_GET_INPUT_TYPE_INFO) +
                              tensors(SESSION_GET_OUTPUT_COUNT, SESSION_GET_OUTPUT_NAME, SESSION_GET_OUTPUT_TYPE_INFO);
    if (found != expected) throw Fault("the model keeps another contract", expected, shown(found));
  }

  /// Segment one image (H, W, 3) of uint8 into a mask and probabilities (H, W).
  void run(std::uint8_t* image, std::size_t height, std::size_t width, std::uint8_t* mask, float* probability) const {
    const std::int64_t shape[] = {1, static_cast<std::int64_t>(height), static_cast<std::int64_t>(width), 3};
    const std::size_t area = height * width;
    // The outputs are given too, so onnxruntime writes into them, and refuses a result of another shape.
    void* values[] = {tensor(image, 3 * area, shape, 4, UINT8), tensor(mask, area, shape, 3, UINT8),
                      tensor(probability, area * sizeof(float), shape, 3, FLOAT)};
    const char *input[] = {"image"}, *outputs[] = {"mask", "probability"};
    call(RUN, session, static_cast<void*>(nullptr), input, &values[0], std::size_t{1}, outputs, std::size_t{2}, &values[1]);
    for (void* each : values) reinterpret_cast<void (*)(void*)>(table[RELEASE_VALUE])(each);
    for (std::size_t at = 0; at < area; at++)
      if (mask[at] > 1 || !(probability[at] >= 0 && probability[at] <= 1))
        throw Fault("the model's answer is wrong", "a mask of 0 and 1, probabilities in [0, 1]",
                    std::to_string(mask[at]) + " and " + std::to_string(probability[at]));
  }

 private:
  enum Place : std::size_t {
    GET_ERROR_MESSAGE = 2, CREATE_ENV = 3, CREATE_SESSION_FROM_ARRAY = 8, RUN = 9, CREATE_SESSION_OPTIONS = 10,
    SET_INTRA_OP_NUM_THREADS = 24, SESSION_GET_INPUT_COUNT = 30, SESSION_GET_OUTPUT_COUNT = 31,
    SESSION_GET_INPUT_TYPE_INFO = 33, SESSION_GET_OUTPUT_TYPE_INFO = 34, SESSION_GET_INPUT_NAME = 36,
    SESSION_GET_OUTPUT_NAME = 37, CREATE_TENSOR_WITH_DATA = 49, CAST_TYPE_INFO_TO_TENSOR_INFO = 55,
    GET_TENSOR_ELEMENT_TYPE = 60, GET_DIMENSIONS_COUNT = 61, CREATE_CPU_MEMORY_INFO = 69,
    GET_ALLOCATOR_WITH_DEFAULT_OPTIONS = 78, RELEASE_STATUS = 93, RELEASE_VALUE = 96, ADD_SESSION_CONFIG_ENTRY = 130,
  };
  struct Base {
    const void* (*api)(std::uint32_t);
    const char* (*version)();
  };
  static constexpr int FLOAT = 1, UINT8 = 2, FATAL_ALONE = 4;
  void* const* table = nullptr;
  void *session = nullptr, *memory = nullptr;

  /// Call the function at a place of the table; its own fault is one of ours.
  template <typename... Arguments>
  void call(Place place, Arguments... arguments) const {
    void* status = reinterpret_cast<void* (*)(Arguments...)>(table[place])(arguments...);
    if (status == nullptr) return;
    const std::string message = reinterpret_cast<const char* (*)(void*)>(table[GET_ERROR_MESSAGE])(status);
    reinterpret_cast<void (*)(void*)>(table[RELEASE_STATUS])(status);
    throw Fault("onnxruntime refuses the model or the image", "a model of the contract", shown(message));
  }

  void* tensor(void* data, std::size_t size, const std::int64_t* shape, std::size_t axes, int type) const {
    void* value = nullptr;
    call(CREATE_TENSOR_WITH_DATA, memory, data, size, shape, axes, type, &value);
    return value;
  }

  /// Names, element types and numbers of axes of what the model takes or gives.
  std::string tensors(Place counter, Place name_of, Place type_of) const {
    std::string found;
    std::size_t count = 0, axes = 0;
    void *allocator = nullptr, *type = nullptr, *shape = nullptr;
    char* name = nullptr;
    int element = 0;
    call(GET_ALLOCATOR_WITH_DEFAULT_OPTIONS, &allocator);
    call(counter, session, &count);
    for (std::size_t at = 0; at < count; at++) {
      call(name_of, session, at, allocator, &name);
      call(type_of, session, at, &type);
      call(CAST_TYPE_INFO_TO_TENSOR_INFO, type, &shape);
      if (shape == nullptr) throw Fault("the model keeps another contract", "tensors alone", shown(name));
      call(GET_TENSOR_ELEMENT_TYPE, shape, &element);
      call(GET_DIMENSIONS_COUNT, shape, &axes);
      found += std::string(name) + " " + std::to_string(element) + "/" + std::to_string(axes) + ", ";
    }
    return found;
  }
};
