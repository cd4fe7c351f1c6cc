// Parameters of those sources that an effect applies to: written row by row on the CPU, columns on the
// device.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace bsm {

/// Rows of a table in the making: which source, then the parameters.
struct RowList {
  int64_t count = 0;
  std::vector<double> values;

  void add(size_t source, std::initializer_list<double> parameters) {
    values.push_back(static_cast<double>(source));
    // One by one: GCC 13 takes the growing of insert() for an overflow (-Wstringop-overflow).
    for (const double parameter : parameters) values.push_back(parameter);
    ++count;
  }
};

/// Undefined tensors when no source has the effect.
struct RowTable {
  torch::Tensor rows;        ///< [F] int64: the sources
  torch::Tensor parameters;  ///< [F, columns] float64

  bool is_empty() const { return !rows.defined(); }
  /// [F, 1] float64
  torch::Tensor column(int64_t c) const { return parameters.narrow(1, c, 1); }
  /// [F] float32
  torch::Tensor values(int64_t c) const { return parameters.select(1, c).to(torch::kFloat); }
  /// [F, 1, 1] float32, to go with [F, 2, n]
  torch::Tensor factors(int64_t c) const { return values(c).view({-1, 1, 1}); }
};

}  // namespace bsm
