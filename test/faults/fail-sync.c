/*
 * Preloaded into a process (LD_PRELOAD), makes every sync fail with EIO from the moment on at which the file named by
 * MORAINE_FAIL_SYNC exists, as a disk does that has lost a page. Until then, and without the variable, all is as ever.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int disk_is_broken(void) {
  const char *trigger = getenv("MORAINE_FAIL_SYNC");
  return trigger != NULL && access(trigger, F_OK) == 0;
}

#define FAIL_OR_CALL(name, types, ...)                    \
  do {                                                    \
    int (*next) types = (int (*) types)dlsym(RTLD_NEXT, name); \
    if (disk_is_broken()) {                               \
      errno = EIO;                                        \
      return -1;                                          \
    }                                                     \
    return next(__VA_ARGS__);                             \
  } while (0)

int fdatasync(int fd) { FAIL_OR_CALL("fdatasync", (int), fd); }

int fsync(int fd) { FAIL_OR_CALL("fsync", (int), fd); }

int syncfs(int fd) { FAIL_OR_CALL("syncfs", (int), fd); }

int msync(void *address, size_t length, int flags) {
  FAIL_OR_CALL("msync", (void *, size_t, int), address, length, flags);
}

int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned int flags) {
  FAIL_OR_CALL("sync_file_range", (int, off64_t, off64_t, unsigned int), fd, offset, bytes, flags);
}
