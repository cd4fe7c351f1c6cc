// LibTorch calls BLAS through whatever file stands behind libblas.so.3 (Debian's alternatives), so the answer
// is found where the dynamic linker put it: in the library that holds sgemm_ as libtorch_cpu sees it.
#include "separate/libtorch_info.h"

#include <ATen/Context.h>
#include <dlfcn.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "separate/model.h"

namespace bsm {
namespace {

struct CloseHandle {
  void operator()(void* handle) const { dlclose(handle); }
};
using Handle = std::unique_ptr<void, CloseHandle>;

/// The loaded library that contains `address`; its symbol lookup covers what it was linked with. Empty on
/// failure.
Handle library_of(const void* address, std::string* path) {
  Dl_info info = {};
  if (dladdr(address, &info) == 0 || info.dli_fname == nullptr) return nullptr;
  *path = info.dli_fname;
  return Handle(dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD));
}

BlasLibrary find_blas() {
  if (at::hasMKL()) return {"MKL", "", false, nullptr};
  BlasLibrary blas{"unknown BLAS", "", false, nullptr};
  std::string torch_path;
  const Handle torch = library_of(reinterpret_cast<const void*>(&at::globalContext), &torch_path);
  const void* sgemm = torch ? dlsym(torch.get(), "sgemm_") : nullptr;
  if (sgemm == nullptr) return blas;
  const Handle library = library_of(sgemm, &blas.path);
  std::error_code failed;
  const std::filesystem::path real = std::filesystem::canonical(blas.path, failed);
  if (!failed) blas.path = real.string();

  const auto holds = [&](const char* symbol) { return library && dlsym(library.get(), symbol) != nullptr; };
  const auto path_says = [&](const char* word) { return blas.path.find(word) != std::string::npos; };
  if (holds("openblas_get_config") || path_says("openblas")) {
    blas.name = "OpenBLAS";
    if (library)
      blas.set_num_threads =
          reinterpret_cast<void (*)(int)>(dlsym(library.get(), "openblas_set_num_threads"));
  } else if (holds("mkl_get_version") || holds("MKL_Get_Version") || path_says("mkl")) {
    blas.name = "MKL";
  } else if (holds("bli_info_get_version_str") || path_says("blis")) {
    blas.name = "BLIS";
  } else if (holds("ATL_buildinfo") || path_says("atlas")) {
    blas.name = "ATLAS";
  } else if (std::filesystem::path(blas.path).filename().string().starts_with("libblas.so")) {
    blas.name = "reference BLAS";
    blas.generic = true;
  }
  return blas;
}

}  // namespace

const BlasLibrary& blas_library() {
  // Never destroyed: a worker may compute while the process exits.
  static const BlasLibrary& blas = *new BlasLibrary(find_blas());
  return blas;
}

std::string describe_libtorch() {
  std::string text = "LibTorch ";
  text += TORCH_VERSION;
  text += ", ";
  text += blas_library().name;
  if (torch::cuda::is_available()) text += ", CUDA";
  return text;
}

bool blas_is_generic() { return blas_library().generic; }

}  // namespace bsm
