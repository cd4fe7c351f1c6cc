// What LibTorch keeps for the whole process.
#pragma once

namespace bsm {

/// LibTorch makes its thread pool, its random generator, its handles of operators and more when they are
/// first used, and destroys them when the process exits, the newest first. This uses all that loading and
/// streaming on a CPU use, so that whatever is registered with atexit() afterwards runs while they are still
/// there: the plugin ends its worker so, whichever thread calls exit(). Takes some milliseconds. A failure is
/// logged: a model that is loaded later will meet it again.
void make_process_statics();

}  // namespace bsm
