// Objects with a destructor that the element's worker makes for the whole process.
#pragma once

#include <string>

namespace bsm::test {

/// Where the first of them was made, "" when there is none. exit() destroys what was made last first: such an
/// object would be gone before the handler that ends the worker runs. The program must export its symbols.
std::string first_late_static();

}  // namespace bsm::test
