/* fuzz_zip.c - any bytes as a zip: a torch archive, TorchScript, or npz. */
#include "tests/fuzz/fuzz_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    return fuzz_read(cv_read_zip, data, len);
}
