// Memory that does not suffice for large tensors: allocations above STAND_IN_LARGEST bytes fail, whatever else is free.
//
// libtorch takes the memory of CPU tensors from posix_memalign, Rust from malloc: only tensors are refused.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

typedef int (*allocate)(void **, size_t, size_t);

int posix_memalign(void **memory, size_t alignment, size_t n_bytes) {
    static allocate next;
    static size_t largest;
    if (!next) {
        const char *limit = getenv("STAND_IN_LARGEST");
        largest = limit ? strtoull(limit, NULL, 10) : (size_t)-1;
        next = (allocate)dlsym(RTLD_NEXT, "posix_memalign");
    }
    return n_bytes > largest ? ENOMEM : next(memory, alignment, n_bytes);
}
