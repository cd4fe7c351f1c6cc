// bsmamba2: separates singing from music, scores separations, trains and inspects models.
#include "cli/program.h"

int main(int argc, char** argv) { return bsm::run_program(argc, argv); }
