// A GPU that is not there: registers with libtorch as its CUDA device, and computes on the host.
//
// With it `compute --device cuda:0` runs from end to end where there is no GPU: that no tensor is on the wrong device, that
// what does not fit is computed in parts, and what is copied from and to the GPU can be tested anywhere. It has the name of
// libtorch's own CUDA part and is loaded before it (LD_PRELOAD), so that `compute` finds it in its place. As on a GPU,
//
// - an operation whose tensors are on two devices fails, but for numbers (tensors without dimensions);
// - memory is limited, to STAND_IN_MEMORY bytes, and an operation that goes beyond fails with CUDA's words;
// - matrix products of f32 round their inputs to TF32 where that is allowed.
//
// What a GPU would have been asked to do is counted and written to the file STAND_IN_COUNTS: operations (a kernel each, but
// for the few that libtorch has one kernel for and composes here), the bytes that they read and write, multiply-adds of
// matrix products, and what is copied from and to the host. It says nothing of how long a GPU would take.
//
// Written against libtorch 2.11.

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>

namespace {

const c10::Device GPU(c10::DeviceType::CUDA, 0);

// ---- memory

size_t limit() {
  static const char *bytes = std::getenv("STAND_IN_MEMORY");
  static const size_t limit = bytes ? std::strtoull(bytes, nullptr, 10) : size_t(16) << 30;
  return limit;
}

std::atomic<size_t> taken{0};
std::atomic<size_t> peak{0};

void take(size_t bytes) {
  const size_t now = taken += bytes;
  if (now > limit()) {
    taken -= bytes;
    TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ", bytes, " bytes.");
  }
  for (size_t seen = peak; seen < now && !peak.compare_exchange_weak(seen, now);) {
  }
}

// Memory of the host that counts as the GPU's.
struct Held {
  c10::Storage storage;
  size_t bytes;
};

c10::DataPtr hold(const c10::Storage &storage) {
  take(storage.nbytes());
  auto *held = new Held{storage, storage.nbytes()};
  return {storage.mutable_data(), held,
          [](void *context) {
            auto *held = static_cast<Held *>(context);
            taken -= held->bytes;
            delete held;
          },
          GPU};
}

struct GpuAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t n) override {
    auto *host = c10::GetAllocator(c10::kCPU);
    return hold(c10::Storage(c10::Storage::use_byte_size_t(), n, host->allocate(n), host, false));
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void *to, const void *from, size_t n) const override { std::memcpy(to, from, n); }
} allocator;

at::Tensor tensor(c10::Storage storage, c10::DispatchKey key, const at::Tensor &like) {
  auto tensor = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), like.dtype());
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  return tensor;
}

// A tensor of the GPU as the host sees it: the same memory.
at::Tensor lend(const at::Tensor &device) {
  const auto &storage = device.storage();
  c10::Storage host(c10::Storage::use_byte_size_t(), storage.nbytes(),
                    c10::DataPtr(storage.mutable_data(), c10::Device(c10::kCPU)), c10::GetAllocator(c10::kCPU), true);
  return tensor(std::move(host), c10::DispatchKey::CPU, device);
}

struct Lent {
  at::Tensor device, host;
};

c10::Storage device_storage(const at::Tensor &host) {
  const size_t bytes = host.storage().nbytes();
  return {c10::Storage::use_byte_size_t(), bytes, hold(host.storage()), &allocator, true};
}

// What the host made of lent tensors, as a tensor of the GPU.
at::Tensor back(const at::Tensor &host, const std::vector<Lent> &lent) {
  if (!host.defined()) {
    return host;
  }
  for (const auto &one : lent) {
    if (!host.is_same(one.host)) {
      continue;
    }
    if (host.storage().data() != one.device.storage().data()) { // grown by the operation
      one.device.unsafeGetTensorImpl()->set_storage_keep_dtype(device_storage(host));
    }
    one.device.unsafeGetTensorImpl()->set_sizes_and_strides(host.sizes(), host.strides(), host.storage_offset());
    return one.device;
  }
  for (const auto &one : lent) {
    if (host.storage().data() == one.host.storage().data() && host.storage().nbytes() > 0) { // a view
      return tensor(one.device.storage(), c10::DispatchKey::CUDA, host);
    }
  }
  return tensor(device_storage(host), c10::DispatchKey::CUDA, host);
}

// ---- counts

struct Count {
  uint64_t times = 0, bytes = 0, multiply_adds = 0;
};

struct Counts {
  std::mutex lock;
  std::map<std::string, Count> all;

  void add(const std::string &name, uint64_t bytes, uint64_t multiply_adds = 0) {
    const std::lock_guard<std::mutex> guard(lock);
    auto &count = all[name];
    count.times += 1;
    count.bytes += bytes;
    count.multiply_adds += multiply_adds;
    // Results leave last, and the program ends without running destructors.
    if (name == "copy to the host") {
      write();
    }
  }

  void write() const {
    const char *path = std::getenv("STAND_IN_COUNTS");
    if (path == nullptr) {
      return;
    }
    std::ofstream file(path);
    file << "operation\ttimes\tbytes\tmultiply_adds\n";
    for (const auto &[name, count] : all) {
      file << name << '\t' << count.times << '\t' << count.bytes << '\t' << count.multiply_adds << '\n';
    }
    file << "peak\t1\t" << peak << "\t0\n";
  }
} counts;

uint64_t bytes_of(const at::Tensor &t) { return t.defined() ? t.numel() * t.element_size() : 0; }

// ---- operations

at::Tensor rounded_to_tf32(const at::Tensor &t) {
  if (t.scalar_type() != at::kFloat) {
    return t;
  }
  auto copy = t.contiguous().clone();
  auto *bits = static_cast<uint32_t *>(copy.mutable_data_ptr());
  for (int64_t i = 0; i < copy.numel(); i++) {
    bits[i] = (bits[i] + 0x1000) & 0xffffe000;
  }
  return copy;
}

// Any operation on tensors of the GPU.
void on_host(const c10::OperatorHandle &op, torch::jit::Stack *stack) {
  const auto &schema = op.schema();
  const std::string &name = schema.name();
  const bool product = name == "aten::addmm" || name == "aten::mm" || name == "aten::bmm" || name == "aten::baddbmm";
  const bool picks = name == "aten::gather" || name == "aten::index_select"; // these read what they write
  const bool tf32 = product && at::globalContext().allowTF32CuBLAS();
  std::vector<Lent> lent;
  uint64_t bytes = 0, depth = 0;
  auto lend_one = [&](const at::Tensor &t, bool is_read) -> at::Tensor {
    if (!t.defined() || (t.is_cpu() && t.dim() == 0)) {
      return t;
    }
    TORCH_CHECK(t.device() == GPU, "Expected all tensors to be on the same device, but found at least two devices, ",
                GPU, " and ", t.device(), "! (", name, ")");
    for (const auto &one : lent) {
      if (one.device.is_same(t)) {
        return one.host;
      }
    }
    lent.push_back({t, lend(t)});
    bytes += is_read ? bytes_of(t) : 0;
    return lent.back().host;
  };

  const size_t n_arguments = schema.arguments().size();
  const size_t first = stack->size() - n_arguments;
  for (size_t i = first; i < stack->size(); i++) {
    auto &value = (*stack)[i];
    const auto &argument = schema.arguments()[i - first];
    if (value.isTensor()) {
      value = lend_one(value.toTensor(), !argument.is_out() && !picks);
      const auto *alias = argument.alias_info();
      if (tf32 && !(alias != nullptr && alias->isWrite())) {
        value = rounded_to_tf32(value.toTensor());
      }
    } else if (value.isTensorList()) {
      c10::List<at::Tensor> host;
      for (const at::Tensor &t : value.toTensorVector()) {
        host.push_back(lend_one(t, true));
      }
      value = std::move(host);
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> host;
      for (const std::optional<at::Tensor> &t : value.toOptionalTensorVector()) {
        host.push_back(t ? std::optional(lend_one(*t, true)) : t);
      }
      value = std::move(host);
    } else if (value.isDevice()) {
      value = c10::Device(c10::kCPU);
    }
  }
  if (product) { // the second factor is [.., depth, columns]
    depth = (*stack)[first + (n_arguments > 3 ? 2 : 1)].toTensor().size(-2);
  }

  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);

  uint64_t multiply_adds = 0;
  for (size_t i = stack->size() - schema.returns().size(); i < stack->size(); i++) {
    auto &value = (*stack)[i];
    if (value.isTensor()) {
      value = back(value.toTensor(), lent);
      bytes += (picks ? 2 : 1) * bytes_of(value.toTensor());
      multiply_adds += product ? value.toTensor().numel() * depth : 0;
    } else if (value.isTensorList()) {
      c10::List<at::Tensor> device;
      for (const at::Tensor &t : value.toTensorVector()) {
        device.push_back(back(t, lent));
        bytes += bytes_of(t);
      }
      value = std::move(device);
    }
  }
  counts.add(name, bytes, multiply_adds);
}

at::Tensor empty(at::IntArrayRef size, std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                 std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &allocator, c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                   c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride, std::optional<at::ScalarType> dtype,
                         std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &allocator, c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                           c10::dtype_or_default(dtype));
}

at::Tensor &copy(at::Tensor &to, const at::Tensor &from, bool non_blocking) {
  const bool to_gpu = to.is_cuda(), from_gpu = from.is_cuda();
  counts.add(!from_gpu ? "copy to the GPU" : !to_gpu ? "copy to the host" : "aten::copy_",
             bytes_of(to) + (to_gpu && from_gpu ? bytes_of(from) : 0));
  auto host = to_gpu ? lend(to) : to;
  host.copy_(from_gpu ? lend(from) : from, non_blocking);
  return to;
}

int64_t plain_attention(const at::Tensor &, const at::Tensor &, const at::Tensor &, const std::optional<at::Tensor> &,
                        double, bool, std::optional<double>, bool) {
  return 0;
}

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_host>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("copy_", &copy);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("view", &at::native::view);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
  m.impl("_fused_sdp_choice", &plain_attention);
}

// ---- the device itself

struct Guard final : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> {
  c10::Device exchangeDevice(c10::Device) const override { return GPU; }
  c10::Device getDevice() const override { return GPU; }
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, GPU); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, GPU); }
};

C10_REGISTER_GUARD_IMPL(CUDA, Guard);

} // namespace

namespace at {
struct CUDAHooks final : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex current_device() const override { return 0; }
};

REGISTER_CUDA_HOOKS(CUDAHooks);

} // namespace at

// Of the CUDA runtime, what `compute` asks.
extern "C" int cudaSetDevice(int) { return 0; }
extern "C" int cudaMemGetInfo(size_t *free, size_t *total) {
  *total = limit();
  *free = limit() - taken;
  return 0;
}
